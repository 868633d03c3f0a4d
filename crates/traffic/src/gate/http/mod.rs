//! The HTTP side of the gate: every request is admitted under the posture of its moment, held
//! while there is none for it, and answered by an upstream here or by the active site's gate.

mod answer;
mod body;
mod clock;
mod headers;
mod pool;
mod replay;
mod serve;
mod upstreams;

pub use headers::Origin;

use crate::gate::peer::client::{Peers, TunnelError};
use crate::gate::peer::hello::Target;
use crate::gate::posture::Route;
use crate::gate::shared::{Kind, Pass, Shared};
use crate::gate::spec::Limits;
use crate::tick;
use answer::Problem;
use body::GateBody;
use headers::{Head, REFUSED, strip_hop_by_hop};
use http::{Request, Response, Version};
use hyper::body::Incoming;
use hyper::header::USER_AGENT;
use mainstay_core::SiteName;
use pool::{CheckIn, Pool, handshake};
use replay::Replay;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::time::Instant;
use upstreams::{Load, Upstreams};

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
    upstreams: Upstreams,
    peers: Arc<Peers>,
    tunnels: BTreeMap<SiteName, Arc<Pool>>,
}

/// One request, as long as it takes.
struct Work {
    origin: Origin,
    head: Head,
    body: Replay,
    deadline: Instant,
    attempts: usize,
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
    pub fn new(shared: Arc<Shared>, peers: Arc<Peers>) -> Arc<Self> {
        let addresses = shared.spec.http.as_ref().map(|http| http.upstreams.as_slice());
        let upstreams = Upstreams::new(addresses.unwrap_or_default());
        let tunnels = shared.spec.peers.keys();
        let tunnels =
            tunnels.map(|site| (site.clone(), Pool::new(MOST_TUNNELS_IDLE, TUNNEL_IDLE))).collect();
        Arc::new(Self { shared, upstreams, peers, tunnels })
    }

    pub fn limits(&self) -> &Limits {
        &self.shared.spec.limits
    }

    async fn answer(&self, origin: Origin, request: Request<Incoming>) -> Response<GateBody> {
        let is_probe = request.headers().get(USER_AGENT).is_some_and(|agent| agent == PROBE);
        let counted = matches!(origin, Origin::Client(_)) && !is_probe;
        let answered = self.answer_within(origin, request).await;
        if counted {
            self.count(&answered);
        }
        answered.unwrap_or_else(|problem| problem.answer())
    }

    /// What clients see, for people: that no site serves at a moment is told elsewhere.
    fn count(&self, answered: &Result<Response<GateBody>, Problem>) {
        let failed = match answered {
            Ok(response) => response.status().is_server_error(),
            Err(Problem::NoUpstream | Problem::Broken(_)) => true,
            Err(_) => return,
        };
        self.shared.counts.minute.request(tick::now(), failed);
    }

    async fn answer_within(
        &self,
        origin: Origin,
        request: Request<Incoming>,
    ) -> Result<Response<GateBody>, Problem> {
        let (parts, incoming) = request.into_parts();
        let head = Head::new(parts, &origin)?;
        let deadline = Instant::now() + self.shared.spec.hold;
        let work = Work { origin, head, body: Replay::new(incoming), deadline, attempts: 0 };
        self.work(work).await
    }

    async fn work(&self, mut work: Work) -> Result<Response<GateBody>, Problem> {
        loop {
            let pass = self.admit(&work).await?;
            let problem = match self.attempt(pass, &work).await {
                Attempt::Answered(response) => return Ok(response),
                Attempt::Undelivered(problem) => problem,
                Attempt::Lost(problem) if work.head.is_safe() => problem,
                Attempt::Lost(problem) => return Err(problem),
            };
            work.attempts += 1;
            match work.body.again() {
                Some(body) if work.may_repeat(&problem) => work.body = body,
                _ => return Err(problem),
            }
        }
    }

