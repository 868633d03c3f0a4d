//! The process that runs one link and nothing else.

use super::Outcome;
use mainstay_core::estate::Durability;
use mainstay_core::estate::{PostgresEndpoint, PostgresTls};
use mainstay_core::{ApplicationName, Epoch, LinkPhase, Secret, SiteName, StoreName};
use mainstay_stores::postgres::link::{self, LinkSpec, slot_name};
use serde::{Deserialize, Serialize};
use std::io::BufRead;
use std::path::PathBuf;

const STORE: &str = "db";
const TO: &str = "west";

/// What the child is told: one line of JSON at its input, which is shown in no process list. It
/// ends when its input does.
#[derive(Serialize, Deserialize)]
pub struct Order {
    source: Place,
    target: Place,
    tools: PathBuf,
    durable: bool,
}

#[derive(Serialize, Deserialize)]
struct Place {
    host: String,
    port: u16,
    database: String,
    user: String,
    password: Option<String>,
}

impl From<&PostgresEndpoint> for Place {
    fn from(endpoint: &PostgresEndpoint) -> Self {
        Self {
            host: endpoint.host.clone(),
            port: endpoint.port,
            database: endpoint.database.clone(),
            user: endpoint.user.clone(),
            password: endpoint.password.as_ref().map(|p| p.expose().to_owned()),
        }
    }
}

impl Place {
    fn endpoint(self) -> PostgresEndpoint {
        PostgresEndpoint {
            host: self.host,
            port: self.port,
            database: self.database,
            user: self.user,
            password: self.password.map(Secret::new),
            tls: PostgresTls::Disable,
        }
    }
}

impl Order {
    pub fn new(
        source: &PostgresEndpoint,
        target: &PostgresEndpoint,
        tools: PathBuf,
        durable: bool,
    ) -> Self {
        Self { source: source.into(), target: target.into(), tools, durable }
    }

    /// The slot of the link whose source is this database.
    pub fn slot(database: &str) -> String {
        let name = application(database);
        let parts = (name, StoreName::new(STORE), SiteName::new(TO));
        match parts {
            (Ok(application), Ok(store), Ok(to)) => slot_name(&application, &store, &to),
            _ => unreachable!("the benchmark's names are valid"),
        }
    }

    /// The one place that says how the link applies.
    fn spec(self) -> Outcome<LinkSpec> {
        Ok(LinkSpec {
            application: application(&self.source.database)?,
            store: StoreName::new(STORE)?,
            from: SiteName::new("east")?,
            to: SiteName::new(TO)?,
            source: self.source.endpoint(),
            target: self.target.endpoint(),
            epoch: Epoch::new(1),
            durability: match self.durable {
                true => Durability::EachCommit,
                false => Durability::Together,
            },
            spool: std::env::temp_dir(),
            tools: self.tools,
        })
    }
}

fn application(database: &str) -> Outcome<ApplicationName> {
    Ok(ApplicationName::new(database.replace('_', "-"))?)
}

/// Runs the link until the input ends, or the link stops by itself.
pub async fn run() -> Outcome<()> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let order: Order = serde_json::from_str(&line)?;
    let link = link::start(order.spec()?);
    let mut status = link.watch();
    let ended = input_ends();
    let stopped = status.wait_for(|status| matches!(status.phase, LinkPhase::Stopped { .. }));
    tokio::select! {
        _ = ended => {
            link.stop().await;
            Ok(())
        }
        stopped = stopped => Err(format!("the link stopped: {:?}", stopped?.phase).into()),
    }
}

/// In a thread of its own, which does not keep the process when the link stops first.
fn input_ends() -> tokio::sync::oneshot::Receiver<()> {
    let (ended, wait) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        // Nothing more is said: a line, an error and the end all mean that the parent has gone.
        let _ = std::io::stdin().lock().read_line(&mut String::new());
        // Nobody waits any more when the link has stopped by itself.
        let _ = ended.send(());
    });
    wait
}
