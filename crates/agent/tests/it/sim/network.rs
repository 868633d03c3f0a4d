//! Requests between agents, and looks through the gates.

use super::estate::NAMES;
use super::world::{Shared, Ticket, World, lock};
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use mainstay_agent::peer::{Exchange, SimulatedLine};
use mainstay_agent::probes::{Looked, SimulatedProbes};
use mainstay_agent::serve::Caller;
use mainstay_core::SiteName;
use mainstay_traffic::probe::{FailureKind, Passed, ProbeFailure};
use std::time::Duration;
use tokio::sync::oneshot;

/// The way from one process to another site's agent.
pub struct Way {
    pub world: Shared,
    pub from: Ticket,
    pub to: usize,
}

type Answer = Result<(StatusCode, Bytes), String>;

impl SimulatedLine for Way {
    fn exchange(&self, method: Method, path: String, body: Bytes) -> Exchange {
        let (answer, answered) = oneshot::channel();
        let (from, to) = (self.from, self.to);
        let shared = self.world.clone();
        let mut world = lock(&self.world);
        world.send(from, to, move |world, arrived| {
            if !arrived {
                world.lose(answer);
                return;
            }
            deliver(world, &shared, from, to, (method, path, body), answer);
        });
        drop(world);
        Box::pin(async move {
            answered.await.unwrap_or_else(|_| Err("the connection broke".to_owned()))
        })
    }
}

fn deliver(
    world: &mut World,
    shared: &Shared,
    from: Ticket,
    to: usize,
    (method, path, body): (Method, String, Bytes),
    answer: oneshot::Sender<Answer>,
) {
    let Some(door) = world.sites[to].door.clone() else {
        world.reply(to, from, answer, Err("connection refused".to_owned()));
        return;
    };
    world.note(format_args!("{} asks {}: {method} {path}", NAMES[from.site], NAMES[to]));
    let caller = Caller(world.name(from.site).clone());
    let shared = shared.clone();
    door.handle.clone().spawn(async move {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().expect("a path");
        request
            .headers_mut()
            .insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        request.extensions_mut().insert(caller);
        let called = TowerToHyperService::new(door.router.clone()).call(request).await;
        let called = called.expect("a router cannot fail");
        let status = called.status();
        let body = called.into_body().collect().await.expect("a body").to_bytes();
        let mut world = lock(&shared);
        if world.alive(door.ticket) {
            world.reply(to, from, answer, Ok((status, body)));
        } else {
            world.lose(answer);
        }
    });
}

/// Looks through the gates, from one process.
pub struct Looks {
    pub world: Shared,
    pub from: Ticket,
}

impl SimulatedProbes for Looks {
    fn look<'a>(&'a self, at: &'a SiteName, timeout: Duration) -> Looked<'a> {
        let (answer, answered) = oneshot::channel();
        let from = self.from;
        let mut world = lock(&self.world);
        let to = (0..2).find(|site| world.name(*site) == at).expect("a site");
        world.send(from, to, move |world, arrived| match arrived {
            true => {
                let health = world.health(to);
                world.reply(to, from, answer, health);
            }
            false => world.lose(answer),
        });
        drop(world);
        let failure = |kind| ProbeFailure { address: at.to_string(), kind };
        Box::pin(async move {
            match tokio::time::timeout(timeout, answered).await {
                Err(_) => Err(failure(FailureKind::Timeout)),
                Ok(Err(_)) => Err(failure(FailureKind::Refused)),
                Ok(Ok(Some(kind))) => Err(failure(kind)),
                Ok(Ok(None)) => Ok(Passed { took: Duration::from_millis(20) }),
            }
        })
    }
}
