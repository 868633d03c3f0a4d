//! Two sites with a gate each, steered as their agents would.

use super::SOON;
use super::certificates::Authority;
use super::upstream::{Record, Upstream};
use mainstay_core::estate::{
    Application, CoordinatorPlace, Durability, Estate, FailoverMode, Gate, HttpGate, Objectives,
    PostgresEndpoint, PostgresStore, PostgresTls, Site as EstateSite, Store, StoreKind, TlsFiles,
};
use mainstay_core::people::Force;
use mainstay_core::{ApplicationName, Epoch, SiteName, StoreName, Tick};
use mainstay_testkit::{free_port, wait_for_value};
use mainstay_traffic::control::{ControlServer, Directive, Posture, Report, socket};
use mainstay_traffic::gate::{self, Ended, GateError, GateSpec};
use mainstay_traffic::tick;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub const LONG: Duration = Duration::from_secs(600);

/// One site: its gate, the agent's end of its line, and two upstreams.
pub struct Site {
    pub name: SiteName,
    pub spec: GateSpec,
    pub http: SocketAddr,
    pub db: SocketAddr,
    pub upstreams: Vec<Upstream>,
    pub control: Option<ControlServer>,
    seq: AtomicU64,
    /// What the next directive says of readers.
    pub reads: Mutex<BTreeMap<StoreName, Option<Tick>>>,
    state: TempDir,
    pub running: Option<(JoinHandle<Result<Ended, GateError>>, CancellationToken)>,
}

pub struct Pair {
    pub east: Site,
    pub west: Site,
    pub record: Record,
    pub authority: Authority,
}

pub fn app() -> ApplicationName {
    ApplicationName::new("bank").expect("a name")
}

pub fn site_name(name: &str) -> SiteName {
    SiteName::new(name).expect("a name")
}

pub fn db_name() -> StoreName {
    StoreName::new("db").expect("a name")
}

fn local() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], free_port()))
}

impl Pair {
    /// Both gates run, closed, with the line to the agent up. `databases` are the ports of the
    /// two sites' PostgreSQL.
    pub async fn start(hold: Duration, databases: [u16; 2]) -> Self {
        Self::start_with(hold, databases, |_| {}).await
    }

    pub async fn start_with(
        hold: Duration,
        databases: [u16; 2],
        adjust: impl Fn(&mut GateSpec),
    ) -> Self {
        let (authority, record) = (Authority::new(), Record::default());
        let folders = [(); 2].map(|()| TempDir::new().expect("a folder"));
        let mut upstreams = Vec::new();
        for name in ["east", "west"] {
            let first = Upstream::start(name, record.clone()).await;
            upstreams.push(vec![first, Upstream::start(name, record.clone()).await]);
        }
        let mut gates = ["east", "west"].map(|_| gate(hold));
        for (gate, upstreams) in gates.iter_mut().zip(&upstreams) {
            let addresses = upstreams.iter().map(|one| one.address.to_string());
            gate.http.as_mut().expect("there").upstreams = addresses.collect();
        }
        let application = application(gates, databases);
        let mut sites = Vec::new();
        for ((name, folder), upstreams) in ["east", "west"].iter().zip(folders).zip(upstreams) {
            let estate = estate(name, authority.issue(name, folder.path()));
            let mut spec = GateSpec::from_estate(&estate, &application, folder.path())
                .expect("a complete estate");
            adjust(&mut spec);
            sites.push(Site::start(spec, folder, upstreams).await);
        }
        let west = sites.pop().expect("two");
        Self { east: sites.pop().expect("two"), west, record, authority }
    }

    /// East serves, west passes on to it.
    pub async fn serving(hold: Duration, databases: [u16; 2]) -> Self {
        let pair = Self::start(hold, databases).await;
        pair.east.serve(1, LONG).await;
        pair.west.forward(1, "east").await;
        pair
    }
}

pub fn gate(hold: Duration) -> Gate {
    let (http, peer) = (local(), local());
    Gate {
        http: Some(HttpGate {
            listen: http,
            address: http.to_string(),
            upstreams: Vec::new(),
            health: "/healthy".to_owned(),
            options: Default::default(),
        }),
        stores: [(db_name(), local())].into(),
        reads: [(db_name(), local())].into(),
        tcp: Default::default(),
        peer_listen: peer,
        peer: peer.to_string(),
        hold,
    }
}

