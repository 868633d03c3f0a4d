//! What the other agents may ask, over mutual TLS.

use crate::act::{databases, handover};
use crate::agent::Agent;
use crate::api::approval::{self, Word};
use crate::api::moves;
use crate::api::plan::PlanQuery;
use crate::api::reply::{Reply, reply};
use crate::api::watching::own_clients;
use crate::application::Application;
use crate::coordinator::Coordinator;
use crate::error::Refused;
use crate::peer::messages::{
    AgedEvidence, ApplicationView, Done, FenceAnswer, HoldAnswer, PromiseAnswer, PromiseRequest,
    StepRequest, View,
};
use crate::people::Asker;
use crate::serve::Caller;
use crate::time::tick;
use crate::types::{
    ApprovalRequest, Begun, CompareRequest, ComparisonView, ContinueRequest, Continued, Execution,
    ExecutionKind, MoveRequest, Plan, RepairRequest, RepairSummary, Return, ReturnRequest,
    RunAnswered, RunRequest, SalvageSummary, UndoRequest,
};
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::routing::{get, post, put};
use axum::{Extension, Json, Router};
use mainstay_core::decision::{Hold, may_hand_over, may_promise};
use mainstay_core::record::Handover;
use mainstay_core::{ApplicationName, SiteName};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long the active site waits for what is under way, before it says what is left.
const DRAIN: Duration = Duration::from_millis(1000);
/// The longest hold that another agent may ask for.
const LONGEST_HOLD: Duration = Duration::from_secs(30);

pub fn router(agent: Agent) -> Router {
    let coordinator = match &agent.context.coordinator {
        Coordinator::Here(embedded) => super::coordinator::router(embedded.clone()),
        Coordinator::There(_) | Coordinator::Etcd(_) => super::coordinator::elsewhere(),
    };
    Router::new()
        .route("/v1/peer/view", get(view))
        .route("/v1/peer/promise", post(promise))
        .route("/v1/peer/hold", post(hold))
        .route("/v1/peer/fence", post(fence))
        .route("/v1/peer/resume", post(resume))
        .route("/v1/peer/move", post(begin_move))
        .route("/v1/peer/requests", get(requests))
        .route("/v1/peer/approve", post(approve))
        .route("/v1/peer/withdraw", post(withdraw))
        .route("/v1/peer/compare", post(compare))
        .route("/v1/peer/repair", post(repair))
        .route("/v1/peer/repair/undo", post(undo))
        .route("/v1/peer/repairs", get(repairs))
        .route("/v1/peer/comparison", post(comparison))
        .route("/v1/peer/link/continue", post(go_on))
        .route("/v1/peer/return/continue", post(go_on_inexact))
        .route("/v1/peer/plan", post(plan))
        .route("/v1/peer/run", post(run))
        .route("/v1/peer/salvage", post(salvage_whole))
        .route("/v1/peer/salvage/{application}/{id}", put(salvage_piece))
        .with_state(agent)
        .merge(coordinator)
        .layer(DefaultBodyLimit::max(2 * crate::salvage::PIECE))
}

async fn view(State(agent): State<Agent>) -> Json<View> {
    let seen = agent.applications.iter().map(|(name, it)| (name.clone(), view_of(it)));
    Json(View {
        site: agent.context.here().clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        head: agent.context.ledger.head(),
        applications: seen.collect(),
        tick: Some(tick()),
    })
}

fn view_of(application: &Application) -> ApplicationView {
    let now = tick();
    let known = application.known();
    let own = known.evidence.iter().filter(|((vantage, _), _)| *vantage == known.facts.here);
    let aged = |it: &mainstay_core::verdict::Evidence| AgedEvidence {
        verdict: it.verdict,
        age_ms: now.since(it.gathered).as_millis().try_into().unwrap_or(u64::MAX),
        why: it.why.clone(),
    };
    let sites = application.rules.data_sites.iter();
    let state = known.state.unwrap_or(mainstay_core::decision::State::Unknown);
    ApplicationView {
        highest: known.facts.highest,
        promoted: Some(known.facts.promoted),
        state: state.name().to_owned(),
        evidence: own.map(|((_, about), it)| (about.clone(), aged(it))).collect(),
        probes: sites.map(|site| (site.clone(), known.watching.probes(site, now))).collect(),
        clients: own_clients(application),
        links: known.links.iter().map(|(store, it)| (store.clone(), it.view())).collect(),
        returning: known.shown_return(now),
        equality: known.equality(),
        reads: crate::reads::views(application, &known, state, now),
        execution: known.execution.clone(),
        salvages: known.salvages.clone(),
        telling: application.context.alerts.telling(&application.spec.name, now),
        readiness: known.readiness.clone(),
    }
}

