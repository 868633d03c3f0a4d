//! PostgreSQL: the link that replicates a database, the fence that closes it, the salvage that
//! keeps what only it had, and the comparison that proves two of them equal.

pub mod check;
pub mod connect;
pub mod fault;
pub mod fence;
pub mod probe;
pub mod replication;
pub mod sequences;
mod session;
pub mod setup;
pub mod slot;
