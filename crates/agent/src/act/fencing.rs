//! Having the active site stopped from outside. Whether the decision may go by it is in what it
//! learns: a confirmation counts for exactly the record that stood before.

use crate::application::Application;
use crate::known::Known;
use crate::memory::KeptFencing;
use crate::outside::Target;
use crate::time::{tick, unix_micros};
use mainstay_core::decision::{Action, FenceOutcome, Fencing, SeenRecord, decide, is_silent};
use mainstay_core::{Epoch, FenceResult, Means, Receipt, Record, Tick, Tried};
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
        learn(application, from, FenceOutcome::Unknown);
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
    // A ledger that cannot be written is told, and keeps the claim from being made.
    let _told = application.enter("fence-outcome", json!({ "receipt": receipt })).await;
    application.known().fence_receipt = Some(receipt);
    match confirmed {
        true => learn(application, from, FenceOutcome::Confirmed),
        false => forget(application, from).await,
    }
}

/// The fence proves nothing, or nothing any more.
async fn forget(application: &Application, from: &Record) {
    let kept = KeptFencing { from: from.clone(), unknown: true };
    let memory = &application.context.memory;
    if let Err(why) = memory.keep_fencing(&application.spec.name, &kept).await {
        let name = &application.spec.name;
        tracing::error!(application = %name, %why, "it is looked at again after a restart");
    }
    learn(application, from, FenceOutcome::Unknown);
}

fn learn(application: &Application, from: &Record, outcome: FenceOutcome) {
    application.learn(|known| {
        let fencing = known.facts.fencing.as_mut().filter(|it| it.from == *from);
        if let Some(fencing) = fencing {
            fencing.outcome = outcome;
        }
    });
}

/// What an agent that begins anew makes of what it remembers. Promises that it gave before are
/// forgotten with it; so it begins here again, with a look.
pub fn remembered(kept: Option<KeptFencing>, highest: Epoch) -> Option<Fencing> {
    let kept = kept.filter(|kept| kept.from.epoch == highest)?;
    let outcome = if kept.unknown { FenceOutcome::Unknown } else { FenceOutcome::UnderWay };
    Some(Fencing { from: kept.from, begun: tick(), outcome })
}

/// A fence that was under way when this agent crashed is looked at: nothing is stopped again. One
/// that was begun with another record than the one that is seen now is over.
pub fn keep(application: &Arc<Application>) {
    let (fencing, same) = {
        let known = application.known();
        let (Some(fencing), Some(seen)) = (&known.facts.fencing, &known.facts.record) else {
            return;
        };
        (fencing.clone(), seen.record == fencing.from)
    };
    let over = match fencing.outcome {
        FenceOutcome::Unknown => return,
        FenceOutcome::Confirmed if same => return,
        FenceOutcome::UnderWay if same => false,
        FenceOutcome::UnderWay | FenceOutcome::Confirmed => true,
    };
    let work = application.clone();
    // When it is at work right now, this does nothing.
    application.single.fencing.spawn(async move {
        let Fencing { from, .. } = fencing;
        let body = json!({"site": from.active, "epoch": from.epoch, "renewal": from.renewal});
        // Nothing is done to anything: the ledger is not asked.
        if over {
            let _told = work.enter("fence-over", body).await;
            forget(&work, &from).await;
        } else {
            let _told = work.enter("fence-looked-at-again", body).await;
            let tried = every_means(&work, &from, true).await;
            end(&work, &from, tried).await;
        }
    });
}

/// The order that the word went with is over, and with it the word. A fence of the agents' own that
/// was begun meanwhile stays.
pub fn forget_word(application: &Application) {
    application.learn(|known| {
        let by_hand = |it: &Receipt| it.tried.iter().any(|it| it.means == Means::ByHand);
        if known.fence_receipt.take_if(|it| by_hand(it)).is_some() {
            known.facts.fencing.take_if(|it| it.outcome == FenceOutcome::Confirmed);
        }
    });
}

/// A person's word that the active site is off: as a confirmed fence, for the record that stands.
/// It is not remembered over a crash, as the order that it goes with is not.
pub fn take_word(application: &Application, by: &str, text: &str) -> Result<(), String> {
    let now = tick();
    let mut known = application.known();
    let seen = silent(application, &known, now)?;
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

/// Whether such a word would be taken now.
pub fn must_be_silent(application: &Application) -> Result<(), String> {
    silent(application, &application.known(), tick()).map(drop)
}

fn silent(application: &Application, known: &Known, now: Tick) -> Result<SeenRecord, String> {
    let seen = known.facts.record.clone().ok_or("the coordinator has not answered yet")?;
    if !is_silent(&application.rules, &known.facts, &seen, now) {
        let since = now.since(seen.changed).as_secs_f64();
        return Err(format!(
            "{} renewed its lease {since:.1} s ago, or gets promises: it is not off",
            seen.record.active
        ));
    }
    match known.facts.fencing.as_ref().is_some_and(|it| it.outcome == FenceOutcome::UnderWay) {
        true => Err("a fence from outside is under way".to_owned()),
        false => Ok(seen),
    }
}
