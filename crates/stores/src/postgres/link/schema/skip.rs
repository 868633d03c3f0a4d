//! Schema changes that a person has the target leave out, after making both sides the same by hand.

use crate::postgres::fault::Fault;
use crate::postgres::link::LinkSpec;
use crate::postgres::link::failure::LinkError;
use crate::postgres::link::sql::Sql;
use crate::postgres::session::Session;
use mainstay_core::position::Lsn;

/// Why a schema change cannot be left out.
#[derive(Debug, thiserror::Error)]
pub enum SkipError {
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error(
        "{at} is not after {applied}, up to which the target has applied the source's changes; \
         copy the position from what the link says"
    )]
    Passed { at: Lsn, applied: Lsn },
    #[error("the target has no position of this link yet, so there is nothing to leave out")]
    NoPosition,
}

impl SkipError {
    /// The documented code of this error: a page in `docs/errors`.
    pub fn code(&self) -> &'static str {
        match self {
            SkipError::Fault(fault) => fault.code(),
            SkipError::Passed { .. } | SkipError::NoPosition => "MS-PG-215",
        }
    }
}

/// Has the link leave out the one schema change at `at`, durably. Safe to make twice.
pub async fn leave_out(spec: &LinkSpec, at: Lsn, reason: &str) -> Result<(), SkipError> {
    const INSERT: &str = "INSERT INTO mainstay.schema_skip (link, at, reason) \
                          VALUES ($1, $2::text::pg_lsn, $3) \
                          ON CONFLICT (link, at) DO UPDATE SET reason = EXCLUDED.reason";
    let link = spec.name();
    let applied = crate::postgres::applied::read(&spec.target, &link).await?;
    let applied = applied.ok_or(SkipError::NoPosition)?.position;
    if at <= applied {
        return Err(SkipError::Passed { at, applied });
    }
    let session = Session::open(&spec.target, "leave out").await?;
    let doing = "leave a schema change out";
    session.execute(doing, INSERT, &[&link, &at.to_string(), &reason]).await?;
    Ok(())
}

/// Whether a person decided so.
pub(super) async fn is_left_out(sql: &Sql, link: &str, at: Lsn) -> Result<bool, LinkError> {
    const FIND: &str = "SELECT FROM mainstay.schema_skip WHERE link = $1 AND at = $2::text::pg_lsn";
    let found = sql.rows("read mainstay.schema_skip", FIND, &[&link, &at.to_string()]).await?;
    Ok(!found.is_empty())
}
