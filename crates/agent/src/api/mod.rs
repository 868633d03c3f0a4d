//! What the agent says and takes, over its Unix socket and to the other sites' agents.

mod accept;
mod alerts;
mod approval;
mod comparison;
pub mod coordinator;
mod failover;
mod links;
mod moves;
mod names;
mod pause;
pub mod peers;
pub mod people;
mod plan;
mod repair;
mod reply;
mod returning;
mod run;
mod runbooks;
mod salvage;
pub mod status;
pub(crate) mod watching;
