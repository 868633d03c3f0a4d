//! Whether a database takes a commit, and how far its history is.

use super::connect;
use super::fault::Fault;
use super::fence::{self, FenceState};
use super::session::{Session, fault};
use mainstay_core::estate::PostgresEndpoint;
use mainstay_core::position::Lsn;
use tokio_postgres::types::PgLsn;

/// A real write, committed and durable: Mainstay's own, or the statement of the endpoint's user,
/// with the settings that the server gives to that user.
pub async fn write(endpoint: &PostgresEndpoint, statement: Option<&str>) -> Result<(), Fault> {
    let Some(statement) = statement else {
        return beat(&Session::open(endpoint, "probe").await?).await;
    };
    let client = connect::as_client(endpoint, "probe").await?;
    let done = client.execute(statement, &[]).await;
    done.map(drop).map_err(|why| fault(&connect::place(endpoint), "make the probe's write", &why))
}

/// A session that is kept for looking again and again: a login each time would be most of the
/// database's work for it.
pub struct Probe {
    session: Session,
}

/// What one look saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// The end of what is durable.
    pub position: Lsn,
    pub fence: FenceState,
}

impl Probe {
    pub async fn open(endpoint: &PostgresEndpoint) -> Result<Self, Fault> {
        Ok(Self { session: Session::open(endpoint, "probe").await? })
    }

    /// Writes, and reads the position and the fence.
    pub async fn look(&self) -> Result<Look, Fault> {
        beat(&self.session).await?;
        let position = position(&self.session).await?;
        Ok(Look { position, fence: fence::state_in(&self.session).await? })
    }
}

async fn position(session: &Session) -> Result<Lsn, Fault> {
    let sql = "SELECT pg_catalog.pg_current_wal_flush_lsn()";
    let position: PgLsn = session.row("read the position", sql, &[]).await?.get(0);
    Ok(Lsn(position.into()))
}

pub(crate) async fn beat(session: &Session) -> Result<(), Fault> {
    let sql = "INSERT INTO mainstay.heartbeat AS h (beat, at) VALUES (1, pg_catalog.now()) \
               ON CONFLICT (one) DO UPDATE SET beat = h.beat + 1, at = pg_catalog.now()";
    session.execute("write a heartbeat", sql, &[]).await.map(drop)
}