    /// Waits until the posture has a route for the request, or its time is over.
    async fn admit(&self, work: &Work) -> Result<Pass, Problem> {
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
            (Origin::Peer(_), Some(epoch)) => {
                self.shared.admit_peer(Kind::Http, epoch).map_err(Problem::Refused)
            }
            (Origin::Peer(_), None) => Err(Problem::Refused("it names no epoch")),
        }
    }

    fn not_served(&self) -> Problem {
        Problem::NotServed(self.shared.standing().why_not(tick::now()))
    }

    async fn attempt(&self, pass: Pass, work: &Work) -> Attempt {
        match pass.route.clone() {
            Route::Local => self.attempt_here(pass, work).await,
            Route::Peer(site) => self.attempt_there(pass, &site, work).await,
        }
    }

    async fn attempt_here(&self, pass: Pass, work: &Work) -> Attempt {
        let connected = tokio::select! {
            connected = self.upstreams.connect() => connected,
            () = pass.cut.cancelled() => return Attempt::Undelivered(self.not_served()),
        };
        let Some((connection, load)) = connected else {
            return Attempt::Lost(Problem::NoUpstream);
        };
        match send(connection, &pass, work).await {
            Ok((mut response, connection)) => {
                response.headers_mut().remove(REFUSED);
                self.answered(response, pass, connection, Some(load))
            }
            Err(Unsent::NotSent) => Attempt::Undelivered(Problem::NoUpstream),
            Err(Unsent::CutOff) => Attempt::Lost(Problem::CutOff),
            Err(Unsent::Broken(reason)) => {
                load.pass_over(&reason);
                Attempt::Lost(Problem::Broken(reason))
            }
        }
    }

    async fn attempt_there(&self, pass: Pass, site: &SiteName, work: &Work) -> Attempt {
        let connection = match self.tunnel(&pass, site, work.deadline).await {
            Ok(connection) => connection,
            Err(TunnelError::TooManyHeld) => return Attempt::Lost(Problem::TooManyHeld),
            Err(error) => return Attempt::Undelivered(Problem::NotServed(error.to_string())),
        };
        match send(connection, &pass, work).await {
            Ok((response, _)) if response.headers().contains_key(REFUSED) => {
                self.peers.shut(site);
                Attempt::Undelivered(self.not_served())
            }
            Ok((response, connection)) => self.answered(response, pass, connection, None),
            Err(Unsent::NotSent) => Attempt::Undelivered(self.not_served()),
            Err(Unsent::CutOff) => Attempt::Lost(Problem::CutOff),
            Err(Unsent::Broken(reason)) => Attempt::Lost(Problem::Broken(reason)),
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
        response: Response<Incoming>,
        pass: Pass,
        connection: CheckIn,
        load: Option<Load>,
    ) -> Attempt {
        self.shared.counts.served.fetch_add(1, Relaxed);
        let (mut parts, incoming) = response.into_parts();
        strip_hop_by_hop(&mut parts.headers);
        parts.version = Version::HTTP_11;
        let body = GateBody::upstream(incoming, pass, connection, load);
        Attempt::Answered(Response::from_parts(parts, body))
    }
}

impl Work {
    /// Held work is repeated until its time is over; what upstreams broke, only so often.
    fn may_repeat(&self, problem: &Problem) -> bool {
        let broken = !matches!(problem, Problem::NotServed(_) | Problem::CutOff);
        Instant::now() < self.deadline && !(broken && self.attempts >= ATTEMPTS)
    }
}

/// Why there is no answer.
enum Unsent {
    /// The connection was closing: not a byte left.
    NotSent,
    CutOff,
    Broken(String),
}

async fn send(
    mut connection: CheckIn,
    pass: &Pass,
    work: &Work,
) -> Result<(Response<Incoming>, CheckIn), Unsent> {
    let Some(body) = work.body.again() else {
        return Err(Unsent::Broken("the body cannot be sent again".to_owned()));
    };
    let request = work.head.request(pass.epoch, body);
    let sent = tokio::select! {
        sent = connection.sender.try_send_request(request) => sent,
        () = pass.cut.cancelled() => return Err(Unsent::CutOff),
    };
    match sent {
        Ok(response) => Ok((response, connection)),
        Err(error) if error.message().is_some() => Err(Unsent::NotSent),
        Err(error) => Err(Unsent::Broken(error.into_error().to_string())),
    }
}
