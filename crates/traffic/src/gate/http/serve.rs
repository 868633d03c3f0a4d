//! HTTP/1.1 with one client, within bounds on size and time.

use super::body::GateBody;
use super::clock::{Clock, Clocked};
use super::{Origin, Proxy};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

impl Proxy {
    /// Answers requests until the client leaves; after `shutdown` the one under way is the last.
    pub async fn serve<S>(self: Arc<Self>, stream: S, origin: Origin, shutdown: CancellationToken)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (clock, head_time) = (Clock::start(), self.limits().head_time);
        let stream = TokioIo::new(Clocked { stream, clock: Arc::clone(&clock) });
        let answer = |request| Arc::clone(&self).turn(origin.clone(), &clock, request);
        let connection = self.builder().serve_connection(stream, service_fn(answer));
        let mut connection = pin!(connection);
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
    }

    fn turn(
        self: Arc<Self>,
        origin: Origin,
        clock: &Arc<Clock>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<GateBody>, Infallible>> + Send + 'static {
        let turn = clock.turn();
        async move {
            let response = self.answer(origin, request).await;
            Ok(response.map(|body| body.during(turn)))
        }
    }

    fn builder(&self) -> Builder {
        let limits = self.limits();
        let mut builder = Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(limits.idle_time)
            .max_buf_size(limits.head)
            .max_headers(limits.headers)
            .pipeline_flush(true);
        builder
    }
}
