//! What the agent says and takes, over its Unix socket and to the other sites' agents.

mod accept;
pub mod agent;
pub mod comparison;
pub mod coordinator;
pub mod links;
mod moves;
pub mod pause;
pub mod peers;
pub mod people;
pub mod plan;
mod repair;
mod reply;
mod returning;
mod salvage;
pub mod status;
pub mod types;
