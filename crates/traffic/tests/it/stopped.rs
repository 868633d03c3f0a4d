//! A gate's process that was stopped (SIGSTOP) while its right to serve ran out.

use super::support::certificates::Authority;
use super::support::client::{code, get, post};
use super::support::upstream::{Record, Upstream};
use super::{postgres, support::site};
use mainstay_core::Epoch;
use mainstay_core::estate::TlsFiles;
use mainstay_testkit::{Options, Postgres, free_port, wait_for};
use mainstay_traffic::control::{ControlServer, Directive, Posture, Report, socket};
use mainstay_traffic::gate::{self, GateSpec, HttpSpec, Protocol, StoreSpec};
use mainstay_traffic::tick;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// How the test tells its child what gate to be.
const ORDER: &str = "MAINSTAY_TEST_GATE";

#[derive(Serialize, Deserialize)]
struct Order {
    http: SocketAddr,
    upstream: SocketAddr,
    db: SocketAddr,
    server: String,
    peer: SocketAddr,
    state: PathBuf,
    tls: [PathBuf; 3],
}

impl Order {
    fn spec(self) -> GateSpec {
        let [authority, certificate, key] = self.tls;
        let db = StoreSpec {
            listen: self.db,
            reads: None,
            server: self.server,
            protocol: Protocol::Postgres,
            authority: None,
        };
        GateSpec {
            here: site::site_name("east"),
            application: site::app(),
            http: Some(HttpSpec {
                listen: self.http,
                upstreams: vec![self.upstream.to_string()],
                options: Default::default(),
            }),
            stores: [(site::db_name(), db)].into(),
            tcp: Default::default(),
            peer_listen: self.peer,
            peers: Default::default(),
            tls: TlsFiles { authority, certificate, key },
            state_dir: self.state,
            hold: Duration::from_secs(1),
            limits: Default::default(),
            active: tokio::sync::watch::Sender::new(None),
            retired: CancellationToken::new(),
        }
    }
}

/// Not a test of its own: the child process of the one below.
#[tokio::test(flavor = "multi_thread")]
async fn the_child_process_is_a_gate_when_it_is_told_to_be() {
    let Ok(order) = std::env::var(ORDER) else { return };
    let order: Order = serde_json::from_str(&order).unwrap();
    gate::run(order.spec(), CancellationToken::new()).await.unwrap();
}

/// Killed by its id when the test ends.
struct Gate(Child);

impl Gate {
    fn start(order: &Order) -> Self {
        let order = serde_json::to_string(order).expect("plain data");
        let child = Command::new(std::env::current_exe().expect("it runs"))
            .args(["--exact", "stopped::the_child_process_is_a_gate_when_it_is_told_to_be"])
            .env(ORDER, order)
            .stdout(std::process::Stdio::null())
            .spawn();
        Self(child.expect("it starts"))
    }

    /// kill(2) returns before a process of several threads stands still: what is sent meanwhile
    /// would be passed on in time, and rightly.
    async fn stop(&self) {
        self.signal(Signal::SIGSTOP);
        let tasks = format!("/proc/{}/task", self.0.id());
        wait_for("a standstill", super::support::SOON, async || {
            let tasks = std::fs::read_dir(&tasks).expect("it lives");
            tasks.flatten().all(|task| is_stopped(&task.path().join("stat")))
        })
        .await;
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.0.id().try_into().expect("a pid"));
        kill(pid, signal).expect("it is ours");
    }
}

/// State T in proc(5), after the command's name in brackets.
fn is_stopped(stat: &std::path::Path) -> bool {
    std::fs::read_to_string(stat)
        .is_ok_and(|text| text.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')))
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// As many as make it likely that one of them is looked at before the clock is.
const SESSIONS: i32 = 20;
const SPAN: Duration = Duration::from_secs(6);

#[tokio::test]
async fn a_stopped_gate_passes_nothing_on_when_it_goes_on_after_its_time() {
    let server = Postgres::start(Options::default().fsync(false));
    let admin = server.client("postgres").await;
    admin.batch_execute("CREATE TABLE t (id int)").await.unwrap();
    let record = Record::default();
    let upstream = Upstream::start("east", record.clone()).await;
    let folder = TempDir::new().unwrap();
    let order = order(&folder, upstream.address, server.port());
    let agent = ControlServer::bind(&socket(folder.path())).unwrap();
    let gate = Gate::start(&order);

    for round in 0..3 {
        serve(&agent, round, SPAN).await;
        let served = Instant::now();
        assert_eq!(get(order.http, "/").await.status(), 200);
        let mut sessions = Vec::new();
        for _ in 0..SESSIONS {
            let session = postgres::connect(&server, order.db).await.unwrap();
            session.batch_execute("BEGIN; INSERT INTO t VALUES (1)").await.unwrap();
            sessions.push(session);
        }
        gate.stop().await;
        assert!(served.elapsed() < SPAN, "too slow a machine: the right ran out before the stop");
        let work = sessions.into_iter().map(|session| {
            let request = tokio::spawn(post(order.http, "/", "too late"));
            let commit = tokio::spawn(async move { session.batch_execute("COMMIT").await });
            (request, commit)
        });
        let work: Vec<_> = work.collect();
        tokio::time::sleep_until((served + SPAN + Duration::from_millis(100)).into()).await;
        gate.signal(Signal::SIGCONT);
        for (request, commit) in work {
            assert!(commit.await.unwrap().is_err(), "a transaction was committed");
            assert_eq!(code(&request.await.unwrap()), "MS-GATE-010");
        }
        // By the database's and the upstream's own word, whatever the clients were told.
        assert!(admin.query("TABLE t", &[]).await.unwrap().is_empty());
        assert!(record.lock().unwrap().iter().all(|seen| seen.body != "too late"));
    }
}

fn order(folder: &TempDir, upstream: SocketAddr, server: u16) -> Order {
    let files = Authority::new().issue("east", folder.path());
    let local = || SocketAddr::from(([127, 0, 0, 1], free_port()));
    Order {
        http: local(),
        upstream,
        db: local(),
        server: format!("127.0.0.1:{server}"),
        peer: local(),
        state: folder.path().to_owned(),
        tls: [files.authority, files.certificate, files.key],
    }
}

async fn serve(agent: &ControlServer, round: u64, span: Duration) {
    let reports = agent.watch(&site::app());
    let seen = |wanted: fn(&Report) -> bool| reports.borrow().as_ref().is_some_and(wanted);
    wait_for("the gate's line", super::support::SOON, async || seen(|_| true)).await;
    let posture = Posture::Serve { until: tick::now().plus(span) };
    let (application, epoch) = (site::app(), Epoch::new(1));
    agent.send(Directive {
        seq: round + 1,
        application,
        epoch,
        posture,
        away: Default::default(),
        reads: Default::default(),
    });
    wait_for("a serving gate", super::support::SOON, async || {
        seen(|report| report.posture_name == "serve")
    })
    .await;
}
