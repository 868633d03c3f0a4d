//! Asks upstreams whether they take requests, where a path for it is configured.

use super::upstreams::{Upstream, Upstreams};
use crate::probe;
use std::sync::Arc;
use std::time::Duration;

const EVERY: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(1);
/// One lost check may be a busy machine.
const MOST_LOST: u32 = 2;

/// Checks every upstream of the group, each by itself. Never ends.
pub async fn watch(group: Arc<Upstreams>) {
    let Some(path) = &group.rules.check else { return };
    let checks = group.all.iter().map(|upstream| check(upstream, path));
    futures::future::join_all(checks).await;
}

async fn check(upstream: &Upstream, path: &str) {
    let mut lost = 0;
    loop {
        lost = match probe::http(&upstream.address, path, None, TIMEOUT).await {
            Ok(_) => 0,
            Err(_) => lost + 1,
        };
        if lost == 0 || lost >= MOST_LOST {
            upstream.found(lost > 0);
        }
        tokio::time::sleep(EVERY).await;
    }
}
