//! The salvage against the programs' own logs, and what is shown beside it against the database.

use crate::clients::payees::log::{Write, Written};
use crate::error::{Doing, LabError};
use crate::oracle::{self, Payee, Payees};
use crate::report::NeverArrived;
use crate::scenario::stage::Stage;
use crate::scenario::typed::typed;
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;

const TABLE: &str = "public.payees";

/// One line of the export, or of what is shown.
#[derive(Deserialize)]
struct Transaction {
    changes: Vec<Change>,
}

#[derive(Deserialize)]
struct Change {
    table: String,
    op: String,
    key: Option<Value>,
    new: Option<Value>,
    active: Option<Active>,
}

#[derive(Deserialize)]
struct Active {
    is: String,
    row: Option<Value>,
}

/// A change in the words of both sides: what is done to which row, and what is left of it.
type Did = (String, i64, Option<Payee>);

/// Counts those that are in the salvage exactly as they were acknowledged, once each and in the
/// order of their program, and all that is there otherwise.
pub fn export(lost: &[Written], export: &[u8], figures: &mut NeverArrived) {
    let mut missing: HashMap<Vec<Did>, i64> =
        lost.iter().map(|written| (logged(written), written.number)).collect();
    let programs = i64::try_from(figures.programs).unwrap_or(1).max(1);
    let mut newest: HashMap<i64, i64> = HashMap::new();
    for line in lines(export) {
        match salvaged(line).map(|did| did.and_then(|did| missing.remove(&did))) {
            // Another table's.
            None => {}
            Some(Some(number)) => {
                figures.salvaged += 1;
                let before = newest.insert(number % programs, number);
                figures.out_of_order += u64::from(before > Some(number));
            }
            Some(None) => figures.others += 1,
        }
    }
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

fn logged(written: &Written) -> Vec<Did> {
    let row = |name: &String| {
        let (written_by, accepted_by) = (written.number, written.accepted_by.clone());
        Some(Payee { name: name.clone(), written_by, accepted_by })
    };
    let did = |write: &Write| match write {
        Write::Insert { id, name } => ("insert".to_owned(), *id, row(name)),
        Write::Update { id, name } => ("update".to_owned(), *id, row(name)),
        Write::Delete { id } => ("delete".to_owned(), *id, None),
    };
    written.writes.iter().map(did).collect()
}

/// None when it is not about payees; none inside when it cannot be what a program did.
fn salvaged(line: &[u8]) -> Option<Option<Vec<Did>>> {
    let Ok(transaction) = serde_json::from_slice::<Transaction>(line) else { return Some(None) };
    let about = |change: &Change| change.table == TABLE;
    if !transaction.changes.iter().any(about) {
        return None;
    }
    let did = |change: Change| {
        let (id, row) = (id(&change)?, change.new.as_ref().map(payee));
        (change.table == TABLE).then_some(())?;
        // A row that cannot be read is no row.
        Some((change.op, id, row.map_or(Some(None), |row| row.map(Some))?))
    };
    Some(transaction.changes.into_iter().map(did).collect())
}

fn id(change: &Change) -> Option<i64> {
    change.key.as_ref()?.get("id")?.as_str()?.parse().ok()
}

fn payee(row: &Value) -> Option<Payee> {
    let text = |column: &str| row.get(column)?.as_str().map(str::to_owned);
    let (name, accepted_by) = (text("name")?, text("accepted_by")?);
    Some(Payee { name, written_by: text("written_by")?.parse().ok()?, accepted_by })
}

/// Counts conflicts, and changes that are shown beside another row than the active site's database
/// has. Nobody writes payees meanwhile.
pub async fn shown(
    stage: &Stage<'_>,
    id: &str,
    figures: &mut NeverArrived,
) -> Result<(), LabError> {
    let (lab, site) = (stage.lab, stage.roles.active);
    let limit = u64::MAX.to_string();
    let words = ["salvage", "show", id, "--limit", &limit, "--output", "json"];
    let told = typed(lab, site, &words).await?;
    let there = oracle::payees_at(lab, site).await?;
    for line in lines(&told) {
        let shown: Transaction =
            serde_json::from_slice(line).doing(|| "read what is shown of a salvage".to_owned())?;
        let changes = shown.changes.iter().filter(|change| change.table == TABLE);
        let before = figures.shown_wrong;
        let mut any = false;
        for change in changes {
            any = true;
            let is = change.active.as_ref().map_or("", |active| active.is.as_str());
            figures.conflicts += u64::from(["differs", "still-there"].contains(&is));
            figures.shown_wrong += u64::from(!is_right(change, &there));
        }
        figures.shown += u64::from(any && figures.shown_wrong == before);
    }
    Ok(())
}

fn is_right(change: &Change, there: &Payees) -> bool {
    let (Some(id), Some(active)) = (id(change), &change.active) else { return false };
    let wanted = match (there.get(&id), change.new.as_ref().map(payee)) {
        (None, None) => "same",
        (None, Some(_)) => "missing",
        (Some(_), None) => "still-there",
        (Some(row), Some(salvaged)) if Some(row) == salvaged.as_ref() => "same",
        (Some(_), Some(_)) => "differs",
    };
    let row = active.row.as_ref().map(payee);
    active.is == wanted && row.is_none_or(|row| row.as_ref() == there.get(&id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::log::Moment;

    fn written(number: i64, writes: &[Write]) -> Written {
        let at = Moment { wall_us: 0, mono_us: 0 };
        Written { number, writes: writes.to_vec(), accepted_by: "east".to_owned(), at }
    }

    fn lost() -> [Written; 3] {
        let (insert, update) = (
            Write::Insert { id: 7, name: "a".to_owned() },
            Write::Update { id: 7, name: "b".to_owned() },
        );
        [written(2, &[insert]), written(4, &[update]), written(6, &[Write::Delete { id: 7 }])]
    }

    const INSERTED: &str = r#"{"changes":[{"table":"public.payees","op":"insert","key":{"id":"7"},"new":{"id":"7","name":"a","written_by":"2","accepted_by":"east"}}]}"#;
    const UPDATED: &str = r#"{"changes":[{"table":"public.payees","op":"update","key":{"id":"7"},"new":{"id":"7","name":"b","written_by":"4","accepted_by":"east"}}]}"#;
    const DELETED: &str =
        r#"{"changes":[{"table":"public.payees","op":"delete","key":{"id":"7"},"new":null}]}"#;
    const ELSE: &str = r#"{"changes":[{"table":"public.transfers","op":"insert","key":{"id":"x"},"new":{"id":"x"}}]}"#;

    fn judged(lines: &[&str]) -> (u64, u64, u64) {
        let mut figures = NeverArrived { programs: 2, ..NeverArrived::default() };
        export(&lost(), lines.join("\n").as_bytes(), &mut figures);
        (figures.salvaged, figures.others, figures.out_of_order)
    }

    #[test]
    fn a_transaction_counts_once_and_only_as_it_was_acknowledged() {
        assert_eq!(judged(&[INSERTED, ELSE, UPDATED, DELETED]), (3, 0, 0));
        assert_eq!(judged(&[INSERTED, UPDATED]), (2, 0, 0), "one is missing");
        assert_eq!(judged(&[INSERTED, INSERTED]), (1, 1, 0), "one is there twice");
        assert_eq!(judged(&[UPDATED, INSERTED, DELETED]), (3, 0, 1), "not in its order");
        let otherwise = UPDATED.replace("\"b\"", "\"c\"");
        assert_eq!(judged(&[INSERTED, &otherwise, "not a line"]), (1, 2, 0));
    }

    #[test]
    fn what_is_shown_beside_a_change_must_be_what_the_database_has() {
        let row = |name: &str| Payee {
            name: name.to_owned(),
            written_by: 2,
            accepted_by: "east".to_owned(),
        };
        let change = |text: &str, active: &str| {
            let text = text.replace(r#","op""#, &format!(r#","active":{active},"op""#));
            serde_json::from_str::<Transaction>(&text).unwrap().changes.remove(0)
        };
        let b = r#"{"id":"7","name":"b","written_by":"2","accepted_by":"east"}"#;
        let differs = format!(r#"{{"is":"differs","columns":["name"],"row":{b}}}"#);
        let there = Payees::from([(7, row("b"))]);
        assert!(is_right(&change(INSERTED, &differs), &there));
        assert!(!is_right(&change(INSERTED, &differs), &Payees::from([(7, row("c"))])));
        assert!(is_right(&change(INSERTED, r#"{"is":"same"}"#), &Payees::from([(7, row("a"))])));
        assert!(!is_right(&change(INSERTED, r#"{"is":"same"}"#), &there));
        assert!(is_right(&change(DELETED, r#"{"is":"same"}"#), &Payees::new()));
        assert!(!is_right(&change(DELETED, r#"{"is":"same"}"#), &there));
        assert!(is_right(&change(INSERTED, r#"{"is":"missing"}"#), &Payees::new()));
    }
}
