//! A gate's process that was stopped (SIGSTOP) while its right to serve ran out.

use super::support::certificates::Authority;
use super::support::client::{code, get, post};
use super::support::upstream::{Record, Upstream};
use super::{postgres, support::site};
use mainstay_core::Epoch;
use mainstay_core::estate::{PostgresTls, TlsFiles};
use mainstay_testkit::{Options, Postgres, free_port, wait_for};
use mainstay_traffic::control::{ControlServer, Directive, Posture, Report, socket};
use mainstay_traffic::gate::{self, GateSpec, HttpSpec, StoreSpec};
use mainstay_traffic::tick;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;
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
        let tls = PostgresTls::Disable;
        GateSpec {
            here: site::site_name("east"),
            application: site::app(),
            http: Some(HttpSpec { listen: self.http, upstreams: vec![self.upstream.to_string()] }),
            stores: [(site::db_name(), StoreSpec { listen: self.db, server: self.server, tls })]
                .into(),
            peer_listen: self.peer,
            peers: Default::default(),
            tls: TlsFiles { authority, certificate, key },
            state_dir: self.state,
            hold: Duration::from_secs(1),
            limits: Default::default(),
        }
    }
}

/// Not a test of its own: the child process of the one below.
#[tokio::test]
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

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.0.id().try_into().expect("a pid"));
        kill(pid, signal).expect("it is ours");
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

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
        serve(&agent, round, Duration::from_secs(3)).await;
        assert_eq!(get(order.http, "/").await.status(), 200);
        let session = postgres::connect(&server, order.db).await.unwrap();
        session.batch_execute("BEGIN").await.unwrap();

        gate.signal(Signal::SIGSTOP);
        let write =
            tokio::spawn(
                async move { session.batch_execute("INSERT INTO t VALUES (1); COMMIT").await },
            );
        let request = tokio::spawn(post(order.http, "/", "too late"));
        // What waits in the sockets is older than the gate's right when the gate goes on.
        tokio::time::sleep(Duration::from_millis(3200)).await;
        gate.signal(Signal::SIGCONT);

        assert!(write.await.unwrap().is_err());
        assert_eq!(code(&request.await.unwrap()), "MS-GATE-010");
    }
    assert!(admin.query("TABLE t", &[]).await.unwrap().is_empty());
    assert!(record.lock().unwrap().iter().all(|seen| seen.body != "too late"));
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
    agent.send(Directive { seq: round + 1, application, epoch, posture });
    wait_for("a serving gate", super::support::SOON, async || {
        seen(|report| report.posture_name == "serve")
    })
    .await;
}
