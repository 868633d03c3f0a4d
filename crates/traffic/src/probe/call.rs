//! One request that a runbook makes.

use super::FailureKind;
use super::connect::Way;
use bytes::Bytes;
use http::Request;
use http::header::{self, CONNECTION, HOST};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use mainstay_core::runbook::Call;

/// What of an answer is read, to tell people why.
const LONGEST_BODY: usize = 4 * 1024;

/// The name is resolved once, and what it came to is asked; a redirect is not followed.
///
/// `key` is the same whenever the same step of the same execution asks.
pub async fn make(way: &Way<'_>, call: &Call, key: &str) -> Result<(), FailureKind> {
    let stream = way.open().await?;
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(16 * 1024)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let exchange = async {
        let body = Bytes::from(call.body.clone().unwrap_or_default());
        let mut request = Request::builder()
            .method(call.method.as_str())
            .uri(&call.path)
            .header(HOST, way.address)
            .header(header::USER_AGENT, "mainstay")
            .header(CONNECTION, "close")
            .header("idempotency-key", key);
        if call.body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::new(body));
        let request = request.map_err(|error| FailureKind::NotMade(error.to_string()))?;
        let answer = sender.send_request(request).await.map_err(broken)?;
        let status = answer.status().as_u16();
        if (call.status.0..=call.status.1).contains(&status) {
            return Ok(());
        }
        let said = Limited::new(answer.into_body(), LONGEST_BODY).collect().await;
        let said = said.map(|body| body.to_bytes()).unwrap_or_default();
        match said.is_empty() {
            true => Err(FailureKind::Status(status)),
            false => {
                Err(FailureKind::says(&format!("{status}: {}", String::from_utf8_lossy(&said))))
            }
        }
    };
    tokio::select! {
        done = exchange => done,
        never = async { let _ = connection.await; std::future::pending().await } => never,
    }
}

fn broken(error: hyper::Error) -> FailureKind {
    FailureKind::Unreachable(error.to_string())
}
