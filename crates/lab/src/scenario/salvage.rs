//! Act six: what only the lost site had is shown, and replayed where that is safe.

use super::agent::Agent;
use super::round::Round;
use super::stage::Stage;
use super::typed::typed;
use crate::error::{Doing, LabError};
use mainstay_agent::types::{ReplaySummary, SalvageSummary};
use serde::Deserialize;
use serde_json::Value;

#[derive(Default)]
pub struct Salvaged {
    pub summary: Option<SalvageSummary>,
    /// Numbers of the salvaged transfers.
    pub numbers: Vec<i64>,
    pub replay: Option<ReplaySummary>,
}

/// One line of a salvage, as far as the lab looks at it.
#[derive(Deserialize)]
struct Transaction {
    changes: Vec<Change>,
}

#[derive(Deserialize)]
struct Change {
    table: String,
    op: String,
    new: Option<Value>,
}

/// At the site that is active now.
pub async fn show_and_replay(stage: &Stage<'_>, round: &Round) -> Result<Salvaged, LabError> {
    let Some(summary) = find(&Agent::of(stage.lab, stage.roles.active), round).await? else {
        stage.say("there is no salvage: nothing had been lost");
        return Ok(Salvaged::default());
    };
    let text = export(stage, &summary).await?;
    replay(stage, summary, &text).await
}

/// One transaction a line.
pub async fn export(stage: &Stage<'_>, summary: &SalvageSummary) -> Result<Vec<u8>, LabError> {
    typed(stage.lab, stage.roles.active, &["salvage", "export", &summary.id]).await
}

/// By the rules.
pub async fn replay(
    stage: &Stage<'_>,
    summary: SalvageSummary,
    export: &[u8],
) -> Result<Salvaged, LabError> {
    let numbers = numbers(export);
    stage.say(&format!(
        "salvage {}: {} transactions that only {} had; transfers {}",
        summary.id,
        summary.transactions,
        summary.site,
        some_of(&numbers)
    ));
    let words = ["salvage", "replay", &summary.id, "--output", "json"];
    let told = typed(stage.lab, stage.roles.active, &words).await?;
    let replay: ReplaySummary =
        serde_json::from_slice(&told).doing(|| "read what was replayed".to_owned())?;
    stage.say(&format!(
        "replayed {} transactions: {} rows inserted, {} already there, {} kept, {} for a person",
        replay.transactions, replay.rows_inserted, replay.already_there, replay.kept, replay.asked
    ));
    Ok(Salvaged { summary: Some(summary), numbers, replay: Some(replay) })
}

/// Of this disaster: it is kept at both sites, whichever of them is lost next.
pub async fn find(agent: &Agent, round: &Round) -> Result<Option<SalvageSummary>, LabError> {
    let found = agent.salvages().await?;
    let of_round = |it: &SalvageSummary| {
        it.epoch == round.failover.epoch && it.site.as_str() == round.lost_site
    };
    Ok(found.into_iter().find(|it| it.transactions > 0 && of_round(it)))
}

fn numbers(salvage: &[u8]) -> Vec<i64> {
    let lines = salvage.split(|byte| *byte == b'\n');
    let transactions = lines.filter_map(|line| serde_json::from_slice::<Transaction>(line).ok());
    let inserted = transactions
        .flat_map(|transaction| transaction.changes)
        .filter(|change| change.op == "insert" && change.table == "public.transfers");
    inserted.filter_map(|change| change.new?.get("number")?.as_str()?.parse().ok()).collect()
}

pub fn some_of(numbers: &[i64]) -> String {
    let shown: Vec<String> = numbers.iter().take(6).map(i64::to_string).collect();
    match numbers.len() {
        0 => "none".to_owned(),
        1..=6 => shown.join(", "),
        more => format!("{}, … ({more} in all)", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_salvaged_transfers_are_read_from_the_salvage() {
        let salvage = br#"{"commit_lsn":"0/1","changes":[{"table":"public.transfers","op":"insert","key":{"id":"x"},"old":null,"new":{"id":"x","number":"41"}},{"table":"public.accounts","op":"update","key":{},"old":null,"new":{"number":"7"}}]}
{"commit_lsn":"0/2","changes":[{"table":"public.transfers","op":"insert","new":{"number":"42"}}]}
"#;
        assert_eq!(numbers(salvage), [41, 42]);
        assert_eq!(some_of(&[1, 2, 3, 4, 5, 6, 7]), "1, 2, 3, 4, 5, 6, … (7 in all)");
    }
}
