//! One attempt to make a transfer over HTTP.

use super::choose::Order;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use std::net::SocketAddr;
use std::time::Duration;

/// After this long without an answer a client tries the next address.
const PATIENCE: Duration = Duration::from_secs(2);
const LARGEST_ANSWER: usize = 64 * 1024;

#[derive(Clone)]
pub struct Bank {
    client: Client<HttpConnector, Full<Bytes>>,
}

pub enum Answer {
    Acknowledged {
        number: i64,
        status: u16,
    },
    /// Nothing is known of the transfer: the same one may be sent again.
    TryAgain(String),
    /// The bank will never make this transfer.
    Refused(String),
}

#[derive(Deserialize)]
struct Accepted {
    number: i64,
}

impl Bank {
    pub fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(PATIENCE));
        Self { client: Client::builder(TokioExecutor::new()).build(connector) }
    }

    pub async fn transfer(&self, address: SocketAddr, order: &Order) -> Answer {
        match tokio::time::timeout(PATIENCE, self.post(address, order)).await {
            Ok(Ok((status, body))) => judge(status, &body),
            Ok(Err(why)) => Answer::TryAgain(why),
            Err(_) => Answer::TryAgain(format!("no answer within {} s", PATIENCE.as_secs())),
        }
    }

    async fn post(&self, address: SocketAddr, order: &Order) -> Result<(u16, Bytes), String> {
        let body = serde_json::to_vec(order).map_err(|e| e.to_string())?;
        let request = Request::post(format!("http://{address}/transfers"))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|e| e.to_string())?;
        let answer = self.client.request(request).await.map_err(|e| e.to_string())?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), LARGEST_ANSWER);
        Ok((status, body.collect().await.map_err(|e| e.to_string())?.to_bytes()))
    }
}

fn judge(status: u16, body: &[u8]) -> Answer {
    match status {
        200 | 201 => match serde_json::from_slice::<Accepted>(body) {
            Ok(Accepted { number }) => Answer::Acknowledged { number, status },
            Err(error) => Answer::TryAgain(format!("unreadable answer: {error}")),
        },
        // 408 and 429 ask to come back, as every 5xx does.
        400..=499 if status != 408 && status != 429 => {
            Answer::Refused(format!("{status} {}", String::from_utf8_lossy(body)))
        }
        _ => Answer::TryAgain(format!("status {status}")),
    }
}
