//! What the people of this machine may ask about salvage.

use super::people::unreadable;
use super::reply::{Reply, file, reply};
use crate::agent::Agent;
use crate::application::Application;
use crate::error::Refused;
use crate::people::Asker;
use crate::salvage::{self, Pieces};
use crate::time::tick;
use crate::types::{DecisionRequest, RejectSummary, ReplayRequest, ReplaySummary, SalvageSummary};
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use mainstay_stores::postgres::salvage::Wish;
use serde::Deserialize;
use std::sync::Arc;

pub async fn list(State(agent): State<Agent>) -> Reply<Vec<SalvageSummary>> {
    reply(async {
        let mut all = Vec::new();
        for application in agent.applications.values() {
            let name = &application.spec.name;
            let kept = application.context.memory.salvage(name).await.map_err(unreadable)?;
            let fresh_for = application.rules.lease.fresh_for();
            let states = application.known().salvage_states(tick(), fresh_for);
            let stated = |kept: SalvageSummary| {
                let states = states.get(&kept.id).copied();
                SalvageSummary { states, ..kept }
            };
            all.extend(kept.into_iter().map(stated));
        }
        Ok(all)
    })
    .await
}

async fn find(agent: &Agent, id: &str) -> Result<Arc<Application>, Refused> {
    for application in agent.applications.values() {
        let kept = application.context.memory.salvage(&application.spec.name).await;
        if kept.map_err(unreadable)?.iter().any(|kept| kept.id == id) {
            return Ok(application.clone());
        }
    }
    Err(Refused::new(
        "MS-AGENT-020",
        format!("there is no salvage {id:?} at this site"),
        "list them with `mainstay salvage list`",
    ))
}

/// The salvage as it was taken.
pub async fn lines(State(agent): State<Agent>, Path(id): Path<String>) -> Response {
    match find(&agent, &id).await {
        Ok(application) => file(salvage::open(&application, &id)),
        Err(refused) => (StatusCode::NOT_FOUND, Json(refused.to_api())).into_response(),
    }
}

#[derive(Deserialize)]
pub struct Asked {
    limit: Option<u64>,
    #[serde(default)]
    open: bool,
}

pub async fn sides(
    State(agent): State<Agent>,
    Path(id): Path<String>,
    Query(Asked { limit, open }): Query<Asked>,
) -> Response {
    let wish = Wish { limit: limit.unwrap_or(u64::MAX), only_open: open };
    let pieces = async { salvage::sides(&*find(&agent, &id).await?, &id, wish).await };
    streamed(pieces.await, "application/jsonl")
}

pub async fn sql(
    State(agent): State<Agent>,
    Path(id): Path<String>,
    Query(Asked { open, .. }): Query<Asked>,
) -> Response {
    let pieces = async { salvage::script(&*find(&agent, &id).await?, &id, open).await };
    streamed(pieces.await, "application/sql")
}

fn streamed(pieces: Result<Pieces, Refused>, kind: &'static str) -> Response {
    match pieces {
        Ok(pieces) => {
            let body = futures::stream::unfold(pieces, |mut pieces| async {
                pieces.recv().await.map(|piece| (piece, pieces))
            });
            ([(header::CONTENT_TYPE, kind)], Body::from_stream(body)).into_response()
        }
        Err(refused) => (StatusCode::CONFLICT, Json(refused.to_api())).into_response(),
    }
}

pub async fn replay(
    State(agent): State<Agent>,
    Extension(asker): Extension<Asker>,
    Json(request): Json<ReplayRequest>,
) -> Reply<ReplaySummary> {
    reply(async {
        let application = find(&agent, &request.decision.id).await?;
        salvage::replay(&application, &request, &asker).await
    })
    .await
}

pub async fn reject(
    State(agent): State<Agent>,
    Extension(asker): Extension<Asker>,
    Json(request): Json<DecisionRequest>,
) -> Reply<RejectSummary> {
    reply(async {
        let application = find(&agent, &request.id).await?;
        salvage::reject(&application, &request, &asker).await
    })
    .await
}
