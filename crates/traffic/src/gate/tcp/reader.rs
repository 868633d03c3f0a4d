//! How a connection that only reads gets to the nearest database that may be read: this site's own,
//! another one's, or the active site's.

use super::admission::Failure;
use super::{Port, Stores, To, Way};
use crate::gate::peer::client::TunnelError;
use crate::gate::peer::hello::Target;
use crate::gate::posture::Route;
use crate::gate::reads::Counted;
use crate::gate::shared::Pass;
use crate::gate::wire::Wire;
use mainstay_core::{SiteName, StoreName};
use std::io;
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

impl Stores {
    pub(super) async fn open_reader(
        &self,
        to: To<'_>,
        first: &[u8],
        deadline: Instant,
    ) -> Result<(Pass, Wire), Failure> {
        // Before anything is looked at: what changes meanwhile is not missed.
        let changed = self.shared.reads.changed();
        if let Some(nearest) = self.nearest(to.store, to.port, first).await {
            return Ok(nearest);
        }
        tokio::select! {
            opened = self.open_writer(to, first, deadline) => opened,
            () = changed => Err(Failure::Again("a database became readable".to_owned())),
        }
    }

    async fn nearest(&self, store: &StoreName, port: &Port, first: &[u8]) -> Option<(Pass, Wire)> {
        if let Some(pass) = self.shared.admit_reader(store) {
            match self.read_here(store, port, first).await {
                Ok(server) => return Some((pass, server)),
                Err(error) => tracing::debug!(%store, %error, "this site's own is not read"),
            }
        }
        let active = self.shared.active();
        for site in self.shared.spec.peers.keys().filter(|site| active.as_ref() != Some(site)) {
            match self.read_at(store, site, first).await {
                Ok(server) => return Some((self.shared.reader_at(site), server)),
                Err(error) => tracing::debug!(%store, %site, %error, "it is not read there"),
            }
        }
        None
    }

    async fn read_here(&self, store: &StoreName, port: &Port, first: &[u8]) -> io::Result<Wire> {
        let mut server = self.connect(store, port).await.map_err(io::Error::other)?;
        server.write_all(first).await?;
        server.flush().await?;
        Ok(server)
    }

    /// Another site's own database, if it may be read.
    pub(super) async fn read_at(
        &self,
        store: &StoreName,
        site: &SiteName,
        first: &[u8],
    ) -> Result<Wire, TunnelError> {
        let epoch = self.shared.standing().epoch();
        let target = Target::StoreReads(store.clone());
        let mut server = self.peers.open_at_once(site, epoch, target).await?;
        let sent = async { server.write_all(first).await.and(server.flush().await) }.await;
        sent.map_err(TunnelError::unreachable)?;
        Ok(server)
    }

    /// Counts a reader that is not answered by this site's own database, which counts its own.
    pub(super) fn count_reader(&self, to: To<'_>, pass: &Pass) -> Option<Counted<'_>> {
        if to.way == Way::Writer {
            return None;
        }
        let own = pass.only_reads() && pass.route == Route::Local;
        let place = match &pass.route {
            Route::Local => &self.shared.spec.here,
            Route::Peer(site) => site,
        };
        tracing::debug!(store = %to.store, %place, writer = !pass.only_reads(), "a reader is led there");
        (!own).then(|| self.shared.reads.count_away())
    }
}
