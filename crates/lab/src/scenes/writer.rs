//! A client at one site that never stops writing: through the site's gate, and past it at the
//! site's own database. It writes down what was accepted, by which database, and what was not.

use crate::clients::log::{LogWriter, Moment};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};
use tokio_util::sync::CancellationToken;

/// Between two writes that are accepted, and before a next try after one that was not.
const PAUSE: Duration = Duration::from_millis(10);
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(25);
/// How long it waits for a connection and for an answer.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug, Clone)]
pub struct WriterConfig {
    pub folder: PathBuf,
    pub site: String,
    pub gate: Option<SocketAddr>,
    pub direct: SocketAddr,
    pub user: String,
    pub database: String,
    pub password: String,
}

/// One attempt.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Line {
    pub id: String,
    /// Where the client is.
    pub site: String,
    /// `gate` or `direct`.
    pub way: String,
    /// Address of the database that accepted it; none when nobody did, as far as is known.
    pub by: Option<String>,
    /// When that database wrote the row, by its own clock, which is that of the whole machine:
    /// microseconds since the Unix epoch.
    pub written_us: Option<i64>,
    pub why: Option<String>,
    pub sent: Moment,
    pub at: Moment,
}

pub async fn run(config: WriterConfig, stop: CancellationToken) -> std::io::Result<()> {
    let gate = async {
        match config.gate {
            Some(address) => insist(&config, "gate", address).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = stop.cancelled() => Ok(()),
        ended = gate => ended,
        ended = insist(&config, "direct", config.direct) => ended,
    }
}

async fn insist(config: &WriterConfig, way: &str, address: SocketAddr) -> std::io::Result<()> {
    let mut log = LogWriter::create(&config.folder.join(format!("{}-{way}.jsonl", config.site)))?;
    let mut session = None;
    let mut number = 0_u64;
    loop {
        number += 1;
        let id = format!("{}-{way}-{number}", config.site);
        let sent = Moment::now();
        let answer = tokio::time::timeout(PATIENCE, write(config, address, &mut session, &id));
        let answer = answer.await.unwrap_or_else(|_| Err("no answer".to_owned()));
        let (written, why) = match answer {
            Ok(written) => (Some(written), None),
            Err(why) => (None, Some(why)),
        };
        let accepted = written.is_some();
        let (by, written_us) = written.unzip();
        let (site, way, at) = (config.site.clone(), way.to_owned(), Moment::now());
        log.write(&Line { id, site, way, by, written_us, why, sent, at })?;
        if !accepted {
            session = None;
        }
        tokio::time::sleep(if accepted { PAUSE } else { PAUSE_AFTER_FAILURE }).await;
    }
}

/// Returns the address of the database that has it, and when it wrote it.
async fn write(
    config: &WriterConfig,
    address: SocketAddr,
    session: &mut Option<Client>,
    id: &str,
) -> Result<(String, i64), String> {
    if session.is_none() {
        *session = Some(connect(config, address).await.map_err(describe)?);
    }
    let Some(client) = session else { return Err("no session".to_owned()) };
    let insert = format!(
        "INSERT INTO public.written (id) VALUES ('{id}') RETURNING \
         host(inet_server_addr()), (extract(epoch FROM at) * 1000000)::bigint"
    );
    let told = client.simple_query(&insert).await.map_err(describe)?;
    let row = told.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some((row.get(0)?.to_owned(), row.get(1)?.parse().ok()?)),
        _ => None,
    });
    row.ok_or_else(|| "no row".to_owned())
}

async fn connect(
    config: &WriterConfig,
    address: SocketAddr,
) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::Config::new()
        .host(address.ip().to_string())
        .port(address.port())
        .user(&config.user)
        .password(&config.password)
        .dbname(&config.database)
        .application_name("writer")
        .connect(NoTls)
        .await?;
    tokio::spawn(connection);
    Ok(client)
}

fn describe(error: tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |refusal| refusal.message().to_owned())
}
