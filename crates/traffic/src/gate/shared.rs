//! What all tasks of one gate share: the posture, what is admitted under it, and the counts.

use super::minute::Sliding;
use super::posture::{NewWork, OpenWork, PeerWork, Route, Standing};
use super::spec::GateSpec;
use crate::control::{Posture, Report};
use crate::tick;
use mainstay_core::{Epoch, SiteName};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// How long requests that another site's gate is answering may still end after the posture left
/// that site. They are the other gate's to refuse; this only bounds waiting for a silent one.
const PEER_LINGER: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub struct Shared {
    pub spec: GateSpec,
    duty: watch::Sender<Duty>,
    drain: Notify,
    pub counts: Counts,
}

/// The posture with the tokens that end what was admitted under it. They change together, under
/// the lock of the watch, so nothing is admitted under one posture with the token of another.
#[derive(Debug)]
pub struct Duty {
    pub standing: Standing,
    seq: u64,
    lapse_enforced: bool,
    local: CancellationToken,
    peer: CancellationToken,
    /// How often what another gate was answering has been cut.
    peer_cuts: u64,
}

#[derive(Debug, Default)]
pub struct Counts {
    http_local: AtomicU64,
    http_peer: AtomicU64,
    tcp_local: AtomicU64,
    tcp_peer: AtomicU64,
    held_http: AtomicU64,
    held_tcp: AtomicU64,
    pub in_transaction: AtomicU64,
    pub cut: AtomicU64,
    pub served: AtomicU64,
    pub ignored: AtomicU64,
    pub minute: Sliding,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Http,
    Tcp,
}

/// Admitted work: counted until it is dropped.
#[derive(Debug)]
pub struct Pass {
    pub shared: Arc<Shared>,
    pub route: Route,
    pub epoch: Epoch,
    /// Cancelled when the work must end at once.
    pub cut: CancellationToken,
    /// Connections to the other gate from before the last cut are dead.
    pub cuts: u64,
    kind: Kind,
}

/// A place among the held, counted until it is dropped.
#[derive(Debug)]
pub struct HeldPlace {
    shared: Arc<Shared>,
    kind: Kind,
}

impl Shared {
    pub fn new(spec: GateSpec, epoch: Epoch) -> Arc<Self> {
        let duty = Duty {
            standing: Standing::starting(epoch),
            seq: 0,
            lapse_enforced: false,
            local: CancellationToken::new(),
            peer: CancellationToken::new(),
            peer_cuts: 0,
        };
        let duty = watch::Sender::new(duty);
        Arc::new(Self { spec, duty, drain: Notify::new(), counts: Counts::default() })
    }

    pub fn watch(&self) -> watch::Receiver<Duty> {
        self.duty.subscribe()
    }

    pub fn standing(&self) -> Standing {
        self.duty.borrow().standing.clone()
    }

    pub fn open_work(&self, route: &Route) -> OpenWork {
        self.duty.borrow().standing.open_work(route, tick::now())
    }

    /// Takes a posture that is not stale, and ends at once what it does not allow.
    pub fn apply(&self, seq: u64, epoch: Epoch, posture: Posture) {
        self.duty.send_modify(|duty| {
            if duty.standing.apply(epoch, posture).is_err() {
                self.counts.ignored.fetch_add(1, SeqCst);
                return;
            }
            duty.seq = seq;
            duty.lapse_enforced = false;
            duty.enforce();
        });
    }

    /// Ends what a posture whose time ran out does not allow any more.
    pub fn enforce_lapse(&self) {
        self.duty.send_if_modified(|duty| {
            let newly = !duty.lapse_enforced && duty.standing.lapsed(tick::now());
            if newly {
                duty.lapse_enforced = true;
                duty.enforce();
                tracing::warn!(epoch = %duty.standing.epoch(), "nobody renewed the posture: closed");
            }
            newly
        });
    }

    /// Ends what another site's gate was answering: it cannot be reached.
    pub fn cut_peer(&self) {
        self.duty.send_modify(|duty| {
            duty.peer_cuts += 1;
            std::mem::take(&mut duty.peer).cancel();
        });
    }

    /// None: hold it. Counting under the lock means that whoever changes the posture afterwards
    /// sees this work in the counts.
    pub fn admit(self: &Arc<Self>, kind: Kind) -> Option<Pass> {
        let duty = self.duty.borrow();
        match duty.standing.new_work(tick::now()) {
            NewWork::Go(route) => Some(self.pass(&duty, route, kind)),
            NewWork::Wait => None,
        }
    }

