//! What a link looks at at its source, beside the stream: where its history ends.

use super::shared::Shared;
use crate::redis::fault::Fault;
use crate::redis::session::Session;
use mainstay_core::position::ReplicationOffset;
use std::convert::Infallible;
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_millis(200);

/// When it cannot look, the lag becomes unknown by itself; the stream goes on.
pub(super) async fn observe(shared: &Shared, watcher: Session) -> Infallible {
    let mut watcher = Some(watcher);
    loop {
        let looked = match &mut watcher {
            Some(session) => look(shared, session).await.map(|()| None),
            None => Session::open(&shared.spec.source, "watch").await.map(Some),
        };
        match looked {
            Ok(None) => {}
            Ok(opened) => {
                watcher = opened;
                continue;
            }
            Err(error) => {
                tracing::debug!(link = %shared.spec.name(), %error, "cannot look at the source");
                watcher = None;
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn look(shared: &Shared, session: &mut Session) -> Result<(), Fault> {
    let asked = Instant::now();
    let info = session.info("replication").await?;
    let history = info.get("master_replid").and_then(|id| id.parse().ok());
    let offset = info.get("master_repl_offset").and_then(|offset| offset.parse().ok());
    let backlog = info.get("repl_backlog_size").and_then(|size| size.parse().ok());
    // A server that says neither is not one whose stream we could read.
    if let (Some(history), Some(offset)) = (history, offset) {
        shared.sample(ReplicationOffset { history, offset }, asked, backlog);
    }
    Ok(())
}

/// How many keys a server has that are not Mainstay's own.
pub(super) async fn count_keys(session: &mut Session) -> Result<u64, Fault> {
    let info = session.info("keyspace").await?;
    let keys = |fields: &String| -> Option<u64> {
        fields.split(',').next()?.strip_prefix("keys=")?.parse().ok()
    };
    let all: u64 = info.values().filter_map(keys).sum();
    let own = session.call("look for Mainstay's keys", &["KEYS", "mainstay:*"]).await?;
    Ok(all.saturating_sub(own.items().len() as u64))
}
