//! Following a comparison to its end: progress to standard error, redrawn on a terminal, as plain
//! lines elsewhere. Leaving it changes nothing: it goes on, and can be joined again.

use super::output::{follow_line, remark};
use super::text::seconds;
use super::{Context, Failure, site};
use crate::client::{Client, ClientError};
use mainstay_agent::stores::{Compared, Progress};
use mainstay_agent::types::{ComparisonState, ComparisonView};
use mainstay_stores::{postgres, redis};
use std::io::IsTerminal;
use std::time::{Duration, Instant};
use tokio::signal::unix::SignalKind;

const EVERY: Duration = Duration::from_millis(200);
/// Between two plain lines: a log is read later, and must not be long.
const LINES: Duration = Duration::from_secs(5);
/// For so long an agent that does not answer is asked again.
const PATIENCE: Duration = Duration::from_secs(60);
/// The agent's code for a standby's agent that did not answer it.
const STANDBY_SILENT: &str = "MS-AGENT-016";

/// The comparison's result; none when the person left it.
pub async fn follow(
    begun: ComparisonView,
    client: &Client,
    context: &Context,
) -> Result<Option<Compared>, Failure> {
    let mut interrupt = site::listen(SignalKind::interrupt())?;
    let mut shown = Shown::new(context);
    let ended = tokio::select! {
        ended = until_it_ends(begun, client, &mut shown) => ended.map(Some),
        _ = interrupt.recv() => Ok(None),
    };
    shown.clear();
    if matches!(ended, Ok(None)) {
        remark("left it; it goes on. To join it again: mainstay compare");
    }
    ended
}

async fn until_it_ends(
    mut view: ComparisonView,
    client: &Client,
    shown: &mut Shown,
) -> Result<Compared, Failure> {
    let path = format!("/v1/compare?application={}&store={}", view.application, view.store);
    let mut answered = Instant::now();
    loop {
        match view.state {
            ComparisonState::Ended { result, .. } => return Ok(*result),
            ComparisonState::Failed { error, .. } => return Err(ClientError::Refused(error).into()),
            ComparisonState::Running { progress, seconds_left } => {
                shown.show(progress.as_ref(), seconds_left);
            }
        }
        view = loop {
            tokio::time::sleep(EVERY).await;
            match client.get(&path).await {
                Ok(view) => break view,
                Err(error) if may_pass(&error) && answered.elapsed() < PATIENCE => {}
                Err(error) => return Err(error.into()),
            }
        };
        answered = Instant::now();
    }
}

fn may_pass(error: &ClientError) -> bool {
    match error {
        ClientError::Silent { .. } => true,
        ClientError::Refused(refusal) => refusal.code == STANDBY_SILENT,
        ClientError::Strange { .. } => false,
    }
}

enum Shown {
    Terminal,
    Lines { last: Option<Instant> },
    Silent,
}

impl Shown {
    fn new(context: &Context) -> Self {
        match (context.json(), std::io::stderr().is_terminal()) {
            (true, _) => Shown::Silent,
            (false, true) => Shown::Terminal,
            (false, false) => Shown::Lines { last: None },
        }
    }

    fn show(&mut self, progress: Option<&Progress>, seconds_left: Option<u64>) {
        match self {
            Shown::Silent => {}
            Shown::Terminal => follow_line(&line(progress, seconds_left)),
            Shown::Lines { last } => {
                if last.is_none_or(|last| last.elapsed() >= LINES) {
                    *last = Some(Instant::now());
                    remark(&line(progress, seconds_left));
                }
            }
        }
    }

    fn clear(&self) {
        if matches!(self, Shown::Terminal) {
            follow_line("");
        }
    }
}

pub fn line(progress: Option<&Progress>, seconds_left: Option<u64>) -> String {
    let mut text = match progress {
        Some(Progress::Postgres(progress)) if progress.tables > 0 => tables(progress),
        Some(Progress::Redis(progress)) => keys(progress),
        _ => return "comparing: bringing both sites to one position".to_owned(),
    };
    if let Some(left) = seconds_left {
        text += &format!(", about {} left", seconds(left as f64));
    }
    text
}

/// `comparing: 3 of 12 tables, 1200 MB of 9000 MB, now public.transfer (812 MB)`
fn tables(progress: &postgres::compare::Progress) -> String {
    let megabytes = |bytes: &u64| bytes >> 20;
    let postgres::compare::Progress { tables_done, tables, table, table_bytes, bytes, total_bytes } =
        progress;
    let (bytes, total, now) = (megabytes(bytes), megabytes(total_bytes), megabytes(table_bytes));
    let now = table.as_ref().map_or_else(String::new, |table| format!(", now {table} ({now} MB)"));
    format!("comparing: {tables_done} of {tables} tables, {bytes} MB of {total} MB{now}")
}

/// `comparing: 1200 of 9000 keys of both sites`
fn keys(progress: &redis::compare::Progress) -> String {
    let redis::compare::Progress { keys_done, keys } = progress;
    format!("comparing: {keys_done} of {keys} keys of both sites")
}
