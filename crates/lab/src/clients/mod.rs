//! Customers of the bank: workers that transfer money all the time, and write down what the bank
//! acknowledged. Their logs are the oracle. They know nothing but the addresses they were given.

mod choose;
mod http;
pub mod log;
pub mod payees;
mod worker;

use http::Bank;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// One address at which the bank is reached, with a name for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    pub name: String,
    pub address: SocketAddr,
}

#[derive(Debug, Clone)]
pub struct ClientsConfig {
    /// Each worker writes `worker-N.jsonl` here.
    pub folder: PathBuf,
    /// In the order in which most workers prefer them.
    pub gateways: Vec<Gateway>,
    pub accounts: i64,
    /// Transfers a second, all workers together.
    pub rate: f64,
    pub workers: u32,
    pub seed: u64,
    /// How long transfers under way may go on once the run ends.
    pub grace: Duration,
}

/// Runs until `stop`, then until every transfer under way is acknowledged or given up.
pub async fn run(config: ClientsConfig, stop: CancellationToken) -> std::io::Result<()> {
    if config.gateways.is_empty() {
        return Err(std::io::Error::other("clients need at least one address"));
    }
    std::fs::create_dir_all(&config.folder)?;
    let config = Arc::new(config);
    let bank = Bank::new();
    let mut workers = tokio::task::JoinSet::new();
    for number in 0..config.workers {
        let worker = worker::Worker::new(number, config.clone(), bank.clone())?;
        workers.spawn(worker.run(stop.clone()));
    }
    while let Some(ended) = workers.join_next().await {
        ended.map_err(std::io::Error::other)??;
    }
    Ok(())
}
