//! What a move would do and lose if it began now. Nothing is touched.

use super::moves::{pick, target};
use crate::agent::Agent;
use crate::application::Application;
use crate::error::Refused;
use crate::known::Known;
use crate::runbook::own::{self, Around};
use crate::runbook::steps::check;
use crate::runbook::{Defined, Step, pin, ready, runbook_of, short_hash};
use crate::time::tick;
use crate::types::{
    Execution, ExecutionKind, ExecutionState, Plan, PlannedStep, Refusal, StepRecord,
};
use mainstay_core::decision::{Hindrance, loss_bound};
use mainstay_core::people::Force;
use mainstay_core::runbook::RunbookName;
use mainstay_core::{ApplicationName, Lag, Tick};
use std::time::Duration;

/// `GET /v1/plan`
#[derive(serde::Serialize, serde::Deserialize)]
pub struct PlanQuery {
    pub kind: ExecutionKind,
    pub application: Option<ApplicationName>,
}

/// Another site answers from what it knows; nothing is looked up for a plan.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The plan of the site that the move leads to, whichever agent is asked.
pub async fn at_target(agent: &Agent, query: &PlanQuery) -> Result<Plan, Refused> {
    let application = pick(agent, query.application.as_ref())?;
    let to = target(application, None)?;
    let Some(peer) = application.context.peers.get(&to) else {
        return looked(application, query.kind).await;
    };
    let query = PlanQuery { application: Some(application.spec.name.clone()), kind: query.kind };
    peer.post("/v1/peer/plan", &query, TIMEOUT).await.map_err(|why| {
        Refused::new("MS-AGENT-012", why.to_string(), "start the agent of that site")
    })
}

/// The plan as the site sees it that the move leads to, with what each step lacks.
pub async fn looked(application: &Application, kind: ExecutionKind) -> Result<Plan, Refused> {
    let mut plan = make(application, kind).await?;
    for (step, missing) in ready::missing(application, kind).await {
        if let Some(planned) = plan.steps.iter_mut().find(|it| it.name == step) {
            planned.missing = missing;
        }
    }
    Ok(plan)
}

/// The plan as the site sees it that the move leads to.
pub async fn make(application: &Application, kind: ExecutionKind) -> Result<Plan, Refused> {
    let to = target(application, None)?;
    let memory = &application.context.memory;
    let past = memory.executions(&application.spec.name).await.unwrap_or_default();
    let good = |it: &Execution| it.kind == kind && it.state == ExecutionState::Succeeded;
    let past: Vec<Execution> = past.into_iter().filter(good).collect();
    let (record, returning, waited) = {
        let known = application.known();
        let seen = known.facts.record.as_ref();
        let waited = seen.map(|seen| tick().since(seen.changed)).unwrap_or_default();
        (seen.map(|seen| seen.record.clone()), known.shown_return(tick()), waited)
    };
    let pinned = pin(&application.spec, runbook_of(&application.spec, kind, &to));
    let steps: Vec<PlannedStep> = pinned
        .steps
        .iter()
        .map(|step| planned(application, kind, pinned.name, step, &past))
        .collect();
    let expected_s = steps.iter().filter_map(|step| step.expected_s).sum::<f64>();
    let mut plan = Plan {
        application: application.spec.name.clone(),
        kind,
        epoch: record.as_ref().map(|it| it.epoch.next()).unwrap_or_default(),
        from: record.map(|it| it.active),
        to,
        steps,
        loss_bound_s: loss(application, kind),
        last_took_s: past.first().and_then(took),
        expected_s: (!past.is_empty()).then_some(expected_s),
        rto_left_s: (!past.is_empty()).then(|| left(application, kind, waited, expected_s)),
        returning,
        refusals: refusals(application, kind),
        hash: None,
    };
    plan.hash = (kind == ExecutionKind::Failover).then(|| hash(application, &plan, &pinned.hash));
    Ok(plan)
}

