//! Act six: what only the lost site had is shown, and replayed where that is safe.

use super::agent::Agent;
use super::narrator::Narrator;
use crate::current::CurrentLab;
use crate::error::LabError;
use crate::processes;
use mainstay_agent::api::types::{ReplaySummary, SalvageSummary};
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

pub async fn show_and_replay(lab: &CurrentLab, narrator: &Narrator) -> Result<Salvaged, LabError> {
    let active = Agent::of(lab, processes::STANDBY);
    let Some(summary) = find(lab).await? else {
        narrator.say("there is no salvage: nothing had been lost");
        return Ok(Salvaged::default());
    };
    let text = Agent::of(lab, summary.site.as_str()).salvage(&summary.id).await?;
    let numbers = numbers(&text);
    narrator.say(&format!(
        "salvage {}: {} transactions that only {} had; transfers {}",
        summary.id,
        summary.transactions,
        summary.site,
        some_of(&numbers)
    ));
    let replay = active.replay(&summary.id).await?;
    narrator.say(&format!(
        "replayed {} transactions: {} rows inserted, {} already there, {} kept, {} for a person",
        replay.transactions, replay.rows_inserted, replay.already_there, replay.kept, replay.asked
    ));
    Ok(Salvaged { summary: Some(summary), numbers, replay: Some(replay) })
}

async fn find(lab: &CurrentLab) -> Result<Option<SalvageSummary>, LabError> {
    let found = Agent::of(lab, processes::HOME).salvages().await?;
    Ok(found.into_iter().find(|salvage| salvage.transactions > 0))
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
