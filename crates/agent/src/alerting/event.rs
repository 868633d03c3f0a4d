//! What happened, as the ledger has it: which of its entries people are told of, and in which words.
//! The agent that wrote an entry is the one that tells it.

use super::loss;
use crate::agent::Agent;
use crate::application::Application;
use crate::ledger::Entry;
use crate::time::tick;
use crate::types::{Execution, ExecutionKind, ExecutionState};
use mainstay_alerts::Alert;
use mainstay_alerts::alert::Loss;
use mainstay_core::estate::Objectives;
use mainstay_core::{AlertSeverity, ApplicationName};
use serde_json::Value;
use std::time::Duration;

/// Kind, severity, subject, what happened, and what to type.
struct Event(&'static str, AlertSeverity, String, String, String);

const MISSED: &str = "objective-missed";

/// An entry of which people are not told gives none.
pub fn alerts(agent: &Agent, entry: &Entry) -> Vec<Alert> {
    let name = ApplicationName::new(entry.application.as_str());
    let application = name.ok().and_then(|name| agent.applications.get(&name));
    let body: Option<Value> = serde_json::from_str(&entry.body).ok();
    let (Some(application), Some(body)) = (application, body) else { return Vec::new() };
    let events = events(application, entry, &body);
    // What a failover that is under way may lose was known when it began.
    let bound = execution(&body).and_then(|it| lost(&it)).map(Loss::AtMost);
    let loss = bound.unwrap_or_else(|| loss::expected(application, tick()));
    let alert = |Event(kind, severity, subject, what, advice)| Alert {
        application: application.spec.name.clone(),
        kind: kind.to_owned(),
        subject,
        severity,
        site: agent.context.here().clone(),
        what,
        advice,
        loss,
    };
    events.into_iter().map(alert).collect()
}

fn events(application: &Application, entry: &Entry, body: &Value) -> Vec<Event> {
    use AlertSeverity::{Critical, Info, Warning};
    let text = |key: &str| body[key].as_str().unwrap_or("somebody").to_owned();
    let name = &application.spec.name;
    let here = application.here();
    match entry.kind.as_str() {
        "order" => vec![ordered(name, body)],
        "execution-begun" => execution(body).iter().map(begun).collect(),
        "execution-ended" => {
            let objectives = application.spec.objectives;
            execution(body).iter().flat_map(|it| ended(objectives, it)).collect()
        }
        "paused" => {
            let what = format!("{} paused automatic failover: {}", text("by"), text("reason"));
            let advice = format!("nothing; to end it: mainstay resume {name}");
            vec![Event("paused", Warning, name.to_string(), what, advice)]
        }
        "resumed" if body["by"].is_string() => {
            let what = format!("{} ended the pause of automatic failover", text("by"));
            vec![Event("resumed", Info, name.to_string(), what, "nothing".to_owned())]
        }
        "fenced-by-watchdog" => {
            let what = format!("the watchdog of {here} fenced its database: its agent did not");
            let advice = format!("look at the agent of {here}: mainstay status");
            vec![Event("fenced-by-watchdog", Critical, here.to_string(), what, advice)]
        }
        "salvage" => exact_loss(name, application.spec.objectives, body).into_iter().collect(),
        "return-inexact" => {
            let reason = body["return"]["inexact"].as_str().unwrap_or_default();
            let what = format!("the way back of {here} goes on without a whole salvage: {reason}");
            let advice = "mainstay salvage list".to_owned();
            vec![Event("forced", Warning, here.to_string(), what, advice)]
        }
        "schema-change-left-out" => {
            let store = text("store");
            let what = format!("a schema change of {store} was left out: {}", text("reason"));
            let advice =
                format!("when both sites are to be alike: mainstay compare {name} {store}");
            vec![Event("forced", Warning, format!("{store} at {here}"), what, advice)]
        }
        "repair-begun" if body["dry_run"] == false => {
            let what = format!("a repair of {} at {here} began: {}", text("store"), text("reason"));
            let advice = "follow it: mainstay repair list".to_owned();
            vec![Event("repair-begun", Info, text("id"), what, advice)]
        }
        "notice" => {
            let advice = "mainstay run show".to_owned();
            vec![Event("notice", Warning, text("key"), text("message"), advice)]
        }
        _ => Vec::new(),
    }
}

/// Whoever accepts a loss forces what would not have been done.
fn ordered(application: &ApplicationName, body: &Value) -> Event {
    let text = |key: &str| body[key].as_str().unwrap_or("somebody").to_owned();
    let reason = body["reason"].as_str().map_or_else(String::new, |why| format!(": {why}"));
    let what = format!("{} ordered a {} to {}{reason}", text("by"), text("kind"), text("to"));
    let advice = "follow it: mainstay executions --follow".to_owned();
    let subject = application.to_string();
    match body["accept_loss_s"].as_f64() {
        Some(loss) => {
            let what = format!("{what}; up to {loss:.1} s of acknowledged work may be lost");
            Event("forced", AlertSeverity::Critical, subject, what, advice)
        }
        None => Event("order", AlertSeverity::Warning, subject, what, advice),
    }
}

fn execution(body: &Value) -> Option<Execution> {
    serde_json::from_value(body["execution"].clone()).ok()
}

fn noun(kind: ExecutionKind) -> &'static str {
    match kind {
        ExecutionKind::Failover => "failover",
        ExecutionKind::Switchover => "switchover",
    }
}

