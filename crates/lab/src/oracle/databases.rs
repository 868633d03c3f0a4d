//! What the two databases hold, asked as their superuser and past every gate.

use crate::current::CurrentLab;
use crate::error::LabError;
use crate::processes::{DATABASE, connect_as_superuser, database_error};
use std::collections::HashSet;
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

/// First and last commit of some transfers, by the wall clock, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CommitSpan {
    pub first_us: Option<i64>,
    pub last_us: Option<i64>,
}

/// The bank's books at one site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    pub transfers: i64,
    /// Sum of all balances.
    pub balance: String,
    /// The sum is what the bank began with, and each balance is its account's first balance plus
    /// what came in minus what went out.
    pub balanced: bool,
    /// No number was given to two transfers.
    pub numbers_unique: bool,
    /// Equal exactly when all rows of all tables are, but for a collision of 64-bit hashes.
    pub fingerprint: String,
}

pub async fn transfers_at(lab: &CurrentLab, site: &str) -> Result<HashSet<Uuid>, LabError> {
    ids(lab, site, "SELECT id FROM public.transfers", &[]).await
}

/// What the database at `by` accepted, as far as the one at `at` knows.
pub async fn accepted_by(lab: &CurrentLab, at: &str, by: &str) -> Result<HashSet<Uuid>, LabError> {
    ids(lab, at, "SELECT id FROM public.transfers WHERE accepted_by = $1", &[&by]).await
}

async fn ids(
    lab: &CurrentLab,
    site: &str,
    query: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<HashSet<Uuid>, LabError> {
    let failed = |error| database_error(&lab.folder, site, error);
    let client = connect(lab, site).await?;
    let rows = client.query(query, parameters).await.map_err(failed)?;
    rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().map_err(failed)
}

/// When the database at `at` committed what it says that `by` accepted. With `made_after`, only
/// transfers made after that moment: rows that came back through a link were committed again.
pub async fn commits_accepted_by(
    lab: &CurrentLab,
    at: &str,
    by: &str,
    made_after_us: Option<i64>,
) -> Result<CommitSpan, LabError> {
    let failed = |error| database_error(&lab.folder, at, error);
    let query = "SELECT (extract(epoch FROM min(c)) * 1000000)::bigint, \
         (extract(epoch FROM max(c)) * 1000000)::bigint \
         FROM (SELECT pg_xact_commit_timestamp(xmin) AS c FROM public.transfers \
         WHERE accepted_by = $1 AND extract(epoch FROM made_at) * 1000000 > $2::bigint) commits";
    let parameters: [&(dyn ToSql + Sync); 2] = [&by, &made_after_us.unwrap_or(0)];
    let client = connect(lab, at).await?;
    let row = client.query_one(query, &parameters).await.map_err(failed)?;
    let get = |column: usize| row.try_get(column).map_err(failed);
    Ok(CommitSpan { first_us: get(0)?, last_us: get(1)? })
}

/// Counts wrong balances instead of asking whether there is one: for EXISTS the planner expects to
/// find one soon, and joins in a way that takes minutes when there is none.
const TALLY: &str = "SELECT \
    (SELECT count(*) FROM public.transfers), \
    (SELECT sum(balance)::text FROM public.accounts), \
    (SELECT sum(balance) = $1::bigint * 1000.00 FROM public.accounts) AND ( \
        SELECT count(*) FROM public.accounts a LEFT JOIN ( \
            SELECT account, sum(change) AS change FROM ( \
                SELECT from_account AS account, -amount AS change FROM public.transfers \
                UNION ALL SELECT to_account, amount FROM public.transfers) c GROUP BY account) m \
        ON m.account = a.id WHERE a.balance <> 1000.00 + coalesce(m.change, 0)) = 0, \
    (SELECT count(DISTINCT number) = count(*) FROM public.transfers), \
    (SELECT coalesce(sum(hashtextextended(t::text, 0)), 0)::text FROM public.transfers t) || '/' || \
    (SELECT coalesce(sum(hashtextextended(a::text, 0)), 0)::text FROM public.accounts a) || '/' || \
    (SELECT coalesce(sum(hashtextextended(p::text, 0)), 0)::text FROM public.payees p)";

pub async fn tally(lab: &CurrentLab, site: &str) -> Result<Tally, LabError> {
    let failed = |error| database_error(&lab.folder, site, error);
    let client = connect(lab, site).await?;
    let row = client.query_one(TALLY, &[&lab.plan.wanted.accounts]).await.map_err(failed)?;
    Ok(Tally {
        transfers: row.try_get(0).map_err(failed)?,
        balance: row.try_get(1).map_err(failed)?,
        balanced: row.try_get(2).map_err(failed)?,
        numbers_unique: row.try_get(3).map_err(failed)?,
        fingerprint: row.try_get(4).map_err(failed)?,
    })
}

pub(super) async fn connect(lab: &CurrentLab, site: &str) -> Result<Client, LabError> {
    connect_as_superuser(&lab.plan, &lab.folder, site, &lab.secrets, DATABASE).await
}
