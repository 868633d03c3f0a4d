//! One line of JSON for each request of a client. What may be a secret stays out: cookies and
//! authorisation always, query strings unless they are asked for.

use super::headers::{Client, Origin};
use http::header::{HOST, USER_AGENT};
use http::{Request, StatusCode};
use jiff::Timestamp;
use mainstay_core::Epoch;
use mainstay_core::estate;
use serde::Serialize;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Instant;
use tokio::sync::mpsc;

/// Lines that wait for the disk; more are counted and left out, because clients must not wait.
const WAITING: usize = 4096;

#[derive(Debug)]
pub struct Log {
    lines: mpsc::Sender<Vec<u8>>,
    queries: bool,
    lost: Arc<AtomicU64>,
    reopen: Arc<AtomicBool>,
}

/// One request, written when its answer has gone.
#[derive(Debug)]
pub struct Entry {
    log: Arc<Log>,
    began: Instant,
    line: Line,
}

#[derive(Debug, Serialize)]
struct Line {
    time: Timestamp,
    client: IpAddr,
    version: String,
    method: String,
    host: String,
    path: String,
    status: u16,
    bytes: u64,
    millis: u64,
    /// The site whose upstream answered; none when the gate itself did.
    #[serde(skip_serializing_if = "Option::is_none")]
    site: Option<String>,
    epoch: Epoch,
    agent: String,
    /// Whether all of the answer went out.
    complete: bool,
}

/// Who answered, on the answer's way to the log.
#[derive(Debug, Clone)]
pub struct AnsweredBy(pub String);

impl Log {
    /// Opens the file, and writes until the last entry is gone.
    pub fn open(log: &estate::AccessLog) -> io::Result<Arc<Self>> {
        let file = open(&log.file)?;
        let (lines, waiting) = mpsc::channel(WAITING);
        let (lost, reopen) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let writer =
            Writer { path: log.file.clone(), lost: Arc::clone(&lost), reopen: Arc::clone(&reopen) };
        std::thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || writer.run(file, waiting))?;
        Ok(Arc::new(Self { lines, queries: log.queries, lost, reopen }))
    }

    /// The file was moved away: the next line goes into a new one.
    pub fn reopen(&self) {
        self.reopen.store(true, Relaxed);
    }

    pub fn entry<B>(
        self: &Arc<Self>,
        origin: &Origin,
        request: &Request<B>,
        epoch: Epoch,
    ) -> Option<Entry> {
        let Origin::Client(client) = origin else { return None };
        let Client { address, .. } = **client;
        let text = |name| {
            let value = request.headers().get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let uri = request.uri();
        let path = match uri.path_and_query() {
            Some(whole) if self.queries => whole.as_str(),
            _ => uri.path(),
        };
        let authority = uri.authority().map(|authority| authority.host().to_owned());
        let line = Line {
            time: Timestamp::now(),
            client: address,
            version: format!("{:?}", request.version()),
            method: request.method().to_string(),
            host: authority.unwrap_or_else(|| text(HOST)),
            path: path.to_owned(),
            status: 0,
            bytes: 0,
            millis: 0,
            site: None,
            epoch,
            agent: text(USER_AGENT),
            complete: false,
        };
        Some(Entry { log: Arc::clone(self), began: Instant::now(), line })
    }
}

impl Entry {
    pub fn answered(&mut self, status: StatusCode, by: Option<AnsweredBy>) {
        self.line.status = status.as_u16();
        self.line.site = by.map(|AnsweredBy(site)| site);
    }

    pub fn sent(&mut self, bytes: usize) {
        self.line.bytes += u64::try_from(bytes).unwrap_or(0);
    }

    pub fn complete(&mut self) {
        self.line.complete = true;
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.line.millis = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let line = serde_json::to_vec(&self.line).map(|mut line| {
            line.push(b'\n');
            line
        });
        let written = line.is_ok_and(|line| self.log.lines.try_send(line).is_ok());
        if !written {
            self.log.lost.fetch_add(1, Relaxed);
        }
    }
}

fn open(path: &PathBuf) -> io::Result<BufWriter<File>> {
    Ok(BufWriter::new(OpenOptions::new().create(true).append(true).open(path)?))
}

struct Writer {
    path: PathBuf,
    lost: Arc<AtomicU64>,
    reopen: Arc<AtomicBool>,
}

impl Writer {
    fn run(self, mut file: BufWriter<File>, mut lines: mpsc::Receiver<Vec<u8>>) {
        while let Some(line) = lines.blocking_recv() {
            if let Err(error) = self.write(&mut file, &line, lines.is_empty()) {
                self.lost.fetch_add(1, Relaxed);
                let path = self.path.display();
                tracing::warn!(code = "MS-GATE-007", %path, %error, "the access log cannot be written");
            }
        }
    }

    fn write(&self, file: &mut BufWriter<File>, line: &[u8], last: bool) -> io::Result<()> {
        if self.reopen.swap(false, Relaxed) {
            file.flush()?;
            *file = open(&self.path)?;
        }
        let lost = self.lost.swap(0, Relaxed);
        if lost > 0 {
            writeln!(file, "{{\"lost\":{lost}}}")?;
        }
        file.write_all(line)?;
        if last { file.flush() } else { Ok(()) }
    }
}
