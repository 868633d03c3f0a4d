//! The kinds of coordinators, each with real processes or files behind it.

use crate::certificates::Authority;
use mainstay_agent::api;
use mainstay_agent::coordinator::{Coordinator, Embedded, Etcd, Remote};
use mainstay_agent::peer::Peer;
use mainstay_agent::peer::tls::Identity;
use mainstay_agent::serve;
use mainstay_core::SiteName;
use mainstay_testkit::{EtcdCluster, EtcdOptions};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub trait Kind {
    /// The coordinator as the agent of this site reaches it.
    fn client(&self, site: &str) -> Coordinator;
    /// It ends without warning, and works again when this returns.
    async fn crash(&mut self);
}

/// In this agent's own file.
pub struct Here {
    folder: TempDir,
}

impl Here {
    pub fn start() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn open(&self) -> Embedded {
        Embedded::open(&self.folder.path().join("coordinator.db")).unwrap()
    }
}

impl Kind for Here {
    fn client(&self, _: &str) -> Coordinator {
        Coordinator::Here(self.open())
    }

    /// Nothing is kept open between the cases' questions, so each begins with what is on the disk.
    async fn crash(&mut self) {}
}

/// In another agent's file, over mutual TLS.
pub struct There {
    here: Here,
    address: SocketAddr,
    sites: BTreeMap<&'static str, Arc<Identity>>,
    server: JoinHandle<()>,
}

const SITES: [&str; 4] = ["east", "west", "north", "witness"];

impl There {
    pub async fn start() -> Self {
        let here = Here::start();
        let authority = Authority::new();
        let identity = |name: &'static str| {
            let files = authority.issue(name, here.folder.path());
            (name, Arc::new(Identity::load(&files).unwrap()))
        };
        let sites: BTreeMap<_, _> = SITES.into_iter().map(identity).collect();
        let listener = serve::listen("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = serve_on(listener, here.open(), &sites);
        Self { here, address, sites, server }
    }
}

fn serve_on(
    listener: tokio::net::TcpListener,
    embedded: Embedded,
    sites: &BTreeMap<&'static str, Arc<Identity>>,
) -> JoinHandle<()> {
    let known: Vec<SiteName> = SITES.map(|name| SiteName::new(name).unwrap()).into();
    let router = api::coordinator::router(embedded);
    let identity = sites["witness"].clone();
    tokio::spawn(serve::peers(listener, identity, known, router, CancellationToken::new()))
}

impl Kind for There {
    fn client(&self, site: &str) -> Coordinator {
        let witness = SiteName::new("witness").unwrap();
        let peer = Peer::new(witness, self.address.to_string(), &self.sites[site]);
        Coordinator::There(Remote::new(Arc::new(peer)))
    }

    async fn crash(&mut self) {
        self.server.abort();
        assert!((&mut self.server).await.is_err(), "it was cut off");
        let listener = serve::listen(&self.address.to_string()).await.unwrap();
        self.server = serve_on(listener, self.here.open(), &self.sites);
    }
}

/// In three members of etcd.
pub struct Members {
    cluster: EtcdCluster,
}

impl Members {
    pub fn start() -> Self {
        Self { cluster: EtcdCluster::start(EtcdOptions::default()) }
    }
}

impl Kind for Members {
    fn client(&self, _: &str) -> Coordinator {
        Coordinator::Etcd(Etcd::new(&self.cluster.estate()).unwrap())
    }

    async fn crash(&mut self) {
        self.cluster.kill_all();
        self.cluster.start_all();
    }
}
