//! Requests to a provider's API: one connection each, a deadline, and no more of them than it takes.

use crate::dns::DnsError;
use bytes::Bytes;
use http::header::{CONNECTION, HOST, HeaderMap, RETRY_AFTER};
use http::{Method, Request, StatusCode, request};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use mainstay_core::notifier::HttpUrl;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

/// From looking up the name to the last byte of the answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// A page of a hundred records is a tenth of this.
const LONGEST_BODY: usize = 1024 * 1024;
/// Route 53 takes five requests a second from an account, all of its programs together.
const BETWEEN: Duration = Duration::from_millis(250);
/// The longest that is waited after the API asked for patience, unless it names a time itself.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

pub(super) struct Api {
    /// For people, such as `Route 53`.
    pub name: &'static str,
    pub url: HttpUrl,
    tls: Option<TlsConnector>,
    pace: Mutex<Pace>,
}

/// When the next request may be made.
struct Pace {
    next: Instant,
    /// Until then none is made.
    paused: Instant,
    refusals: u32,
}

pub(super) struct Reply {
    pub status: StatusCode,
    pub body: Bytes,
}

impl Reply {
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }
}

impl Api {
    pub fn new(name: &'static str, url: &HttpUrl) -> Self {
        let now = Instant::now();
        let pace = Mutex::new(Pace { next: now, paused: now, refusals: 0 });
        let tls = url.encrypted.then(|| TlsConnector::from(Arc::new(trust())));
        Self { name, url: url.clone(), tls, pace }
    }

    /// One at that path, within where the API is.
    pub fn request(&self, method: Method, path: &str) -> request::Builder {
        let base = self.url.path.expose().trim_end_matches('/');
        Request::builder()
            .method(method)
            .uri(format!("{base}{path}"))
            .header(HOST, self.url.authority())
            .header(CONNECTION, "close")
    }

    pub fn unreadable(&self, why: impl Display) -> DnsError {
        DnsError::ApiSilent { api: self.name, why: format!("its answer cannot be read: {why}") }
    }

    /// Whatever the status: only one that asks for patience is an error here.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Reply, DnsError> {
        self.turn().await?;
        let silent = |why: String| DnsError::ApiSilent { api: self.name, why };
        let (status, headers, body) = tokio::time::timeout(TIMEOUT, self.exchange(request))
            .await
            .map_err(|_| silent(format!("nothing within {} s", TIMEOUT.as_secs())))?
            .map_err(silent)?;
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            return Err(self.hold_back(asked_for(&headers)));
        }
        Ok(Reply { status, body })
    }

    /// That a request was as it should be: the next pause is short again.
    pub fn content(&self) {
        self.pace().refusals = 0;
    }

    /// No request for a while: twice as long each time, and not all sites at the same moment.
    pub fn hold_back(&self, asked: Option<Duration>) -> DnsError {
        let mut pace = self.pace();
        pace.refusals = (pace.refusals + 1).min(6);
        let usual = Duration::from_secs(1 << pace.refusals).min(LONGEST_PAUSE);
        let jitter = rand::random_range(1.0..1.5);
        pace.paused = Instant::now() + asked.unwrap_or(usual).mul_f64(jitter);
        DnsError::Throttled { api: self.name }
    }

    async fn turn(&self) -> Result<(), DnsError> {
        let at = {
            let mut pace = self.pace();
            let now = Instant::now();
            if pace.paused > now {
                return Err(DnsError::Throttled { api: self.name });
            }
            let at = pace.next.max(now);
            pace.next = at + BETWEEN;
            at
        };
        tokio::time::sleep_until(at).await;
        Ok(())
    }

    fn pace(&self) -> std::sync::MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn exchange(
        &self,
        request: Request<Bytes>,
    ) -> Result<(StatusCode, HeaderMap, Bytes), String> {
        let words = |why: &dyn Display| why.to_string();
        let at = (self.url.host.as_str(), self.url.port);
        let tcp = TcpStream::connect(at).await.map_err(|why| words(&why))?;
        let request = request.map(Full::new);
        let Some(tls) = &self.tls else { return over(tcp, request).await };
        let host = ServerName::try_from(self.url.host.clone()).map_err(|why| words(&why))?;
        over(tls.connect(host, tcp).await.map_err(|why| words(&why))?, request).await
    }
}

async fn over<S>(
    stream: S,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, HeaderMap, Bytes), String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let made = http1::Builder::new().max_buf_size(64 * 1024).handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = made.map_err(|why| why.to_string())?;
    let exchange = async {
        let answer = sender.send_request(request).await.map_err(|why| why.to_string())?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, LONGEST_BODY).collect().await;
        Ok((head.status, head.headers, body.map_err(|why| why.to_string())?.to_bytes()))
    };
    // One that ends tells the exchange so, which then is the answer.
    tokio::select! {
        done = exchange => done,
        never = async { let _ = connection.await; std::future::pending().await } => never,
    }
}

/// In whole seconds (RFC 9110, section 10.2.3); a date is taken as if there were none.
fn asked_for(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).clamp(Duration::from_secs(1), LONGEST_PAUSE * 10))
}

/// The machine's authorities. Where there are none, every connection says that it cannot trust.
fn trust() -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()
}
