//! What people may ask, over the Unix socket and over the network, and who of them: one table.

use super::approval;
use super::moves::begin;
use super::plan::PlanQuery;
use super::reply::{Reply, file, reply};
use super::salvage;
use crate::agent::Agent;
use crate::error::{AgentError, Refused};
use crate::known::LagSample;
use crate::ledger::Entry;
use crate::people::Asker;
use crate::people::guard::{identify, require};
use crate::types::{
    Alerts, ApprovalRequest, Begun, CompareRequest, ComparisonView, ContinueRequest, Continued,
    Execution, ExecutionKind, MoveRequest, PauseRequest, Paused, Plan, RepairRequest,
    RepairSummary, RequestId, ResumeRequest, Resumed, Return, ReturnRequest, RunAnswered,
    RunRequest, RunbookView, Status, TestRequest, Tested, Trace, TraceQuery, UndoRequest,
};
use axum::extract::{Path, Query, State};
use axum::handler::Handler;
use axum::http::{Method, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Extension, Json, Router};
use mainstay_core::people::Role;

/// One way to ask, and the least role that may.
pub struct Route {
    pub method: Method,
    pub path: &'static str,
    pub least: Role,
    handler: MethodRouter<Agent>,
}

/// Every route for people. There is no other way to add one, so none is without a role.
pub fn routes() -> Vec<Route> {
    use Role::{Admin, Approver, Operator, Viewer};
    vec![
        asks(Viewer, "/v1/status", status),
        asks(Viewer, "/v1/plan", plan),
        asks(Viewer, "/v1/runbooks", runbooks),
        asks(Viewer, "/v1/executions", executions),
        asks(Viewer, "/v1/executions/{id}", execution),
        asks(Viewer, "/v1/requests", requests),
        asks(Viewer, "/v1/compare", comparison),
        asks(Viewer, "/v1/repairs", repairs),
        asks(Viewer, "/v1/repairs/{id}", one_repair),
        asks(Viewer, "/v1/salvage", salvage::list),
        asks(Viewer, "/v1/ledger", ledger),
        asks(Viewer, "/v1/dns/trace", trace),
        asks(Viewer, "/v1/alerts", alerts),
        asks(Viewer, "/v1/lag", lag),
        asks(Viewer, "/metrics", metrics),
        tells(Operator, "/v1/compare", compare),
        tells(Operator, "/v1/repair", repair),
        tells(Operator, "/v1/repair/undo", undo),
        // These show rows of the application.
        asks(Operator, "/v1/repairs/{id}/rows", repair_rows),
        asks(Operator, "/v1/salvage/{id}", salvage::lines),
        asks(Operator, "/v1/salvage/{id}/sides", salvage::sides),
        asks(Operator, "/v1/salvage/{id}/sql", salvage::sql),
        tells(Operator, "/v1/switchover", switchover),
        // What it may outweigh depends on who asks; see `failover`.
        tells(Operator, "/v1/failover", failover),
        // What an execution asks for may take more; see `run`.
        tells(Operator, "/v1/run", run),
        tells(Operator, "/v1/withdraw", withdraw),
        tells(Operator, "/v1/pause", pause),
        tells(Operator, "/v1/alerts/test", test_alerts),
        tells(Operator, "/v1/resume", resume),
        tells(Approver, "/v1/approve", approve),
        tells(Admin, "/v1/salvage/replay", salvage::replay),
        tells(Admin, "/v1/salvage/reject", salvage::reject),
        tells(Admin, "/v1/link/continue", go_on),
        tells(Admin, "/v1/return/continue", go_on_inexact),
    ]
}

fn asks<H: Handler<T, Agent>, T: 'static>(least: Role, path: &'static str, handler: H) -> Route {
    Route { method: Method::GET, path, least, handler: get(handler) }
}

fn tells<H: Handler<T, Agent>, T: 'static>(least: Role, path: &'static str, handler: H) -> Route {
    Route { method: Method::POST, path, least, handler: post(handler) }
}

