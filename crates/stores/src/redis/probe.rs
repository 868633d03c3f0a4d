//! Whether a server takes a write, and how far its history is.

use super::fault::Fault;
use super::fence::{self, FenceState};
use super::session::Session;
use mainstay_core::estate::RedisEndpoint;
use mainstay_core::position::ReplicationOffset;
use tokio::sync::Mutex;

/// A real write.
pub async fn write(endpoint: &RedisEndpoint) -> Result<(), Fault> {
    beat(&mut Session::open(endpoint, "probe").await?).await
}

/// A session that is kept for looking again and again.
pub struct Probe {
    session: Mutex<Session>,
    users: Vec<String>,
}

/// What one look saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// The end of the server's history.
    pub position: ReplicationOffset,
    pub fence: FenceState,
}

impl Probe {
    pub async fn open(endpoint: &RedisEndpoint, users: &[String]) -> Result<Self, Fault> {
        let session = Mutex::new(Session::open(endpoint, "probe").await?);
        Ok(Self { session, users: users.to_vec() })
    }

    /// Writes, and reads the position and the fence.
    pub async fn look(&self) -> Result<Look, Fault> {
        let mut session = self.session.lock().await;
        beat(&mut session).await?;
        let position = position(&mut session).await?;
        Ok(Look { position, fence: fence::state_in(&mut session, &self.users).await? })
    }
}

/// The end of the server's history.
pub async fn end(endpoint: &RedisEndpoint) -> Result<ReplicationOffset, Fault> {
    position(&mut Session::open(endpoint, "probe").await?).await
}

pub(crate) async fn position(session: &mut Session) -> Result<ReplicationOffset, Fault> {
    let doing = "read the position";
    let info = session.info("replication").await?;
    let history = info.get("master_replid").and_then(|id| id.parse().ok());
    let offset = info.get("master_repl_offset").and_then(|offset| offset.parse().ok());
    match (history, offset) {
        (Some(history), Some(offset)) => Ok(ReplicationOffset { history, offset }),
        _ => Err(session.refused(doing, "INFO replication does not tell it".to_owned())),
    }
}

/// The server's own clock, so that whoever reads it at the other end need not trust another.
const BEAT: &str = "mainstay:heartbeat";

pub(crate) async fn beat(session: &mut Session) -> Result<(), Fault> {
    let doing = "write a heartbeat";
    let time = session.call(doing, &["TIME"]).await?;
    let [Some(seconds), Some(micros)] = [0, 1].map(|at| time.items().get(at)?.number()) else {
        return Err(session.refused(doing, "TIME tells no time".to_owned()));
    };
    let micros = (seconds * 1_000_000 + micros).to_string();
    session.call(doing, &["SET", BEAT, &micros]).await.map(drop)
}