    /// The same for work that another site's gate passes on.
    pub fn admit_peer(
        self: &Arc<Self>,
        kind: Kind,
        epoch: Epoch,
    ) -> Result<Option<Pass>, &'static str> {
        let duty = self.duty.borrow();
        match duty.standing.peer_work(epoch, tick::now()) {
            PeerWork::Go => Ok(Some(self.pass(&duty, Route::Local, kind))),
            PeerWork::Wait => Ok(None),
            PeerWork::Refuse(reason) => Err(reason),
        }
    }

    fn pass(self: &Arc<Self>, duty: &Duty, route: Route, kind: Kind) -> Pass {
        self.counts.open(kind, &route).fetch_add(1, SeqCst);
        let cut = match route {
            Route::Local => duty.local.clone(),
            Route::Peer(_) => duty.peer.clone(),
        };
        let (epoch, cuts) = (duty.standing.epoch(), duty.peer_cuts);
        Pass { shared: Arc::clone(self), route, epoch, cut, cuts, kind }
    }

    /// None when too many are held already.
    pub fn hold(self: &Arc<Self>, kind: Kind) -> Option<HeldPlace> {
        let place = HeldPlace { shared: Arc::clone(self), kind };
        let before = self.counts.held(kind).fetch_add(1, SeqCst);
        // Dropping the place again takes it back from the count.
        (before < self.spec.limits.held as u64).then_some(place)
    }

    /// Ends when work at this epoch would no longer go to this site.
    pub async fn until_left(&self, site: &SiteName, epoch: Epoch) {
        let mut changes = self.watch();
        let route = NewWork::Go(Route::Peer(site.clone()));
        let left = |duty: &Duty| {
            duty.standing.epoch() != epoch || duty.standing.new_work(tick::now()) != route
        };
        // The sender lives in self: the wait cannot fail.
        let _ = changes.wait_for(left).await;
    }

    /// No request is in flight on this route.
    pub fn http_quiet(&self, route: &Route) -> bool {
        self.counts.open(Kind::Http, route).load(SeqCst) == 0
    }

    /// Ends at the next step towards being drained.
    pub fn drain_step(&self) -> Notified<'_> {
        self.drain.notified()
    }

    pub fn report(&self) -> Report {
        let (now, duty, counts) = (tick::now(), self.duty.borrow(), &self.counts);
        let local = counts.http_local.load(SeqCst) + counts.tcp_local.load(SeqCst);
        Report {
            seq: duty.seq,
            application: self.spec.application.clone(),
            epoch: duty.standing.epoch(),
            posture_name: duty.standing.name(now).to_owned(),
            lapsed: duty.standing.lapsed(now),
            http_in_flight: counts.http_local.load(SeqCst) + counts.http_peer.load(SeqCst),
            http_held: counts.held_http.load(SeqCst),
            connections: counts.tcp_local.load(SeqCst) + counts.tcp_peer.load(SeqCst),
            in_transaction: counts.in_transaction.load(SeqCst),
            cut: counts.cut.load(SeqCst),
            served: counts.served.load(SeqCst),
            ignored: counts.ignored.load(SeqCst),
            minute: counts.minute.sum(now),
            drained: !duty.standing.serves(now) && local == 0,
        }
    }
}

impl Duty {
    fn enforce(&mut self) {
        let now = tick::now();
        if self.standing.open_work(&Route::Local, now) == OpenWork::Cut {
            std::mem::take(&mut self.local).cancel();
        }
        if !matches!(self.standing.new_work(now), NewWork::Go(Route::Peer(_))) {
            linger(std::mem::take(&mut self.peer));
        }
    }
}

fn linger(token: CancellationToken) {
    tokio::spawn(async move {
        tokio::time::sleep(PEER_LINGER).await;
        token.cancel();
    });
}

impl Counts {
    fn open(&self, kind: Kind, route: &Route) -> &AtomicU64 {
        match (kind, route) {
            (Kind::Http, Route::Local) => &self.http_local,
            (Kind::Http, Route::Peer(_)) => &self.http_peer,
            (Kind::Tcp, Route::Local) => &self.tcp_local,
            (Kind::Tcp, Route::Peer(_)) => &self.tcp_peer,
        }
    }

    fn held(&self, kind: Kind) -> &AtomicU64 {
        match kind {
            Kind::Http => &self.held_http,
            Kind::Tcp => &self.held_tcp,
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let left = self.shared.counts.open(self.kind, &self.route).fetch_sub(1, SeqCst) - 1;
        if left == 0 && !self.shared.duty.borrow().standing.serves(tick::now()) {
            self.shared.drain.notify_waiters();
        }
    }
}

impl Drop for HeldPlace {
    fn drop(&mut self) {
        self.shared.counts.held(self.kind).fetch_sub(1, SeqCst);
    }
}
