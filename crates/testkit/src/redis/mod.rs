//! Redis and Valkey servers of a test's own.

mod client;
mod dump;
mod every;
mod options;

pub use client::{RedisClient, Reply};
pub use options::{RedisKind, RedisOptions};

use crate::parts::redis_folder;
use crate::port::free_port;
use crate::process::send;
use crate::wait::wait_blocking;
use crate::watcher::Watcher;
use mainstay_core::Secret;
use mainstay_core::estate::{RedisEndpoint, RedisTls};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

/// A server on a free port of 127.0.0.1, in a temporary folder. It is killed and removed when this
/// is dropped. What a test asks it by `client` goes over its Unix socket, past TLS and past any
/// fault of the network.
pub struct RedisServer {
    options: RedisOptions,
    port: u16,
    process: Option<Child>,
    // Before the folder, which it too would remove; after the process, so that it has gone.
    _watcher: Watcher,
    folder: TempDir,
}

impl RedisServer {
    /// # Panics
    /// When the server is missing (saying what to type) or does not start (with its log).
    pub fn start(options: RedisOptions) -> Self {
        let folder = tempfile::Builder::new().prefix("mainstay-redis-").tempdir();
        let folder = folder.expect("a temporary folder can be made");
        let watcher = Watcher::over(folder.path());
        let home = folder.path().join("home");
        fs::create_dir(&home).expect("the folder is ours");
        options.prepare(&home);
        let mut server =
            Self { options, port: free_port(), process: None, _watcher: watcher, folder };
        server.start_again();
        server
    }

    pub fn kind(&self) -> RedisKind {
        self.options.kind
    }

    /// Stays the same across restarts. With TLS it is the port of TLS.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// As Mainstay is told of it: as the user `default`.
    pub fn endpoint(&self) -> RedisEndpoint {
        RedisEndpoint {
            host: "127.0.0.1".into(),
            port: self.port,
            user: None,
            password: self.options.password.clone().map(Secret::new),
            tls: match &self.options.tls {
                None => RedisTls::Disable,
                Some([_, _, authority]) => RedisTls::VerifyFull { authority: authority.clone() },
            },
        }
    }

    /// A connection as the user `default`.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn client(&self) -> RedisClient {
        let mut client = RedisClient::connect(&self.socket());
        if let Some(password) = &self.options.password {
            client.run(&["AUTH", password]);
        }
        client
    }

    /// `redis-cli` as the user `default`, over TCP.
    pub fn cli(&self) -> Command {
        let mut command = options::program(RedisKind::Redis7, "redis-cli");
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        if let Some(password) = &self.options.password {
            command.env("REDISCLI_AUTH", password);
        }
        if let Some([_, _, authority]) = &self.options.tls {
            command.arg("--tls").arg("--cacert").arg(authority);
        }
        command
    }

    /// All that the server holds, as text that is equal for servers that hold the same: libraries
    /// of functions, then each key of each database with its type, when it expires (milliseconds
    /// since 1970) and its value.
    pub fn dump(&self) -> String {
        self.dump_as(self.kind())
    }

    /// The same without what a server of this older kind cannot say.
    pub fn dump_as(&self, oldest: RedisKind) -> String {
        dump::dump(&mut self.client(), self.kind(), oldest)
    }

    /// Writes keys of every type in every encoding that this server has, some of which expire in
    /// an hour or later: a few hundred keys, in databases 0 and 3. The names tell what is in them.
    pub fn write_every_encoding(&self) {
        every::write(&mut self.client(), self.kind());
    }

    /// What the server wrote to its log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.home().join("log")).unwrap_or_default()
    }

    /// The server's folder, which has `dump.rdb`.
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// # Panics
    /// When it does not run.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("the server runs").id()
    }

    /// The server's Unix socket.
    pub fn socket(&self) -> PathBuf {
        self.home().join("s")
    }

    pub fn kill9(&mut self) {
        self.end(Signal::SIGKILL);
    }

    /// As an operator stops it: with a snapshot where the options say so (`save`).
    pub fn stop(&mut self) {
        self.end(Signal::SIGTERM);
    }

    /// Takes connections and answers nothing, as when its machine hangs.
    pub fn pause(&self) {
        send(pid(self.pid()), Signal::SIGSTOP);
    }

    pub fn resume(&self) {
        send(pid(self.pid()), Signal::SIGCONT);
    }

    /// Starts the server on the same port and folder; when it still runs, it is stopped first.
    pub fn restart(&mut self) {
        self.stop();
        self.start_again();
    }

    /// Starts it after it was stopped or killed, and waits until it answers and has its data.
    pub fn start_again(&mut self) {
        let home = self.home();
        let log = File::options().create(true).append(true).open(home.join("log"));
        let log = log.expect("the log can be opened");
        let same = log.try_clone().expect("a file can be opened twice");
        let mut command = self.options.server(&home, self.port);
        // In a group of its own, so that an interrupt from the keyboard leaves it to us.
        command.process_group(0).current_dir(&home).stdin(Stdio::null()).stdout(same).stderr(log);
        let process = command.spawn().unwrap_or_else(|e| panic!("{command:?} does not start: {e}"));
        let written = fs::write(home.join("postmaster.pid"), process.id().to_string());
        written.expect("the folder is ours");
        self.process = Some(process);
        let answers = wait_blocking(PATIENCE, || self.answers());
        assert!(answers, "{:?} does not answer after {PATIENCE:?}: {}", self.kind(), self.log());
    }

    fn answers(&self) -> bool {
        RedisClient::try_connect(&self.socket()).is_some_and(|mut client| {
            let password = self.options.password.as_deref();
            let known = password.is_none_or(|it| client.try_run(&["AUTH", it]).is_some());
            // A server that still loads its data answers only with an error.
            known && matches!(client.try_run(&["PING"]), Some(Reply::Text(pong)) if pong == b"PONG")
        })
    }

    fn end(&mut self, signal: Signal) {
        let Some(mut process) = self.process.take() else { return };
        send(pid(process.id()), signal);
        // One that is paused would not take it.
        send(pid(process.id()), Signal::SIGCONT);
        process.wait().expect("the server is our child");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill9();
    }
}

fn pid(process: u32) -> Pid {
    Pid::from_raw(process.cast_signed())
}

/// The folder of a kind's programs, and of the libraries that came with them.
fn folders(kind: RedisKind) -> (PathBuf, Option<PathBuf>) {
    let root = redis_folder(kind.folder(), kind.program());
    let debian = root.join("usr");
    if Path::new(&debian).is_dir() {
        let machine = format!("{}-linux-gnu", std::env::consts::ARCH);
        return (debian.join("bin"), Some(debian.join("lib").join(machine)));
    }
    (root.join("bin"), None)
}
