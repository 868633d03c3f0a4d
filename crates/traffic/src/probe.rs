//! One health check, made once, with a bound on its time.

use bytes::Bytes;
use http::Request;
use http::header::{CONNECTION, HOST, USER_AGENT};
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// Why a probe failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FailureKind {
    /// Nothing listens there.
    Refused,
    /// No answer in time.
    Timeout,
    /// The name does not resolve, the network has no way there, or the connection broke.
    Unreachable(String),
    /// An answer other than 2xx.
    Status(u16),
    /// What came back is not HTTP.
    Protocol(String),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{address}: {}", self.kind.words())]
pub struct ProbeFailure {
    pub address: String,
    pub kind: FailureKind,
}

impl FailureKind {
    fn words(&self) -> String {
        match self {
            FailureKind::Refused => "connection refused".to_owned(),
            FailureKind::Timeout => "no answer in time".to_owned(),
            FailureKind::Unreachable(reason) => format!("cannot be reached: {reason}"),
            FailureKind::Status(status) => format!("answered with status {status}"),
            FailureKind::Protocol(reason) => format!("answered, but not in HTTP: {reason}"),
        }
    }
}

/// Healthy when the port accepts a connection. Returns the time that took.
pub async fn tcp(address: &str, timeout: Duration) -> Result<Duration, ProbeFailure> {
    timed(address, timeout, async { connect(address).await.map(drop) }).await
}

/// Healthy when a GET of `path` is answered with 2xx. Returns the time to the answer's head.
/// Redirects are not followed: a probe asks exactly the address it was given.
pub async fn http(address: &str, path: &str, timeout: Duration) -> Result<Duration, ProbeFailure> {
    timed(address, timeout, get(address, path)).await
}

async fn timed(
    address: &str,
    timeout: Duration,
    check: impl Future<Output = Result<(), FailureKind>>,
) -> Result<Duration, ProbeFailure> {
    let began = Instant::now();
    let outcome = tokio::time::timeout(timeout, check).await;
    match outcome.unwrap_or(Err(FailureKind::Timeout)) {
        Ok(()) => Ok(began.elapsed()),
        Err(kind) => Err(ProbeFailure { address: address.to_owned(), kind }),
    }
}

async fn connect(address: &str) -> Result<TcpStream, FailureKind> {
    TcpStream::connect(address).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::ConnectionRefused => FailureKind::Refused,
        _ => FailureKind::Unreachable(error.to_string()),
    })
}

async fn get(address: &str, path: &str) -> Result<(), FailureKind> {
    let stream = connect(address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(16 * 1024)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(protocol)?;
    let request = Request::get(path)
        .header(HOST, address)
        .header(USER_AGENT, "mainstay-probe")
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| FailureKind::Protocol(error.to_string()))?;
    // The body is not wanted: the head is the answer, and dropping the connection ends the rest.
    // A connection that ends tells the request so, which then is the answer.
    let answer = tokio::select! {
        answer = sender.send_request(request) => answer.map_err(protocol)?,
        never = async { let _ = connection.await; std::future::pending().await } => never,
    };
    match answer.status() {
        status if status.is_success() => Ok(()),
        status => Err(FailureKind::Status(status.as_u16())),
    }
}

fn protocol(error: hyper::Error) -> FailureKind {
    if error.is_parse() {
        FailureKind::Protocol(error.to_string())
    } else {
        FailureKind::Unreachable(error.to_string())
    }
}
