//! Asking for what clients will ask for, before they do.

use super::Around;
use crate::runbook::StepError;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use mainstay_core::runbook::{Call, Warm};
use mainstay_traffic::probe;
use std::time::Duration;

/// What is slower than this while it is cold is not waited for.
const EACH: Duration = Duration::from_secs(5);

pub async fn make(around: &Around<'_>, warm: &Warm) -> Result<String, StepError> {
    let list = tokio::fs::read_to_string(&warm.list).await;
    let list = list.map_err(|why| StepError::new(format!("{}: {why}", warm.list)))?;
    let paths = list.lines().map(str::trim).filter(|line| line.starts_with('/'));
    let calls: Vec<Call> = paths.map(|path| call(warm, path)).collect();
    let key = around.key();
    let mut asked: Vec<BoxFuture<'_, _>> = Vec::new();
    for call in &calls {
        asked.push(probe::call(call, &key, EACH).boxed());
    }
    let concurrency = usize::try_from(warm.concurrency).unwrap_or(1).max(1);
    let mut asked = futures::stream::iter(asked).buffer_unordered(concurrency);
    let (mut warmed, mut failed) = (0_u32, 0_u32);
    while let Some(answer) = asked.next().await {
        match answer {
            Ok(_) => warmed += 1,
            Err(why) => {
                failed += 1;
                if failed >= warm.most_failures {
                    return Err(StepError::new(format!(
                        "stopped after {failed} failures; {warmed} were warmed; the last: {why}"
                    )));
                }
            }
        }
    }
    Ok(format!("{warmed} of {} were warmed", calls.len()))
}

fn call(warm: &Warm, path: &str) -> Call {
    Call {
        method: "GET".to_owned(),
        address: warm.address.clone(),
        path: path.to_owned(),
        body: None,
        status: (200, 399),
        authority: None,
        link_local: false,
        repeatable: true,
    }
}

pub fn missing(warm: &Warm) -> Vec<String> {
    let read = std::fs::File::open(&warm.list);
    read.err().map(|why| format!("{}: {why}", warm.list)).into_iter().collect()
}