pub fn router(agent: Agent) -> Router {
    let mut router = Router::new();
    for Route { path, least, handler, .. } in routes() {
        let guard = from_fn_with_state((agent.clone(), least), require);
        router = router.route(path, handler.layer(guard));
    }
    router.layer(from_fn_with_state(agent.clone(), identify)).with_state(agent)
}

/// Only the metrics, for a scraper over the network.
pub fn metrics_router(agent: Agent) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(agent)
}

async fn status(State(agent): State<Agent>) -> Json<Status> {
    Json(super::status::status(&agent.context, &agent.applications))
}

async fn plan(State(agent): State<Agent>, Query(query): Query<PlanQuery>) -> Reply<Plan> {
    reply(super::plan::at_target(&agent, &query)).await
}

async fn switchover(
    State(agent): State<Agent>,
    Extension(asker): Extension<Asker>,
    Json(request): Json<MoveRequest>,
) -> Reply<Begun> {
    reply(begin(&agent, ExecutionKind::Switchover, &request, &asker)).await
}

async fn failover(
    State(agent): State<Agent>,
    Extension(asker): Extension<Asker>,
    Json(request): Json<MoveRequest>,
) -> Reply<Begun> {
    reply(begin(&agent, ExecutionKind::Failover, &request, &asker)).await
}

async fn runbooks(State(agent): State<Agent>) -> Json<Vec<RunbookView>> {
    Json(super::runbooks::all(&agent))
}

async fn run(
    State(agent): State<Agent>,
    Extension(asker): Extension<Asker>,
    Json(request): Json<RunRequest>,
) -> Reply<RunAnswered> {
    reply(super::run::answer(&agent, &request, &asker)).await
}

async fn requests(State(agent): State<Agent>) -> Reply<Vec<ApprovalRequest>> {
    reply(approval::list(&agent)).await
}

async fn approve(
    State(agent): State<Agent>,
    Extension(asker): Extension<Asker>,
    Json(RequestId { id }): Json<RequestId>,
) -> Reply<Execution> {
    reply(approval::approve(&agent, &id, asker)).await
}

async fn withdraw(
    State(agent): State<Agent>,
    Extension(asker): Extension<Asker>,
    Json(RequestId { id }): Json<RequestId>,
) -> Reply<ApprovalRequest> {
    reply(approval::withdraw(&agent, &id, asker)).await
}

async fn pause(
    State(agent): State<Agent>,
    Extension(asker): Extension<Asker>,
    Json(request): Json<PauseRequest>,
) -> Reply<Paused> {
    reply(super::pause::begin(&agent, &asker, &request)).await
}

async fn resume(
    State(agent): State<Agent>,
    Extension(asker): Extension<Asker>,
    Json(request): Json<ResumeRequest>,
) -> Reply<Resumed> {
    reply(super::pause::end(&agent, &asker, &request)).await
}

async fn executions(State(agent): State<Agent>) -> Reply<Vec<Execution>> {
    reply(all_executions(&agent)).await
}

/// This agent's executions, and the newest that other agents tell of.
async fn all_executions(agent: &Agent) -> Result<Vec<Execution>, Refused> {
    let mut all: Vec<Execution> = Vec::new();
    for application in agent.applications.values() {
        let name = &application.spec.name;
        all.extend(application.context.memory.executions(name).await.map_err(unreadable)?);
        let known = application.known();
        let told = known.views.values().filter_map(|(_, view)| view.execution.clone());
        all.extend(told.collect::<Vec<_>>());
    }
    all.sort_by_key(|it| std::cmp::Reverse(it.started_micros));
    all.dedup_by(|a, b| a.id == b.id);
    Ok(all)
}

async fn execution(State(agent): State<Agent>, Path(id): Path<String>) -> Reply<Execution> {
    reply(async {
        let found = all_executions(&agent).await?.into_iter().find(|it| it.id == id);
        found.ok_or_else(|| {
            Refused::new(
                "MS-AGENT-013",
                format!("there is no execution {id:?}"),
                "list them with `mainstay executions`",
            )
        })
    })
    .await
}

async fn compare(
    State(agent): State<Agent>,
    Extension(asker): Extension<Asker>,
    Json(request): Json<CompareRequest>,
) -> Reply<ComparisonView> {
    reply(super::comparison::begin(&agent, &request, &asker)).await
}