/// Given to the holder of the newest epoch that this site knows, unless this site is about to act.
async fn promise(
    State(agent): State<Agent>,
    Extension(Caller(caller)): Extension<Caller>,
    Json(request): Json<PromiseRequest>,
) -> Reply<PromiseAnswer> {
    reply(async {
        let application = agent.application(&request.application)?;
        // Whoever has heard of a newer epoch refuses the older, whatever a coordinator that was
        // restored says later.
        let heard = application.remember_epoch(request.epoch).await;
        heard.map_err(|why| refused(why.to_string(), "look at the disk of this site"))?;
        let given = application.learn(|known| {
            let given = may_promise(&known.facts, &caller, request.epoch);
            if given {
                known.facts.promised = Some(tick());
            }
            given
        });
        Ok(PromiseAnswer { given })
    })
    .await
}

async fn hold(
    State(agent): State<Agent>,
    Extension(Caller(caller)): Extension<Caller>,
    Json(request): Json<StepRequest>,
) -> Reply<HoldAnswer> {
    reply(async {
        let application = handing_over(&agent, &caller, &request)?;
        let length = Duration::from_millis(request.hold_ms).min(LONGEST_HOLD);
        let hold = Hold {
            execution: request.execution.clone(),
            epoch: request.epoch,
            until: tick().plus(length),
        };
        application.learn(|known| known.facts.hold = Some(hold));
        let mut reports = application.context.gate.watch(&application.spec.name);
        let drained = reports.wait_for(|report| report.as_ref().is_some_and(|it| it.drained));
        let drained = matches!(tokio::time::timeout(DRAIN, drained).await, Ok(Ok(_)));
        let in_flight = reports.borrow().as_ref().map_or(0, |it| it.http_in_flight);
        Ok(HoldAnswer { drained, in_flight })
    })
    .await
}

/// Fences this site's databases and enters the handover in the record.
async fn fence(
    State(agent): State<Agent>,
    Extension(Caller(caller)): Extension<Caller>,
    Json(request): Json<StepRequest>,
) -> Reply<FenceAnswer> {
    reply(async {
        let application = handing_over(&agent, &caller, &request)?;
        let held = application.known().facts.hold.as_ref().map(|hold| hold.execution.clone());
        if held.as_ref() != Some(&request.execution) {
            return Err(refused("this site does not hold for that execution", "begin it anew"));
        }
        // Whatever opens them has its turn before or finds the hold: nothing opens them afterwards.
        let turn = application.single.databases.take().await;
        let fenced = databases::fence_all(application, request.epoch).await;
        drop(turn);
        let fenced = fenced.map_err(|why| refused(why, "the active site goes on"))?;
        let positions: BTreeMap<_, _> =
            fenced.iter().map(|(store, done)| (store.clone(), done.position)).collect();
        let handover = Handover {
            execution: request.execution.clone(),
            to: request.to.clone(),
            positions: positions.clone(),
        };
        if !handover::set(application, Some(handover)).await {
            return Err(refused("the handover could not be recorded", "begin it anew"));
        }
        let receipt = handover::receipt(application, request.epoch, fenced);
        Ok(FenceAnswer { receipt, positions })
    })
    .await
}

async fn resume(
    State(agent): State<Agent>,
    Extension(Caller(caller)): Extension<Caller>,
    Json(request): Json<StepRequest>,
) -> Reply<Done> {
    reply(async {
        let application = active(&agent, &caller, &request)?;
        let done = handover::set(application, None).await;
        application.learn(|known| known.facts.hold = None);
        Ok(Done { done })
    })
    .await
}

/// A step of a planned move is taken only from the site that the move leads to, and only in the
/// epoch that it means to end.
fn active<'a>(
    agent: &'a Agent,
    caller: &SiteName,
    request: &StepRequest,
) -> Result<&'a Arc<Application>, Refused> {
    let application = agent.application(&request.application)?;
    let known = application.known();
    let record = known.facts.record.as_ref().map(|seen| &seen.record);
    let Some(record) = record.filter(|record| record.active == known.facts.here) else {
        return Err(refused("this site is not active", "see `mainstay status`"));
    };
    if record.epoch != request.epoch {
        let what = format!("epoch {} is not the newest, {}", request.epoch, record.epoch);
        return Err(refused(what, "begin the move anew"));
    }
    if *caller != request.to || !application.rules.data_sites.contains(caller) {
        return Err(refused(format!("{caller} may not be promoted"), "see the configuration"));
    }
    drop(known);
    Ok(application)
}

