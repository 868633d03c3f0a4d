//! The bank's HTTP server.

use super::pool::Pool;
use super::{reads, transfers};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use tokio::net::TcpListener;

/// Largest request that the bank reads.
const LARGEST_BODY: usize = 64 * 1024;

pub struct BankConfig {
    /// Where the database is and how to log in.
    pub database: tokio_postgres::Config,
    /// Most connections to the database at a time.
    pub connections: usize,
}

/// Serves until `stop` resolves; requests under way are finished first.
pub async fn run(
    config: BankConfig,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let pool = Pool::new(config.database, config.connections);
    axum::serve(listener, routes(pool)).with_graceful_shutdown(stop).await
}

fn routes(pool: Pool) -> Router {
    Router::new()
        .route("/health", get(reads::health))
        .route("/accounts/{id}", get(reads::account))
        .route("/totals", get(reads::totals))
        .route("/transfers", post(transfers::post))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(pool)
}
