//! Comparing on a person's word. The standby makes it, whichever agent is asked: the link that has
//! to stand still for a moment runs there. Asking for it and asking how far it is are two requests,
//! so that it goes on when whoever asked has gone.

use super::moves::{pick, target};
use crate::act::compare::{self, unknown};
use crate::agent::Agent;
use crate::application::Application;
use crate::error::Refused;
use crate::peer::{Peer, PeerError};
use crate::people::Asker;
use crate::time::tick;
use crate::types::{CompareRequest, ComparisonView};
use mainstay_core::StoreName;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// Nothing here waits for the comparison itself.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Begins a comparison, or joins the one under way.
pub async fn begin(
    agent: &Agent,
    request: &CompareRequest,
    asker: &Asker,
) -> Result<ComparisonView, Refused> {
    let (application, request) = named(agent, request)?;
    match elsewhere(application)? {
        Some(peer) => answered(peer.post("/v1/peer/compare", &(request, asker), TIMEOUT).await),
        None => begin_here(agent, &request, asker).await,
    }
}

/// How far it is, or how it ended.
pub async fn state(agent: &Agent, request: &CompareRequest) -> Result<ComparisonView, Refused> {
    let (application, request) = named(agent, request)?;
    match elsewhere(application)? {
        Some(peer) => answered(peer.post("/v1/peer/comparison", &request, TIMEOUT).await),
        None => state_here(agent, &request),
    }
}

/// The request with the name of the application that it means.
fn named<'a>(
    agent: &'a Agent,
    request: &CompareRequest,
) -> Result<(&'a Arc<Application>, CompareRequest), Refused> {
    let application = pick(agent, request.application.as_ref())?;
    let name = Some(application.spec.name.clone());
    Ok((application, CompareRequest { application: name, store: request.store.clone() }))
}

/// The standby's agent, unless this is it.
fn elsewhere(application: &Application) -> Result<Option<&Arc<Peer>>, Refused> {
    Ok(application.context.peers.get(&target(application, None)?))
}

fn answered(answer: Result<ComparisonView, PeerError>) -> Result<ComparisonView, Refused> {
    answer.map_err(|why| match why {
        PeerError::Refused(it) => Refused::new("MS-AGENT-014", it.message, it.advice),
        PeerError::NoAnswer { .. } => {
            Refused::new("MS-AGENT-016", why.to_string(), "look at the agent of that site")
        }
    })
}

/// Begins one at this site, a standby.
pub async fn begin_here(
    agent: &Agent,
    request: &CompareRequest,
    asker: &Asker,
) -> Result<ComparisonView, Refused> {
    let (application, store) = picked(agent, request)?;
    let body = json!({"store": store, "by": asker.name});
    let entered = application.enter("comparison-asked", body).await;
    entered.map_err(|why| unknown(why.to_string()))?;
    compare::begin(application, store)?;
    let mut view = view(application, store)?;
    if request.store.is_none() {
        let others = application.spec.stores.keys().filter(|other| *other != store);
        view.others = others.cloned().collect();
    }
    Ok(view)
}

pub fn state_here(agent: &Agent, request: &CompareRequest) -> Result<ComparisonView, Refused> {
    let (application, store) = picked(agent, request)?;
    view(application, store)
}

fn picked<'a>(
    agent: &'a Agent,
    request: &CompareRequest,
) -> Result<(&'a Arc<Application>, &'a StoreName), Refused> {
    let application = pick(agent, request.application.as_ref())?;
    let named = |name| application.spec.stores.get_key_value(name).map(|(name, _)| name);
    let first = || application.first_postgres().or_else(|| application.spec.stores.keys().next());
    let store = request.store.as_ref().map_or_else(first, named);
    let store = store.ok_or_else(|| unknown("the application has no such store".to_owned()))?;
    Ok((application, store))
}

fn view(application: &Application, store: &StoreName) -> Result<ComparisonView, Refused> {
    let known = application.known();
    let job = known.comparisons.get(store).and_then(|it| it.job.as_ref()).ok_or_else(|| {
        unknown(format!("{} has made no comparison since its agent began", application.here()))
    })?;
    Ok(ComparisonView {
        application: application.spec.name.clone(),
        store: store.clone(),
        site: application.here().clone(),
        started_micros: job.started_micros,
        others: Vec::new(),
        state: job.state(tick()),
    })
}
