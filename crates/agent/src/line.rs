//! HTTP/1.1 to one address, on a few kept connections, encrypted or not.

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// The largest answer that is read: a status or a record is a few kilobytes.
const LARGEST_ANSWER: usize = 4 << 20;
/// Kept connections: a poll, a view and an effect may be under way at once.
const KEPT: usize = 4;

type Sender = SendRequest<Full<Bytes>>;

/// How long a connection may take to be made.
const PATIENCE: Duration = Duration::from_secs(5);

/// The way to one server.
pub struct Line(Arc<Way>);

struct Way {
    address: String,
    /// What the server's certificate must name, and the `Host` of each request.
    name: String,
    tls: Option<Arc<ClientConfig>>,
    kept: Mutex<Vec<Sender>>,
}

impl Line {
    pub fn new(address: String, name: String, tls: Option<Arc<ClientConfig>>) -> Self {
        Self(Arc::new(Way { address, name, tls, kept: Mutex::default() }))
    }

    /// One request and its answer. An error says nothing about whether it was carried out.
    pub async fn exchange(
        &self,
        method: Method,
        path: &str,
        authorization: Option<&str>,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), String> {
        let mut connection = match self.0.idle() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.0.name)
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let request = request.body(Full::new(body)).map_err(|e| e.to_string())?;
        let answer = connection.send_request(request).await.map_err(|e| e.to_string())?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), LARGEST_ANSWER).collect().await;
        let bytes = body.map_err(|e| e.to_string())?.to_bytes();
        self.0.keep(connection);
        Ok((status, bytes))
    }

    /// Goes on when the asker gives up: then a server that is far away finds the next question on a
    /// connection that is there.
    async fn connect(&self) -> Result<Sender, String> {
        let way = self.0.clone();
        let (made, asker) = oneshot::channel();
        tokio::spawn(async move {
            let connection = timeout(PATIENCE, way.open()).await;
            let connection = connection.unwrap_or_else(|_| Err("no connection".to_owned()));
            if let Err(Ok(unused)) = made.send(connection) {
                way.keep(unused);
            }
        });
        asker.await.map_err(|e| e.to_string())?
    }
}

impl Way {
    fn idle(&self) -> Option<Sender> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(SendRequest::is_ready);
        kept.pop()
    }

    fn keep(&self, connection: Sender) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT {
            kept.push(connection);
        }
    }

    async fn open(&self) -> Result<Sender, String> {
        let tcp = TcpStream::connect(&self.address).await.map_err(|e| e.to_string())?;
        tcp.set_nodelay(true).map_err(|e| e.to_string())?;
        let Some(tls) = &self.tls else { return begin(tcp).await };
        let name = ServerName::try_from(self.name.clone()).map_err(|e| e.to_string())?;
        let connector = TlsConnector::from(tls.clone());
        begin(connector.connect(name, tcp).await.map_err(|e| e.to_string())?).await
    }
}

async fn begin<S>(stream: S) -> Result<Sender, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (sender, connection) = handshake.map_err(|e| e.to_string())?;
    // Ends with the connection; its error is also the error of the request under way.
    tokio::spawn(connection);
    Ok(sender)
}
