//! The agent's API: HTTP/1.1 with JSON, over its Unix socket or over the network.

mod way;

pub use way::{Network, Typed, Way};

use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use mainstay_agent::types::ApiError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// No answer of the agent but an export is larger.
const LARGEST_ANSWER: usize = 64 << 20;
/// What is only asked is answered at once; an agent that takes longer is stuck.
const PATIENCE: Duration = Duration::from_secs(15);

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("no agent answers at {way}: {why}")]
    Silent { way: Arc<Way>, why: String },
    #[error("the agent at {way} gave a strange answer: {why}")]
    Strange { way: Arc<Way>, why: String },
    #[error("{}", .0.message)]
    Refused(ApiError),
}

pub struct Client {
    way: Arc<Way>,
}

impl Client {
    pub fn new(way: Way) -> Self {
        Self { way: Arc::new(way) }
    }

    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let late = || self.silent(format!("no answer within {} s", PATIENCE.as_secs()));
        let answer = tokio::time::timeout(PATIENCE, self.json(Method::GET, path, Bytes::new()));
        answer.await.map_err(|_| late())?
    }

    /// Waits as long as it takes: a failover begins when the lease has run out.
    pub async fn post<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| self.strange(error))?;
        self.json(Method::POST, path, body.into()).await
    }

    /// Hands each piece of a long answer on as it comes.
    pub async fn stream(
        &self,
        path: &str,
        mut each: impl FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Result<(), ClientError> {
        let mut answer = self.accepted(Method::GET, path, Bytes::new()).await?;
        while let Some(frame) = answer.frame().await {
            let frame = frame.map_err(|error| self.silent(error))?;
            if let Some(data) = frame.data_ref() {
                each(data).map_err(|error| self.strange(error))?;
            }
        }
        Ok(())
    }

    /// The first lines of a long answer of JSON lines, and how many there are in all.
    pub async fn lines(
        &self,
        path: &str,
        limit: usize,
    ) -> Result<(Vec<Value>, usize), ClientError> {
        let (mut lines, mut rest, mut total) = (Vec::new(), Vec::new(), 0usize);
        let each = |data: &[u8]| {
            for piece in data.split_inclusive(|byte| *byte == b'\n') {
                if total < limit {
                    rest.extend_from_slice(piece);
                }
                if piece.ends_with(b"\n") {
                    if total < limit {
                        lines.push(serde_json::from_slice(&rest)?);
                        rest.clear();
                    }
                    total += 1;
                }
            }
            Ok(())
        };
        self.stream(path, each).await?;
        Ok((lines, total))
    }

    async fn json<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, ClientError> {
        let answer = self.accepted(method, path, body).await?;
        let bytes = self.whole(answer).await?;
        serde_json::from_slice(&bytes).map_err(|error| self.strange(error))
    }

    /// The answer if it is a good one, or else the refusal that it holds.
    async fn accepted(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Incoming, ClientError> {
        let (status, answer) = self.exchange(method, path, body).await?;
        if status.is_success() {
            return Ok(answer);
        }
        let bytes = self.whole(answer).await?;
        match serde_json::from_slice(&bytes) {
            Ok(refusal) => Err(ClientError::Refused(refusal)),
            Err(_) => Err(self.strange(format!("HTTP status {status} to {path}"))),
        }
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Incoming), ClientError> {
        let stream = self.way.open().await.map_err(|error| self.silent(error))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream)
            .await
            .map_err(|error| self.silent(error))?;
        // Errors of the connection come out at the request.
        tokio::spawn(async move { drop(connection.await) });
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(http::header::HOST, "agent")
            .header(http::header::CONTENT_TYPE, "application/json");
        if let Some(authorization) = self.way.authorization() {
            request = request.header(http::header::AUTHORIZATION, authorization);
        }
        let request = request.body(Full::new(body)).map_err(|error| self.strange(error))?;
        let answer = sender.send_request(request).await.map_err(|error| self.silent(error))?;
        Ok((answer.status(), answer.into_body()))
    }

    async fn whole(&self, answer: Incoming) -> Result<Bytes, ClientError> {
        let limited = Limited::new(answer, LARGEST_ANSWER).collect().await;
        limited.map(|body| body.to_bytes()).map_err(|error| self.silent(error))
    }

    fn silent(&self, why: impl ToString) -> ClientError {
        ClientError::Silent { way: self.way.clone(), why: why.to_string() }
    }

    fn strange(&self, why: impl ToString) -> ClientError {
        ClientError::Strange { way: self.way.clone(), why: why.to_string() }
    }
}
