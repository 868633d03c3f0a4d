//! The HTTP side of the gate: every request is admitted under the posture of its moment, held
//! while there is none for it, and answered by an upstream here or by the active site's gate.

mod answer;
mod body;
mod clock;
mod guard;
mod headers;
mod health;
mod log;
mod pool;
mod reads;
mod replay;
mod routes;
mod serve;
mod shares;
mod sticky;
mod tunnel;
mod upstreams;
mod websocket;

pub use headers::{Client, Origin};
pub use log::Log;
pub use serve::PROTOCOLS;

use crate::gate::peer::client::{Peers, TunnelError};
use crate::gate::peer::hello::Target;
use crate::gate::posture::Route;
use crate::gate::shared::{Kind, Pass, Shared};
use crate::gate::spec::Limits;
use crate::tick;
use answer::Problem;
use body::GateBody;
use bytes::Bytes;
use clock::Clock;
use headers::{Head, REFUSED, strip_hop_by_hop, switch_to};
use http::{Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::ext::Protocol;
use hyper::header::{CONNECTION, HeaderValue, UPGRADE, USER_AGENT};
use hyper::upgrade::OnUpgrade;
use log::AnsweredBy;
use mainstay_core::SiteName;
use pool::{CheckIn, Pool, handshake};
use replay::{Bounds, Fault, Replay};
use routes::Routes;
use shares::Shares;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use sticky::Place;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use upstreams::Load;

/// Who says so is a probe, and no client.
const PROBE: &str = crate::probe::USER_AGENT;
/// How often a request that may be repeated is sent to upstreams that break.
const ATTEMPTS: usize = 3;
/// Tunnels are dear to open; the other gate keeps them for longer than this.
const TUNNEL_IDLE: Duration = Duration::from_secs(30);
const MOST_TUNNELS_IDLE: usize = 256;

#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    routes: Routes,
    shares: Option<Shares>,
    peers: Arc<Peers>,
    tunnels: BTreeMap<SiteName, Arc<Pool>>,
    /// The same for what only reads and goes to a site that is not active.
    readers: BTreeMap<SiteName, Arc<Pool>>,
    log: Option<Arc<Log>>,
    /// A younger gate has the port: clients are to connect again, to that one.
    retired: CancellationToken,
    /// How a client's cookie names this site.
    mark: u32,
}

/// One request, as long as it takes.
struct Work {
    origin: Origin,
    head: Head,
    body: Replay,
    deadline: Instant,
    attempts: usize,
    upgrade: Option<Upgrade>,
}

/// The client wants to go on with another protocol.
struct Upgrade {
    client: OnUpgrade,
    clock: Arc<Clock>,
}

/// What came of one attempt.
enum Attempt {
    Answered(Response<GateBody>),
    /// No upstream saw it: hold it and try again.
    Undelivered(Problem),
    /// Sent, and no answer came.
    Lost(Problem),
}

impl Proxy {
    pub fn new(
        shared: Arc<Shared>,
        peers: Arc<Peers>,
        log: Option<Arc<Log>>,
        retired: CancellationToken,
    ) -> Arc<Self> {
        let pools = || {
            let sites = shared.spec.peers.keys();
            sites.map(|site| (site.clone(), Pool::new(MOST_TUNNELS_IDLE, TUNNEL_IDLE))).collect()
        };
        let http = shared.spec.http.as_ref();
        let shares = http.and_then(|http| Shares::new(&http.options.weights));
        let (routes, mark) = (Routes::new(http), sticky::mark(shared.spec.here.as_str()));
        let (tunnels, readers) = (pools(), pools());
        Arc::new(Self { shared, routes, shares, peers, tunnels, readers, log, retired, mark })
    }

    pub fn limits(&self) -> &Limits {
        &self.shared.spec.limits
    }

    /// Looks after the upstreams. Ends when none is to be looked after.
    pub async fn watch_upstreams(self: Arc<Self>) {
        let groups = self.routes.groups().map(|group| health::watch(Arc::clone(group)));
        futures::future::join_all(groups).await;
    }

