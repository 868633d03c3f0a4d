//! After an upgrade (a WebSocket): bytes both ways, as long as the gate may pass them.

use super::upstreams::Load;
use crate::gate::posture::OpenWork;
use crate::gate::shared::Pass;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

/// Carries bytes until one side ends, or until the site is left: also in a planned switch at once,
/// because nobody can tell when such a connection would be at rest. Clients connect again, and are
/// held then.
pub async fn carried(client: OnUpgrade, upstream: OnUpgrade, pass: Pass, load: Option<Load>) {
    let cut = pass.cut.clone();
    tokio::select! {
        () = carry(client, upstream) => {}
        () = cut.cancelled() => {}
        () = until_left(&pass) => {}
    }
    drop((pass, load));
}

async fn carry(client: OnUpgrade, upstream: OnUpgrade) {
    let (client, upstream) = match tokio::try_join!(client, upstream) {
        Ok((client, upstream)) => (client, upstream),
        Err(error) => return tracing::debug!(%error, "an upgrade did not come about"),
    };
    let (mut client, mut upstream) = (TokioIo::new(client), TokioIo::new(upstream));
    if let Err(error) = tokio::io::copy_bidirectional(&mut client, &mut upstream).await {
        tracing::debug!(%error, "an upgraded connection ended");
    }
}

/// Work that another gate answers ends with that gate's part of it.
async fn until_left(pass: &Pass) {
    let mut changes = pass.shared.watch();
    while pass.shared.open_work(&pass.route) == OpenWork::Keep {
        if changes.changed().await.is_err() {
            return;
        }
    }
}