/// The same, for a step by which this site gives its right to write away.
fn handing_over<'a>(
    agent: &'a Agent,
    caller: &SiteName,
    request: &StepRequest,
) -> Result<&'a Arc<Application>, Refused> {
    let application = active(agent, caller, request)?;
    match may_hand_over(&application.known().facts, request.epoch) {
        true => Ok(application),
        false => Err(refused("the promotion of this site is not done", "see `mainstay status`")),
    }
}

fn refused(what: impl Into<String>, advice: &str) -> Refused {
    Refused::new("MS-AGENT-011", what, advice)
}

async fn begin_move(
    State(agent): State<Agent>,
    Json((kind, request, asker)): Json<(ExecutionKind, MoveRequest, Asker)>,
) -> Reply<Begun> {
    reply(moves::begin_here(&agent, kind, &request, &asker)).await
}

async fn requests(State(agent): State<Agent>) -> Reply<Vec<ApprovalRequest>> {
    reply(approval::list_here(&agent)).await
}

async fn approve(State(agent): State<Agent>, Json(word): Json<Word>) -> Reply<Execution> {
    reply(approval::approve_here(&agent, &word)).await
}

async fn withdraw(State(agent): State<Agent>, Json(word): Json<Word>) -> Reply<ApprovalRequest> {
    reply(approval::withdraw_here(&agent, &word)).await
}

async fn compare(
    State(agent): State<Agent>,
    Json((request, asker)): Json<(CompareRequest, Asker)>,
) -> Reply<ComparisonView> {
    reply(super::comparison::begin_here(&agent, &request, &asker)).await
}

async fn comparison(
    State(agent): State<Agent>,
    Json(request): Json<CompareRequest>,
) -> Reply<ComparisonView> {
    reply(async { super::comparison::state_here(&agent, &request) }).await
}

async fn repair(
    State(agent): State<Agent>,
    Json((request, asker)): Json<(RepairRequest, Asker)>,
) -> Reply<RepairSummary> {
    reply(super::repair::begin_here(&agent, &request, &asker)).await
}

async fn undo(
    State(agent): State<Agent>,
    Json((request, asker)): Json<(UndoRequest, Asker)>,
) -> Reply<RepairSummary> {
    reply(super::repair::undo_here(&agent, &request, &asker)).await
}

async fn repairs(State(agent): State<Agent>) -> Reply<Vec<RepairSummary>> {
    reply(super::repair::list_here(&agent)).await
}

async fn go_on_inexact(
    State(agent): State<Agent>,
    Json((request, asker)): Json<(ReturnRequest, Asker)>,
) -> Reply<Return> {
    reply(super::returning::here(&agent, &request, &asker)).await
}

async fn go_on(
    State(agent): State<Agent>,
    Json((request, asker)): Json<(ContinueRequest, Asker)>,
) -> Reply<Continued> {
    reply(super::links::here(&agent, &request, &asker)).await
}

async fn plan(State(agent): State<Agent>, Json(query): Json<PlanQuery>) -> Reply<Plan> {
    reply(async {
        let application = moves::pick(&agent, query.application.as_ref())?;
        super::plan::looked(application, query.kind).await
    })
    .await
}

async fn run(
    State(agent): State<Agent>,
    Json((request, person)): Json<(RunRequest, Asker)>,
) -> Reply<RunAnswered> {
    reply(super::run::answer_here(&agent, &request, &person)).await
}

#[derive(serde::Deserialize)]
struct Offset {
    offset: u64,
}

async fn salvage_piece(
    State(agent): State<Agent>,
    Path((application, id)): Path<(ApplicationName, String)>,
    Query(Offset { offset }): Query<Offset>,
    piece: Bytes,
) -> Reply<Done> {
    reply(async {
        let application = agent.application(&application)?;
        crate::salvage::take_piece(application, &id, offset, &piece).map_err(|why| {
            refused(format!("the salvage cannot be kept: {why}"), "free some space")
        })?;
        Ok(Done { done: true })
    })
    .await
}

async fn salvage_whole(
    State(agent): State<Agent>,
    Json(kept): Json<SalvageSummary>,
) -> Reply<Done> {
    reply(async {
        let application = agent.application(&kept.application)?;
        crate::salvage::take_whole(application, &kept)
            .await
            .map_err(|why| refused(why, "free some space"))?;
        Ok(Done { done: true })
    })
    .await
}