fn way(execution: &Execution) -> String {
    let from = execution.from.as_ref().map_or_else(String::new, |from| format!(" from {from}"));
    format!("{}{from} to {}", noun(execution.kind), execution.to)
}

fn begun(execution: &Execution) -> Event {
    let (kind, severity) = match execution.kind {
        ExecutionKind::Failover => ("failover-begun", AlertSeverity::Critical),
        ExecutionKind::Switchover => ("switchover-begun", AlertSeverity::Info),
    };
    let by = &execution.requested_by;
    let what = format!("a {} began, epoch {}, by {by}", way(execution), execution.epoch);
    let advice = "follow it: mainstay executions --follow".to_owned();
    Event(kind, severity, execution.id.clone(), what, advice)
}

fn ended(objectives: Objectives, execution: &Execution) -> Vec<Event> {
    let (way, id) = (way(execution), execution.id.clone());
    if execution.state != ExecutionState::Succeeded {
        let reason = execution.facts.get("reason").and_then(Value::as_str).unwrap_or_default();
        let kind = match execution.kind {
            ExecutionKind::Failover => "failover-failed",
            ExecutionKind::Switchover => "switchover-failed",
        };
        let what = format!("the {way} was given up: {reason}");
        let advice = format!("mainstay executions {id}");
        return vec![Event(kind, AlertSeverity::Critical, id, what, advice)];
    }
    let (kind, severity) = match execution.kind {
        ExecutionKind::Failover => ("failover-done", AlertSeverity::Critical),
        ExecutionKind::Switchover => ("switchover-done", AlertSeverity::Info),
    };
    let took = outage(execution).map_or_else(String::new, |it| {
        format!(", {:.1} s after the last sign of the old site", it.as_secs_f64())
    });
    let lost = lost(execution).map_or_else(String::new, |it| {
        format!("; at most {:.1} s of acknowledged work is missing here", it.as_secs_f64())
    });
    let what = format!("the {way} is done, epoch {}{took}{lost}", execution.epoch);
    let advice = format!("mainstay executions {id}; when the old site is back: mainstay status");
    let mut events = vec![Event(kind, severity, id, what, advice)];
    events.extend(too_long(objectives, execution));
    events
}

/// Without service at most so long.
fn outage(execution: &Execution) -> Option<Duration> {
    let seen = execution.facts.get("last_renewal_seen_micros").and_then(Value::as_i64);
    let began = match execution.kind {
        ExecutionKind::Failover => seen?,
        ExecutionKind::Switchover => return None,
    };
    let micros = execution.ended_micros?.checked_sub(began)?;
    u64::try_from(micros).ok().map(Duration::from_micros)
}