    async fn answer(
        &self,
        origin: Origin,
        clock: &Arc<Clock>,
        request: Request<Incoming>,
    ) -> Response<GateBody> {
        let is_probe = request.headers().get(USER_AGENT).is_some_and(|agent| agent == PROBE);
        let counted = matches!(origin, Origin::Client(_)) && !is_probe;
        let log = self.log.as_ref().filter(|_| counted);
        let entry =
            log.and_then(|log| log.entry(&origin, &request, self.shared.standing().epoch()));
        let answered = self.answer_within(origin, clock, request).await;
        if counted {
            self.count(&answered);
        }
        let mut response = answered.unwrap_or_else(|problem| problem.answer());
        if self.retired.is_cancelled() && response.status() != StatusCode::SWITCHING_PROTOCOLS {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let by = response.extensions_mut().remove();
        match entry {
            Some(mut entry) => {
                entry.answered(response.status(), by);
                response.map(|body| body.logged(entry))
            }
            None => response,
        }
    }

    /// What clients see, for people: that no site serves at a moment is told elsewhere.
    fn count(&self, answered: &Result<Response<GateBody>, Problem>) {
        let failed = match answered {
            Ok(response) => response.status().is_server_error(),
            Err(Problem::NoUpstream | Problem::Broken(_) | Problem::SlowAnswer) => true,
            Err(_) => return,
        };
        self.shared.counts.minute.request(tick::now(), failed);
    }

    async fn answer_within(
        &self,
        origin: Origin,
        clock: &Arc<Clock>,
        mut request: Request<Incoming>,
    ) -> Result<Response<GateBody>, Problem> {
        let limits = self.limits();
        if request.headers().len() > limits.headers {
            return Err(Problem::LongHead);
        }
        let extended = request.extensions().get::<Protocol>().is_some();
        let wanted = extended || request.headers().contains_key(UPGRADE);
        let client = wanted.then(|| hyper::upgrade::on(&mut request));
        let (parts, incoming) = request.into_parts();
        let head = Head::new(parts, &origin)?;
        let client = client.filter(|_| head.upgrade.is_some());
        let upgrade = client.map(|client| Upgrade { client, clock: Arc::clone(clock) });
        let bounds = Bounds { bytes: limits.body, idle: limits.body_idle };
        let body = Replay::new(incoming, bounds).ok_or(Problem::LongBody)?;
        let deadline = Instant::now() + self.shared.spec.hold;
        let mut work = Work { origin, head, body, deadline, attempts: 0, upgrade };
        if let Some(response) = self.read_elsewhere(&mut work).await {
            return Ok(response);
        }
        let reader = work.origin.is_reader();
        self.work(work).await.map_err(|problem| match problem {
            // The active site will have one.
            Problem::NoUpstream if reader => Problem::Refused("no process takes it"),
            problem => problem,
        })
    }

    async fn work(&self, mut work: Work) -> Result<Response<GateBody>, Problem> {
        loop {
            let pass = self.admit(&work).await?;
            let problem = match self.attempt(pass, &mut work).await {
                Attempt::Answered(response) => return Ok(response),
                Attempt::Undelivered(problem) => problem,
                Attempt::Lost(problem) if work.head.is_safe() => problem,
                Attempt::Lost(problem) => return Err(work.blame(problem)),
            };
            work.attempts += 1;
            match work.body.again() {
                Some(body) if work.may_repeat(&problem) => work.body = body,
                _ => return Err(work.blame(problem)),
            }
        }
    }

    /// Waits until the posture has a route for the request, or its time is over.
    async fn admit(&self, work: &Work) -> Result<Pass, Problem> {
        if let Some(pass) = self.try_admit(work)? {
            return Ok(pass);
        }
        let mut changes = self.shared.watch();
        let mut held = None;
        loop {
            if let Some(pass) = self.try_admit(work)? {
                return Ok(pass);
            }
            if held.is_none() {
                held = Some(self.shared.hold(Kind::Http).ok_or(Problem::TooManyHeld)?);
            }
            let changed = tokio::time::timeout_at(work.deadline, changes.changed());
            changed.await.map_err(|_| self.not_served())?.map_err(|_| self.not_served())?;
        }
    }

    fn try_admit(&self, work: &Work) -> Result<Option<Pass>, Problem> {
        match (&work.origin, work.head.claimed) {
            (Origin::Client(_), _) => Ok(self.shared.admit(Kind::Http)),
            (Origin::Peer, Some(epoch)) => {
                self.shared.admit_peer(Kind::Http, epoch).map_err(Problem::Refused)
            }
            (Origin::Reader, Some(epoch)) if work.head.only_reads() => {
                self.shared.admit_peer_read(epoch).map(Some).map_err(Problem::Refused)
            }
            (Origin::Reader, Some(_)) => Err(Problem::Refused("it does more than read")),
            (Origin::Peer | Origin::Reader, None) => Err(Problem::Refused("it names no epoch")),
        }
    }

    fn not_served(&self) -> Problem {
        Problem::NotServed(self.shared.standing().why_not(tick::now()))
    }

    async fn attempt(&self, pass: Pass, work: &mut Work) -> Attempt {
        match pass.route.clone() {
            Route::Local => self.attempt_here(pass, work).await,
            Route::Peer(site) => self.attempt_there(pass, &site, work).await,
        }
    }

    async fn attempt_here(&self, pass: Pass, work: &mut Work) -> Attempt {
        let upstreams = self.routes.of(&work.head);
        let cookie = upstreams.rules.sticky.as_deref();
        let place = cookie.and_then(|name| Place::read(&work.head.headers, name));
        let connected = tokio::select! {
            connected = upstreams.connect(place.map(|place| place.upstream)) => connected,
            () = pass.cut.cancelled() => return Attempt::Undelivered(self.not_served()),
        };
        let Some((connection, load)) = connected else {
            return Attempt::Lost(Problem::NoUpstream);
        };
        match self.send(connection, &pass, work).await {
            Ok((mut response, connection)) => {
                load.succeeded();
                response.headers_mut().remove(REFUSED);
                let here = Place { site: self.mark, upstream: load.mark() };
                if let Some(name) = cookie.filter(|_| place != Some(here)) {
                    here.write(response.headers_mut(), name, work.origin.encrypted());
                }
                self.answered(response, pass, connection, Some(load), work)
            }
            Err(Unsent::NotSent) => Attempt::Undelivered(Problem::NoUpstream),
            Err(Unsent::Lost(problem)) => {
                if matches!(problem, Problem::Broken(_)) && work.body.fault().is_none() {
                    load.pass_over(&problem.message());
                }
                Attempt::Lost(problem)
            }
        }
    }

    async fn attempt_there(&self, pass: Pass, site: &SiteName, work: &mut Work) -> Attempt {
        let connection = match self.tunnel(&pass, site, work.deadline).await {
            Ok(connection) => connection,
            Err(TunnelError::TooManyHeld) => return Attempt::Lost(Problem::TooManyHeld),
            Err(error) => return Attempt::Undelivered(Problem::NotServed(error.to_string())),
        };
        self.ask_peer(connection, pass, work).await.unwrap_or_else(|| {
            self.peers.shut(site);
            Attempt::Undelivered(self.not_served())
        })
    }

    /// None: no upstream there saw it.
    async fn ask_peer(&self, connection: CheckIn, pass: Pass, work: &mut Work) -> Option<Attempt> {
        match self.send(connection, &pass, work).await {
            Ok((response, _)) if response.headers().contains_key(REFUSED) => None,
            Ok((response, connection)) => {
                Some(self.answered(response, pass, connection, None, work))
            }
            Err(Unsent::NotSent) => Some(Attempt::Undelivered(self.not_served())),
            Err(Unsent::Lost(problem)) => Some(Attempt::Lost(problem)),
        }
    }

    /// A tunnel to the other gate that has agreed to this epoch.
    async fn tunnel(
        &self,
        pass: &Pass,
        site: &SiteName,
        deadline: Instant,
    ) -> Result<CheckIn, TunnelError> {
        let tag = (pass.epoch.number(), pass.cuts);
        let _held = self.shared.hold(Kind::Http).ok_or(TunnelError::TooManyHeld)?;
        let knock = self.peers.knock(site, pass.epoch, deadline).await?;
        let pool = self.tunnels.get(site).ok_or(TunnelError::TooLate)?;
        let idle = if knock.is_trial() { None } else { pool.take(tag).await };
        let sender = match idle {
            Some(sender) => sender,
            None => {
                let stream = knock.open(Target::Http, deadline).await?;
                handshake(stream).await.map_err(TunnelError::unreachable)?
            }
        };
        Ok(CheckIn { pool: Arc::clone(pool), tag, sender })
    }

    fn answered(
        &self,
        mut response: Response<Incoming>,
        pass: Pass,
        connection: CheckIn,
        load: Option<Load>,
        work: &mut Work,
    ) -> Attempt {
        self.shared.counts.served.fetch_add(1, Relaxed);
        if self.log.is_some() {
            response.extensions_mut().insert(AnsweredBy(self.site_of(&pass.route).to_string()));
        }
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return switch(response, pass, load, work);
        }
        let (mut parts, incoming) = response.into_parts();
        strip_hop_by_hop(&mut parts.headers);
        parts.version = Version::HTTP_11;
        let body = GateBody::upstream(incoming, pass, connection, load);
        Attempt::Answered(Response::from_parts(parts, body))
    }