async fn comparison(
    State(agent): State<Agent>,
    Query(request): Query<CompareRequest>,
) -> Reply<ComparisonView> {
    reply(super::comparison::state(&agent, &request)).await
}

async fn repair(
    State(agent): State<Agent>,
    Extension(asker): Extension<Asker>,
    Json(request): Json<RepairRequest>,
) -> Reply<RepairSummary> {
    reply(super::repair::begin(&agent, &request, &asker)).await
}

async fn undo(
    State(agent): State<Agent>,
    Extension(asker): Extension<Asker>,
    Json(request): Json<UndoRequest>,
) -> Reply<RepairSummary> {
    reply(super::repair::undo(&agent, &request, &asker)).await
}

async fn repairs(State(agent): State<Agent>) -> Reply<Vec<RepairSummary>> {
    reply(super::repair::list(&agent)).await
}

async fn one_repair(State(agent): State<Agent>, Path(id): Path<String>) -> Reply<RepairSummary> {
    reply(super::repair::one(&agent, &id)).await
}

async fn repair_rows(State(agent): State<Agent>, Path(id): Path<String>) -> Response {
    match super::repair::find_here(&agent, &id).await {
        Ok((application, _)) => file(crate::act::repair::open(&application, &id)),
        Err(refused) => (StatusCode::NOT_FOUND, Json(refused.to_api())).into_response(),
    }
}

async fn go_on_inexact(
    State(agent): State<Agent>,
    Extension(asker): Extension<Asker>,
    Json(request): Json<ReturnRequest>,
) -> Reply<Return> {
    reply(super::returning::at_returning(&agent, &request, &asker)).await
}

async fn trace(State(agent): State<Agent>, Query(query): Query<TraceQuery>) -> Reply<Trace> {
    reply(super::names::trace(&agent, &query)).await
}

async fn go_on(
    State(agent): State<Agent>,
    Extension(asker): Extension<Asker>,
    Json(request): Json<ContinueRequest>,
) -> Reply<Continued> {
    reply(super::links::at_receiver(&agent, &request, &asker)).await
}

/// `GET /v1/ledger`: the newest entries, of one kind or of all.
#[derive(serde::Deserialize)]
struct Newest {
    kind: Option<String>,
    last: usize,
}

/// More is read from the file itself, where it is.
const MOST_ENTRIES: usize = 10_000;

async fn ledger(State(agent): State<Agent>, Query(newest): Query<Newest>) -> Reply<Vec<Entry>> {
    reply(async {
        let path = agent.context.state.join("ledger.db");
        let Newest { kind, last } = newest;
        let read = tokio::task::spawn_blocking(move || {
            crate::ledger::entries(&path, kind.as_deref(), last.min(MOST_ENTRIES))
        });
        let failed =
            |why: String| Refused::new("MS-AGENT-006", why, "look at the disk of the state folder");
        let entries = read.await.map_err(|why| failed(why.to_string()))?;
        entries.map_err(|why| failed(why.to_string()))
    })
    .await
}

async fn alerts(State(agent): State<Agent>) -> Json<Alerts> {
    Json(super::alerts::list(&agent))
}

async fn test_alerts(
    State(agent): State<Agent>,
    Extension(asker): Extension<Asker>,
    Json(request): Json<TestRequest>,
) -> Reply<Tested> {
    reply(async { super::alerts::test(&agent, &request, &asker.name).await }).await
}

pub fn unreadable(why: AgentError) -> Refused {
    Refused::new("MS-AGENT-003", why.to_string(), "look at the disk of the state folder")
}

async fn lag(State(agent): State<Agent>) -> Json<Vec<LagSample>> {
    let samples = agent.applications.values().flat_map(|application| {
        application.known().lag_samples.iter().cloned().collect::<Vec<_>>()
    });
    Json(samples.collect())
}

async fn metrics(State(agent): State<Agent>) -> impl IntoResponse {
    let text = crate::metrics::render(&agent.context, &agent.applications);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}
