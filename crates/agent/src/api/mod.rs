//! What the agent says and takes, over its Unix socket and to the other sites' agents.

mod accept;
pub mod agent;
pub mod alerts;
pub mod approval;
pub mod comparison;
pub mod coordinator;
mod failover;
pub mod links;
mod moves;
pub mod names;
pub mod pause;
pub mod peers;
pub mod people;
pub mod plan;
pub mod problem;
mod repair;
mod reply;
mod returning;
pub mod run;
pub mod runbooks;
mod salvage;
pub mod status;
pub mod types;
pub mod watching;
