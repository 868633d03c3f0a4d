//! Letting a link go on that has stopped, on a person's word. It runs at the standby, whichever
//! agent is asked.

use super::moves::{pick, target};
use crate::act;
use crate::agent::Agent;
use crate::application::Application;
use crate::error::Refused;
use crate::peer::PeerError;
use crate::people::Asker;
use crate::types::{ContinueRequest, Continued};
use mainstay_core::{LinkPhase, StoreName};
use std::time::Duration;

/// A link that is told to stop may take a while to end what it does.
const TIMEOUT: Duration = Duration::from_secs(30);

pub async fn at_receiver(
    agent: &Agent,
    request: &ContinueRequest,
    asker: &Asker,
) -> Result<Continued, Refused> {
    let application = pick(agent, request.application.as_ref())?;
    let standby = target(application, None)?;
    let Some(peer) = application.context.peers.get(&standby) else {
        return here(agent, request, asker).await;
    };
    let request =
        ContinueRequest { application: Some(application.spec.name.clone()), ..request.clone() };
    let answer = peer.post("/v1/peer/link/continue", &(request, asker), TIMEOUT).await;
    answer.map_err(|why| match why {
        PeerError::Refused(it) => Refused::new(act::links::NOT_CONTINUED, it.message, it.advice),
        PeerError::NoAnswer { .. } => {
            Refused::new(act::links::NOT_CONTINUED, why.to_string(), "start the agent of that site")
        }
    })
}

/// The link of this site, a standby.
pub async fn here(
    agent: &Agent,
    request: &ContinueRequest,
    asker: &Asker,
) -> Result<Continued, Refused> {
    let application = pick(agent, request.application.as_ref())?;
    let store = request.store.clone().or_else(|| stopped(application));
    let store = store.ok_or_else(|| {
        let what = format!("{} has no store", application.spec.name);
        Refused::new(act::links::NOT_CONTINUED, what, "see `mainstay status`")
    })?;
    let leave_out = request.leave_out.as_deref();
    act::links::go_on(application, &store, leave_out, &asker.signs(&request.reason)).await?;
    Ok(Continued {
        application: application.spec.name.clone(),
        store,
        site: application.here().clone(),
        left_out: request.leave_out.clone(),
    })
}

/// The store whose link has stopped; the first one where none has.
fn stopped(application: &Application) -> Option<StoreName> {
    let known = application.known();
    let mut stopped =
        known.links.values().filter(|it| matches!(it.status.phase, LinkPhase::Stopped { .. }));
    let stopped = stopped.next().map(|it| it.store.clone());
    stopped.or_else(|| application.rules.stores.first().cloned())
}
