//! Mainstay's own DNS server. What it answers is what `dig` says, and what BIND passes on of it.

mod load;
mod questions;
mod signed;
mod told;

use crate::support::site::{app, application, estate, gate, site_name};
use mainstay_core::Epoch;
use mainstay_core::estate::{DnsKind, DnsZone, OwnServer, Policy, PublishedName, TlsFiles};
use mainstay_testkit::{dig, free_port, wait_for};
use mainstay_traffic::dns::DnsError;
use mainstay_traffic::dns::server::{self, Active, ServerSpec, SigningKey};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const ZONE: &str = "example.org";
const NAME: &str = "bank.example.org";
const NOTE: &str = "_mainstay.bank.example.org";
const EAST: &[&str] = &["192.0.2.10", "2001:db8::10"];
const WEST: &[&str] = &["198.51.100.20"];

struct Server {
    at: SocketAddr,
    active: watch::Sender<Option<Active>>,
    folder: TempDir,
    policy: Policy,
    east: Vec<IpAddr>,
    keys: Vec<PathBuf>,
    running: Option<(JoinHandle<Result<(), DnsError>>, CancellationToken)>,
}

fn addresses(of: &[&str]) -> Vec<IpAddr> {
    of.iter().map(|text| text.parse().expect("an address")).collect()
}

fn active(epoch: u64, site: &str) -> Active {
    Active { epoch: Epoch::new(epoch), site: site_name(site), away: BTreeSet::new() }
}

impl Server {
    async fn start() -> Self {
        Self::start_with(Policy::Failover, addresses(EAST)).await
    }

    async fn start_with(policy: Policy, east: Vec<IpAddr>) -> Self {
        let mut server = Self {
            at: SocketAddr::from(([127, 0, 0, 1], free_port())),
            active: watch::Sender::new(None),
            folder: TempDir::new().expect("a folder"),
            policy,
            east,
            keys: Vec::new(),
            running: None,
        };
        server.begin().await;
        server
    }

    /// From a new key in the server's own folder on; returns the key, and what the parent zone has
    /// of it.
    fn new_key(&self, name: &str) -> (PathBuf, String) {
        let path = self.folder.path().join(name);
        let key = SigningKey::create(&path, ZONE).expect("a new file");
        (path, key.ds().expect("a record"))
    }

    /// With these keys from now on.
    async fn sign_with(&mut self, keys: &[&PathBuf]) {
        self.stop().await;
        self.keys = keys.iter().map(|path| (*path).clone()).collect();
        self.begin().await;
    }

    fn spec(&self) -> ServerSpec {
        let nothing =
            TlsFiles { authority: "none".into(), certificate: "none".into(), key: "none".into() };
        let mut estate = estate("east", nothing);
        let own = |host: &str, listen| OwnServer {
            listen,
            name: format!("{host}.{ZONE}"),
            addresses: addresses(&["127.0.0.1"]),
        };
        let other = SocketAddr::from(([127, 0, 0, 1], 1));
        let at = [(site_name("east"), own("ns1", self.at)), (site_name("west"), own("ns2", other))];
        let zone = DnsZone {
            zone: ZONE.to_owned(),
            kind: DnsKind::Own {
                contact: format!("hostmaster.{ZONE}"),
                at: at.into(),
                signing_keys: self.keys.clone(),
            },
            servers: vec![self.at.to_string()],
            resolvers: Vec::new(),
        };
        estate.dns.insert(ZONE.to_owned(), zone);
        let mut application = application([(); 2].map(|()| gate(Duration::from_secs(1))), [1, 1]);
        let published = PublishedName {
            zone: ZONE.to_owned(),
            ttl: Duration::from_secs(1),
            addresses: BTreeMap::from([
                (site_name("east"), self.east.clone()),
                (site_name("west"), addresses(WEST)),
            ]),
            policy: self.policy.clone(),
            health_checks: BTreeMap::new(),
        };
        for name in [NAME, ZONE, "deep.er.example.org"] {
            application.names.insert(name.to_owned(), published.clone());
        }
        estate.applications.insert(app(), application);
        ServerSpec::from_estate(&estate, self.folder.path()).expect("good").expect("one is here")
    }

    async fn begin(&mut self) {
        let stop = CancellationToken::new();
        let told = vec![(app(), self.active.subscribe())];
        let task = tokio::spawn(server::run(self.spec(), told, stop.clone()));
        self.running = Some((task, stop));
        wait_for("the server answers", Duration::from_secs(60), async || {
            self.dig(&[ZONE, "SOA"]).contains("NOERROR")
        })
        .await;
    }

    /// Forgets what was told, as a process that ended does.
    async fn stop(&mut self) {
        let (task, stop) = self.running.take().expect("it runs");
        stop.cancel();
        task.await.expect("no panic").expect("no error");
        self.active = watch::Sender::new(None);
    }

    /// Tells, and waits until the note says so.
    async fn lead(&self, epoch: u64, site: &str) {
        self.active.send_replace(Some(active(epoch, site)));
        let note = format!("epoch={epoch} site={site}");
        wait_for("the note", Duration::from_secs(60), async || {
            self.short(NOTE, "TXT").iter().any(|it| it.contains(&note))
        })
        .await;
    }

    fn dig(&self, arguments: &[&str]) -> String {
        dig(self.at, arguments)
    }

    /// The records' data, sorted.
    fn short(&self, name: &str, kind: &str) -> Vec<String> {
        let mut lines: Vec<String> =
            self.dig(&["+short", name, kind]).lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }
}
