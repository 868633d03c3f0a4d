//! The other sites' agents, over mutual TLS.

pub mod client;
pub mod messages;
pub mod tls;

pub use client::{Exchange, Peer, PeerError, SimulatedLine};
