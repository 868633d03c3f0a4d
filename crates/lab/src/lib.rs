//! The lab: two sites and a witness on this machine, a demo bank, and a disaster, with figures
//! measured by the bank's own clients.
//!
//! `bank` and `clients` know nothing of Mainstay. `oracle` reads only the clients' logs and both
//! databases, never what Mainstay says of itself. `scenario` is the run; it does what a person
//! would do, by the same binary, the same configuration and the same API.

pub mod bank;
mod cli;
pub mod clients;
mod current;
mod error;
pub mod network;
pub mod oracle;
pub mod processes;
pub mod report;
mod scenario;
mod scenes;

pub use cli::{CoordinatorKind, LabArgs, LabCommand, RunArgs, RunOptions, Trials, run};
pub use current::{CurrentLab, find as current_lab};
pub use error::LabError;
