//! Requests to another site's agent.

use super::tls::Identity;
use crate::line::Line;
use crate::types::ApiError;
use bytes::Bytes;
use http::{Method, StatusCode};
use mainstay_core::SiteName;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Clone, thiserror::Error)]
pub enum PeerError {
    /// No answer: whether the request was carried out is unknown.
    #[error("no answer from the agent of {site} at {address}: {why}")]
    NoAnswer { site: SiteName, address: String, why: String },
    #[error("{}: {} ({})", .0.code, .0.message, .0.advice)]
    Refused(ApiError),
}

/// Another site's agent. Its certificate names the site.
pub struct Peer {
    site: SiteName,
    address: String,
    way: Way,
}

/// How its requests get there.
enum Way {
    Line(Line),
    Simulated(Arc<dyn SimulatedLine>),
}

/// A network in a test.
pub trait SimulatedLine: Send + Sync {
    /// As [`Line::exchange`].
    fn exchange(&self, method: Method, path: String, body: Bytes) -> Exchange;
}

pub type Exchange = Pin<Box<dyn Future<Output = Result<(StatusCode, Bytes), String>> + Send>>;

impl Peer {
    pub fn new(site: SiteName, address: String, identity: &Identity) -> Self {
        let line = Line::new(address.clone(), site.to_string(), Some(identity.client.clone()));
        Self { site, address, way: Way::Line(line) }
    }

    pub fn simulated(site: SiteName, address: String, line: Arc<dyn SimulatedLine>) -> Self {
        Self { site, address, way: Way::Simulated(line) }
    }

    pub fn site(&self) -> &SiteName {
        &self.site
    }

    pub async fn get<A: DeserializeOwned>(
        &self,
        path: &str,
        timeout: Duration,
    ) -> Result<A, PeerError> {
        self.call(Method::GET, path, Bytes::new(), timeout).await
    }

    pub async fn post<Q: Serialize, A: DeserializeOwned>(
        &self,
        path: &str,
        question: &Q,
        timeout: Duration,
    ) -> Result<A, PeerError> {
        let body = serde_json::to_vec(question).map_err(|e| self.no_answer(e))?;
        self.call(Method::POST, path, Bytes::from(body), timeout).await
    }

    pub async fn put_bytes<A: DeserializeOwned>(
        &self,
        path: &str,
        body: Bytes,
        timeout: Duration,
    ) -> Result<A, PeerError> {
        self.call(Method::PUT, path, body, timeout).await
    }

    async fn call<A: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        timeout: Duration,
    ) -> Result<A, PeerError> {
        let (status, answer) = tokio::time::timeout(timeout, self.exchange(method, path, body))
            .await
            .map_err(|_| self.no_answer(format!("nothing within {timeout:?}")))?
            .map_err(|why| self.no_answer(why))?;
        if status.is_success() {
            return serde_json::from_slice(&answer).map_err(|e| self.no_answer(e));
        }
        match serde_json::from_slice(&answer) {
            Ok(refused) => Err(PeerError::Refused(refused)),
            Err(_) => Err(self.no_answer(format!("HTTP status {status}"))),
        }
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), String> {
        match &self.way {
            Way::Line(line) => line.exchange(method, path, None, body).await,
            Way::Simulated(line) => line.exchange(method, path.to_owned(), body).await,
        }
    }

    fn no_answer(&self, why: impl ToString) -> PeerError {
        PeerError::NoAnswer {
            site: self.site.clone(),
            address: self.address.clone(),
            why: why.to_string(),
        }
    }
}
