//! Who is told of what, as the configuration says it.

use crate::{ApplicationName, Secret};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// How soon somebody has to look. Apart from [`crate::Severity`], which judges a configuration.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum AlertSeverity {
    /// Good to know.
    Info,
    /// Protection is weaker than it was promised, or a person is asked for something.
    #[default]
    Warning,
    /// The application does not serve, or nothing would save it.
    Critical,
}

impl AlertSeverity {
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// One way to people.
#[derive(Debug, Clone, PartialEq)]
pub struct Notifier {
    pub kind: NotifierKind,
    /// Empty: all of them.
    pub applications: BTreeSet<ApplicationName>,
    /// What is less urgent is not told.
    pub least: AlertSeverity,
    /// How often what lasts is told again; none: once.
    pub every: Option<Duration>,
}

impl Notifier {
    pub fn covers(&self, application: &ApplicationName) -> bool {
        self.applications.is_empty() || self.applications.contains(application)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum NotifierKind {
    /// JSON by POST, signed when there is a secret.
    Webhook {
        to: HttpTarget,
        secret: Option<Secret>,
    },
    /// A program of this machine that reads JSON: an absolute path, then its arguments.
    Command {
        run: Vec<String>,
    },
    Email(Email),
    /// Prometheus's Alertmanager.
    Alertmanager {
        to: HttpTarget,
    },
}

impl NotifierKind {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Webhook { .. } => "webhook",
            Self::Command { .. } => "command",
            Self::Email(_) => "email",
            Self::Alertmanager { .. } => "alertmanager",
        }
    }

    /// Where it leads, without anything that may be a secret.
    pub fn place(&self) -> String {
        match self {
            Self::Webhook { to, .. } | Self::Alertmanager { to } => to.url.to_string(),
            Self::Command { run } => run.first().cloned().unwrap_or_default(),
            Self::Email(Email { host, port, to, .. }) => {
                format!("{} by {host}:{port}", to.join(", "))
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct HttpTarget {
    pub url: HttpUrl,
    /// Certificates that are trusted instead of the machine's.
    pub authority: Option<PathBuf>,
}

/// `https://host:port/path`. The path often is a secret, so it is kept as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpUrl {
    pub encrypted: bool,
    pub host: String,
    pub port: u16,
    pub path: Secret,
}

impl HttpUrl {
    /// The error is the end of a sentence, and repeats nothing of the text.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = text.split_once("://").ok_or("has no http:// or https://")?;
        let encrypted = match scheme {
            "https" => true,
            "http" => false,
            _ => return Err("begins with neither http:// nor https://"),
        };
        let begin = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(begin);
        if !path.chars().all(|c| c.is_ascii_graphic() && c != '#') {
            return Err("holds a character that a URL cannot");
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let (host, port) = host_and_port(authority, if encrypted { 443 } else { 80 })?;
        Ok(Self { encrypted, host, port, path: Secret::new(path) })
    }

    /// `host:port`, an IPv6 address in brackets.
    pub fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

fn host_and_port(authority: &str, usual: u16) -> Result<(String, u16), &'static str> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()),
        _ => (authority, Some(usual)),
    };
    let port = port.filter(|port| *port > 0).ok_or("has no port from 1 to 65535 after its host")?;
    let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let good = match bracketed {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            let plain = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
            !host.is_empty() && host.chars().all(plain)
        }
    };
    // A user and a password before `@` would be written into logs on the way.
    good.then(|| (bracketed.unwrap_or(host).to_owned(), port)).ok_or("has no plain host")
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.encrypted { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.authority())
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Email {
    pub host: String,
    pub port: u16,
    pub encryption: MailEncryption,
    /// Certificates that are trusted instead of the machine's.
    pub authority: Option<PathBuf>,
    pub user: Option<String>,
    pub password: Option<Secret>,
    pub from: String,
    pub to: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailEncryption {
    /// Begun in plain text; nothing is sent unless the server then encrypts.
    StartTls,
    /// From the first byte.
    Tls,
    None,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart_and_shows_no_path() {
        let url = HttpUrl::parse("https://hooks.example.org/services/T0/canary?x=1").unwrap();
        assert_eq!((url.host.as_str(), url.port), ("hooks.example.org", 443));
        assert_eq!(url.path.expose(), "/services/T0/canary?x=1");
        assert!(!format!("{url} {url:?}").contains("canary"));
        let six = HttpUrl::parse("http://[::1]:8080").unwrap();
        assert_eq!((six.authority().as_str(), six.path.expose()), ("[::1]:8080", "/"));
        let six = HttpUrl::parse("http://[::1]").unwrap();
        assert_eq!((six.host.as_str(), six.port), ("::1", 80));
    }

    #[test]
    fn what_is_no_plain_url_is_refused() {
        for bad in [
            "hooks.example.org/x",
            "ftp://h/x",
            "https:///x",
            "https://user:pass@h/x",
            "https://h:0/x",
            "https://h:70000/",
            "https://h/a b",
            "https://h/a\r\nX: y",
            "https://h#x",
            "http://[::1",
        ] {
            assert!(HttpUrl::parse(bad).is_err(), "{bad}");
        }
    }
}
