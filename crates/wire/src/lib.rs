//! Bytes to messages and back. No sockets, no clocks: everything here is fed by the network and
//! must answer every input with a value or an error, in bounded memory.

pub mod pgoutput;
pub mod rdb;
mod reader;
