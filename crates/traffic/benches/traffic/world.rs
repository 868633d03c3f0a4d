//! Two sites: for each an nginx that says its name and serves files, and a gate in a process of
//! its own, which this process directs as its agent would.

use super::Outcome;
use super::certificates::Authority;
use super::child::{ORDER, Order, application};
use super::process::{Process, listens};
use super::rivals;
use mainstay_core::{Epoch, Posture, SiteName};
use mainstay_testkit::free_port;
use mainstay_traffic::control::{ControlServer, Directive, Report, socket};
use mainstay_traffic::tick;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// How long a gate may serve or hold without another word: longer than any of this lasts.
const LONG: Duration = Duration::from_secs(3600);

pub struct Site {
    pub order: Order,
    pub gate: Process,
    pub name: &'static str,
    control: ControlServer,
    seq: u64,
    _upstream: Process,
    _state: TempDir,
}

pub fn local() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], free_port()))
}

/// East and west; `databases` are the ports of their PostgreSQL.
pub async fn sites(database: u16) -> Outcome<[Site; 2]> {
    let authority = Authority::new();
    let peers = [local(), local()];
    let east = Site::start("east", &authority, peers[0], ("west", peers[1]), database).await?;
    let west = Site::start("west", &authority, peers[1], ("east", peers[0]), database).await?;
    Ok([east, west])
}

impl Site {
    async fn start(
        name: &'static str,
        authority: &Authority,
        peer: SocketAddr,
        other: (&str, SocketAddr),
        database: u16,
    ) -> Outcome<Self> {
        let state = TempDir::new()?;
        let files = authority.issue(name, state.path());
        let upstream = local();
        let server = rivals::upstream(state.path(), upstream, name)?;
        listens(upstream).await?;
        let database = SocketAddr::from(([127, 0, 0, 1], database));
        let order = Order {
            site: name.to_owned(),
            http: local(),
            upstream,
            plain: [local(), upstream],
            postgres: [local(), database],
            peer,
            peers: vec![(other.0.to_owned(), other.1)],
            state: state.path().to_owned(),
            tls: [files.authority, files.certificate, files.key],
        };
        let control = ControlServer::bind(&socket(state.path()))?;
        let mut command = Command::new(std::env::current_exe()?);
        command.env(ORDER, serde_json::to_string(&order)?);
        let gate = Process::start(command)?;
        listens(order.http).await?;
        let (upstream, state) = (server, state);
        Ok(Self { order, gate, name, control, seq: 0, _upstream: upstream, _state: state })
    }

    pub async fn serve(&mut self, epoch: u64) -> Outcome<()> {
        self.direct(epoch, Posture::Serve { until: tick::now().plus(LONG) }, |_| true).await
    }

    /// Until nothing is under way any more.
    pub async fn drain(&mut self, epoch: u64) -> Outcome<()> {
        let posture = Posture::Hold { until: tick::now().plus(LONG) };
        self.direct(epoch, posture, |report| report.drained).await
    }

    pub async fn forward(&mut self, epoch: u64, to: &str) -> Outcome<()> {
        self.direct(epoch, Posture::Forward { to: SiteName::new(to)? }, |_| true).await
    }

    async fn direct(
        &mut self,
        epoch: u64,
        posture: Posture,
        done: impl Fn(&Report) -> bool,
    ) -> Outcome<()> {
        self.seq += 1;
        let (seq, application, epoch) = (self.seq, application()?, Epoch::new(epoch));
        self.control.send(Directive {
            seq,
            application: application.clone(),
            epoch,
            posture,
            away: Default::default(),
            reads: Default::default(),
        });
        let mut reports = self.control.watch(&application);
        let applied = reports.wait_for(|report| {
            report.as_ref().is_some_and(|report| report.seq >= seq && done(report))
        });
        tokio::time::timeout(Duration::from_secs(20), applied).await??;
        Ok(())
    }
}
