//! Schema changes: from the source's messages to statements at the target.
//!
//! ```text
//! event triggers (ddl.sql) --message--> assemble --Change::Schema--> apply
//!                                                                      |
//!                           find (which statement) -> plan (what of it) -> run
//! ```
//!
//! Invariant: only a message with the source's token is believed: every user may write messages.
//! Invariant: a statement runs at the target with no more rights than its author had.
//! Invariant: what was changed is known for certain, or the link stops; nothing is guessed.

mod apply;
mod arrival;
mod find;
mod lexer;
mod message;
mod plan;
mod run;
mod skip;
mod statement;
mod volatile;

pub(super) use apply::apply;
pub(super) use arrival::{Arrival, token};
pub(super) use message::SchemaChange;
pub use skip::{SkipError, leave_out};
