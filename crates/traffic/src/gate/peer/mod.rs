//! The tunnel between the gates of two sites: mutual TLS, one line each way, then raw bytes.

pub mod client;
mod door;
pub mod hello;
pub mod pulse;
pub mod server;
pub mod tls;
