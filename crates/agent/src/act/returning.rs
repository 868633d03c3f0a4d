//! The way back of a site that was active before: fence, salvage, put right, stream, prove equal.
//! Each phase is durable before the next begins, and each can be made again after a crash. Nothing
//! here is rewound or overwritten before its salvage is kept, here and at the active site.

use crate::act::progress::Progress;
use crate::act::{compare, databases, links, returning_redis};
use crate::application::Application;
use crate::peer::messages::ApplicationView;
use crate::salvage::{self, NotTaken};
use crate::stores::Compared;
use crate::time::{tick, unix_micros};
use crate::types::{Return, ReturnMeans, ReturnPhase, ReturnProgress, SalvageSummary};
use mainstay_core::decision::State;
use mainstay_core::estate::StoreKind;
use mainstay_core::{Epoch, LinkPhase, Position, SiteName, StoreName};
use mainstay_stores::postgres::fault::Fault;
use mainstay_stores::postgres::link::LinkSpec;
use mainstay_stores::postgres::put_right;
use mainstay_stores::postgres::repair::{self, delta};
use std::sync::Arc;
use std::time::Duration;

/// What a person is asked when the history is gone; nothing is touched before.
const ASKED: &str = "mainstay return continue --inexact --reason TEXT";

/// How long a person's word waits for a phase that is at work.
const TURN: Duration = Duration::from_secs(8);
/// Between two tries of a phase.
const PAUSE: Duration = Duration::from_secs(1);

pub fn keep(application: &Arc<Application>, state: State) {
    if state != State::Returning || application.single.returning.is_taken() {
        return;
    }
    let Some((epoch, active)) = active(application) else { return };
    let work = application.clone();
    application.single.returning.spawn(async move {
        for store in work.rules.stores.clone() {
            let mut returning = current(&work, &store, epoch);
            let advanced = match work.spec.stores.get(&store).map(|it| &it.kind) {
                Some(StoreKind::Redis(_)) => {
                    returning_redis::advance(&work, &mut returning, &active).await
                }
                _ => advance(&work, &mut returning, &active).await,
            };
            if let Err(why) = advanced {
                note(&work, &mut returning, why).await;
                tokio::time::sleep(PAUSE).await;
            }
        }
    });
}

fn active(application: &Application) -> Option<(Epoch, SiteName)> {
    let known = application.known();
    let record = &known.facts.record.as_ref()?.record;
    Some((record.epoch, record.active.clone()))
}

/// Where the way back stands; a newer epoch begins it anew.
fn current(application: &Application, store: &StoreName, epoch: Epoch) -> Return {
    let known = application.known();
    let kept = known.returns.get(store).filter(|it| it.epoch == epoch);
    kept.cloned().unwrap_or_else(|| Return::begun(epoch, store.clone()))
}

/// Says what stands in the way, once.
async fn note(application: &Application, returning: &mut Return, why: String) {
    if returning.detail != why {
        tracing::warn!(store = %returning.store, phase = ?returning.phase, why, "the way back waits");
        returning.detail = why;
        if let Err(failed) = application.keep_returning(returning).await {
            tracing::error!(%failed, "the way back cannot be remembered");
        }
    }
}

async fn advance(
    application: &Arc<Application>,
    returning: &mut Return,
    active: &SiteName,
) -> Result<(), String> {
    let here = application.here();
    let spec = |from, to| {
        links::spec(application, &returning.store, from, to, returning.epoch)
            .ok_or_else(|| format!("{} has no endpoint at both sites", returning.store))
    };
    // The link that was, from here to the site that is active now; and the one to come.
    let (former, reverse) = (spec(here, active)?, spec(active, here)?);
    match returning.phase {
        ReturnPhase::Fencing => fencing(application, returning, &reverse).await,
        ReturnPhase::Salvaging => {
            must_be_promoted(application, returning.epoch, active)?;
            salvaging(application, returning, &former, &reverse).await
        }
        ReturnPhase::PuttingRight => putting_right(application, returning, &former, &reverse).await,
        ReturnPhase::Streaming => streaming(application, returning).await,
        ReturnPhase::Ready => Ok(()),
    }
}

/// Invariant: while the active site may still ask for what it had received and lost again with its
/// agent, nothing is taken here from the history of its link.
pub fn must_be_promoted(
    application: &Application,
    epoch: Epoch,
    active: &SiteName,
) -> Result<(), String> {
    let now = tick();
    let known = application.known();
    let told = known.views.get(active).filter(|(heard, view)| {
        now.since(*heard) <= application.rules.lease.fresh_for() && is_promoted(view, epoch)
    });
    match told {
        Some(_) => Ok(()),
        None => Err(format!("{active} has not told yet that it is promoted")),
    }
}

