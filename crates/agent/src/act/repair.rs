//! Repair of a store at this site, a standby: what a comparison finds different becomes what the
//! active site has. At most one at a time for each application; each is remembered, with a file of
//! what it changed.

use super::compare::{self, Linked};
use super::links;
use crate::application::Application;
use crate::error::Refused;
use crate::time::unix_micros;
use crate::types::{RepairRequest, RepairState, RepairSummary};
use mainstay_core::StoreName;
use mainstay_stores::postgres::link::LinkSpec;
use mainstay_stores::postgres::repair::{self, KeysWriter, Mode, Repaired, Sides, delta};
use serde_json::json;
use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::sync::Arc;

/// The code of everything that a repair is refused for.
pub const REFUSED: &str = "MS-AGENT-018";

/// Begins a repair in a task of its own.
pub async fn begin(
    application: &Arc<Application>,
    store: &StoreName,
    request: &RepairRequest,
    by: &str,
) -> Result<RepairSummary, Refused> {
    let turn = application.single.repair.try_take();
    let turn = turn.ok_or_else(|| refused("a repair is under way", "mainstay repair list"))?;
    let spec = compare::spec(application, store).map_err(|why| refused(why, "mainstay status"))?;
    let started = unix_micros();
    let mut summary = RepairSummary {
        id: format!("{}-{store}-repair-{started}", application.spec.name),
        application: application.spec.name.clone(),
        store: store.clone(),
        site: application.here().clone(),
        from: spec.from.clone(),
        dry_run: request.dry_run,
        tables: request.tables.clone(),
        reason: request.reason.clone(),
        by: by.to_owned(),
        state: RepairState::Comparing,
        started_micros: started,
        ended_micros: None,
        differences: None,
        repaired: Repaired::default(),
        why: None,
        undone: None,
        undone_by: None,
    };
    enter(application, "repair-begun", &summary).await?;
    let work = application.clone();
    let begun = summary.clone();
    let relink = request.relink;
    tokio::spawn(async move {
        let _turn = turn;
        let outcome = match relink {
            true => relinked(&work, &spec, &mut summary).await,
            false => conduct(&work, &spec, &mut summary).await,
        };
        end(&work, summary, outcome).await;
    });
    Ok(begun)
}

async fn conduct(
    application: &Arc<Application>,
    spec: &LinkSpec,
    summary: &mut RepairSummary,
) -> Result<(), String> {
    let keys = path(application, &summary.id, "keys");
    let mut record = repair::open_record(&path(application, &summary.id, "jsonl")).map_err(say)?;
    let file = File::create(&keys).map_err(|why| format!("{}: {why}", keys.display()))?;
    let tables = (!summary.tables.is_empty()).then(|| summary.tables.clone());
    let mut writer = KeysWriter::new(file, tables);
    let compared = compare::against(application, spec, &mut writer).await?;
    writer.finish().map_err(say)?;
    summary.differences = Some(compared.tables.iter().map(|table| table.differences).sum());
    for table in compared.tables.iter().filter(|table| !table.is_equal()) {
        if let Some(why) = table.beyond_repair() {
            summary.repaired.refused.insert(table.table.clone(), why);
        }
    }
    summary.state = RepairState::Repairing;
    keep(application, summary).await?;
    let file = File::open(&keys).map_err(|why| format!("{}: {why}", keys.display()))?;
    let refused = std::mem::take(&mut summary.repaired.refused);
    let mode = if summary.dry_run { Mode::DryRun } else { Mode::Swap };
    let sides = sides(spec);
    let hold = Linked { application: application.clone(), store: spec.store.clone() };
    let progress = |done: &Repaired| show(application, &summary.id, done);
    let done = repair::run(&sides, mode, BufReader::new(file), &mut record, hold, progress).await;
    summary.repaired = latest(application, &summary.id).unwrap_or_default();
    if let Ok(done) = &done {
        summary.repaired = done.clone();
    }
    summary.repaired.refused.extend(refused);
    std::fs::remove_file(&keys).map_err(|why| format!("{}: {why}", keys.display()))?;
    done.map(drop).map_err(say)
}

/// Without the link: it is ended first, and begins anew where both sites were made equal.
async fn relinked(
    application: &Arc<Application>,
    spec: &LinkSpec,
    summary: &mut RepairSummary,
) -> Result<(), String> {
    let _unlinked = links::Unlinked::new(application, &spec.store).await;
    let mut record = repair::open_record(&path(application, &summary.id, "jsonl")).map_err(say)?;
    let slot = (!summary.dry_run).then(|| spec.slot());
    let keys = path(application, &summary.id, "keys");
    let found = delta::find(&sides(spec), slot.as_deref(), &keys).await.map_err(say)?;
    summary.differences = Some(found.differing);
    summary.state = RepairState::Repairing;
    keep(application, summary).await?;
    if summary.dry_run {
        summary.repaired = found.tell(&mut record).await.map_err(say)?;
        return found.forget_keys().map_err(say);
    }
    summary.repaired = found.swap(spec.epoch, &mut record).await.map_err(say)?.repaired;
    Ok(())
}

