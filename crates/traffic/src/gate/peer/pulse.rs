//! Notices that the active site's gate cannot be reached any more. A connection through a cut
//! network stays open and silent, and requests on it would wait for ever.

use super::client::Peers;
use crate::gate::posture::{NewWork, Route};
use crate::gate::shared::Shared;
use crate::tick;
use mainstay_core::SiteName;
use std::sync::Arc;
use std::time::Duration;

const EVERY: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(2);
/// One lost attempt may be a busy machine.
const MOST_LOST: u32 = 2;

/// Looks after the site to which work is passed on, as long as there is one. Never ends.
pub async fn watch(shared: Arc<Shared>, peers: Arc<Peers>) {
    let mut lost = 0;
    loop {
        tokio::time::sleep(EVERY).await;
        let Some(site) = active(&shared) else {
            lost = 0;
            continue;
        };
        lost = if peers.reaches(&site, TIMEOUT).await { 0 } else { lost + 1 };
        if lost == 0 && has_share(&shared) {
            agree(&shared, &peers, &site).await;
        }
        if lost == MOST_LOST {
            tracing::warn!(code = "MS-GATE-021", %site, "the active site's gate cannot be reached");
        }
        if lost >= MOST_LOST {
            peers.shut(&site);
            shared.cut_peer();
        }
    }
}

/// Whether requests that only read are answered here while another site is active.
fn has_share(shared: &Shared) -> bool {
    let weights = shared.spec.http.as_ref().map(|http| &http.options.weights);
    weights.and_then(|weights| weights.get(&shared.spec.here)).is_some_and(|weight| *weight > 0)
}

/// The active site's gate is asked whether it is at this gate's epoch: a site that was left behind
/// must not answer from what it has.
async fn agree(shared: &Shared, peers: &Peers, site: &SiteName) {
    let asked = tick::now();
    let standing = shared.standing();
    if peers.open_reads(site, standing.epoch()).await.is_ok() {
        shared.agree(asked);
    }
}

fn active(shared: &Shared) -> Option<SiteName> {
    match shared.standing().new_work(tick::now()) {
        NewWork::Go(Route::Peer(site)) => Some(site),
        _ => None,
    }
}