/// What a state says is no word on it: an agent that was restarted in the middle of its promotion
/// knows no state until the coordinator answers.
fn is_promoted(view: &ApplicationView, epoch: Epoch) -> bool {
    match view.promoted {
        Some(promoted) => promoted >= epoch,
        None => view.highest >= epoch && view.state == State::Active.name(),
    }
}

pub async fn step(
    application: &Application,
    returning: &mut Return,
    phase: ReturnPhase,
    detail: String,
) -> Result<(), String> {
    tracing::info!(store = %returning.store, ?phase, detail, "the way back");
    returning.phase = phase;
    returning.detail = detail;
    let body = serde_json::json!({"return": returning});
    application.enter("return", body).await.map_err(|why| why.to_string())?;
    application.keep_returning(returning).await.map_err(|why| why.to_string())
}

async fn fencing(
    application: &Arc<Application>,
    returning: &mut Return,
    reverse: &LinkSpec,
) -> Result<(), String> {
    databases::fence_all(application, returning.epoch).await?;
    // For people, as early as it can be known. The phases that need it look again.
    if let Ok(Some(found)) =
        application.context.stores.find_slot(&reverse.source, &reverse.slot()).await
        && !found.lost
    {
        returning.means = Some(ReturnMeans::Delta);
        let pinned = found.confirmed_flush;
        returning.because = format!("the start was pinned at the promotion, at {pinned}");
    }
    let detail = "this site's database accepts no writes of the application".to_owned();
    step(application, returning, ReturnPhase::Salvaging, detail).await
}

async fn salvaging(
    application: &Arc<Application>,
    returning: &mut Return,
    former: &LinkSpec,
    reverse: &LinkSpec,
) -> Result<(), String> {
    let taken = match salvage::take(application, returning, former, reverse).await {
        Ok(taken) => taken,
        Err(NotTaken::Failed(why)) => return Err(why),
        Err(NotTaken::NotWhole(why)) if returning.inexact.is_some() => {
            salvage::take_rows(application, returning, former, reverse, why).await?
        }
        Err(NotTaken::NotWhole(why)) => {
            returning.asked = Some(ASKED.to_owned());
            return Err(format!(
                "the salvage cannot be whole, because {why}; what {} accepted last can only be \
                 told as rows that differ, and a person decides",
                application.here()
            ));
        }
    };
    returning.asked = None;
    let detail = match &taken.inexact {
        None => format!("{} transactions salvaged, kept at both sites", taken.transactions),
        Some(_) => format!("not whole: {} rows salvaged, kept at both sites", taken.changes),
    };
    returning.salvage = Some(taken);
    step(application, returning, ReturnPhase::PuttingRight, detail).await
}

/// The old slot is let go only here: its salvage is kept by now.
async fn putting_right(
    application: &Arc<Application>,
    returning: &mut Return,
    former: &LinkSpec,
    reverse: &LinkSpec,
) -> Result<(), String> {
    let dropped = application.context.stores.drop_slot(&former.source, &former.slot()).await;
    dropped.map_err(|why| why.to_string())?;
    let kept = returning.salvage.as_ref().ok_or("no salvage was kept")?;
    let why = match &kept.inexact {
        Some(inexact) => inexact.why.clone(),
        None => match put_right_rows(application, kept, reverse).await {
            Ok(done) => {
                returning.rows_put_right = Some(done.rows);
                returning.put_right_until = Some(Position::Postgres(done.until));
                returning.means = Some(ReturnMeans::Delta);
                returning.because = format!(
                    "{} rows put right and the changes since {}; the start was pinned at the \
                     promotion",
                    done.rows, done.from
                );
                let detail = format!("{} rows put right as of {}", done.rows, done.until);
                return step(application, returning, ReturnPhase::Streaming, detail).await;
            }
            Err(why) if is_for_a_delta(&why) => why.to_string(),
            Err(why) => return Err(why.to_string()),
        },
    };
    by_comparison(application, returning, reverse, &why).await
}

/// The salvage does not name single rows, or the start that was pinned at the promotion is gone.
fn is_for_a_delta(why: &Fault) -> bool {
    matches!(
        why,
        Fault::NotPutRight { .. }
            | Fault::PutRightRefused { .. }
            | Fault::SlotMissing { .. }
            | Fault::SlotLost { .. }
    )
}

