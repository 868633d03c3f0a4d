//! What all tasks of one gate share: the posture, what is admitted under it, and the counts.

use super::minute::Sliding;
use super::posture::{NewWork, OpenWork, PeerWork, Route, Standing};
use super::reads::{Own, Reads};
use super::spec::GateSpec;
use crate::control::{Posture, Report};
use crate::tick;
use mainstay_core::{Epoch, SiteName, StoreName, Tick};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// How long requests that another site's gate is answering may still end after the posture left
/// that site. They are the other gate's to refuse; this only bounds waiting for a silent one. What
/// only reads at a site that is not active may end within it too.
const PEER_LINGER: Duration = Duration::from_secs(3);

/// How long the active site's word that the epoch is the same counts.
const AGREED_FOR: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub struct Shared {
    pub spec: GateSpec,
    duty: watch::Sender<Duty>,
    drain: Notify,
    pub counts: Counts,
    /// What those that only read may be answered from here.
    pub reads: Reads,
    /// What the gate that ran before this one still has.
    elder: Mutex<Option<Report>>,
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
    /// Ends what only reads and goes elsewhere than the posture leads.
    reads: CancellationToken,
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
    /// Milliseconds on the tick.
    agreed: AtomicU64,
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
    under: Under,
}

/// What admitted work goes by.
#[derive(Debug)]
enum Under {
    Posture(Kind),
    /// This site's own database may be read.
    Own(Arc<Own>),
    /// Another site said so of its own; it ends what it does not allow any more.
    Theirs,
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
            reads: CancellationToken::new(),
            peer_cuts: 0,
        };
        let duty = watch::Sender::new(duty);
        let reads = Reads::new(spec.stores.iter().filter(|(_, it)| it.reads.is_some()));
        Arc::new(Self {
            reads,
            spec,
            duty,
            drain: Notify::new(),
            counts: Counts::default(),
            elder: Mutex::default(),
        })
    }

    pub fn watch(&self) -> watch::Receiver<Duty> {
        self.duty.subscribe()
    }

    pub fn standing(&self) -> Standing {
        self.duty.borrow().standing.clone()
    }

    /// The site that is active, as far as this gate knows now.
    pub fn active(&self) -> Option<SiteName> {
        self.duty.borrow().standing.active(&self.spec.here).cloned()
    }

    pub fn open_work(&self, route: &Route) -> OpenWork {
        self.duty.borrow().standing.open_work(route, tick::now())
    }

    /// Takes a posture that is not stale, and ends at once what it does not allow.
    pub fn apply(&self, seq: u64, epoch: Epoch, posture: Posture) {
        self.duty.send_modify(|duty| {
            let before = duty.standing.epoch();
            if duty.standing.apply(epoch, posture).is_err() {
                self.counts.ignored.fetch_add(1, SeqCst);
                return;
            }
            duty.seq = seq;
            duty.lapse_enforced = false;
            if before != epoch {
                linger(std::mem::take(&mut duty.reads));
            }
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

    /// For a request that only reads, to a site that has a share of them. None: where all others
    /// go, or nowhere for now.
    pub fn admit_read(self: &Arc<Self>, site: &SiteName) -> Option<Pass> {
        let duty = self.duty.borrow();
        let now = tick::now();
        let route = duty.standing.read(&self.spec.here, site, now)?;
        let doubtful = || now.since(self.agreed()) > AGREED_FOR;
        if route == Route::Local && doubtful() {
            return None;
        }
        Some(self.pass_with(&duty, route, Kind::Http, duty.reads.clone()))
    }

    /// The same for one that another site's gate passes on.
    pub fn admit_peer_read(self: &Arc<Self>, epoch: Epoch) -> Result<Pass, &'static str> {
        let duty = self.duty.borrow();
        match duty.standing.peer_read(epoch, tick::now()) {
            Ok(()) => Ok(self.pass_with(&duty, Route::Local, Kind::Http, duty.reads.clone())),
            Err(reason) => Err(reason),
        }
    }

    /// When the active site's gate last said that it is at this gate's epoch.
    fn agreed(&self) -> Tick {
        Tick::from_millis(self.counts.agreed.load(SeqCst))
    }

    pub fn agree(&self, at: Tick) {
        self.counts.agreed.store(at.millis(), SeqCst);
    }

    fn pass(self: &Arc<Self>, duty: &Duty, route: Route, kind: Kind) -> Pass {
        let cut = match route {
            Route::Local => duty.local.clone(),
            Route::Peer(_) => duty.peer.clone(),
        };
        self.pass_with(duty, route, kind, cut)
    }

    fn pass_with(
        self: &Arc<Self>,
        duty: &Duty,
        route: Route,
        kind: Kind,
        cut: CancellationToken,
    ) -> Pass {
        self.counts.open(kind, &route).fetch_add(1, SeqCst);
        let (epoch, cuts) = (duty.standing.epoch(), duty.peer_cuts);
        Pass { shared: Arc::clone(self), route, epoch, cut, cuts, under: Under::Posture(kind) }
    }

    /// For a connection that only reads, to this site's own database. None: it may not be read.
    pub fn admit_reader(self: &Arc<Self>, store: &StoreName) -> Option<Pass> {
        let (own, cut) = self.reads.admit(store, tick::now())?;
        Some(self.reader(Route::Local, cut, Under::Own(own)))
    }

    /// The same, which another site's gate has taken.
    pub fn reader_at(self: &Arc<Self>, site: &SiteName) -> Pass {
        self.reader(Route::Peer(site.clone()), CancellationToken::new(), Under::Theirs)
    }

    fn reader(self: &Arc<Self>, route: Route, cut: CancellationToken, under: Under) -> Pass {
        let duty = self.duty.borrow();
        let (epoch, cuts) = (duty.standing.epoch(), duty.peer_cuts);
        Pass { shared: Arc::clone(self), route, epoch, cut, cuts, under }
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

    pub fn hear_elder(&self, report: Option<Report>) {
        *self.elder.lock().unwrap_or_else(PoisonError::into_inner) = report;
        self.drain.notify_waiters();
    }

    /// With what the gate that ran before this one still has: to the agent they are one.
    pub fn report(&self) -> Report {
        let own = self.own_report();
        match &*self.elder.lock().unwrap_or_else(PoisonError::into_inner) {
            None => own,
            Some(elder) => Report {
                http_in_flight: own.http_in_flight + elder.http_in_flight,
                http_held: own.http_held + elder.http_held,
                connections: own.connections + elder.connections,
                in_transaction: own.in_transaction + elder.in_transaction,
                readers_here: own.readers_here + elder.readers_here,
                readers_away: own.readers_away + elder.readers_away,
                minute: own.minute.plus(elder.minute),
                drained: own.drained && elder.drained,
                ..own
            },
        }
    }

    fn own_report(&self) -> Report {
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
            readers_here: self.reads.here(),
            readers_away: self.reads.away(),
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
        match self.standing.open_read(now) {
            OpenWork::Keep => {}
            OpenWork::Drain => linger(std::mem::take(&mut self.reads)),
            OpenWork::Cut => std::mem::take(&mut self.reads).cancel(),
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

impl Pass {
    /// Whether it may go on.
    pub fn open_work(&self) -> OpenWork {
        match &self.under {
            Under::Posture(_) => self.shared.open_work(&self.route),
            _ if self.shared.reads.is_leaving() => OpenWork::Drain,
            Under::Own(own) if !own.may_be_read(tick::now()) => OpenWork::Cut,
            Under::Own(_) | Under::Theirs => OpenWork::Keep,
        }
    }

    /// A switch waits for what goes by the posture, and for nobody who only reads.
    pub fn only_reads(&self) -> bool {
        !matches!(self.under, Under::Posture(_))
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let kind = match &self.under {
            Under::Posture(kind) => *kind,
            Under::Own(own) => return own.leaves(),
            Under::Theirs => return,
        };
        let left = self.shared.counts.open(kind, &self.route).fetch_sub(1, SeqCst) - 1;
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
