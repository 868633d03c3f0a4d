//! `mainstay salvage show`: line by line as it comes.

use super::super::output::{DIM, STRONG, say, styled};
use super::super::text::{count, moment};
use super::super::{Context, Failure, repair};
use super::side;
use crate::client::{Client, ClientError};
use mainstay_agent::types::SalvageSummary;
use mainstay_stores::postgres::salvage::{Op, Side, SideChange};

/// The agent's code for a salvage that holds rows and no transactions.
const NOT_WHOLE: &str = "MS-AGENT-022";
/// A line of the answer holds one transaction's first changes, with rows of any size; more than
/// this is not taken for one.
const LONGEST_LINE: usize = 1 << 30;

pub async fn show(
    client: &Client,
    id: &str,
    limit: u64,
    open: bool,
    context: &Context,
) -> Result<(), Failure> {
    let (mut lines, mut shown) = (Lines::default(), 0);
    let path = format!("/v1/salvage/{id}/sides?limit={limit}&open={open}");
    let each = |data: &[u8]| {
        for line in lines.whole(data)? {
            shown += 1;
            match context.json() {
                true => say(&format!("{}\n", String::from_utf8_lossy(&line))),
                false => say(&transaction(&serde_json::from_slice(&line)?)),
            }
        }
        Ok(())
    };
    match client.stream(&path, each).await {
        Err(ClientError::Refused(refusal)) if refusal.code == NOT_WHOLE => {
            return rows(client, id, limit, context).await;
        }
        streamed => streamed?,
    }
    if !context.json() {
        end(client, id, shown, limit, open).await?;
    }
    Ok(())
}

/// A salvage that is not whole holds rows: what the lost site has, and what the active one had.
async fn rows(client: &Client, id: &str, limit: u64, context: &Context) -> Result<(), Failure> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let (rows, total) = client.lines(&format!("/v1/salvage/{id}"), limit).await?;
    context.show(&rows, |rows| {
        let shown: String = rows.iter().map(repair::row).collect();
        match total.saturating_sub(rows.len()) {
            0 => shown,
            more => format!("{shown}{more} more: mainstay salvage show {id} --limit {total}\n"),
        }
    })
}

/// What was not shown, and what to type next.
async fn end(client: &Client, id: &str, shown: u64, limit: u64, open: bool) -> Result<(), Failure> {
    let all: Vec<SalvageSummary> = client.get("/v1/salvage").await?;
    let Some(one) = all.into_iter().find(|one| one.id == id) else { return Ok(()) };
    let total = match (open, one.states) {
        (true, Some(states)) => states.open,
        (true, None) => shown,
        (false, _) => one.transactions,
    };
    if shown == 0 {
        say(if open { "nothing is open\n" } else { "no transaction is in it\n" });
    }
    let more = total.saturating_sub(shown);
    if more > 0 && shown == limit {
        say(&format!("{more} more: mainstay salvage show {id} --limit {total}\n"));
    }
    if one.states.is_some_and(|states| states.open > 0) {
        say(&format!(
            "next: mainstay salvage replay {id}   (what the rules allow)\n      \
             mainstay salvage replay {id} --transaction LSN\n      \
             mainstay salvage reject {id} --transaction LSN --reason TEXT\n"
        ));
    }
    Ok(())
}

/// Puts pieces together to lines.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn whole(&mut self, data: &[u8]) -> std::io::Result<Vec<Vec<u8>>> {
        let mut lines = Vec::new();
        for piece in data.split_inclusive(|byte| *byte == b'\n') {
            match piece.strip_suffix(b"\n") {
                Some(end) => {
                    self.0.extend_from_slice(end);
                    lines.push(std::mem::take(&mut self.0));
                }
                None => self.0.extend_from_slice(piece),
            }
        }
        if self.0.len() > LONGEST_LINE {
            return Err(std::io::Error::other("a line of the answer does not end"));
        }
        Ok(lines)
    }
}

fn transaction(side: &Side) -> String {
    let header = &side.transaction;
    let (lsn, at) = (header.commit_lsn, moment(header.commit_micros));
    let why = side.decided.as_ref().map_or_else(String::new, |decided| {
        let reason = side::shown(&decided.reason, 24);
        let reason = if reason.is_empty() { reason } else { format!(": {reason}") };
        format!(" {}{reason}", moment(decided.at_micros))
    });
    let state = side.state.name();
    let head = format!("{lsn} committed {at}, {state}{why}");
    let changes: String = side.changes.iter().map(change).collect();
    let hidden = side.total.saturating_sub(side.changes.len() as u64);
    let more = match hidden {
        0 => String::new(),
        _ => format!("  {} more of this transaction\n", count(hidden, "change")),
    };
    format!("{}\n{changes}{}", styled(STRONG, head), styled(DIM, more))
}

fn change(one: &SideChange) -> String {
    let change = &one.change;
    let op = match change.op {
        Op::Insert => "insert",
        Op::Update => "update",
        Op::Delete => "delete",
        Op::Truncate => "truncate",
    };
    side::change(op, change, &one.active)
}
