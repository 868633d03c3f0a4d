//! The effects: one file each. Each is safe to begin again at any time.

pub mod claim;
pub mod compare;
pub mod databases;
pub mod execution;
pub mod fencing;
pub mod gate;
pub mod handover;
pub mod links;
pub mod names;
pub mod pause;
pub mod prepare;
pub mod progress;
pub mod promises;
pub mod readers;
pub mod recheck;
pub mod renewal;
pub mod repair;
pub mod returning;
mod returning_redis;
