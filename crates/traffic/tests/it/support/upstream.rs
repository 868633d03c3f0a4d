//! A process of the application, as far as the gate sees it. It keeps its own record of what it
//! was asked: the tests' oracle.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

#[derive(Debug, Clone)]
pub struct Seen {
    pub site: String,
    pub port: u16,
    pub began: Instant,
    pub ended: Instant,
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// What all upstreams of a test were asked, in the order of their answers.
pub type Record = Arc<Mutex<Vec<Seen>>>;

pub struct Upstream {
    pub address: SocketAddr,
    /// `/slow` waits here until the test lets it go.
    pub gate: Arc<Semaphore>,
    /// Requests begun.
    pub entered: watch::Receiver<usize>,
    /// What it answers with, as long as nothing else is asked for.
    pub status: Arc<AtomicU16>,
    _stop: DropGuard,
}

struct Server {
    site: String,
    port: u16,
    status: Arc<AtomicU16>,
    record: Record,
    gate: Arc<Semaphore>,
    entered: watch::Sender<usize>,
}

impl Upstream {
    pub async fn start(site: &str, record: Record) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let (stop, gate) = (CancellationToken::new(), Arc::new(Semaphore::new(0)));
        let (entered, entries) = watch::channel(0);
        let status = Arc::new(AtomicU16::new(200));
        let server = Server {
            site: site.to_owned(),
            port: address.port(),
            status: status.clone(),
            record,
            gate: gate.clone(),
            entered,
        };
        let accepting = accept(listener, Arc::new(server), stop.clone());
        tokio::spawn(stop.clone().run_until_cancelled_owned(accepting));
        Self { address, gate, entered: entries, status, _stop: stop.drop_guard() }
    }
}

/// Its connections end with it, as those of a killed process do.
async fn accept(listener: TcpListener, server: Arc<Server>, stop: CancellationToken) {
    loop {
        let (stream, _) = listener.accept().await.expect("accept");
        let server = server.clone();
        let service = service_fn(move |request| {
            let server = server.clone();
            async move { Ok::<_, Infallible>(server.answer(request).await) }
        });
        let connection = Builder::new().serve_connection(TokioIo::new(stream), service);
        tokio::spawn(stop.clone().run_until_cancelled_owned(connection));
    }
}

impl Server {
    /// `/slow` waits for the test, `/status/NNN` answers so, `/big/N` sends N bytes, everything
    /// else echoes the body after the site's name.
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let began = Instant::now();
        self.entered.send_modify(|count| *count += 1);
        let (parts, body) = request.into_parts();
        let Ok(body) = body.collect().await else {
            return Response::new(Full::default());
        };
        let (body, path) = (body.to_bytes(), parts.uri.path().to_owned());
        if path == "/slow" {
            self.gate.acquire().await.expect("open").forget();
        }
        if path == "/work" {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let response = self.response(&path, &body);
        self.record.lock().expect("no panic").push(Seen {
            site: self.site.clone(),
            port: self.port,
            began,
            ended: Instant::now(),
            method: parts.method,
            path,
            headers: parts.headers,
            body,
        });
        response
    }

    fn response(&self, path: &str, body: &Bytes) -> Response<Full<Bytes>> {
        let number = |prefix| path.strip_prefix(prefix).and_then(|rest: &str| rest.parse().ok());
        let bytes = match number("/big/") {
            Some(size) => Bytes::from(vec![b'x'; size]),
            None => Bytes::from([self.site.as_bytes(), b":", body].concat()),
        };
        let mut response = Response::new(Full::new(bytes));
        response.headers_mut().insert("x-site", self.site.parse().expect("a name"));
        response.headers_mut().insert("keep-alive", "timeout=5".parse().expect("a value"));
        let status = number("/status/").map_or(self.status.load(SeqCst), |status| status as u16);
        *response.status_mut() = StatusCode::from_u16(status).expect("a status");
        response
    }
}
