//! `mainstay salvage replay` and `reject`: what was done, what is left for a person and why.

use super::super::output::{STRONG, styled};
use super::super::text::count;
use super::super::{Context, Failure, failure};
use super::{Chosen, side};
use crate::client::Client;
use mainstay_agent::types::{DecisionRequest, RejectSummary, ReplayRequest, ReplaySummary};
use mainstay_stores::postgres::salvage::Asked;
use std::process::ExitCode;

fn request(chosen: Chosen, reason: String) -> Result<DecisionRequest, Failure> {
    Ok(DecisionRequest {
        id: failure::id(chosen.id)?,
        transactions: chosen.transactions,
        reason: failure::plain(reason)?,
    })
}

/// Fails when something that was named could not be replayed.
pub async fn replay(
    client: &Client,
    chosen: Chosen,
    overwrite: bool,
    reason: String,
    context: &Context,
) -> Result<ExitCode, Failure> {
    let named = !chosen.transactions.is_empty();
    let request = ReplayRequest { decision: request(chosen, reason)?, overwrite };
    let summary: ReplaySummary = client.post("/v1/salvage/replay", &request).await?;
    let id = &request.decision.id;
    context.show(&summary, |summary| format!("{}{}", done(summary), left(summary, id, named)))?;
    Ok(if named && summary.asked > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn done(summary: &ReplaySummary) -> String {
    let mut text = format!(
        "{} replayed: {} inserted, {} updated, {} deleted, {} already there, {} kept by rule\n",
        count(summary.transactions, "transaction"),
        count(summary.rows_inserted, "row"),
        summary.rows_updated,
        summary.rows_deleted,
        summary.already_there,
        count(summary.kept, "change"),
    );
    if summary.formerly_rejected > 0 {
        text += &format!("{} of them had been rejected before\n", summary.formerly_rejected);
    }
    if summary.done_before + summary.rejected_before > 0 {
        text += &format!(
            "{} replayed earlier, {} rejected earlier: passed over\n",
            summary.done_before, summary.rejected_before
        );
    }
    text
}

fn left(summary: &ReplaySummary, id: &str, named: bool) -> String {
    if summary.asked == 0 {
        return "nothing is left for a person\n".to_owned();
    }
    let head = format!("{} left for a person to decide", count(summary.asked, "transaction"));
    let listed: String = summary.first.iter().map(asked).collect();
    let hidden = summary.asked.saturating_sub(summary.first.len() as u64);
    let more = if hidden == 0 { String::new() } else { format!("  and {hidden} more\n") };
    let show = format!("mainstay salvage show {id} --open");
    let replay = format!("mainstay salvage replay {id} --transaction LSN");
    let over = if named { " --overwrite" } else { "" };
    format!(
        "{}\n{listed}{more}next: {show}\n      {replay}{over}\n      mainstay salvage reject {id} \
         --transaction LSN --reason TEXT\n",
        styled(STRONG, head)
    )
}

fn asked(one: &Asked) -> String {
    let why = side::shown(&one.why, 300);
    let key = one.key.as_ref().map_or_else(String::new, |key| side::one_line(key, 30));
    let lsn = one.transaction.commit_lsn;
    let table = side::shown(&one.table, 40);
    let rows = match (&one.salvaged, &one.found) {
        (salvaged, Some(found)) => {
            let marked = salvaged.as_ref().map(|it| side::differing(it, found));
            side::rows(salvaged.as_ref(), found, &marked.unwrap_or_default())
        }
        (_, None) => String::new(),
    };
    // Deferred constraints speak at the end, of no table.
    let place = if table.is_empty() { "its commit".to_owned() } else { format!("{table} {key}") };
    format!("  {lsn} {}\n    {why}\n{rows}", place.trim_end())
}

pub async fn reject(
    client: &Client,
    chosen: Chosen,
    reason: String,
    context: &Context,
) -> Result<(), Failure> {
    let request = request(chosen, reason)?;
    if request.reason.trim().is_empty() {
        let what = "nobody would know later why";
        return Err(Failure::new(failure::code::WORTHLESS_VALUE, what, "--reason \"...\""));
    }
    let summary: RejectSummary = client.post("/v1/salvage/reject", &request).await?;
    context.show(&summary, |summary| {
        let before = match summary.rejected_before {
            0 => String::new(),
            before => format!(", {before} had been already"),
        };
        let done = count(summary.transactions, "transaction");
        format!(
            "{done} rejected{before}; the salvage stays: mainstay salvage show {}\n",
            request.id
        )
    })
}
