//! A person's word on a way back that waits for it. It is taken at the returning site, whichever
//! agent is asked.

use super::moves::{pick, target};
use crate::act::returning;
use crate::agent::Agent;
use crate::error::Refused;
use crate::peer::PeerError;
use crate::people::Asker;
use crate::types::{Return, ReturnRequest};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(10);

pub async fn at_returning(
    agent: &Agent,
    request: &ReturnRequest,
    asker: &Asker,
) -> Result<Return, Refused> {
    let application = pick(agent, request.application.as_ref())?;
    let site = target(application, None)?;
    let Some(peer) = application.context.peers.get(&site) else {
        return here(agent, request, asker).await;
    };
    let name = Some(application.spec.name.clone());
    let request = ReturnRequest { application: name, ..request.clone() };
    let answer = peer.post("/v1/peer/return/continue", &(request, asker), TIMEOUT).await;
    answer.map_err(|why| match why {
        PeerError::Refused(it) => refused(it.message),
        PeerError::NoAnswer { .. } => refused(why.to_string()),
    })
}

pub async fn here(
    agent: &Agent,
    request: &ReturnRequest,
    asker: &Asker,
) -> Result<Return, Refused> {
    let application = pick(agent, request.application.as_ref())?;
    let store = request.store.as_ref().or_else(|| application.first_postgres());
    let store =
        store.ok_or_else(|| refused("the application has no store of kind postgres".to_owned()))?;
    let reason = asker.signs(&request.reason);
    returning::go_on_inexact(application, store, &reason).await.map_err(refused)
}

fn refused(what: String) -> Refused {
    Refused::new("MS-AGENT-017", what, "see `mainstay status`")
}
