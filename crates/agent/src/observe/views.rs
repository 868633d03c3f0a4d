//! Asking the other agents what they know.

use super::repeat;
use crate::application::Applications;
use crate::clocks::exchange;
use crate::context::Context;
use crate::peer::Peer;
use crate::peer::messages::View;
use crate::time::tick;
use mainstay_core::Tick;
use mainstay_core::watch::Exchange;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

const PAUSE: Duration = Duration::from_millis(500);
const TIMEOUT: Duration = Duration::from_millis(1500);
/// How often another site's newest hash is entered in this site's ledger: whoever cuts off or
/// rewrites a ledger leaves at most this much that no other site could contradict.
const HEADS: Duration = Duration::from_secs(60);

pub fn start(context: &Arc<Context>, applications: &Applications, shutdown: &CancellationToken) {
    for peer in context.peers.values() {
        let look = Arc::new(Look {
            context: context.clone(),
            applications: applications.clone(),
            peer: peer.clone(),
            head_entered: Mutex::default(),
        });
        tokio::spawn(repeat(PAUSE, shutdown.clone(), move || {
            let look = look.clone();
            async move { look.once().await }
        }));
    }
}

struct Look {
    context: Arc<Context>,
    applications: Applications,
    peer: Arc<Peer>,
    head_entered: Mutex<Option<Tick>>,
}

impl Look {
    async fn once(&self) {
        let sent = tick();
        let Ok(view) = self.peer.get::<View>("/v1/peer/view", TIMEOUT).await else { return };
        let now = tick();
        self.measure(exchange(sent, view.tick, now)).await;
        self.enter_head(&view, now).await;
        for (name, seen) in view.applications {
            if let Some(application) = self.applications.get(&name) {
                application.learn(|known| known.take_view(self.peer.site(), seen, sent));
            }
        }
    }

    /// How fast that machine's clock runs beside this one's.
    async fn measure(&self, exchange: Option<Exchange>) {
        let (Some(exchange), here) = (exchange, self.context.here()) else { return };
        let Some(off) = self.context.clocks.take(here, self.peer.site(), exchange) else { return };
        let (kind, body) = match off {
            Some(off) => ("clock-off", json!({"sites": off.sites, "permille": off.permille})),
            None => ("clocks-agree", json!({})),
        };
        tracing::warn!(kind, %body, "clocks");
        if let Err(why) = self.context.ledger.append(kind, "", &body).await {
            tracing::error!(%why, kind, "what clocks do was not entered");
        }
    }

    async fn enter_head(&self, view: &View, now: Tick) {
        let mut entered = self.head_entered.lock().await;
        if entered.is_some_and(|at| now.since(at) < HEADS) {
            return;
        }
        let (number, hash) = &view.head;
        let body = serde_json::json!({"site": self.peer.site(), "number": number, "hash": hash});
        *entered = Some(now);
        if let Err(why) = self.context.ledger.append("head", "", &body).await {
            tracing::error!(%why, "another site's head was not entered; it is tried again later");
        }
    }
}
