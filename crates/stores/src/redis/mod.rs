//! Redis and Valkey: the link that replicates a server's databases.

pub mod check;
pub mod compare;
pub mod connect;
pub mod copy;
mod expiry;
pub mod fault;
pub mod fence;
pub mod link;
pub mod probe;
pub mod reached;
pub mod readers;
pub mod reply;
mod rights;
pub mod scan;
pub mod session;
mod users;
