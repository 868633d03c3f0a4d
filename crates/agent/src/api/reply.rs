//! Answers of the API: JSON, or a refusal with its code and what to do.

use crate::error::Refused;
use axum::Json;
use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::fs::File;
use std::io::BufReader;
use tokio_util::io::ReaderStream;

pub struct Reply<T>(Result<T, Refused>);

pub async fn reply<T>(work: impl Future<Output = Result<T, Refused>>) -> Reply<T> {
    Reply(work.await)
}

impl<T: Serialize> IntoResponse for Reply<T> {
    fn into_response(self) -> Response {
        match self.0 {
            Ok(answer) => Json(answer).into_response(),
            Err(refused) => {
                tracing::info!(code = %refused.code, what = refused.what, "refused");
                (StatusCode::CONFLICT, Json(refused.to_api())).into_response()
            }
        }
    }
}

/// A file of JSON lines as it is.
pub fn file(file: Result<BufReader<File>, String>) -> Response {
    match file {
        Ok(file) => {
            let file = tokio::fs::File::from_std(file.into_inner());
            let lines = Body::from_stream(ReaderStream::new(file));
            ([(header::CONTENT_TYPE, "application/jsonl")], lines).into_response()
        }
        Err(why) => (StatusCode::INTERNAL_SERVER_ERROR, why).into_response(),
    }
}
