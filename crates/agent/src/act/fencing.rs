//! Having the active site stopped from outside. Whether the decision may go by it is in what it
//! learns: a confirmation counts for exactly the record that stood before.

use crate::application::Application;
use crate::memory::KeptFencing;
use crate::once::Turn;
use crate::outside::Target;
use crate::time::{tick, unix_micros};
use mainstay_core::decision::{Action, FenceOutcome, Fencing, decide, is_silent};
use mainstay_core::{FenceResult, Means, Receipt, Record, Tick, Tried};
use serde_json::json;
use std::sync::Arc;

/// Begins a fence of the active site, unless one is under way.
pub fn begin(application: &Arc<Application>, from: Record) {
    let work = application.clone();
    application.single.fencing.spawn(async move {
        if let Err(why) = make(&work, &from).await {
            tracing::warn!(application = %work.spec.name, %why, "the fence was not begun");
        }
    });
}

/// The intent, in the ledger and remembered over a crash, before anything is stopped.
async fn make(application: &Application, from: &Record) -> Result<(), String> {
    let means = application.spec.fencing.get(&from.active).map_or(0, Vec::len);
    let body = json!({"site": from.active, "epoch": from.epoch, "renewal": from.renewal,
        "means": means});
    application.enter("fence-intent", body).await.map_err(|why| why.to_string())?;
    stands(application, from).then_some(()).ok_or("the decision does not stand any more")?;
    let kept = KeptFencing { from: from.clone(), unknown: false };
    let memory = &application.context.memory;
    if let Err(why) = memory.keep_fencing(&application.spec.name, &kept).await {
        learn(application, FenceOutcome::Unknown);
        return Err(why.to_string());
    }
    let tried = every_means(application, from, false).await;
    end(application, from, tried).await;
    Ok(())
}

/// Decides once more and has no promise given from here on, both at once.
fn stands(application: &Application, from: &Record) -> bool {
    let now = tick();
    let mut known = application.known();
    known.refresh(&application.rules, now);
    let mut actions = decide(&application.rules, &known.facts, now).actions.into_iter();
    let stands = actions.any(|it| it == Action::FenceOutside { from: from.clone() });
    if stands {
        known.facts.fencing = Some(under_way(from, now));
    }
    stands
}

fn under_way(from: &Record, begun: Tick) -> Fencing {
    Fencing { from: from.clone(), begun, outcome: FenceOutcome::UnderWay }
}

/// In their order, until one of them is confirmed.
async fn every_means(application: &Application, from: &Record, only_look: bool) -> Vec<Tried> {
    let target = Target {
        application: &application.spec.name,
        site: &from.active,
        epoch: from.epoch,
        by: application.here(),
    };
    let mut tried = Vec::new();
    let means = application.spec.fencing.get(&from.active).into_iter().flatten();
    for (number, means) in (1..).zip(means) {
        let one = match only_look {
            true => target.look(number, means).await,
            false => target.stop(number, means).await,
        };
        tracing::warn!(
            application = %target.application, site = %target.site, means = %one.means,
            outcome = %one.outcome, detail = one.detail, "fence from outside"
        );
        let confirmed = one.is_confirmed();
        tried.push(one);
        if confirmed {
            break;
        }
    }
    tried
}

/// The receipt in the ledger, and then the fact. What is not confirmed is remembered as unknown, so
/// that promises may be given again.
async fn end(application: &Application, from: &Record, tried: Vec<Tried>) {
    let confirmed = tried.iter().any(Tried::is_confirmed);
    let receipt = Receipt { fenced: from.active.clone(), epoch: from.epoch, tried };
    let seen = application.known().facts.record.as_ref().map(|seen| seen.record.clone());
    let counts = confirmed && seen.is_some_and(|record| record == *from);
    let body = json!({ "receipt": receipt, "counts": counts });
    // A ledger that cannot be written is told, and keeps the claim from being made.
    let _told = application.enter("fence-outcome", body).await;
    if !confirmed {
        let kept = KeptFencing { from: from.clone(), unknown: true };
        let memory = &application.context.memory;
        if let Err(why) = memory.keep_fencing(&application.spec.name, &kept).await {
            tracing::error!(application = %application.spec.name, %why, "it is looked at again after a restart");
        }
    }
    application.known().fence_receipt = Some(receipt);
    learn(application, if confirmed { FenceOutcome::Confirmed } else { FenceOutcome::Unknown });
}

fn learn(application: &Application, outcome: FenceOutcome) {
    application.learn(|known| {
        if let Some(fencing) = &mut known.facts.fencing {
            fencing.outcome = outcome;
        }
    });
}

/// What an agent that begins anew makes of what it remembers. Promises that it gave before are
/// forgotten with it; so it begins here again, with a look.
pub fn remembered(kept: Option<KeptFencing>) -> Option<Fencing> {
    let kept = kept?;
    let outcome = if kept.unknown { FenceOutcome::Unknown } else { FenceOutcome::UnderWay };
    Some(Fencing { from: kept.from, begun: tick(), outcome })
}

/// A fence that was under way when this agent crashed: nothing is stopped, it is looked whether the
/// site is stopped.
pub fn resume_abandoned(application: &Arc<Application>) {
    let fencing = application.known().facts.fencing.clone();
    let Some(fencing) = fencing.filter(|it| it.outcome == FenceOutcome::UnderWay) else { return };
    // Otherwise it is at work right now.
    let Some(turn) = application.single.fencing.try_take() else { return };
    let work = application.clone();
    tokio::spawn(look_again(work, fencing.from, turn));
}

async fn look_again(application: Arc<Application>, from: Record, _turn: Turn) {
    let body = json!({"site": from.active, "epoch": from.epoch, "renewal": from.renewal});
    // Nothing is done to anything.
    let _told = application.enter("fence-looked-at-again", body).await;
    let tried = every_means(&application, &from, true).await;
    end(&application, &from, tried).await;
}

/// The order that the word went with is over, and with it the word.
pub fn forget_word(application: &Application) {
    application.learn(|known| known.facts.fencing = None);
}

/// A person's word that the active site is off: as a confirmed fence, for the record that stands.
/// It is not remembered over a crash, as the order that it goes with is not.
pub fn take_word(application: &Application, by: &str, text: &str) -> Result<(), String> {
    let now = tick();
    let mut known = application.known();
    let seen = known.facts.record.clone().ok_or("the coordinator has not answered yet")?;
    if !is_silent(&application.rules, &known.facts, &seen, now) {
        let since = now.since(seen.changed).as_secs_f64();
        return Err(format!(
            "{} renewed its lease {since:.1} s ago, or gets promises: it is not off",
            seen.record.active
        ));
    }
    let open = known.facts.fencing.as_ref().is_some_and(|it| it.outcome == FenceOutcome::UnderWay);
    if open {
        return Err("a fence from outside is under way".to_owned());
    }
    let outcome = FenceOutcome::Confirmed;
    known.facts.fencing = Some(Fencing { from: seen.record.clone(), begun: now, outcome });
    known.fence_receipt = Some(Receipt {
        fenced: seen.record.active,
        epoch: seen.record.epoch,
        tried: vec![Tried {
            means: Means::ByHand,
            outcome: FenceResult::Confirmed,
            by: by.to_owned(),
            micros: unix_micros(),
            detail: text.to_owned(),
        }],
    });
    Ok(())
}
