//! Who is where when each site has a network namespace of its own: nobody needs a relay.

use super::plan::{DataSite, HOME, LabPlan, MemberPlan, STANDBY, SitePlan, WITNESS, Wanted};
use super::user::ServerUser;
use crate::network::spaces;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

impl LabPlan {
    /// With etcd's three members as the coordinator.
    pub fn apart(
        wanted: Wanted,
        binary: PathBuf,
        postgres: PathBuf,
        etcd: PathBuf,
        prefix: &str,
    ) -> Self {
        let site =
            |(name, has_data): (&str, bool)| (name.to_owned(), SitePlan::apart(name, has_data));
        Self {
            wanted,
            binary,
            postgres,
            etcd: Some(etcd),
            server_user: ServerUser::choose(),
            sites: [(HOME, true), (STANDBY, true), (WITNESS, false)].map(site).into(),
            routes: Vec::new(),
            spaces: Some(prefix.to_owned()),
            environment: BTreeMap::new(),
        }
    }
}

impl SitePlan {
    fn apart(name: &str, has_data: bool) -> Self {
        let at = |port: u16| SocketAddr::from((spaces::address(name), port));
        let data = DataSite {
            postgres: at(5432),
            gate_http: at(8080),
            gate_peer: at(7402),
            gate_database: at(6432),
            banks: [at(9001), at(9002)],
        };
        let member =
            MemberPlan { client: at(2379), peer: at(2380), known_as: at(2380), door: None };
        Self { agent: at(7400), data: has_data.then_some(data), etcd: Some(member) }
    }
}
