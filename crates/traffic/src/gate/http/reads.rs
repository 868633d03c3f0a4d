//! Requests that only read, to a site that has a share of them and need not be active.

use super::body::GateBody;
use super::headers::Origin;
use super::pool::{CheckIn, handshake};
use super::{Attempt, Proxy, Work};
use crate::gate::posture::Route;
use crate::gate::shared::Pass;
use http::Response;
use mainstay_core::SiteName;
use std::sync::Arc;

impl Proxy {
    /// A site's share of what only reads, where that site takes it at once. What it does not
    /// answer goes the way of all other requests.
    pub(super) async fn read_elsewhere(&self, work: &mut Work) -> Option<Response<GateBody>> {
        let shares = self.shares.as_ref()?;
        let theirs = matches!(work.origin, Origin::Client(_)) && work.head.only_reads();
        let cookie = self.routes.of(&work.head).rules.sticky.as_deref();
        let site = theirs.then(|| shares.pick(&work.head, cookie)).flatten()?;
        let pass = self.shared.admit_read(site)?;
        let attempt = match &pass.route {
            Route::Local => self.attempt_here(pass, work).await,
            Route::Peer(_) => self.read_there(pass, site, work).await,
        };
        match attempt {
            Attempt::Answered(response) => Some(response),
            Attempt::Undelivered(_) | Attempt::Lost(_) => None,
        }
    }

    async fn read_there(&self, pass: Pass, site: &SiteName, work: &mut Work) -> Attempt {
        let Some(connection) = self.reader(&pass, site).await else {
            return Attempt::Undelivered(self.not_served());
        };
        let asked = self.ask_peer(connection, pass, work).await;
        asked.unwrap_or_else(|| Attempt::Undelivered(self.not_served()))
    }

    /// A tunnel to a gate that takes what only reads at this epoch.
    async fn reader(&self, pass: &Pass, site: &SiteName) -> Option<CheckIn> {
        let (pool, tag) = (self.readers.get(site)?, (pass.epoch.number(), pass.cuts));
        let sender = match pool.take(tag).await {
            Some(sender) => sender,
            None => {
                let stream = self.peers.open_reads(site, pass.epoch).await.ok()?;
                handshake(stream).await.ok()?
            }
        };
        Some(CheckIn { pool: Arc::clone(pool), tag, sender })
    }
}
