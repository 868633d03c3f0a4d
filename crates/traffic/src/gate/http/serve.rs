//! HTTP/1.1 with one client, within bounds on size and time.

use super::{Origin, Proxy};
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
        let builder = self.builder();
        let service = service_fn(move |request| {
            let (proxy, origin) = (Arc::clone(&self), origin.clone());
            async move { Ok::<_, Infallible>(proxy.answer(origin, request).await) }
        });
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a client's connection ended");
        }
    }

    fn builder(&self) -> Builder {
        let limits = &self.shared.spec.limits;
        let mut builder = Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_time)
            .max_buf_size(limits.head)
            .max_headers(limits.headers)
            .pipeline_flush(true);
        builder
    }
}
