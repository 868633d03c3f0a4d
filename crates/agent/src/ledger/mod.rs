//! The append-only, hash-chained record of every observation, decision, step and approval.
//!
//! Each entry's hash covers its own text and the hash before it, so an entry that was changed,
//! removed or put between others is found offline, by [`verify()`]. What a chain alone cannot show
//! is that its end was cut off, or that all of it was written anew: for that each agent enters the
//! other sites' newest hashes in its own ledger.

mod entry;
mod verify;
mod writer;

pub use entry::{Entry, hash};
pub use verify::{LedgerError, Verified, entries, verify};
pub use writer::Ledger;
