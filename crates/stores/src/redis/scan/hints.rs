//! Keys that the source says were changed (Redis, "Keyspace notifications"). The source says so only
//! where `notify-keyspace-events` has `E` and classes of events; nothing is changed there for it.

use crate::redis::connect;
use crate::redis::reply::{self, Reply};
use mainstay_core::estate::RedisEndpoint;
use std::collections::BTreeSet;
use std::io::Result;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// What is named beyond these is left to the sweep.
const WAITING: usize = 10_000;

type Hint = (u64, Vec<u8>);

pub(super) struct Hints {
    named: mpsc::Receiver<Hint>,
    first: Option<Hint>,
    task: JoinHandle<()>,
}

impl Drop for Hints {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Listens as long as the source lets it.
pub(super) fn listen(source: &RedisEndpoint) -> Hints {
    let (tell, named) = mpsc::channel(WAITING);
    let source = source.clone();
    let task = tokio::spawn(async move {
        // Without hints all is as without them: the sweep finds it, later.
        if let Err(why) = hear(&source, &tell).await {
            tracing::debug!(%why, "no notifications from the source");
        }
        tell.closed().await;
    });
    Hints { named, first: None, task }
}

async fn hear(source: &RedisEndpoint, tell: &mpsc::Sender<Hint>) -> Result<()> {
    let connection = connect::connect(source, "hints").await;
    let mut connection = connection.map_err(std::io::Error::other)?;
    let mut command = Vec::new();
    reply::encode(&mut command, &["PSUBSCRIBE", "__keyevent@*__:*"]);
    connection.write_all(&command).await?;
    connection.flush().await?;
    loop {
        let message = reply::read(&mut connection).await?;
        if let Some(hint) = hint(&message) {
            // When too many wait, this one is left to the sweep.
            drop(tell.try_send(hint));
        }
    }
}

/// `pmessage`, pattern, `__keyevent@<database>__:<event>`, key.
fn hint(message: &Reply) -> Option<Hint> {
    let [_, _, channel, Reply::Bulk(key)] = message.items() else { return None };
    let database = channel.text()?.strip_prefix("__keyevent@")?.split('_').next()?;
    Some((database.parse().ok()?, key.clone()))
}

impl Hints {
    /// Waits until a key is named.
    pub(super) async fn arrive(&mut self) {
        if self.first.is_none() {
            self.first = self.named.recv().await;
        }
    }

    /// At most so many keys that were named, of one database.
    pub(super) fn take(&mut self, most: usize) -> Option<(u64, Vec<Vec<u8>>)> {
        let (database, key) = self.first.take().or_else(|| self.named.try_recv().ok())?;
        let mut keys = BTreeSet::from([key]);
        while keys.len() < most {
            match self.named.try_recv() {
                Ok((same, key)) if same == database => drop(keys.insert(key)),
                Ok(other) => {
                    self.first = Some(other);
                    break;
                }
                Err(_) => break,
            }
        }
        Some((database, keys.into_iter().collect()))
    }
}
