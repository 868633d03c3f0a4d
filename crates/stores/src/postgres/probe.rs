//! Whether a database takes a commit, and how far its history is.

use super::fault::Fault;
use super::session::Session;
use mainstay_core::estate::PostgresEndpoint;
use mainstay_core::position::Lsn;
use tokio_postgres::types::PgLsn;

/// A real write, committed and durable.
pub async fn write(endpoint: &PostgresEndpoint) -> Result<(), Fault> {
    beat(&Session::open(endpoint, "probe").await?).await
}

/// The end of what is durable.
pub async fn position(endpoint: &PostgresEndpoint) -> Result<Lsn, Fault> {
    let session = Session::open(endpoint, "probe").await?;
    let sql = "SELECT pg_catalog.pg_current_wal_flush_lsn()";
    let position: PgLsn = session.row("read the position", sql, &[]).await?.get(0);
    Ok(Lsn(position.into()))
}

pub(crate) async fn beat(session: &Session) -> Result<(), Fault> {
    let sql = "INSERT INTO mainstay.heartbeat AS h (beat, at) VALUES (1, pg_catalog.now()) \
               ON CONFLICT (one) DO UPDATE SET beat = h.beat + 1, at = pg_catalog.now()";
    session.execute("write a heartbeat", sql, &[]).await.map(drop)
}
