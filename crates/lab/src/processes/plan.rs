//! Who is where: decided once, written to the lab's folder, read by every later command.

use super::folder::{Folder, write_private};
use super::ports::Ports;
use super::user::ServerUser;
use crate::error::{Doing, LabError};
use crate::network::{Door, Route, Way};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The names of the lab.
pub const HOME: &str = "east";
pub const STANDBY: &str = "west";
pub const WITNESS: &str = "witness";

/// What a person may choose.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Wanted {
    pub seed: u64,
    pub accounts: i64,
    pub rate: f64,
    pub workers: u32,
    pub load_seconds: u64,
    /// How long after a failover no other begins by itself.
    pub cool_down_seconds: u64,
    /// Stands at the end of every site's configuration.
    pub added: String,
    /// Whether, and how well, the sites can stop each other from outside.
    #[serde(default)]
    pub fence: Option<Fence>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Fence {
    /// The site is killed; the other one has its remains stopped, and waits for no lease
    Stop,
    /// Nothing is killed: the site is cut off from all others, and runs on until it is stopped
    Cut,
    /// As `stop`, but that nobody ever confirms it: the failover waits for the lease
    Unknown,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LabPlan {
    pub wanted: Wanted,
    /// The binary that every process runs.
    pub binary: PathBuf,
    /// Holds PostgreSQL's `bin/` and `lib/`.
    pub postgres: PathBuf,
    /// Holds etcd's `bin/`, when etcd is the coordinator.
    pub etcd: Option<PathBuf>,
    pub server_user: Option<ServerUser>,
    pub sites: BTreeMap<String, SitePlan>,
    pub routes: Vec<Route>,
    /// What the names of the sites' network namespaces begin with, when each site has its own.
    #[serde(default)]
    pub spaces: Option<String>,
    /// What else the environment of a site's Mainstay processes holds.
    #[serde(default)]
    pub environment: BTreeMap<String, Vec<(String, String)>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SitePlan {
    pub agent: SocketAddr,
    /// None for the witness.
    pub data: Option<DataSite>,
    /// None when the coordinator is embedded.
    pub etcd: Option<MemberPlan>,
}

/// One member of etcd.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MemberPlan {
    pub client: SocketAddr,
    pub peer: SocketAddr,
    /// By this address the members know this one. With doors nothing has it (RFC 5737): the door
    /// of the other member's site leads to `peer`.
    pub known_as: SocketAddr,
    /// The proxy through which this member reaches the others; none where they reach each other.
    pub door: Option<SocketAddr>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DataSite {
    pub postgres: SocketAddr,
    pub gate_http: SocketAddr,
    pub gate_peer: SocketAddr,
    /// Where the site's gate takes the bank's database connections.
    pub gate_database: SocketAddr,
    pub banks: [SocketAddr; 2],
}

impl LabPlan {
    pub fn make(
        wanted: Wanted,
        binary: PathBuf,
        postgres: PathBuf,
        etcd: Option<PathBuf>,
    ) -> Result<Self, LabError> {
        let mut ports = Ports::new();
        let mut sites = BTreeMap::new();
        for (name, has_data) in [(HOME, true), (STANDBY, true), (WITNESS, false)] {
            let data = if has_data { Some(DataSite::place(&mut ports)?) } else { None };
            let number = u8::try_from(sites.len() + 1).unwrap_or(u8::MAX);
            let member =
                etcd.as_ref().map(|_| MemberPlan::place(number, &mut ports)).transpose()?;
            sites.insert(name.to_owned(), SitePlan { agent: ports.next()?, data, etcd: member });
        }
        let routes = routes(&sites, &mut ports)?;
        let server_user = ServerUser::choose();
        let (spaces, environment) = (None, BTreeMap::new());
        Ok(Self { wanted, binary, postgres, etcd, server_user, sites, routes, spaces, environment })
    }

    pub fn save(&self, folder: &Folder) -> Result<(), LabError> {
        let text = serde_json::to_vec_pretty(self).doing(|| "write the lab's plan".to_owned())?;
        write_private(&folder.plan(), &text)
    }

    pub fn load(folder: &Folder) -> Result<Self, LabError> {
        let path = folder.plan();
        let text = std::fs::read(&path).doing(|| format!("read {}", path.display()))?;
        serde_json::from_slice(&text).doing(|| format!("read {}", path.display()))
    }

    pub fn site(&self, name: &str) -> Result<&SitePlan, LabError> {
        let sites = || self.sites.keys().cloned().collect::<Vec<_>>().join(", ");
        self.sites
            .get(name)
            .ok_or_else(|| LabError::NoSite { given: name.to_owned(), sites: sites() })
    }

    pub fn data(&self, name: &str) -> Result<&DataSite, LabError> {
        let with_data = |(_, site): &(&String, &SitePlan)| site.data.is_some();
        let sites = || {
            let names: Vec<_> =
                self.sites.iter().filter(with_data).map(|(n, _)| n.clone()).collect();
            names.join(", ")
        };
        let data = self.site(name)?.data.as_ref();
        data.ok_or_else(|| LabError::NoSite { given: name.to_owned(), sites: sites() })
    }

    pub fn data_sites(&self) -> impl Iterator<Item = (&str, &DataSite)> {
        self.sites.iter().filter_map(|(name, site)| Some((name.as_str(), site.data.as_ref()?)))
    }

    /// The network namespace of a site's processes, when it has its own.
    pub fn space(&self, site: &str) -> Option<String> {
        self.spaces.as_ref().map(|prefix| format!("{prefix}-{site}"))
    }

    /// Every site's member of etcd.
    pub fn members(&self) -> impl Iterator<Item = (&str, &MemberPlan)> {
        self.sites.iter().filter_map(|(name, site)| Some((name.as_str(), site.etcd.as_ref()?)))
    }

    /// The proxies through which the members reach each other.
    pub fn doors(&self) -> Vec<Door> {
        let others = |from: &str| -> Vec<Way> {
            let others = self.members().filter(|(to, _)| *to != from);
            let way = |(to, member): (&str, &MemberPlan)| Way {
                to: to.to_owned(),
                asked: member.known_as,
                target: member.peer,
            };
            others.map(way).collect()
        };
        let door = |(from, member): (&str, &MemberPlan)| {
            Some(Door { from: from.to_owned(), listen: member.door?, ways: others(from) })
        };
        self.members().filter_map(door).collect()
    }

    /// How `from` reaches `to`'s service: directly at the same site, else through the network.
    pub fn reach(&self, from: &str, to: &str, service: &str, direct: SocketAddr) -> SocketAddr {
        let leads =
            |route: &&Route| route.from == from && route.to == to && route.service == service;
        self.routes.iter().find(leads).map_or(direct, |route| route.listen)
    }
}

impl DataSite {
    fn place(ports: &mut Ports) -> Result<Self, LabError> {
        Ok(Self {
            postgres: ports.next()?,
            gate_http: ports.next()?,
            gate_peer: ports.next()?,
            gate_database: ports.next()?,
            banks: [ports.next()?, ports.next()?],
        })
    }
}

impl MemberPlan {
    fn place(number: u8, ports: &mut Ports) -> Result<Self, LabError> {
        Ok(Self {
            client: ports.next()?,
            peer: ports.next()?,
            known_as: SocketAddr::from(([192, 0, 2, number], 2380)),
            door: Some(ports.next()?),
        })
    }
}

impl SitePlan {
    /// What other sites reach here.
    pub fn services(&self) -> Vec<(&'static str, SocketAddr)> {
        let mut services = vec![("agent", self.agent)];
        if let Some(data) = &self.data {
            services.push(("database", data.postgres));
            services.push(("http", data.gate_http));
            services.push(("peer", data.gate_peer));
        }
        services.extend(self.etcd.as_ref().map(|member| ("etcd", member.client)));
        services
    }
}

/// One listener for each ordered pair of sites and each service.
fn routes(sites: &BTreeMap<String, SitePlan>, ports: &mut Ports) -> Result<Vec<Route>, LabError> {
    let mut routes = Vec::new();
    for from in sites.keys() {
        for (to, site) in sites.iter().filter(|(to, _)| *to != from) {
            for (service, target) in site.services() {
                let (from, to, service) = (from.clone(), to.clone(), service.to_owned());
                routes.push(Route { from, to, service, listen: ports.next()?, target });
            }
        }
    }
    Ok(routes)
}
