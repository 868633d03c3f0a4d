//! Asking the members of etcd how they are, for people.

use super::repeat;
use crate::context::Context;
use crate::coordinator::Coordinator;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const PAUSE: Duration = Duration::from_secs(2);

pub fn start(context: &Arc<Context>, shutdown: &CancellationToken) {
    let context = context.clone();
    tokio::spawn(repeat(PAUSE, shutdown.clone(), move || {
        let context = context.clone();
        async move {
            if let Coordinator::Etcd(etcd) = &context.coordinator {
                etcd.look_at_members().await;
            }
        }
    }));
}
