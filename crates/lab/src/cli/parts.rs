//! The processes that the lab starts from the same binary.

use super::options::{BankOptions, ClientsOptions, FencedSite};
use super::scene::WriterOptions;
use crate::bank::{self, BankConfig};
use crate::clients::{self, ClientsConfig};
use crate::error::{Doing, LabError};
use crate::network::{self, NetworkConfig};
use crate::processes::{Folder, LabPlan, kill_site, left_of, wait_for_parent};
use crate::scenes::writer::{self, WriterConfig};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

pub async fn bank(options: BankOptions) -> Result<ExitCode, LabError> {
    let BankOptions { listen, mut database, connections } = options;
    if let Some(password) = std::env::var_os("BANK_PASSWORD") {
        database.password(password.as_encoded_bytes());
    }
    let stop = stop_on_signal()?;
    let listener =
        tokio::net::TcpListener::bind(listen).await.doing(|| format!("listen on {listen}"))?;
    bank::run(BankConfig { database, connections }, listener, stop.cancelled_owned())
        .await
        .doing(|| "serve the bank".to_owned())?;
    Ok(ExitCode::SUCCESS)
}

pub async fn clients(options: ClientsOptions) -> Result<ExitCode, LabError> {
    let ClientsOptions { folder, gateways, accounts, rate, workers, seed, grace_seconds } = options;
    let grace = Duration::from_secs(grace_seconds);
    let config = ClientsConfig { folder, gateways, accounts, rate, workers, seed, grace };
    clients::run(config, stop_on_signal()?).await.doing(|| "run the clients".to_owned())?;
    Ok(ExitCode::SUCCESS)
}

pub async fn writer(options: WriterOptions) -> Result<ExitCode, LabError> {
    let WriterOptions { folder, site, gate, direct, user, database } = options;
    let password = std::env::var("BANK_PASSWORD").unwrap_or_default();
    let config = WriterConfig { folder, site, gate, direct, user, database, password };
    writer::run(config, stop_on_signal()?).await.doing(|| "write".to_owned())?;
    Ok(ExitCode::SUCCESS)
}

pub async fn network(routes: &Path) -> Result<ExitCode, LabError> {
    let doing = || format!("run the network of {}", routes.display());
    let text = std::fs::read(routes).doing(doing)?;
    let config: NetworkConfig = serde_json::from_slice(&text).doing(doing)?;
    network::run(config, stop_on_signal()?).await.doing(doing)?;
    Ok(ExitCode::SUCCESS)
}

pub fn fence(of: &FencedSite) -> Result<ExitCode, LabError> {
    let folder = Folder::at(&of.folder);
    let killed = kill_site(&LabPlan::load(&folder)?, &folder, &of.site)?;
    anstream::println!("{killed} processes killed");
    Ok(ExitCode::SUCCESS)
}

pub async fn fenced(of: &FencedSite) -> Result<ExitCode, LabError> {
    let folder = Folder::at(&of.folder);
    let left = left_of(&LabPlan::load(&folder)?, &folder, &of.site).await?;
    let stopped = left.is_empty();
    anstream::println!("{}", if stopped { "stopped".to_owned() } else { left.join(", ") });
    Ok(if stopped { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

pub fn sweep(folder: PathBuf, keep: bool) -> Result<ExitCode, LabError> {
    wait_for_parent(&Folder::at(folder), keep)?;
    Ok(ExitCode::SUCCESS)
}

/// Cancelled by SIGTERM and SIGINT.
pub fn stop_on_signal() -> Result<CancellationToken, LabError> {
    let doing = || "listen for signals".to_owned();
    let mut terminate = signal(SignalKind::terminate()).doing(doing)?;
    let mut interrupt = signal(SignalKind::interrupt()).doing(doing)?;
    let stop = CancellationToken::new();
    let told = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        told.cancel();
    });
    Ok(stop)
}
