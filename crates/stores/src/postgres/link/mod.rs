//! The link: copies a database once, then applies its changes as they are committed, with the
//! position in the same target transaction as the data.
//!
//! ```text
//! source --stream--> receive -> queue -> apply --transactions--> target
//!    ^                  |                                          |
//!    +--- confirmed ----+---------------- position ----------------+
//! ```
//!
//! Invariant: the position is moved by compare-and-set under the link's epoch, within each target
//! transaction, so no transaction is applied twice and no stale link applies any.
//! Invariant: target transactions are committed in the source's order.
//! Invariant: the source is only told of positions that are durable at the target.
//! Invariant: what is not understood or not accepted stops the link; nothing is skipped.

mod ahead;
mod apply;
mod assemble;
mod bulk;
mod changed;
mod copy;
mod described;
mod failure;
mod flight;
mod flush;
mod handle;
mod lag;
mod lane;
mod lineage;
mod observe;
mod pipeline;
mod queue;
mod receive;
mod replay;
mod resume;
mod retention;
mod run;
mod schema;
mod sequences;
mod shared;
mod skip;
mod spec;
mod spool;
mod sql;
mod statement;
mod table;
mod unit;

pub use changed::{Changed, Key};
pub use copy::CopyPlan;
pub use failure::{LinkError, Verdict};
pub use handle::{Link, Paused, WaitError, start, start_with};
pub use schema::{SkipError, leave_out};
pub use spec::{LinkSpec, slot_name};
