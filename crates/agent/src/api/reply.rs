//! Answers of the API: JSON, or a refusal with its code and what to do.

use crate::error::Refused;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

pub struct Reply<T>(Result<T, Refused>);

pub async fn reply<T>(work: impl Future<Output = Result<T, Refused>>) -> Reply<T> {
    Reply(work.await)
}

impl<T: Serialize> IntoResponse for Reply<T> {
    fn into_response(self) -> Response {
        match self.0 {
            Ok(answer) => Json(answer).into_response(),
            Err(refused) => {
                tracing::info!(code = refused.code, what = refused.what, "refused");
                (StatusCode::CONFLICT, Json(refused.to_api())).into_response()
            }
        }
    }
}
