//! `mainstay agent`: this site's agent.

use super::failure::code;
use super::{Context, Failure, site};
use crate::config::Look;
use mainstay_agent::AgentSpec;
use mainstay_core::estate::{Estate, StoreKind};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokio::signal::unix::SignalKind;
use tokio::sync::mpsc::{self, Receiver};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where PostgreSQL's own programs are [default: where pg_dump is found]
    #[arg(long, env = "MAINSTAY_PG_BIN", value_name = "DIR")]
    pub pg_bin: Option<PathBuf>,
    /// Serve /metrics for Prometheus here, such as 127.0.0.1:9400
    #[arg(long, env = "MAINSTAY_METRICS", value_name = "ADDRESS")]
    pub metrics: Option<SocketAddr>,
}

/// Runs until it is told to stop. SIGHUP has it read its configuration again.
pub async fn run(args: Args, context: &Context) -> Result<ExitCode, Failure> {
    let estate = site::estate(context, Look::Everywhere)?;
    let witness = estate.sites.get(&estate.here).is_some_and(|site| site.witness);
    // A witness copies nothing, so it needs no programs; nor does who has no PostgreSQL.
    let stores = estate.applications.values().flat_map(|it| it.stores.values());
    let postgres = stores.into_iter().any(|it| matches!(it.kind, StoreKind::Postgres(_)));
    let tools = match args.pg_bin.or_else(find_tools) {
        Some(folder) => folder,
        None if witness || !postgres => PathBuf::new(),
        None => return Err(no_tools()),
    };
    let spec = AgentSpec { estate, state: context.state(), tools, metrics: args.metrics };
    let stop = site::stop_signal()?;
    let read = read_anew(context.clone())?;
    mainstay_agent::run(spec, read, stop).await.map_err(|error| Failure::told(&error))?;
    Ok(ExitCode::SUCCESS)
}

/// With each SIGHUP the file is read again. One that is wrong changes nothing.
fn read_anew(context: Context) -> Result<Receiver<Estate>, Failure> {
    let mut hangup = site::listen(SignalKind::hangup())?;
    let (good, read) = mpsc::channel(1);
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            match site::estate(&context, Look::Everywhere) {
                Ok(estate) => {
                    if good.send(estate).await.is_err() {
                        return;
                    }
                }
                Err(why) => tracing::error!(%why, "the configuration stays as it was"),
            }
        }
    });
    Ok(read)
}

fn no_tools() -> Failure {
    Failure::new(
        code::TOOLS_MISSING,
        "pg_dump is neither on the PATH nor in /usr/lib/postgresql: a first copy begins with it",
        "install PostgreSQL's client programs, not older than the servers, or name their folder \
         with --pg-bin",
    )
}

/// On the PATH, or else the newest where Debian keeps them.
fn find_tools() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).find(|folder| holds_tools(folder));
    on_path.or_else(|| {
        let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
        let number =
            |name: &std::ffi::OsStr| name.to_str().and_then(|name| name.parse::<u32>().ok());
        let newest = versions
            .filter(|version| holds_tools(&version.path().join("bin")))
            .max_by_key(|version| number(&version.file_name()));
        newest.map(|version| version.path().join("bin"))
    })
}

fn holds_tools(folder: &Path) -> bool {
    folder.join("pg_dump").is_file()
}
