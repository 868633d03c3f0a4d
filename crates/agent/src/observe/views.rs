//! Asking the other agents what they know.

use super::repeat;
use crate::context::{Applications, Context};
use crate::peer::Peer;
use crate::peer::messages::View;
use crate::time::tick;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const PAUSE: Duration = Duration::from_millis(500);
const TIMEOUT: Duration = Duration::from_millis(1500);

pub fn start(context: &Arc<Context>, applications: &Applications, shutdown: &CancellationToken) {
    for peer in context.peers.values() {
        let (peer, applications) = (peer.clone(), applications.clone());
        tokio::spawn(repeat(PAUSE, shutdown.clone(), move || {
            let (peer, applications) = (peer.clone(), applications.clone());
            async move { look(&peer, &applications).await }
        }));
    }
}

async fn look(peer: &Peer, applications: &Applications) {
    let Ok(view) = peer.get::<View>("/v1/peer/view", TIMEOUT).await else { return };
    let now = tick();
    for (name, seen) in view.applications {
        if let Some(application) = applications.get(&name) {
            application.learn(|known| known.take_view(peer.site(), seen, now));
        }
    }
}
