//! The agents' API, as the command line uses it: HTTP over each agent's Unix socket.

use crate::current::CurrentLab;
use crate::error::LabError;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use mainstay_agent::types::{
    ApiError, ApplicationStatus, CompareRequest, ComparisonState, ComparisonView, Execution,
    MoveRequest, Plan, SalvageSummary, Status,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::UnixStream;

/// Between two questions of how far a comparison is.
const POLL: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(60);
const LARGEST_ANSWER: usize = 64 * 1024 * 1024;

pub struct Agent {
    site: String,
    socket: PathBuf,
}

/// One of `GET /v1/lag`.
#[derive(Debug, Clone, Deserialize)]
pub struct LagSample {
    pub micros: i64,
    pub lag_s: Option<f64>,
}

impl Agent {
    pub fn of(lab: &CurrentLab, site: &str) -> Self {
        Self { site: site.to_owned(), socket: lab.folder.agent_socket(site) }
    }

    /// The bank's state, as this agent sees it.
    pub async fn bank(&self) -> Result<ApplicationStatus, LabError> {
        let status: Status = self.get("/v1/status").await?;
        let bank = status.applications.into_iter().find(|a| a.name.as_str() == "bank");
        bank.ok_or_else(|| self.failed("its status names no application bank"))
    }

    /// The newest first.
    pub async fn executions(&self) -> Result<Vec<Execution>, LabError> {
        self.get("/v1/executions").await
    }

    pub async fn execution(&self, id: &str) -> Result<Execution, LabError> {
        self.get(&format!("/v1/executions/{id}")).await
    }

    pub async fn switchover(&self, request: &MoveRequest) -> Result<Execution, LabError> {
        self.post("/v1/switchover", request).await
    }

    pub async fn failover(&self, request: &MoveRequest) -> Result<Execution, LabError> {
        self.post("/v1/failover", request).await
    }

    pub async fn plan_failover(&self) -> Result<Plan, LabError> {
        self.get("/v1/plan?kind=failover").await
    }

    pub async fn salvages(&self) -> Result<Vec<SalvageSummary>, LabError> {
        self.get("/v1/salvage").await
    }

    /// The stores' comparison of the bank's store, to its end.
    pub async fn compare(&self) -> Result<serde_json::Value, LabError> {
        let mut view: ComparisonView = self.post("/v1/compare", &CompareRequest::default()).await?;
        loop {
            match view.state {
                ComparisonState::Ended { result, .. } => {
                    return serde_json::to_value(result).map_err(|e| self.failed(e));
                }
                ComparisonState::Failed { error, .. } => return Err(self.says(error)),
                ComparisonState::Running { .. } => tokio::time::sleep(POLL).await,
            }
            view = self.get("/v1/compare").await?;
        }
    }

    pub async fn lag(&self) -> Result<Vec<LagSample>, LabError> {
        self.get("/v1/lag").await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, LabError> {
        self.read(&self.bytes(Method::GET, path, Bytes::new()).await?)
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, LabError> {
        let body = serde_json::to_vec(body).map_err(|e| self.failed(e))?;
        self.read(&self.bytes(Method::POST, path, body.into()).await?)
    }

    fn read<T: DeserializeOwned>(&self, answer: &[u8]) -> Result<T, LabError> {
        serde_json::from_slice(answer)
            .map_err(|e| self.failed(format_args!("an unreadable answer: {e}")))
    }

    async fn bytes(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, LabError> {
        let exchange = self.exchange(method, path, body);
        match tokio::time::timeout(PATIENCE, exchange).await {
            Ok(answer) => answer,
            Err(_) => {
                Err(self.failed(format_args!("nothing within {} s to {path}", PATIENCE.as_secs())))
            }
        }
    }

    async fn exchange(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, LabError> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|e| self.failed(e))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|e| self.failed(e))?;
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "agent")
            .header("content-type", "application/json")
            .body(Full::new(body))
            .map_err(|e| self.failed(e))?;
        let answer = sender.send_request(request).await.map_err(|e| self.failed(e))?;
        let good = answer.status().is_success();
        let body = Limited::new(answer.into_body(), LARGEST_ANSWER);
        let body = body.collect().await.map_err(|e| self.failed(e))?.to_bytes();
        if good { Ok(body) } else { Err(self.refused(&body)) }
    }

    fn says(&self, ApiError { code, message, advice }: ApiError) -> LabError {
        let site = self.site.clone();
        LabError::Agent { site, message: format!("{code}: {message}"), advice }
    }

    fn refused(&self, body: &[u8]) -> LabError {
        match serde_json::from_slice::<ApiError>(body) {
            Ok(error) => self.says(error),
            Err(_) => self.failed(String::from_utf8_lossy(body)),
        }
    }

    fn failed(&self, why: impl std::fmt::Display) -> LabError {
        let advice = format!("look at the log of {}-agent in the lab's folder", self.site);
        LabError::Agent { site: self.site.clone(), message: why.to_string(), advice }
    }
}
