//! What was decided of salvaged transactions: `mainstay.decided` of the active site's database.

use super::format::Header;
use crate::postgres::fault::Fault;
use crate::postgres::session::Session;
use mainstay_core::position::Lsn;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use tokio_postgres::Row;
use tokio_postgres::types::PgLsn;

const DOING: &str = "read what was decided of the salvage";

/// Decisions that are held in memory.
const PAGE: i64 = 1000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Replayed,
    Rejected,
}

/// One decision, by the rules or by a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    pub verdict: Verdict,
    /// Microseconds since the Unix epoch, by the active site's clock.
    pub at_micros: i64,
    pub reason: String,
}

const COLUMNS: &str = "commit_lsn, decision, (extract(epoch FROM at) * 1000000)::int8, reason";

fn read(row: &Row) -> (Lsn, Decided) {
    let lsn: PgLsn = row.get(0);
    let verdict = match row.get(1) {
        "rejected" => Verdict::Rejected,
        _ => Verdict::Replayed,
    };
    (Lsn(lsn.into()), Decided { verdict, at_micros: row.get(2), reason: row.get(3) })
}

/// The decision on one transaction.
pub(super) async fn of(session: &Session, header: &Header) -> Result<Option<Decided>, Fault> {
    let sql =
        format!("SELECT {COLUMNS} FROM mainstay.decided WHERE system = $1 AND commit_lsn = $2");
    let lsn = PgLsn::from(header.commit_lsn.0);
    let row = session.maybe_row(DOING, &sql, &[&header.system, &lsn]).await?;
    Ok(row.as_ref().map(|row| read(row).1))
}

/// Decisions page by page, for transactions that are asked for in the order of their commits.
pub(super) struct Decisions {
    session: Session,
    page: VecDeque<(Lsn, Decided)>,
    /// The page holds all decisions from the position asked for last up to here; none: all.
    until: Option<Lsn>,
}

impl Decisions {
    pub fn new(session: Session) -> Self {
        Self { session, page: VecDeque::new(), until: Some(Lsn::default()) }
    }

    pub async fn of(&mut self, header: &Header) -> Result<Option<Decided>, Fault> {
        let lsn = header.commit_lsn;
        if self.until.is_some_and(|until| lsn >= until) {
            self.turn(header).await?;
        }
        while self.page.front().is_some_and(|(at, _)| *at < lsn) {
            self.page.pop_front();
        }
        let found = self.page.front().filter(|(at, _)| *at == lsn);
        Ok(found.map(|(_, decided)| decided.clone()))
    }

    async fn turn(&mut self, from: &Header) -> Result<(), Fault> {
        let sql = format!(
            "SELECT {COLUMNS} FROM mainstay.decided WHERE system = $1 AND commit_lsn >= $2 \
             ORDER BY commit_lsn LIMIT $3"
        );
        let lsn = PgLsn::from(from.commit_lsn.0);
        let rows = self.session.rows(DOING, &sql, &[&from.system, &lsn, &PAGE]).await?;
        self.page = rows.iter().map(read).collect();
        let last = self.page.back().map(|(at, _)| Lsn(at.0 + 1));
        self.until = last.filter(|_| rows.len() as i64 == PAGE);
        Ok(())
    }
}
