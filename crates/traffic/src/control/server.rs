//! The agent's end of the line.

use super::{Directive, Report};
use crate::line;
use mainstay_core::ApplicationName;
use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::BufReader;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A gate that says nothing for this long is taken for gone; it reports every 500 ms.
const SILENCE: Duration = Duration::from_secs(5);
/// The local gate reads at once, unless it is stopped.
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);
/// More applications than one site can sensibly run; a bound against a confused gate.
const MAX_APPLICATIONS: usize = 256;

#[derive(Debug, thiserror::Error)]
#[error(
    "MS-GATE-005: cannot listen for the gate on {path}: {source}. Check that the state folder \
     exists, belongs to this user, and that the path is shorter than 108 bytes"
)]
pub struct ControlError {
    path: PathBuf,
    source: io::Error,
}

/// Listens for the site's gate. Dropping it closes the line; the gate then lapses.
#[derive(Debug)]
pub struct ControlServer {
    lines: Arc<Mutex<BTreeMap<ApplicationName, Line>>>,
    _stop: DropGuard,
}

/// One application's side of the conversation; it outlives connections.
#[derive(Debug)]
struct Line {
    directive: watch::Sender<Option<Directive>>,
    report: watch::Sender<Option<Report>>,
    /// Cancelled when a newer connection takes the line over.
    holder: CancellationToken,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            directive: watch::Sender::new(None),
            report: watch::Sender::new(None),
            holder: CancellationToken::new(),
        }
    }
}

impl ControlServer {
    /// Binds the socket, readable by this user only, in place of one left behind.
    pub fn bind(path: &Path) -> Result<Self, ControlError> {
        let listener =
            listen(path).map_err(|source| ControlError { path: path.to_owned(), source })?;
        let lines = Arc::default();
        let stop = CancellationToken::new();
        tokio::spawn(accept(listener, Arc::clone(&lines), stop.clone()));
        Ok(Self { lines, _stop: stop.drop_guard() })
    }

    /// With no socket: a test holds the gate's end of each line.
    pub fn without_socket() -> Self {
        Self { lines: Arc::default(), _stop: CancellationToken::new().drop_guard() }
    }

    /// The gate's end of a line without a socket: what it is told, and where it reports.
    pub fn gates_end(
        &self,
        application: &ApplicationName,
    ) -> (watch::Receiver<Option<Directive>>, watch::Sender<Option<Report>>) {
        let mut lines = lock(&self.lines);
        let line = lines.entry(application.clone()).or_default();
        (line.directive.subscribe(), line.report.clone())
    }

    /// Tells the gate, now or when it connects. Only the newest directive of an application is
    /// kept: the gate is told where to be, not how to get there.
    pub fn send(&self, directive: Directive) {
        let mut lines = lock(&self.lines);
        let line = lines.entry(directive.application.clone()).or_default();
        line.directive.send_replace(Some(directive));
    }

    /// The last report of the gate for this application; None while no gate is connected.
    pub fn watch(&self, application: &ApplicationName) -> watch::Receiver<Option<Report>> {
        lock(&self.lines).entry(application.clone()).or_default().report.subscribe()
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The socket is made under another name and moved into place once only its owner may open it.
fn listen(path: &Path) -> io::Result<UnixListener> {
    let draft = path.with_extension("new");
    let _ = std::fs::remove_file(&draft);
    let listener = UnixListener::bind(&draft)?;
    std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&draft, path)?;
    Ok(listener)
}

type Lines = Arc<Mutex<BTreeMap<ApplicationName, Line>>>;

async fn accept(listener: UnixListener, lines: Lines, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let (lines, stop) = (Arc::clone(&lines), stop.clone());
                tokio::spawn(async move {
                    stop.run_until_cancelled(converse(stream, lines)).await;
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept the gate's connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn converse(stream: UnixStream, lines: Lines) {
    let (reader, writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    // The first report tells which application this gate is of.
    let Ok(Some(first)) = next_report(&mut reader).await else { return };
    let application = first.application.clone();
    let Some((directives, reports, holder)) = take_over(&lines, first) else { return };
    tracing::debug!(%application, "the gate is connected");
    let ended = tokio::select! {
        ended = listen_to(reader, &reports) => ended,
        ended = tell(writer, directives) => ended,
        () = holder.cancelled() => return,
    };
    reports.send_replace(None);
    tracing::warn!(%application, reason = ?ended.err(), "the gate's connection ended");
}

type Taken = (watch::Receiver<Option<Directive>>, watch::Sender<Option<Report>>, CancellationToken);

/// The newest connection of an application wins.
fn take_over(lines: &Lines, first: Report) -> Option<Taken> {
    let mut lines = lock(lines);
    if lines.len() >= MAX_APPLICATIONS && !lines.contains_key(&first.application) {
        return None;
    }
    let line = lines.entry(first.application.clone()).or_default();
    std::mem::take(&mut line.holder).cancel();
    line.report.send_replace(Some(first));
    let mut directives = line.directive.subscribe();
    directives.mark_changed();
    Some((directives, line.report.clone(), line.holder.clone()))
}

async fn next_report(reader: &mut BufReader<OwnedReadHalf>) -> io::Result<Option<Report>> {
    tokio::time::timeout(SILENCE, line::read(reader)).await?
}

async fn listen_to(
    mut reader: BufReader<OwnedReadHalf>,
    reports: &watch::Sender<Option<Report>>,
) -> io::Result<()> {
    while let Some(report) = next_report(&mut reader).await? {
        reports.send_replace(Some(report));
    }
    Ok(())
}

async fn tell(
    mut writer: OwnedWriteHalf,
    mut directives: watch::Receiver<Option<Directive>>,
) -> io::Result<()> {
    while directives.changed().await.is_ok() {
        let newest = directives.borrow_and_update().clone();
        if let Some(directive) = newest {
            tokio::time::timeout(WRITE_TIMEOUT, line::write(&mut writer, &directive)).await??;
        }
    }
    Ok(())
}
