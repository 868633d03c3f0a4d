//! PostgreSQL: the link that replicates a database, the fence that closes it, the salvage that
//! keeps what only it had, and the comparison that proves two of them equal.

pub mod applied;
pub mod ask;
mod catalog;
pub mod check;
pub mod compare;
pub mod connect;
pub mod fault;
pub mod fence;
mod generated;
pub mod link;
pub mod probe;
pub mod put_right;
pub mod readers;
pub mod repair;
pub mod replication;
pub mod salvage;
pub mod sequences;
mod session;
pub mod setup;
pub mod slot;
mod snapshot;
mod text;
