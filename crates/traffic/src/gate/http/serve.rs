//! HTTP with one client, within bounds on size and time.

use super::body::GateBody;
use super::clock::{Clock, Clocked};
use super::{Origin, Proxy};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// What clients may speak over TLS, the first best (ALPN, RFC 7301).
pub const PROTOCOLS: [&[u8]; 2] = [H2, b"http/1.1"];
const H2: &[u8] = b"h2";
/// The beginning of HTTP/2 by prior knowledge (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Requests of one HTTP/2 connection at a time.
const STREAMS: u32 = 128;
/// What a client of HTTP/2 may send of one body before it is taken; of all, twice as much.
const WINDOW: u32 = 256 * 1024;
/// A client of HTTP/2 that does not answer this often is gone.
const PING_EVERY: Duration = Duration::from_secs(20);
/// How long requests under way may take after a connection was told to end.
const LAST_WORDS: Duration = Duration::from_secs(5);

impl Proxy {
    /// Answers requests until the client leaves; after `shutdown` the one under way is the last.
    pub async fn serve<S>(self: Arc<Self>, stream: S, origin: Origin, shutdown: CancellationToken)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (clock, head_time) = (Clock::start(), self.limits().head_time);
        let stream = TokioIo::new(Clocked::new(stream, Arc::clone(&clock)));
        let answer = |request| Arc::clone(&self).turn(origin.clone(), &clock, request);
        let connection = self.builder().serve_connection(stream, service_fn(answer));
        let mut connection = pin!(connection.with_upgrades());
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = clock.overdue(head_time) => return,
            () = shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a client's connection ended");
        }
        if let Some(tunnel) = clock.take_tunnel() {
            // An upgraded connection keeps its place among the connections until it ends.
            let _ = tunnel.await;
        }
    }

    /// The same for HTTP/2.
    pub async fn serve_h2<S>(
        self: Arc<Self>,
        stream: S,
        origin: Origin,
        shutdown: CancellationToken,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (clock, idle_time) = (Clock::start(), self.limits().idle_time);
        let answer = |request| Arc::clone(&self).turn(origin.clone(), &clock, request);
        let connection =
            self.builder_h2().serve_connection(TokioIo::new(stream), service_fn(answer));
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = clock.idle(idle_time) => {
                connection.as_mut().graceful_shutdown();
                tokio::time::timeout(LAST_WORDS, connection).await.unwrap_or(Ok(()))
            }
            () = shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
            // A client of HTTP/2 is told which of its requests will be answered here.
            () = self.retired.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a client's connection ended");
        }
    }

    /// A connection without TLS.
    pub async fn serve_plain(
        self: Arc<Self>,
        stream: TcpStream,
        origin: Origin,
        shutdown: CancellationToken,
    ) {
        let mut beginning = [0; PREFACE.len()];
        let peeked = tokio::time::timeout(self.limits().head_time, stream.peek(&mut beginning));
        match peeked.await {
            Ok(Ok(_)) if beginning == PREFACE => self.serve_h2(stream, origin, shutdown).await,
            Ok(Ok(_)) => self.serve(stream, origin, shutdown).await,
            Ok(Err(_)) | Err(_) => {}
        }
    }

    /// A connection whose TLS ends here.
    pub async fn serve_tls(
        self: Arc<Self>,
        stream: TcpStream,
        acceptor: &TlsAcceptor,
        origin: Origin,
        shutdown: CancellationToken,
    ) {
        let shaken = tokio::time::timeout(self.limits().head_time, acceptor.accept(stream));
        let stream = match shaken.await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return tracing::debug!(%error, "a client's TLS failed"),
            Err(_) => return,
        };
        match stream.get_ref().1.alpn_protocol() {
            Some(protocol) if protocol == H2 => self.serve_h2(stream, origin, shutdown).await,
            _ => self.serve(stream, origin, shutdown).await,
        }
    }

    fn turn(
        self: Arc<Self>,
        origin: Origin,
        clock: &Arc<Clock>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<GateBody>, Infallible>> + Send + 'static {
        let turn = clock.turn();
        let clock = Arc::clone(clock);
        async move {
            let response = self.answer(origin, &clock, request).await;
            Ok(response.map(|body| body.during(turn)))
        }
    }

    fn builder(&self) -> http1::Builder {
        let limits = self.limits();
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(limits.idle_time)
            .max_buf_size(limits.head)
            .max_headers(limits.headers);
        builder
    }

    fn builder_h2(&self) -> http2::Builder<TokioExecutor> {
        let head = u32::try_from(self.limits().head).unwrap_or(u32::MAX);
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .enable_connect_protocol()
            .max_header_list_size(head)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(2 * WINDOW)
            .max_send_buf_size(WINDOW as usize)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_EVERY);
        builder
    }
}
