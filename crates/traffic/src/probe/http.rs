//! A GET that is answered as it must be.

use super::connect::Way;
use super::{FailureKind, Pattern};
use bytes::Bytes;
use http::Request;
use http::header::{self, CONNECTION, HOST};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use mainstay_core::watch::HttpProbe;

/// What of an answer is read.
const LONGEST_BODY: usize = 64 * 1024;

/// Redirects are not followed: a probe asks exactly the address that it was given.
pub async fn get(
    way: &Way<'_>,
    probe: &HttpProbe,
    wanted: Option<&Pattern>,
) -> Result<(), FailureKind> {
    let stream = way.open().await?;
    let (sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(16 * 1024)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(protocol)?;
    // Dropping the connection ends what is not wanted of the answer. A connection that ends tells
    // the exchange so, which then is the answer.
    tokio::select! {
        done = exchange(sender, way.address, probe, wanted) => done,
        never = async { let _ = connection.await; std::future::pending().await } => never,
    }
}

async fn exchange(
    mut sender: SendRequest<Empty<Bytes>>,
    address: &str,
    probe: &HttpProbe,
    wanted: Option<&Pattern>,
) -> Result<(), FailureKind> {
    let request = Request::get(&probe.path)
        .header(HOST, address)
        .header(header::USER_AGENT, super::USER_AGENT)
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| FailureKind::NotMade(error.to_string()))?;
    let answer = sender.send_request(request).await.map_err(protocol)?;
    let status = answer.status().as_u16();
    if !probe.status.contains(&status) {
        return Err(FailureKind::Status(status));
    }
    let Some(wanted) = wanted else { return Ok(()) };
    let body = beginning(answer.into_body()).await?;
    match wanted.fits(&String::from_utf8_lossy(&body)) {
        true => Ok(()),
        false => Err(FailureKind::Body(wanted.words())),
    }
}

async fn beginning(mut body: Incoming) -> Result<Vec<u8>, FailureKind> {
    let mut read = Vec::new();
    while read.len() < LONGEST_BODY {
        let Some(frame) = body.frame().await else { break };
        if let Ok(data) = frame.map_err(protocol)?.into_data() {
            read.extend_from_slice(&data[..data.len().min(LONGEST_BODY - read.len())]);
        }
    }
    Ok(read)
}

fn protocol(error: hyper::Error) -> FailureKind {
    if error.is_parse() {
        FailureKind::Protocol(error.to_string())
    } else {
        FailureKind::Unreachable(error.to_string())
    }
}
