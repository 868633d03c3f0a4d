//! Statements sent one after the other without waiting for each answer, and the answers checked.

use super::failure::{LinkError, Verdict};
use super::resume;
use super::sql::Sql;
use super::table::TargetTable;
use mainstay_core::position::Lsn;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

/// Statements under way at most. More gain nothing: the server is busy by then.
const WINDOW: usize = 256;

type Answer = Result<u64, tokio_postgres::Error>;
type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// What the answer must be.
pub(super) enum Expect {
    Anything,
    /// The link's position was moved from here.
    Position(Lsn),
    /// So many rows of the table were changed, in the transaction that ends at `end`.
    Rows {
        table: Arc<TargetTable>,
        verb: &'static str,
        rows: u64,
        end: Lsn,
    },
    /// The tables were changed; any number of rows.
    Tables(String),
}

enum Waiting {
    Answering(Answering),
    Answered(Answer),
}

#[derive(Default)]
pub(super) struct Pipeline {
    waiting: VecDeque<(Waiting, Expect)>,
}

impl Pipeline {
    /// Sends the statement: the first poll of `answer` does so, which keeps the order.
    pub async fn send(
        &mut self,
        sql: &Sql,
        answer: impl Future<Output = Answer> + Send + 'static,
        expect: Expect,
    ) -> Result<(), LinkError> {
        let mut answering: Answering = Box::pin(answer);
        let first = std::future::poll_fn(|cx| Poll::Ready(answering.as_mut().poll(cx))).await;
        let waiting = match first {
            Poll::Ready(answer) => Waiting::Answered(answer),
            Poll::Pending => Waiting::Answering(answering),
        };
        self.waiting.push_back((waiting, expect));
        if self.waiting.len() > WINDOW { self.check_one(sql).await } else { Ok(()) }
    }

    /// Waits for all answers; the first that is not as expected is the error.
    pub async fn finish(&mut self, sql: &Sql) -> Result<(), LinkError> {
        while !self.waiting.is_empty() {
            self.check_one(sql).await?;
        }
        Ok(())
    }

    async fn check_one(&mut self, sql: &Sql) -> Result<(), LinkError> {
        let Some((waiting, expect)) = self.waiting.pop_front() else { return Ok(()) };
        let answer = match waiting {
            Waiting::Answering(answering) => answering.await,
            Waiting::Answered(answer) => answer,
        };
        expect.check(sql, answer)
    }
}

impl Expect {
    fn check(self, sql: &Sql, answer: Answer) -> Result<(), LinkError> {
        let place = || sql.place().to_owned();
        match (self, answer) {
            (Expect::Anything | Expect::Tables(_), Ok(_)) => Ok(()),
            (Expect::Position(_), Ok(1)) => Ok(()),
            (Expect::Rows { rows, .. }, Ok(found)) if rows == found => Ok(()),
            (Expect::Position(expected), Ok(_)) => {
                Err(LinkError::Overtaken { place: place(), expected })
            }
            (Expect::Rows { table, verb, end, .. }, Ok(found)) => Err(LinkError::RowMissing {
                place: place(),
                table: table.name.clone(),
                change: verb,
                found,
                position: end,
            }),
            (Expect::Rows { table, .. }, Err(e)) => Err(refused(sql, &table.name, &e)),
            (Expect::Tables(names), Err(e)) => Err(refused(sql, &names, &e)),
            (_, Err(e)) => Err(sql.failed("apply a transaction", &e)),
        }
    }
}

/// A change that the target refuses for good, with its table; or what heals by itself.
pub(super) fn refused(sql: &Sql, table: &str, error: &tokio_postgres::Error) -> LinkError {
    match sql.failed(&format!("apply a change of {table}"), error) {
        LinkError::Sql { place, why, sqlstate, doing } => {
            let error = LinkError::Sql { place, doing, why, sqlstate };
            match (error.verdict(), error) {
                (Verdict::Stop(_), LinkError::Sql { place, why, .. }) => {
                    LinkError::Refused { place, table: table.to_owned(), why }
                }
                (_, error) => error,
            }
        }
        other => other,
    }
}

/// Tells apart why the position could not be moved, once the transaction is rolled back.
pub(super) async fn explain(sql: &Sql, spec: &super::LinkSpec, error: LinkError) -> LinkError {
    match error {
        LinkError::Overtaken { expected, .. } => resume::overtaken(sql, spec, expected).await,
        other => other,
    }
}
