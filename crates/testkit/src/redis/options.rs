use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// From the oldest to the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RedisKind {
    /// 6.2, without TLS.
    Redis6,
    /// 7.0.
    Redis7,
    /// 9, without TLS.
    Valkey9,
}

impl RedisKind {
    pub const ALL: [RedisKind; 3] = [RedisKind::Redis6, RedisKind::Redis7, RedisKind::Valkey9];

    pub(super) fn folder(self) -> &'static str {
        match self {
            RedisKind::Redis6 => "redis-6.2.14",
            RedisKind::Redis7 => "redis-7.0",
            RedisKind::Valkey9 => "valkey-9.1.2",
        }
    }

    pub(super) fn program(self) -> &'static str {
        match self {
            RedisKind::Redis6 | RedisKind::Redis7 => "redis-server",
            RedisKind::Valkey9 => "valkey-server",
        }
    }
}

/// How a test's server differs from the usual one, which keeps nothing on disk.
#[derive(Debug, Clone)]
pub struct RedisOptions {
    pub(super) kind: RedisKind,
    pub(super) password: Option<String>,
    pub(super) tls: Option<[PathBuf; 3]>,
    users: Vec<String>,
    lines: Vec<String>,
}

impl RedisOptions {
    pub fn of(kind: RedisKind) -> Self {
        Self { kind, password: None, tls: None, users: vec![], lines: vec![] }
    }

    /// The password of the user `default`.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// Certificate, key and authority of the server; nothing listens without TLS then, except on
    /// the Unix socket. Clients need no certificate. Redis 7.0 only.
    #[must_use]
    pub fn tls(mut self, files: [PathBuf; 3]) -> Self {
        assert_eq!(self.kind, RedisKind::Redis7, "the others were built without TLS");
        self.tls = Some(files);
        self
    }

    /// A line of the ACL file (`app on >secret ~* +@all`), so that `ACL SAVE` works too.
    #[must_use]
    pub fn user(mut self, line: &str) -> Self {
        self.users.push(format!("user {line}"));
        self
    }

    /// Any line of `redis.conf`.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.lines.push(format!("{name} {value}"));
        self
    }

    /// What the server survives a kill with: every write on disk before it is answered.
    #[must_use]
    pub fn durable(self) -> Self {
        self.set("appendonly", "yes").set("appendfsync", "always")
    }

    /// Files that the server itself changes later are written once.
    pub(super) fn prepare(&self, home: &Path) {
        if self.users.is_empty() {
            return;
        }
        let default = match &self.password {
            Some(password) => format!("user default on >{password} ~* &* +@all"),
            None => "user default on nopass ~* &* +@all".to_owned(),
        };
        let text = [&[default], self.users.as_slice(), &[String::new()]].concat().join("\n");
        fs::write(home.join("users.acl"), text).expect("the folder is ours");
    }

    pub(super) fn server(&self, home: &Path, port: u16) -> Command {
        fs::write(home.join("redis.conf"), self.configuration(home, port))
            .expect("the folder is ours");
        let mut command = program(self.kind, self.kind.program());
        command.arg(home.join("redis.conf"));
        command
    }

    fn configuration(&self, home: &Path, port: u16) -> String {
        let mut lines: Vec<String> = ["bind 127.0.0.1", "protected-mode no", "save \"\""]
            .into_iter()
            .chain(["unixsocket s", "repl-diskless-sync-delay 0", "daemonize no"])
            .map(str::to_owned)
            .collect();
        lines.push(format!("dir {}", home.display()));
        match &self.tls {
            None => lines.push(format!("port {port}")),
            Some([certificate, key, authority]) => lines.extend([
                format!("port 0\ntls-port {port}\ntls-auth-clients no\ntls-replication yes"),
                format!("tls-cert-file {}\ntls-key-file {}", certificate.display(), key.display()),
                format!("tls-ca-cert-file {}", authority.display()),
            ]),
        }
        if self.kind > RedisKind::Redis6 {
            lines.push("enable-debug-command yes\nshutdown-timeout 0".to_owned());
        }
        if self.users.is_empty() {
            lines.extend(self.password.iter().map(|it| format!("requirepass \"{it}\"")));
        } else {
            lines.push("aclfile users.acl".to_owned());
        }
        lines.extend(self.lines.clone());
        lines.join("\n")
    }
}

/// A program of a kind, with the libraries that came with it.
pub(super) fn program(kind: RedisKind, name: &str) -> Command {
    let (programs, libraries) = super::folders(kind);
    let mut command = Command::new(programs.join(name));
    command.env_remove("REDISCLI_AUTH");
    if let Some(libraries) = libraries {
        command.env("LD_LIBRARY_PATH", libraries);
    }
    command
}