/// Of the objective, when what is left of the lease is waited for and the steps take what they
/// usually do. A site that renews is seen as lost now.
fn left(application: &Application, kind: ExecutionKind, waited: Duration, expected_s: f64) -> f64 {
    let lease = &application.rules.lease;
    let silent = waited > lease.suspicious_after();
    let passed = if silent { waited } else { Duration::ZERO };
    let wait = match kind {
        ExecutionKind::Switchover => Duration::ZERO,
        ExecutionKind::Failover => {
            let start = Tick::default();
            lease.runs_out_at(start).since(start).max(passed)
        }
    };
    application.spec.objectives.rto.as_secs_f64() - wait.as_secs_f64() - expected_s
}

/// The same as long as the same would be done, outweighed and lost: within the bound, that is, and
/// beyond it to the second.
fn hash(application: &Application, plan: &Plan, steps: &str) -> String {
    let rpo = application.spec.objectives.rpo.as_secs_f64();
    let loss = match plan.loss_bound_s {
        None => "unknown".to_owned(),
        Some(loss) if loss <= rpo => "within the bound".to_owned(),
        Some(loss) => format!("{} s", loss.ceil()),
    };
    let Plan { application: name, kind, epoch, from, to, .. } = plan;
    let whole =
        serde_json::json!([name, kind, epoch, from, to, steps, loss, lasting_names(application)]);
    short_hash(&whole.to_string())
}

fn lasting_names(application: &Application) -> Vec<String> {
    let now = tick();
    let mut known = application.known();
    known.refresh(&application.rules, now);
    let Some(seen) = &known.facts.record else { return Vec::new() };
    let mut names: Vec<String> = known
        .lasting_hindrances(&application.rules, seen, now)
        .iter()
        .map(Hindrance::name)
        .collect();
    names.sort();
    names
}

fn planned(
    application: &Application,
    kind: ExecutionKind,
    runbook: RunbookName,
    step: &Defined,
    past: &[Execution],
) -> PlannedStep {
    let record = |it: &Execution| it.steps.iter().find(|past| past.name == step.name()).cloned();
    let took = |it: StepRecord| span(it.started_micros?, it.ended_micros?);
    let mut all: Vec<f64> = past.iter().filter_map(record).filter_map(took).collect();
    let last_took_s = past.first().and_then(record).and_then(took);
    all.sort_by(f64::total_cmp);
    let what = match step {
        Defined::BuiltIn(step) => what(application, *step),
        Defined::Own(own) => {
            let execution = crate::runbook::planned(application, kind);
            own::what(&Around::new(application, own, runbook, &execution))
        }
    };
    PlannedStep {
        name: step.name().to_owned(),
        what,
        last_took_s,
        point_of_no_return: matches!(step, Defined::BuiltIn(it) if it.is_point_of_no_return()),
        expected_s: all.get(all.len() / 2).copied(),
        missing: Vec::new(),
    }
}

/// Before the claim, where there are means, the failed site is stopped by them.
fn what(application: &Application, step: Step) -> String {
    let outside = &application.rules.fenced_from_outside;
    let active = application.known().facts.record.as_ref().map(|seen| seen.record.active.clone());
    match active.filter(|active| step == Step::Fence && outside.contains(active)) {
        Some(active) => format!("have {active} stopped from outside, and {}", step.what()),
        None => step.what().to_owned(),
    }
}

fn took(execution: &Execution) -> Option<f64> {
    span(execution.started_micros, execution.ended_micros?)
}

fn span(from: i64, to: i64) -> Option<f64> {
    let micros = u64::try_from(to.checked_sub(from)?).ok()?;
    Some(std::time::Duration::from_micros(micros).as_secs_f64())
}

