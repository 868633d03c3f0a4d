//! Real servers for tests: started in a temporary folder on a free port of 127.0.0.1, and gone
//! when the test ends, also when it panics or is killed.
//!
//! This crate is for tests, so it panics with a sentence instead of returning errors.

mod dns;
mod etcd;
mod parts;
mod port;
mod postgres;
mod process;
mod receivers;
mod redis;
mod user;
mod wait;
mod watcher;

pub use dns::{
    DnsKind, DnsServer, FakeAzureDns, FakeCloudflare, KEY as DNS_KEY, Route53Server,
    SECRET as DNS_SECRET, ZONE as DNS_ZONE, delv, dig, static_ds,
};
pub use etcd::{EtcdCluster, EtcdOptions};
pub use nix::sys::signal::Signal;
pub use parts::{dns_folder, etcd_folder, postgres_folder, postgres_folder_of};
pub use port::free_port;
pub use postgres::{Options, Postgres};
pub use process::signal;
pub use receivers::{AlertmanagerServer, Certificate, MailServer, MailWay, WebhookServer};
pub use redis::{RedisClient, RedisKind, RedisOptions, RedisServer, Reply};
pub use user::{other_user, run_as_other};
pub use wait::{wait_blocking, wait_for, wait_for_value};