    fn site_of<'a>(&'a self, route: &'a Route) -> &'a SiteName {
        match route {
            Route::Local => &self.shared.spec.here,
            Route::Peer(site) => site,
        }
    }

    async fn send(
        &self,
        connection: CheckIn,
        pass: &Pass,
        work: &Work,
    ) -> Result<(Response<Incoming>, CheckIn), Unsent> {
        let sending = send(connection, pass, work);
        match self.limits().answer_time {
            None => sending.await,
            Some(most) => tokio::time::timeout(most, sending)
                .await
                .unwrap_or(Err(Unsent::Lost(Problem::SlowAnswer))),
        }
    }
}

/// From here on the two sides speak to each other.
fn switch(
    mut response: Response<Incoming>,
    pass: Pass,
    load: Option<Load>,
    work: &mut Work,
) -> Attempt {
    let upstream = hyper::upgrade::on(&mut response);
    let (mut parts, _) = response.into_parts();
    let (Some(Upgrade { client, clock }), Some(protocol)) =
        (work.upgrade.take(), parts.headers.remove(UPGRADE))
    else {
        let reason = "it switched to a protocol that nobody asked for".to_owned();
        return Attempt::Lost(Problem::Broken(reason));
    };
    strip_hop_by_hop(&mut parts.headers);
    let open = tunnel::carried(client, upstream, pass, load);
    match &work.head.handshake {
        None => {
            switch_to(&mut parts.headers, protocol);
            clock.upgrade(AbortOnDropHandle::new(tokio::spawn(open)));
        }
        Some(handshake) if handshake.take_answer(&mut parts.headers) => {
            parts.status = StatusCode::OK;
            // One of many on its connection, which is not idle while it lasts.
            let turn = clock.turn();
            tokio::spawn(async move {
                open.await;
                drop(turn);
            });
        }
        Some(_) => {
            let reason = "it did not answer the handshake of a WebSocket".to_owned();
            return Attempt::Lost(Problem::Broken(reason));
        }
    }
    Attempt::Answered(Response::from_parts(parts, GateBody::own(Bytes::new())))
}

