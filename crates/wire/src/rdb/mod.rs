//! Redis's and Valkey's snapshot, as a server sends it to a replica (Redis source, `rdb.h` and
//! `rdb.c`; Valkey 9 the same).
//!
//! [`Reader`] is fed bytes as they arrive and gives [`Event`]s: each key with its value, in bounded
//! memory. A small value comes whole as an [`Entry`]: as the source wrote it, which `RESTORE` takes
//! ([`Value::payload`]) where the target knows the encoding ([`Value::accepted_by`]). A large one
//! comes as [`Event::Large`], then [`Event::Part`]s, then [`Event::LargeEnd`]. [`Rebuild`] makes
//! commands of parts, and [`rebuild`] of a small value for a target that is older than the source.
//!
//! What is not known is an error that names it, never skipped: so are values and records of
//! modules. Left out are only hints about sizes (`RESIZEDB`, `SLOT_INFO`).

mod buffer;
mod collect;
mod crc;
mod error;
mod format;
mod kind;
mod lzf;
mod packed;
mod part;
mod reader;
mod rebuild;
mod shape;
mod stream;
mod text;
mod value;

pub use error::RdbError;
pub use format::{Family, Format};
pub use kind::Kind;
pub use part::{HashField, Part, Pending, Scored, StreamEntry, StreamId, StreamState};
pub use reader::{Event, Reader};
pub use rebuild::{Command, Rebuild, RebuildError, rebuild};
pub use value::{Entry, Key, Value};
