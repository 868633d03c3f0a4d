//! The line between a site's agent and its watchdog: JSON lines over a Unix socket in the state
//! folder. The agent listens. A watchdog that hears nothing fences when the last right it heard of
//! has run out, so neither side needs the other to be well.

use crate::agent::Agent;
use crate::application::Application;
use crate::error::AgentError;
use crate::serve::listen_unix;
use crate::time::tick;
use mainstay_core::{ApplicationName, Epoch, Position, StoreName, Tick};
use mainstay_traffic::line;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How often each side says something.
const BEAT: Duration = Duration::from_millis(200);
/// A side that says nothing for this long is taken for gone.
const SILENCE: Duration = Duration::from_secs(5);
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);

/// Until when this site may accept an application's writes. None: it may not, by what its agent
/// knows, or it has shown no right since it began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Right {
    application: ApplicationName,
    until: Option<Tick>,
}

/// What the agent says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    rights: Vec<Right>,
    /// The receipt that is in the ledger.
    entered: Option<i64>,
}

impl Told {
    /// Until when a right of the application was told to last.
    pub fn until(&self, application: &ApplicationName) -> Option<Tick> {
        self.rights.iter().find(|right| right.application == *application)?.until
    }
}

/// What the watchdog says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "says", rename_all = "kebab-case")]
enum Says {
    Alive,
    /// Said again until it is in the ledger.
    Fenced(Fenced),
}

/// A database was open although the right had run out, and is fenced now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fenced {
    pub application: ApplicationName,
    pub store: StoreName,
    pub epoch: Epoch,
    pub sessions_cut: u32,
    /// Nothing of the application was committed after this.
    pub position: Position,
    /// When; it names the receipt, too.
    pub micros: i64,
}

/// Receipts that are not in the agent's ledger yet, the oldest first.
#[derive(Debug, Clone, Default)]
pub struct Receipts(Arc<Mutex<VecDeque<Fenced>>>);

impl Receipts {
    pub fn add(&self, fenced: Fenced) {
        self.all().push_back(fenced);
    }

    fn oldest(&self) -> Option<Fenced> {
        self.all().front().cloned()
    }

    fn entered(&self, receipt: Option<i64>) {
        self.all().retain(|fenced| Some(fenced.micros) != receipt);
    }

    fn all(&self) -> MutexGuard<'_, VecDeque<Fenced>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the agent knows of its site's watchdog.
#[derive(Debug, Default)]
pub struct Heard(Mutex<Last>);

#[derive(Debug, Default)]
struct Last {
    heard: Option<Tick>,
    entered: Option<i64>,
}

impl Heard {
    pub fn is_fresh(&self, now: Tick) -> bool {
        self.last().heard.is_some_and(|at| now.since(at) < SILENCE)
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub fn socket(state: &Path) -> PathBuf {
    state.join("watchdog.sock")
}

/// The agent's end: tells every watchdog that connects, and enters what it says in the ledger.
pub fn serve(agent: &Agent, state: &Path, shutdown: &CancellationToken) -> Result<(), AgentError> {
    let listener = listen_unix(&socket(state), None)?;
    let (agent, shutdown) = (agent.clone(), shutdown.clone());
    tokio::spawn(async move {
        shutdown.run_until_cancelled(accept(listener, agent)).await;
    });
    Ok(())
}

async fn accept(listener: UnixListener, agent: Agent) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (reader, writer) = stream.into_split();
                let agent = agent.clone();
                tokio::spawn(async move { converse(reader, writer, &agent).await });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept the watchdog's connection");
                tokio::time::sleep(BEAT).await;
            }
        }
    }
}

/// Tells one watchdog, and hears it, until the line ends.
pub async fn converse(
    reader: impl AsyncRead + Unpin,
    writer: impl AsyncWrite + Unpin,
    agent: &Agent,
) {
    let ended = tokio::select! {
        biased;
        ended = tell(writer, agent) => ended,
        ended = hear(reader, agent) => ended,
    };
    agent.context.watchdog.last().heard = None;
    tracing::warn!(reason = ?ended.err(), "the watchdog's connection ended");
}

async fn tell(mut writer: impl AsyncWrite + Unpin, agent: &Agent) -> io::Result<()> {
    loop {
        let right = |application: &Arc<Application>| Right {
            application: application.spec.name.clone(),
            until: application.writes_until().map(|(_, until)| until),
        };
        let rights = agent.applications.values().map(right).collect();
        let told = Told { rights, entered: agent.context.watchdog.last().entered };
        tokio::time::timeout(WRITE_TIMEOUT, line::write(&mut writer, &told)).await??;
        tokio::time::sleep(BEAT).await;
    }
}

async fn hear(reader: impl AsyncRead + Unpin, agent: &Agent) -> io::Result<()> {
    let mut reader = BufReader::new(reader);
    while let Some(says) = tokio::time::timeout(SILENCE, line::read(&mut reader)).await?? {
        agent.context.watchdog.last().heard = Some(tick());
        if let Says::Fenced(fenced) = says {
            enter(agent, &fenced).await;
        }
    }
    Ok(())
}

async fn enter(agent: &Agent, fenced: &Fenced) {
    let (watchdog, receipt) = (&agent.context.watchdog, Some(fenced.micros));
    let Some(application) = agent.applications.get(&fenced.application) else { return };
    // A failed entry is already told, see `Application::enter`; the receipt comes again.
    if watchdog.last().entered != receipt
        && application.enter("fenced-by-watchdog", serde_json::json!(fenced)).await.is_ok()
    {
        watchdog.last().entered = receipt;
    }
}

/// The watchdog's end.
pub struct End {
    pub(super) told: watch::Sender<Told>,
    pub(super) receipts: Receipts,
}

impl End {
    /// Keeps the line up. Never ends by itself.
    pub async fn listen_to_agent(&self, socket: &Path) {
        let mut said = false;
        loop {
            match UnixStream::connect(socket).await {
                Ok(stream) => {
                    said = false;
                    let (reader, writer) = stream.into_split();
                    self.converse(reader, writer).await;
                }
                Err(error) if !said => {
                    said = true;
                    tracing::warn!(socket = %socket.display(), %error, "the agent does not listen; trying on");
                }
                Err(_) => {}
            }
            tokio::time::sleep(BEAT).await;
        }
    }

    /// Hears the agent, and tells it, until the line ends.
    pub async fn converse(&self, reader: impl AsyncRead + Unpin, writer: impl AsyncWrite + Unpin) {
        let ended = tokio::select! {
            biased;
            ended = self.follow(reader) => ended,
            ended = self.report(writer) => ended,
        };
        tracing::warn!(reason = ?ended.err(), "the line to the agent ended");
    }

    async fn follow(&self, reader: impl AsyncRead + Unpin) -> io::Result<()> {
        let mut reader = BufReader::new(reader);
        while let Some(heard) = line::read::<Told, _>(&mut reader).await? {
            self.receipts.entered(heard.entered);
            self.told.send_replace(heard);
        }
        Ok(())
    }

    async fn report(&self, mut writer: impl AsyncWrite + Unpin) -> io::Result<()> {
        loop {
            let says = self.receipts.oldest().map_or(Says::Alive, Says::Fenced);
            tokio::time::timeout(WRITE_TIMEOUT, line::write(&mut writer, &says)).await??;
            tokio::time::sleep(BEAT).await;
        }
    }
}
