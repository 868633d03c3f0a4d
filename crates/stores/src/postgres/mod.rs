//! PostgreSQL: the link that replicates a database, the fence that closes it, the salvage that
//! keeps what only it had, and the comparison that proves two of them equal.

pub mod connect;
pub mod replication;
pub mod check;
pub mod fault;
pub mod fence;
pub mod probe;
pub mod sequences;
pub mod setup;
pub mod slot;
mod session;
