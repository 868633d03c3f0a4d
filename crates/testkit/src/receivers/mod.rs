//! Whoever alerts are sent to: what they received is a test's oracle, so they are no code of ours.

use crate::parts::{aiosmtpd_folder, alertmanager_folder};
use crate::port::free_port;
use crate::wait::wait_blocking;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

/// Certificate and key of a receiver.
pub type Certificate = (PathBuf, PathBuf);

/// Ends with its input, which the kernel closes with the test.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn start(command: &mut Command, port: u16) -> Self {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
        let mut process = Self(child.unwrap_or_else(|why| panic!("{command:?}: {why}")));
        let up = wait_blocking(PATIENCE, || {
            let ended = process.0.try_wait().expect("it is our child");
            assert!(ended.is_none(), "{command:?} ended: {ended:?}");
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        assert!(up, "{command:?} does not listen on {port}");
        process
    }
}

impl Drop for Process {
    /// `wait` closes its input first.
    fn drop(&mut self) {
        self.0.wait().expect("it is our child");
    }
}

pub(crate) fn python(script: &str) -> Command {
    let mut command = Command::new("python3");
    command.args(["-c", script]);
    command
}

/// Takes webhooks over HTTP or HTTPS, and verifies their signatures.
pub struct WebhookServer {
    folder: TempDir,
    port: u16,
    secret: String,
    certificate: Option<Certificate>,
    process: Option<Process>,
}

impl WebhookServer {
    /// # Panics
    /// When it does not start.
    pub fn start(secret: &str, certificate: Option<Certificate>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let (port, secret) = (free_port(), secret.to_owned());
        let mut server = Self { folder, port, secret, certificate, process: None };
        server.answer("200");
        server.start_again();
        server
    }

    /// A status, `hang` or `redirect`, from the next request on.
    pub fn answer(&self, mode: &str) {
        let next = self.folder.path().join("mode.next");
        std::fs::write(&next, mode).expect("a file");
        std::fs::rename(next, self.folder.path().join("mode")).expect("a file");
    }

    pub fn stop(&mut self) {
        self.process = None;
    }

    pub fn start_again(&mut self) {
        let mut command = python(include_str!("hook.py"));
        command.arg(self.folder.path()).arg(self.port.to_string()).arg(&self.secret);
        if let Some((certificate, key)) = &self.certificate {
            command.arg(certificate).arg(key);
        }
        self.process = Some(Process::start(&mut command, self.port));
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// One JSON line for each request so far: `at`, `path`, `mode`, `verified` and `body`.
    pub fn received(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.path().join("received.jsonl"));
        // A line that is being written is not yet one.
        let text = text.unwrap_or_default();
        text.split_inclusive('\n').filter(|line| line.ends_with('\n')).map(str::to_owned).collect()
    }
}

/// How a mail server takes mails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailWay {
    None,
    StartTls,
    Tls,
}

/// A mail server that keeps what it is given.
pub struct MailServer {
    folder: TempDir,
    port: u16,
    _process: Process,
}

impl MailServer {
    /// # Panics
    /// When aiosmtpd is missing (saying what to type) or does not start.
    pub fn start(way: MailWay, certificate: Option<&Certificate>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let port = free_port();
        let way = match way {
            MailWay::None => "none",
            MailWay::StartTls => "starttls",
            MailWay::Tls => "tls",
        };
        let mut command = python(include_str!("mail.py"));
        command.env("PYTHONPATH", aiosmtpd_folder());
        command.arg(folder.path()).arg(port.to_string()).arg(way).stderr(Stdio::null());
        if let Some((certificate, key)) = certificate {
            command.arg(certificate).arg(key);
        }
        let process = Process::start(&mut command, port);
        Self { folder, port, _process: process }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The mails so far, each with what the server knows of it on top.
    pub fn mails(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.folder.path()).expect("a folder");
        let paths = files.map(|file| file.expect("a file").path());
        let mut mails: Vec<PathBuf> =
            paths.filter(|path| path.extension().is_some_and(|it| it == "eml")).collect();
        mails.sort();
        mails.iter().map(|path| std::fs::read_to_string(path).expect("a mail")).collect()
    }
}

/// Prometheus's Alertmanager, without notifications of its own.
pub struct AlertmanagerServer {
    _folder: TempDir,
    port: u16,
    _process: Process,
}

const NOBODY: &str = "route:\n  receiver: nobody\nreceivers:\n  - name: nobody\n";
/// Debian's program reads its templates from `/usr/share`, where it is not installed: it is shown
/// one of its own. It ends with its input.
const RUN: &str = r#"
mount -t tmpfs tmpfs /usr/share && cp -r "$1/usr/share/prometheus" /usr/share || exit
program=$1/usr/bin/prometheus-alertmanager; shift
"$program" "$@" >/dev/null 2>&1 & pid=$!
read -r _
kill -KILL "$pid"; wait
"#;

impl AlertmanagerServer {
    /// # Panics
    /// When it is missing (saying what to type) or does not start.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let (port, config) = (free_port(), folder.path().join("alertmanager.yml"));
        std::fs::write(&config, NOBODY).expect("a file");
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", RUN, "alertmanager"]);
        command.arg(alertmanager_folder());
        command.arg(option("config.file", &config));
        command.arg(option("storage.path", folder.path()));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        command.arg("--cluster.listen-address=");
        let process = Process::start(&mut command, port);
        Self { _folder: folder, port, _process: process }
    }

    pub fn port(&self) -> u16 {
        self.port
    }
}

fn option(name: &str, path: &Path) -> String {
    format!("--{name}={}", path.display())
}