fn say(fault: mainstay_stores::postgres::fault::Fault) -> String {
    format!("{}: {fault}", fault.code())
}

fn sides(spec: &LinkSpec) -> Sides {
    Sides { source: spec.source.clone(), target: spec.target.clone(), link: spec.name() }
}

/// The figures of a repair under way are only in memory; they are kept when it ends.
fn show(application: &Application, id: &str, done: &Repaired) {
    application.known().repairing = Some((id.to_owned(), done.clone()));
}

fn latest(application: &Application, id: &str) -> Option<Repaired> {
    let known = application.known();
    known.repairing.as_ref().filter(|(of, _)| of == id).map(|(_, done)| done.clone())
}

async fn end(application: &Application, mut summary: RepairSummary, outcome: Result<(), String>) {
    summary.ended_micros = Some(unix_micros());
    summary.state = RepairState::Done;
    if let Err(why) = outcome {
        tracing::warn!(id = summary.id, why, "a repair did not end");
        (summary.state, summary.why) = (RepairState::Failed, Some(why));
    }
    application.known().repairing = None;
    // A failed entry is already told; see `Application::enter`.
    let _told = enter(application, "repair-ended", &summary).await;
}

async fn enter(
    application: &Application,
    kind: &'static str,
    summary: &RepairSummary,
) -> Result<(), Refused> {
    let entered = application.enter(kind, json!(summary)).await;
    entered.map_err(|why| refused(why.to_string(), "nothing is done that cannot be recorded"))?;
    keep(application, summary).await.map_err(|why| refused(why, "free some space"))
}

async fn keep(application: &Application, summary: &RepairSummary) -> Result<(), String> {
    application.context.memory.keep_repair(summary).await.map_err(|why| why.to_string())
}

/// The repairs of this site, the newest first. One that a crash of the agent cut short says so.
pub async fn list(application: &Application) -> Result<Vec<RepairSummary>, String> {
    let kept = application.context.memory.repairs(&application.spec.name).await;
    let mut kept = kept.map_err(|why| why.to_string())?;
    for one in kept.iter_mut().filter(|one| one.ended_micros.is_none()) {
        if let Some(done) = latest(application, &one.id) {
            one.repaired = done;
        } else if !application.single.repair.is_taken() {
            one.state = RepairState::Failed;
            one.why = Some("the agent ended while it was under way".to_owned());
        }
    }
    Ok(kept)
}

/// Brings back what a repair changed.
pub async fn undo(
    application: &Arc<Application>,
    id: &str,
    reason: &str,
    by: &str,
) -> Result<RepairSummary, Refused> {
    let turn = application.single.repair.try_take();
    let _turn = turn.ok_or_else(|| refused("a repair is under way", "mainstay repair list"))?;
    let kept = list(application).await.map_err(|why| refused(why, "mainstay repair list"))?;
    let none = || refused(format!("there is no repair {id:?} here"), "mainstay repair list");
    let mut summary = kept.into_iter().find(|one| one.id == id).ok_or_else(none)?;
    if summary.dry_run {
        return Err(refused("it was a dry run: nothing was changed", "mainstay repair list"));
    }
    let failed = |why: String| refused(why, "mainstay status");
    let spec = compare::spec(application, &summary.store).map_err(failed)?;
    let body = json!({"repair": id, "reason": reason, "by": by});
    let entered = application.enter("repair-undo-begun", body).await;
    entered.map_err(|why| failed(why.to_string()))?;
    let record = open(application, id).map_err(failed)?;
    let hold = Linked { application: application.clone(), store: spec.store.clone() };
    let undone = repair::undo(&sides(&spec), record, hold).await;
    summary.undone = Some(undone.map_err(say).map_err(failed)?);
    summary.undone_by = Some(by.to_owned());
    enter(application, "repair-undone", &summary).await?;
    Ok(summary)
}

/// What a repair changed, or would, row by row.
pub fn open(application: &Application, id: &str) -> Result<BufReader<File>, String> {
    let path = path(application, id, "jsonl");
    let file = File::open(&path);
    file.map(BufReader::new).map_err(|why| format!("cannot read {}: {why}", path.display()))
}

/// The id came from outside: only its plain characters count.
fn path(application: &Application, id: &str, kind: &str) -> PathBuf {
    let plain: String =
        id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(200).collect();
    application.context.state.join("repair").join(format!("{plain}.{kind}"))
}

fn refused(what: impl Into<String>, advice: &str) -> Refused {
    Refused::new(REFUSED, what, advice)
}
