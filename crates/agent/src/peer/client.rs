//! Requests to another site's agent, on a few kept connections.

use super::tls::Identity;
use crate::api::types::ApiError;
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use mainstay_core::SiteName;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// The largest answer that is read: a status or a record is a few kilobytes.
const LARGEST_ANSWER: usize = 4 << 20;
/// Kept connections: a poll, a view and an effect may be under way at once.
const KEPT: usize = 4;

#[derive(Debug, Clone, thiserror::Error)]
pub enum PeerError {
    /// No answer: whether the request was carried out is unknown.
    #[error("no answer from the agent of {site} at {address}: {why}")]
    NoAnswer { site: SiteName, address: String, why: String },
    #[error("{}: {} ({})", .0.code, .0.message, .0.advice)]
    Refused(ApiError),
}

/// Another site's agent.
pub struct Peer {
    site: SiteName,
    address: String,
    tls: Arc<ClientConfig>,
    kept: Mutex<Vec<SendRequest<Full<Bytes>>>>,
}

impl Peer {
    pub fn new(site: SiteName, address: String, identity: &Identity) -> Self {
        Self { site, address, tls: identity.client.clone(), kept: Mutex::default() }
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
        let exchange = self.exchange(method, path, body);
        let (status, answer) = tokio::time::timeout(timeout, exchange)
            .await
            .map_err(|_| self.no_answer(format!("nothing within {timeout:?}")))??;
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
    ) -> Result<(StatusCode, Bytes), PeerError> {
        let mut connection = match self.idle() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.site.as_str())
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|e| self.no_answer(e))?;
        let answer = connection.send_request(request).await.map_err(|e| self.no_answer(e))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), LARGEST_ANSWER).collect().await;
        let bytes = body.map_err(|e| self.no_answer(e))?.to_bytes();
        self.keep(connection);
        Ok((status, bytes))
    }

    fn idle(&self) -> Option<SendRequest<Full<Bytes>>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(SendRequest::is_ready);
        kept.pop()
    }

    fn keep(&self, connection: SendRequest<Full<Bytes>>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT {
            kept.push(connection);
        }
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, PeerError> {
        let tcp = TcpStream::connect(&self.address).await.map_err(|e| self.no_answer(e))?;
        tcp.set_nodelay(true).map_err(|e| self.no_answer(e))?;
        let name =
            ServerName::try_from(self.site.as_str().to_owned()).map_err(|e| self.no_answer(e))?;
        let connector = TlsConnector::from(self.tls.clone());
        let stream = connector.connect(name, tcp).await.map_err(|e| self.no_answer(e))?;
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|e| self.no_answer(e))?;
        // Ends with the connection; its error is also the error of the request under way.
        tokio::spawn(connection);
        Ok(sender)
    }

    fn no_answer(&self, why: impl ToString) -> PeerError {
        PeerError::NoAnswer {
            site: self.site.clone(),
            address: self.address.clone(),
            why: why.to_string(),
        }
    }
}
