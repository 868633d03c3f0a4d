//! The link: Mainstay is a replica of the source. It copies the databases once, then carries out
//! the source's commands as they come, with the position in the same target transaction.
//!
//! ```text
//! source --RDB, commands--> stream -> batch --transactions--> target
//!    ^                                                           |
//!    +-------------- confirmed (REPLCONF ACK) --- position ------+
//! ```
//!
//! Invariant: the position is moved by compare-and-set under the link's epoch, within each target
//! transaction, so no command is applied twice and no stale link applies any.
//! Invariant: a transaction of the source is applied whole, and in the source's order.
//! Invariant: what is not understood or not accepted stops the link; nothing is skipped.

mod batch;
mod commands;
mod copy;
mod failure;
mod frames;
mod handle;
mod keys;
mod lag;
mod observe;
mod psync;
mod record;
mod replies;
mod run;
mod shared;
mod spec;
mod stream;
mod values;

pub use failure::{LinkError, Verdict};
pub use handle::{Follower, Link, Paused, WaitError, start};
pub(super) use keys::Filter;
pub use shared::Complete;
pub use spec::{LinkSpec, OWN_KEYS};