fn lost(execution: &Execution) -> Option<Duration> {
    let seconds = execution.facts.get("loss_bound_s").and_then(Value::as_f64)?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// Without service for longer than it may be.
fn too_long(objectives: Objectives, execution: &Execution) -> Option<Event> {
    let (outage, rto) = (outage(execution)?, objectives.rto);
    let what = format!(
        "{} was without service for up to {:.1} s; its RTO is {:.1} s",
        execution.application,
        outage.as_secs_f64(),
        rto.as_secs_f64()
    );
    let advice = format!("mainstay executions {} shows what took how long", execution.id);
    let subject = format!("RTO of {}", execution.id);
    (outage > rto).then_some(Event(MISSED, AlertSeverity::Critical, subject, what, advice))
}

/// How much was lost is known once the lost site is back and its salvage was taken.
fn exact_loss(
    application: &ApplicationName,
    objectives: Objectives,
    body: &Value,
) -> Option<Event> {
    let (lost, rpo) = (body["rpo_exact_s"].as_f64()?, objectives.rpo);
    let id = body["id"].as_str()?;
    let what = format!(
        "the failover had lost {lost:.1} s of acknowledged work, which is in the salvage {id}; the \
         RPO of {application} is {:.1} s",
        rpo.as_secs_f64()
    );
    let missed = lost > rpo.as_secs_f64();
    let advice = format!("mainstay salvage show {id}");
    let subject = format!("RPO of {id}");
    missed.then_some(Event(MISSED, AlertSeverity::Critical, subject, what, advice))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_core::{Epoch, SiteName};
    use serde_json::json;

    const OBJECTIVES: Objectives =
        Objectives { rto: Duration::from_secs(20), rpo: Duration::from_secs(1) };

    fn bank() -> ApplicationName {
        ApplicationName::new("bank").unwrap()
    }

    fn failover(seconds: i64, state: ExecutionState) -> Execution {
        let begun = 1_795_000_000_000_000;
        Execution {
            id: "bank-2-failover".to_owned(),
            application: bank(),
            kind: ExecutionKind::Failover,
            epoch: Epoch::new(2),
            from: SiteName::new("east").ok(),
            to: SiteName::new("west").unwrap(),
            state,
            requested_by: "the agents".to_owned(),
            started_micros: begun + 9_000_000,
            ended_micros: Some(begun + seconds * 1_000_000),
            steps: Vec::new(),
            facts: [
                ("last_renewal_seen_micros".to_owned(), json!(begun)),
                ("loss_bound_s".to_owned(), json!(4.25)),
            ]
            .into(),
            runbook: None,
            questions: Vec::new(),
        }
    }

    fn kinds(events: &[Event]) -> Vec<&'static str> {
        events.iter().map(|event| event.0).collect()
    }

    #[test]
    fn a_failover_that_took_too_long_missed_its_rto() {
        let held = ended(OBJECTIVES, &failover(11, ExecutionState::Succeeded));
        assert_eq!(kinds(&held), ["failover-done"]);
        assert!(held[0].3.contains("11.0 s after the last sign"), "{}", held[0].3);
        assert!(held[0].3.contains("at most 4.2 s"), "{}", held[0].3);
        let missed = ended(OBJECTIVES, &failover(31, ExecutionState::Succeeded));
        assert_eq!(kinds(&missed), ["failover-done", MISSED]);
        let expected = "bank was without service for up to 31.0 s; its RTO is 20.0 s";
        assert_eq!(missed[1].3, expected);
        let given_up = ended(OBJECTIVES, &failover(31, ExecutionState::Aborted));
        assert_eq!(kinds(&given_up), ["failover-failed"]);
    }

    #[test]
    fn an_rpo_is_missed_when_the_salvage_shows_it_and_not_before() {
        let salvage = |lost: Value| json!({"id": "bank-db-2-east", "rpo_exact_s": lost});
        let missed = |lost| exact_loss(&bank(), OBJECTIVES, &salvage(lost)).map(|event| event.0);
        assert_eq!(missed(json!(1.5)), Some(MISSED));
        assert_eq!(missed(json!(0.5)), None);
        assert_eq!(missed(Value::Null), None, "unknown");
    }

    #[test]
    fn whoever_accepts_a_loss_forces_a_failover() {
        let order = |accepts| {
            let body = json!({"kind": "failover", "to": "west", "by": "alice", "reason": null,
                "accept_loss_s": accepts});
            ordered(&bank(), &body)
        };
        let plain = order(Value::Null);
        assert_eq!((plain.0, plain.3.as_str()), ("order", "alice ordered a failover to west"));
        let forced = order(json!(57.0));
        assert_eq!((forced.0, forced.1), ("forced", AlertSeverity::Critical));
        assert!(forced.3.ends_with("up to 57.0 s of acknowledged work may be lost"));
    }
}
