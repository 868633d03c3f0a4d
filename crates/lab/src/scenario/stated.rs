//! What Mainstay states of a failover and a switchover, from its executions.

use super::round::Round;
use crate::clients::log::Moment;
use crate::report::Happened;
use mainstay_agent::types::{Execution, StepRecord};
use mainstay_core::{Receipt, Tried};

/// Facts of an execution that are moments, with what each means.
const MOMENTS: [(&str, &str, &str); 3] = [
    ("last_renewal_seen_micros", "last renewal", "the last sign of the lost site's lease"),
    ("suspected_micros", "detect", "the agents suspect that the site is gone"),
    ("decided_micros", "decide", "every condition holds: epoch + 1 is claimed"),
];

/// From the last sign of life to the end of the step after which clients are served.
pub fn rto_s(failover: &Execution) -> Option<f64> {
    let last_sign = failover.facts.get("last_renewal_seen_micros")?.as_i64()?;
    let opened = failover.steps.iter().find(|step| serves_clients(step))?.ended_micros?;
    Some((opened - last_sign) as f64 / 1e6)
}

fn serves_clients(step: &StepRecord) -> bool {
    ["gate", "route"].iter().any(|word| step.name.contains(word))
}

pub fn loss_bound_s(failover: &Execution) -> Option<f64> {
    failover.facts.get("loss_bound_s")?.as_f64()
}

/// Without a salvage nothing was lost, and nothing is stated.
pub fn rpo_s(round: &Round) -> Option<f64> {
    match &round.salvaged.as_ref()?.summary {
        Some(salvage) => salvage.rpo_exact_s,
        None => Some(0.0),
    }
}

/// Seconds since the kill, from the kill to the first client that was served.
pub fn failover_timeline(failover: &Execution, kill: Moment, rto_s: Option<f64>) -> Vec<Happened> {
    let mut timeline = vec![happened(0.0, None, "kill", "every process of the site: SIGKILL")];
    let after_kill = |micros: i64| (micros - kill.wall_us) as f64 / 1e6;
    for (fact, what, detail) in MOMENTS {
        if let Some(micros) = failover.facts.get(fact).and_then(serde_json::Value::as_i64) {
            timeline.push(happened(after_kill(micros), None, what, detail));
        }
    }
    timeline.extend(fenced_from_outside(failover).iter().map(|it| {
        let detail = format!("{} {}: {}", it.means, it.outcome, it.detail);
        happened(after_kill(it.micros), None, "fenced", &detail)
    }));
    timeline.extend(failover.steps.iter().filter_map(|step| step_happened(step, after_kill)));
    if let Some(rto_s) = rto_s {
        timeline.push(happened(rto_s, None, "first success", "a client's write is acknowledged"));
    }
    timeline.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
    timeline
}

fn fenced_from_outside(failover: &Execution) -> Vec<Tried> {
    let kept = failover.facts.get("fenced_from_outside").cloned();
    let receipt = kept.and_then(|receipt| serde_json::from_value::<Receipt>(receipt).ok());
    receipt.map_or_else(Vec::new, |receipt| receipt.tried)
}

/// Seconds since the switchover was asked for.
pub fn switchover_timeline(switchover: &Execution, asked: Moment) -> Vec<Happened> {
    let after_asked = |micros: i64| (micros - asked.wall_us) as f64 / 1e6;
    switchover.steps.iter().filter_map(|step| step_happened(step, after_asked)).collect()
}

fn step_happened(step: &StepRecord, offset: impl Fn(i64) -> f64) -> Option<Happened> {
    let at_s = offset(step.started_micros?);
    Some(happened(at_s, step.ended_micros.map(offset), &step.name, &step.detail))
}

fn happened(at_s: f64, until_s: Option<f64>, what: &str, detail: &str) -> Happened {
    Happened { at_s, until_s, what: what.to_owned(), detail: detail.to_owned() }
}
