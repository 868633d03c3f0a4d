//! Real servers for tests: started in a temporary folder on a free port of 127.0.0.1, and gone
//! when the test ends, also when it panics or is killed.
//!
//! This crate is for tests, so it panics with a sentence instead of returning errors.

mod etcd;
mod parts;
mod port;
mod postgres;
mod process;
mod user;
mod wait;
mod watcher;

pub use etcd::{EtcdCluster, EtcdOptions};
pub use nix::sys::signal::Signal;
pub use parts::{etcd_folder, postgres_folder, postgres_folder_of};
pub use port::free_port;
pub use postgres::{Options, Postgres};
pub use process::signal;
pub use user::{other_user, run_as_other};
pub use wait::{wait_for, wait_for_value};
