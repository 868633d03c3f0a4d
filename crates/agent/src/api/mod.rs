//! What the agent says and takes, over its Unix socket and to the other sites' agents.

pub mod types;
