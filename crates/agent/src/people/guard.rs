//! What stands before every route for people: who asks, and whether the role suffices. Nothing gets
//! past it that it does not know.

use super::register::Credentials;
use super::{Asker, too_little};
use crate::agent::Agent;
use axum::Json;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use mainstay_core::people::Role;
use serde_json::json;

/// Tells who asks, for all that comes after.
pub async fn identify(State(agent): State<Agent>, mut request: Request, next: Next) -> Response {
    let Some(shown) = request.extensions().get::<Credentials>().cloned() else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    let token = request.headers().get(header::AUTHORIZATION);
    let token = token.and_then(|it| it.to_str().ok()?.strip_prefix("Bearer "));
    match agent.context.register.identify(&shown, token).await {
        Ok(asker) => {
            request.extensions_mut().insert(asker);
            next.run(request).await
        }
        Err(refused) => {
            tracing::warn!(code = %refused.code, what = refused.what, "refused a person");
            (StatusCode::UNAUTHORIZED, Json(refused.to_api())).into_response()
        }
    }
}

/// Lets nobody pass of a lesser role. The refusal is in the ledger.
pub async fn require(
    State((agent, least)): State<(Agent, Role)>,
    request: Request,
    next: Next,
) -> Response {
    let asker = request.extensions().get::<Asker>().cloned();
    match asker {
        Some(asker) if asker.role >= least => next.run(request).await,
        Some(asker) => {
            let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
            let what = format!("{} {path}", request.method());
            refuse(&agent, &asker, least, &what).await
        }
        None => StatusCode::UNAUTHORIZED.into_response(),
    }
}

async fn refuse(agent: &Agent, asker: &Asker, least: Role, what: &str) -> Response {
    let refused = too_little(asker, least);
    tracing::warn!(code = %refused.code, what = refused.what, asked = what, "refused a person");
    let body = json!({
        "who": asker.name, "by": asker.by, "role": asker.role, "needs": least, "asked": what,
    });
    if let Err(why) = agent.context.ledger.append("refused", "", &body).await {
        tracing::error!(%why, "a refusal is not in the ledger");
    }
    (StatusCode::FORBIDDEN, Json(refused.to_api())).into_response()
}
