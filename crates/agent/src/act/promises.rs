//! Asking every other candidate not to act for a lease time: how a healthy application outlives
//! its coordinator.

use crate::application::Application;
use crate::peer::Peer;
use crate::peer::messages::{PromiseAnswer, PromiseRequest};
use crate::time::tick;
use mainstay_core::decision::Promise;
use std::sync::Arc;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_millis(900);

pub fn ask(application: &Arc<Application>) {
    let work = application.clone();
    application.single.promises.spawn(async move {
        let Some(epoch) = work.known().facts.record.as_ref().map(|seen| seen.record.epoch) else {
            return;
        };
        let request = PromiseRequest { application: work.spec.name.clone(), epoch };
        let candidates = work.rules.data_sites.iter().filter(|site| *site != work.here());
        let peers = candidates.filter_map(|site| work.context.peers.get(site));
        let asked = peers.map(|peer| ask_one(&work, peer, &request));
        futures::future::join_all(asked).await;
    });
}

async fn ask_one(application: &Application, peer: &Peer, request: &PromiseRequest) {
    let sent = tick();
    let answer: Result<PromiseAnswer, _> = peer.post("/v1/peer/promise", request, TIMEOUT).await;
    if answer.is_ok_and(|answer| answer.given) {
        let promise = Promise { epoch: request.epoch, sent };
        let site = peer.site().clone();
        application.learn(|known| known.facts.promises.insert(site, promise));
    }
}
