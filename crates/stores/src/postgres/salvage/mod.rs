//! What a fenced site had accepted and the standby never received: taken from the site's slot when
//! it returns, kept as a file that people can read, and replayed by a person's rules.
//!
//! The file holds one JSON object a line, one line a transaction, in commit order. Lines can be
//! long, so both sides work through them piece by piece.

mod format;
mod read;
mod replay;
mod take;
mod target;

pub use format::{Change, Columns, Header, Op, Value};
pub use read::{Event, Reader};
pub use replay::{Asked, Replayed, replay};
pub use take::{Counts, Summary, take};