/// A planned move loses nothing. A failover now would lose what has not arrived: while the active
/// site lives that is the lag, afterwards the bound that the decision goes by.
fn loss(application: &Application, kind: ExecutionKind) -> Option<f64> {
    if kind == ExecutionKind::Switchover {
        return Some(0.0);
    }
    let now = tick();
    let mut known = application.known();
    known.refresh(&application.rules, now);
    let seen = known.facts.record.as_ref()?;
    let bound = loss_bound(&application.rules, &known.facts, seen);
    // A link that has not heard from its source since it began knows no bound, whatever its lag.
    let unheard = !known.links.is_empty() && bound.is_none();
    if unheard || now.since(seen.changed) > application.rules.lease.suspicious_after() {
        return bound.map(|it| it.as_secs_f64());
    }
    let own = known.links.values().map(|link| link.status.lag);
    let told = known.views.values().flat_map(|(_, view)| view.links.values());
    let lags: Vec<Lag> = own.chain(told.map(|link| link.status.lag)).collect();
    let known: Option<Vec<_>> = lags.into_iter().map(Lag::known).collect();
    known?.into_iter().max().map(|lag| lag.as_secs_f64())
}

fn refusals(application: &Application, kind: ExecutionKind) -> Vec<Refusal> {
    let refusal = |what: String| Refusal { what, advice: "see `mainstay status`".to_owned() };
    if kind == ExecutionKind::Switchover {
        return check::refusals(application).into_iter().map(refusal).collect();
    }
    let now = tick();
    let mut known = application.known();
    known.refresh(&application.rules, now);
    let Some(seen) = &known.facts.record else { return Vec::new() };
    let lasting = known.lasting_hindrances(&application.rules, seen, now);
    let advised = |it: &Hindrance| match it {
        Hindrance::NotProved => {
            Refusal { what: it.to_string(), advice: unproved(&application.spec.name, &known) }
        }
        Hindrance::Paused(_) => Refusal {
            what: it.to_string(),
            advice: match application.spec.force {
                Force::One => {
                    "your own `mainstay failover` outweighs it; `mainstay resume` ends it"
                }
                Force::Two => {
                    "`mainstay failover` asks another person to outweigh it; `mainstay resume` \
                     ends it"
                }
            }
            .to_owned(),
        },
        _ => refusal(it.to_string()),
    };
    lasting.iter().map(advised).collect()
}

/// What it means to have a site take over that is back but for the proof.
fn unproved(application: &ApplicationName, known: &Known) -> String {
    let kept = known.returns.values().filter_map(|it| it.salvage.as_ref());
    let kept: Vec<&str> = kept.map(|salvage| salvage.id.as_str()).collect();
    let end = known.links.values().filter_map(|link| link.status.applied);
    let end: Vec<String> = end.map(|applied| applied.to_string()).collect();
    format!(
        "if the active site stays lost: mainstay failover {}; its rows are put right and it has \
         applied up to {}; what only it had before is kept in the salvage {}; what it lacks then \
         is salvaged when the other site comes back; both are compared only then",
        application,
        end.join(", "),
        kept.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Return, SalvageSummary};
    use mainstay_core::position::Lsn;
    use mainstay_core::{Epoch, LinkStatus, Position, SiteName, StoreName, Tick};

    #[test]
    fn a_plan_says_what_it_means_to_take_a_site_that_only_lacks_the_proof() {
        let (east, west) = (SiteName::new("east").unwrap(), SiteName::new("west").unwrap());
        let (bank, db) = (ApplicationName::new("bank").unwrap(), StoreName::new("db").unwrap());
        let mut known = Known::new(east.clone(), Tick::default());
        let salvage = SalvageSummary {
            id: "bank-db-2-east".to_owned(),
            application: bank.clone(),
            store: db.clone(),
            site: east,
            epoch: Epoch::new(2),
            transactions: 12,
            changes: 36,
            first_commit_micros: None,
            last_commit_micros: None,
            inexact: None,
            states: None,
            replay: None,
            rpo_exact_s: None,
        };
        let back = Return { salvage: Some(salvage), ..Return::begun(Epoch::new(2), db.clone()) };
        known.returns.insert(db.clone(), back);
        let applied = Some(Position::Postgres(Lsn(0x2C8_E9C0)));
        let status = LinkStatus { applied, ..LinkStatus::starting() };
        known.take_link(&db, &west, (status, None), Tick::default());
        let told = unproved(&bank, &known);
        for part in ["mainstay failover bank", "up to 0/2C8E9C0", "the salvage bank-db-2-east"] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }
}
