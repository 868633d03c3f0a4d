//! How far a link had applied, as its target remembers it.

use super::fault::Fault;
use super::session::Session;
use mainstay_core::estate::PostgresEndpoint;
use mainstay_core::position::Lsn;
use postgres_types::PgLsn;

/// What the target of a link durably holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    pub position: Lsn,
    /// Source commit time of the newest applied transaction, microseconds since the Unix epoch.
    pub commit_micros: Option<i64>,
}

/// None when the target has never applied anything of this link.
pub async fn read(target: &PostgresEndpoint, link: &str) -> Result<Option<Applied>, Fault> {
    let session = Session::open(target, "applied").await?;
    let sql = "SELECT position, commit_micros FROM mainstay.link \
               WHERE name = $1 AND position IS NOT NULL";
    let row = session.maybe_row("read how far a link applied", sql, &[&link]).await?;
    Ok(row.map(|row| {
        let position: PgLsn = row.get(0);
        Applied { position: Lsn(position.into()), commit_micros: row.get(1) }
    }))
}
