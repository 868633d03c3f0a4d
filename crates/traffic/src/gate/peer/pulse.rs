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
        if lost == MOST_LOST {
            tracing::warn!(code = "MS-GATE-021", %site, "the active site's gate cannot be reached");
        }
        if lost >= MOST_LOST {
            peers.shut(&site);
            shared.cut_peer();
        }
    }
}

fn active(shared: &Shared) -> Option<SiteName> {
    match shared.standing().new_work(tick::now()) {
        NewWork::Go(Route::Peer(site)) => Some(site),
        _ => None,
    }
}