/// The history between the sites does not say which rows differ: a comparison does, and only those
/// are touched. Where nothing is left of this site's data, the link copies everything.
async fn by_comparison(
    application: &Application,
    returning: &mut Return,
    reverse: &LinkSpec,
    why: &str,
) -> Result<(), String> {
    let sides = salvage::repair_sides(reverse);
    let say = |fault: Fault| fault.to_string();
    if !application.context.stores.has_tables(&sides).await.map_err(say)? {
        delta::begin_anew(&sides, &reverse.slot()).await.map_err(say)?;
        returning.means = Some(ReturnMeans::FullCopy);
        returning.because = format!("this site has no tables: {why}");
        let detail = "the link copies everything".to_owned();
        return step(application, returning, ReturnPhase::Streaming, detail).await;
    }
    let folder = application.context.state.join("repair");
    let name = format!("{}-{}-{}", application.spec.name, returning.store, unix_micros());
    let mut record = repair::open_record(&folder.join(format!("{name}.jsonl"))).map_err(say)?;
    let keys = folder.join(format!("{name}.keys"));
    let found = delta::find(&sides, Some(&reverse.slot()), &keys).await.map_err(say)?;
    let compared = found.compared;
    let done = found.swap(reverse.epoch, &mut record).await.map_err(say)?;
    let rows = done.repaired.swapped();
    returning.rows_put_right = Some(rows);
    returning.put_right_until = Some(Position::Postgres(done.from));
    returning.means = Some(ReturnMeans::Delta);
    returning.because = format!("{rows} of {compared} rows, found by comparison: {why}");
    let detail = format!("{rows} rows made equal as of {}", done.from);
    step(application, returning, ReturnPhase::Streaming, detail).await
}

/// A person lets the way back go on although the salvage cannot be whole.
pub async fn go_on_inexact(
    application: &Application,
    store: &StoreName,
    reason: &str,
) -> Result<Return, String> {
    // A phase at work would write down what it knew before.
    let turn = tokio::time::timeout(TURN, application.single.returning.take()).await;
    let _turn = turn.map_err(|_| "the way back is at work; type it again soon")?;
    let kept = application.known().returns.get(store).cloned();
    let salvaging = |it: &Return| it.phase == ReturnPhase::Salvaging;
    let mut returning = kept.filter(salvaging).ok_or("no way back waits for that here")?;
    (returning.inexact, returning.asked) = (Some(reason.to_owned()), None);
    let body = serde_json::json!({"return": returning});
    application.enter("return-inexact", body).await.map_err(|why| why.to_string())?;
    application.keep_returning(&returning).await.map_err(|why| why.to_string())?;
    Ok(returning)
}

async fn put_right_rows(
    application: &Application,
    kept: &SalvageSummary,
    reverse: &LinkSpec,
) -> Result<put_right::PutRight, Fault> {
    let file = salvage::open(application, &kept.id);
    let file = file.map_err(|why| Fault::SalvageDamaged { line: 0, why })?;
    let plan = put_right::Plan {
        old: reverse.target.clone(),
        active: reverse.source.clone(),
        link: reverse.name(),
        slot: reverse.slot(),
        epoch: reverse.epoch,
    };
    let progress = Progress::of(application, &reverse.store);
    let told = |rows, of| progress.tell(ReturnProgress::PutRight { rows, of });
    application.context.stores.put_right(&plan, file, &told).await
}

/// Streams until what was put right is passed, then proves both sides equal.
async fn streaming(application: &Arc<Application>, returning: &mut Return) -> Result<(), String> {
    let status = {
        let known = application.known();
        known.links.get(&returning.store).map(|link| link.status.clone())
    };
    let status = status.ok_or("the reverse link is not running yet")?;
    let caught_up = status.lag.is_within(application.rules.rpo);
    if status.phase != LinkPhase::Streaming || !caught_up {
        return Err(format!("the reverse link is {}, lag {}", status.phase.name(), status.lag));
    }
    let compared = prove(application, returning).await?;
    if returning.differs {
        return Err(format!(
            "the sides differ at {}: see `mainstay compare`, then `mainstay repair`; failback waits",
            compared.position()
        ));
    }
    let detail = format!("equal to the active site at {}", compared.position());
    step(application, returning, ReturnPhase::Ready, detail).await
}

/// Compares both sites, and says in `returning` whether they differ.
pub async fn prove(application: &Application, returning: &mut Return) -> Result<Compared, String> {
    let progress = Progress::of(application, &returning.store);
    progress.tell(ReturnProgress::Comparing);
    let compared = compare::run(application, &returning.store).await?;
    returning.differs = !compared.is_equal() && compared.unknown().is_none();
    Ok(compared)
}
