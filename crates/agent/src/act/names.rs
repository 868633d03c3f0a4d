//! Having the application's names in DNS lead to the active site. Nothing waits for it: gates lead
//! there already.

use crate::application::Application;
use crate::names::{Turn, is_right, wanted};
use crate::time::{tick, unix_micros};
use mainstay_core::Posture;
use mainstay_traffic::dns::{Published, Wanted};
use std::sync::Arc;

/// Every site looks at what the servers answer; the one that serves changes what differs.
pub fn keep(application: &Arc<Application>, posture: Option<&Posture>) {
    if application.spec.names.is_empty() || application.context.is_witness() {
        return;
    }
    let serves = matches!(posture, Some(Posture::Serve { .. }));
    let Some(turn) = application.single.names.try_take() else { return };
    let Some(due) = due(application) else { return };
    let work = application.clone();
    tokio::spawn(async move {
        let _turn = turn;
        make(&work, &due, serves).await;
    });
}

/// A name that it is time to look at.
struct Due {
    wanted: Wanted,
    zone: String,
    /// Every server answered as wanted when they were looked at last.
    settled: bool,
}

fn due(application: &Application) -> Option<Due> {
    let now = tick();
    let mut known = application.known();
    let record = known.facts.record.as_ref()?.record.clone();
    let zones = &application.context.estate.dns;
    application.spec.names.iter().find_map(|(name, published)| {
        let zone = zones.get(&published.zone)?;
        let wanted = wanted(&application.spec.name, name, published, &record, zone)?;
        let entry = known.names.entry(name.clone()).or_default();
        let due = entry.is_due(&wanted, now);
        let (zone, settled) = (published.zone.clone(), entry.is_right());
        due.then_some(Due { wanted, zone, settled })
    })
}

async fn make(application: &Application, due: &Due, serves: bool) {
    let Due { wanted, zone, settled } = due;
    let Some(publisher) = application.context.dns.get(zone) else { return };
    let mut refused = None;
    // A provider counts what its API is asked: while every server goes on answering as wanted, it
    // is not.
    let mut answers = match *settled && publisher.by_api() {
        true => publisher.answers(&wanted.name).await,
        false => Vec::new(),
    };
    let right = !answers.is_empty() && answers.iter().all(|(_, answer)| is_right(answer, wanted));
    if serves && !right {
        let still = || application.may_write(wanted.note.epoch);
        match publisher.publish(wanted, still).await {
            Ok(Published::AsItWas) => {}
            Ok(Published::Changed) => enter(application, "dns-changed", wanted, None).await,
            Err(why) => refused = Some(why),
        }
    }
    if !right {
        answers = publisher.answers(&wanted.name).await;
    }
    let why = refused.as_ref().map(ToString::to_string);
    let turn = application.learn(|known| {
        let known = known.names.entry(wanted.name.clone()).or_default();
        known.take(wanted, answers, refused, (tick(), unix_micros()))
    });
    match turn {
        Some(Turn::AllRight(took)) => {
            let took = format!("every server says so after {:.2} s", took.as_secs_f64());
            enter(application, "dns-right", wanted, Some(took)).await;
        }
        Some(Turn::Wrong) => enter(application, "dns-wrong", wanted, why).await,
        None => {}
    }
}

async fn enter(application: &Application, kind: &'static str, of: &Wanted, detail: Option<String>) {
    let body = serde_json::json!({
        "name": of.name, "epoch": of.note.epoch, "site": of.note.site,
        "addresses": of.addresses, "detail": detail,
    });
    // A failed entry is already told; the name is as it is.
    let _told = application.enter(kind, body).await;
}