impl Work {
    /// Held work is repeated until its time is over; what upstreams broke, only so often.
    fn may_repeat(&self, problem: &Problem) -> bool {
        let broken = !matches!(problem, Problem::NotServed(_) | Problem::CutOff);
        let fault = self.body.fault().is_some();
        !fault && Instant::now() < self.deadline && !(broken && self.attempts >= ATTEMPTS)
    }

    /// What the client did wrong is no fault of the upstream.
    fn blame(&self, problem: Problem) -> Problem {
        match self.body.fault() {
            Some(Fault::TooLong) => Problem::LongBody,
            Some(Fault::TooSlow) => Problem::SlowBody,
            Some(Fault::Client) => Problem::BadRequest("its body broke off or is malformed"),
            None => problem,
        }
    }
}

/// Why there is no answer.
enum Unsent {
    /// The connection was closing: not a byte left.
    NotSent,
    Lost(Problem),
}

async fn send(
    mut connection: CheckIn,
    pass: &Pass,
    work: &Work,
) -> Result<(Response<Incoming>, CheckIn), Unsent> {
    let Some(body) = work.body.again() else {
        let reason = "the body cannot be sent again".to_owned();
        return Err(Unsent::Lost(Problem::Broken(reason)));
    };
    let request = work.head.request(pass.epoch, body);
    let sent = tokio::select! {
        sent = connection.sender.try_send_request(request) => sent,
        () = pass.cut.cancelled() => return Err(Unsent::Lost(Problem::CutOff)),
    };
    match sent {
        Ok(response) => Ok((response, connection)),
        Err(error) if error.message().is_some() => Err(Unsent::NotSent),
        Err(error) => Err(Unsent::Lost(Problem::Broken(error.into_error().to_string()))),
    }
}
