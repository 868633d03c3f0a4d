//! An HTTP client that does nothing on its own account: no retry, no redirect.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub struct Client(SendRequest<Full<Bytes>>);

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the gate listens");
        stream.set_nodelay(true).expect("an option");
        let (sender, connection) = handshake(TokioIo::new(stream)).await.expect("a connection");
        tokio::spawn(async move { drop(connection.await) });
        Self(sender)
    }

    pub async fn send(
        &mut self,
        request: http::request::Builder,
        body: impl Into<Bytes>,
    ) -> Result<Response<Bytes>, hyper::Error> {
        self.send_to("bank.example", request, body).await
    }

    pub async fn send_to(
        &mut self,
        host: &str,
        request: http::request::Builder,
        body: impl Into<Bytes>,
    ) -> Result<Response<Bytes>, hyper::Error> {
        let request = request.header("host", host).body(Full::new(body.into()));
        self.0.ready().await?;
        let response = self.0.send_request(request.expect("a request")).await?;
        let (parts, body) = response.into_parts();
        Ok(Response::from_parts(parts, body.collect().await?.to_bytes()))
    }
}

pub async fn get(address: SocketAddr, path: &str) -> Response<Bytes> {
    Client::connect(address).await.send(Request::get(path), "").await.expect("an answer")
}

pub async fn post(
    address: SocketAddr,
    path: &'static str,
    body: impl Into<Bytes>,
) -> Response<Bytes> {
    Client::connect(address).await.send(Request::post(path), body).await.expect("an answer")
}

/// The documented code of the gate's own answer.
pub fn code(response: &Response<Bytes>) -> String {
    let body: serde_json::Value =
        serde_json::from_slice(response.body()).unwrap_or_else(|_| panic!("{response:?}"));
    body["code"].as_str().expect("a code").to_owned()
}

/// Sends bytes as they are and returns all that comes back until the other side closes.
pub async fn raw(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.expect("the gate listens");
    // The gate may close before it has read everything.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    answer
}