pub fn application(gates: [Gate; 2], databases: [u16; 2]) -> Application {
    let names = ["east", "west"].map(site_name);
    let endpoint = |port| PostgresEndpoint {
        host: "127.0.0.1".to_owned(),
        port,
        database: "postgres".to_owned(),
        user: "mainstay".to_owned(),
        password: None,
        tls: PostgresTls::Disable,
    };
    let postgres = PostgresStore {
        roles: Vec::new(),
        readers: Vec::new(),
        max_lag: LONG,
        salvage: Default::default(),
        durability: Durability::EachCommit,
        compare_every: None,
        endpoints: names.clone().into_iter().zip(databases.map(endpoint)).collect(),
    };
    Application {
        name: app(),
        home: names[0].clone(),
        failover: FailoverMode::Automatic,
        force: Force::One,
        approvals_expire: LONG,
        runbooks: Default::default(),
        objectives: Objectives { rto: LONG, rpo: LONG },
        lease: Duration::from_secs(10),
        cool_down: LONG,
        fencing: Default::default(),
        fence_after: LONG,
        probes: Default::default(),
        stores: [(db_name(), Store { name: db_name(), kind: StoreKind::Postgres(postgres) })]
            .into(),
        gates: names.into_iter().zip(gates).collect(),
        names: Default::default(),
    }
}

pub fn estate(here: &str, tls: TlsFiles) -> Estate {
    let site = || EstateSite { witness: false, agent: "127.0.0.1:1".to_owned(), people: None };
    Estate {
        here: site_name(here),
        sites: [(site_name("east"), site()), (site_name("west"), site())].into(),
        coordinator: CoordinatorPlace::Embedded { site: site_name("east") },
        tls,
        dns: Default::default(),
        people: None,
        applications: Default::default(),
        alerts: Default::default(),
    }
}

impl Site {
    async fn start(spec: GateSpec, state: TempDir, upstreams: Vec<Upstream>) -> Self {
        let mut site = Self {
            name: spec.here.clone(),
            http: spec.http.as_ref().expect("there").listen,
            db: spec.stores[&db_name()].listen,
            spec,
            upstreams,
            control: None,
            seq: AtomicU64::new(0),
            reads: Mutex::default(),
            state,
            running: None,
        };
        site.start_agent();
        site.start_gate();
        site.report(|_| true).await;
        site
    }

    pub fn start_agent(&mut self) {
        let path = socket(self.state.path());
        self.control = Some(ControlServer::bind(&path).expect("a socket"));
    }

    pub fn start_gate(&mut self) {
        let stop = CancellationToken::new();
        let task = tokio::spawn(gate::run(self.spec.clone(), stop.clone()));
        self.running = Some((task, stop));
    }

    pub async fn stop_gate(&mut self) {
        let (task, stop) = self.running.take().expect("it runs");
        stop.cancel();
        task.await.expect("no panic").expect("no error");
    }

    pub async fn serve(&self, epoch: u64, span: Duration) -> Report {
        self.direct(epoch, Posture::Serve { until: tick::now().plus(span) }).await
    }

    pub async fn hold(&self, epoch: u64, span: Duration) -> Report {
        self.direct(epoch, Posture::Hold { until: tick::now().plus(span) }).await
    }

    pub async fn forward(&self, epoch: u64, to: &str) -> Report {
        self.direct(epoch, Posture::Forward { to: site_name(to) }).await
    }

    pub async fn close(&self, epoch: u64) -> Report {
        self.direct(epoch, Posture::Closed { reason: "the test says so".to_owned() }).await
    }

    /// Tells the gate and waits until it reports to have done so.
    pub async fn direct(&self, epoch: u64, posture: Posture) -> Report {
        let seq = self.tell(epoch, posture);
        self.report(move |report| report.seq >= seq).await
    }

    pub fn tell(&self, epoch: u64, posture: Posture) -> u64 {
        let seq = self.seq.fetch_add(1, SeqCst) + 1;
        let epoch = Epoch::new(epoch);
        self.control().send(Directive {
            seq,
            application: app(),
            epoch,
            posture,
            away: Default::default(),
            reads: self.reads.lock().expect("no panic").clone(),
        });
        seq
    }

    fn control(&self) -> &ControlServer {
        self.control.as_ref().expect("the agent runs")
    }

    /// Waits for a report that is as wanted.
    pub async fn report(&self, wanted: impl Fn(&Report) -> bool) -> Report {
        let reports = self.control().watch(&app());
        let what = format!("the wanted report of {}", self.name);
        wait_for_value(&what, SOON, async || reports.borrow().clone().filter(|one| wanted(one)))
            .await
    }
}
