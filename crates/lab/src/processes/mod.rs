//! The lab's processes: a real PostgreSQL, an agent, a gate and two banks for each data site, an
//! agent for the witness, the network between them and the clients. Everything is in one folder,
//! each process has a pid file there, and [`sweep`] ends whatever the pid files name.

mod apart;
mod certificates;
mod child;
mod config;
mod etcd;
mod folder;
mod listening;
mod parts;
mod pid;
mod plan;
mod ports;
mod postgres;
mod secrets;
mod site;
mod sweep;
mod tree;
mod user;

pub use child::{Spec, start as start_process};
pub use config::{
    FENCED_RTO_SECONDS, LEASE_SECONDS, RPO_SECONDS, RTO_SECONDS, render as render_configuration,
    write_configuration,
};
pub use folder::{Folder, make_passable, make_private, write_private};
pub use parts::{find_dns, find_etcd, find_postgres};
pub use pid::PidFile;
pub use plan::{DataSite, Fence, HOME, LabPlan, STANDBY, WITNESS, Wanted};
pub use postgres::{
    DATABASE, connect_as_application, connect_as_owner, connect_as_superuser, database_error,
    initialise, make_roles, start_postgres,
};
pub use secrets::Secrets;
pub use site::{
    kill_agent, kill_site, left_of, start_agent, start_clients_process, start_network, start_site,
    start_writer,
};
pub use sweep::{Sweeper, end_everything, wait_for_parent};
pub use tree::processes_in;
