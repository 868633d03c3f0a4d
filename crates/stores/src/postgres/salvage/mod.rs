//! What a fenced site had accepted and the standby never received: taken from the site's slot when
//! it returns, kept as a file that people can read, and replayed by a person's rules.
//!
//! The file holds one JSON object a line, one line a transaction, in commit order. Lines can be
//! long, so both sides work through them piece by piece.

mod apply;
mod before;
mod decided;
mod format;
mod read;
mod reject;
mod replay;
mod script;
mod side;
mod states;
mod take;
mod target;

pub use decided::{Decided, Verdict};
pub use format::{Change, Columns, Header, Op, Value};
pub use read::{Event, Reader};
pub use reject::{Rejected, reject};
pub use replay::{Asked, Choice, Replayed, replay, replay_chosen};
pub use script::Script;
pub use side::{Active, SHOWN, Side, SideChange, Sides, Wish};
pub use states::{Book, State, Survey, survey};
pub use take::{Counts, Summary, take};
