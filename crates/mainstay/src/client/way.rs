//! How an agent is reached: over its Unix socket, or over the network with TLS.

use hyper_util::rt::TokioIo;
use mainstay_core::Secret;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

/// How long a connection may take to be made.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub enum Way {
    Socket(PathBuf),
    Network(Network),
}

/// An agent elsewhere, and what its people show it.
#[derive(Debug)]
pub struct Network {
    host: String,
    port: u16,
    /// What its certificate must name.
    name: ServerName<'static>,
    tls: Arc<ClientConfig>,
    token: Option<Secret>,
}

/// As typed: which agent, and the files that prove who is who.
pub struct Typed<'a> {
    /// `https://host:port`
    pub agent: &'a str,
    /// What the agent's certificate must name, when it is not the host.
    pub site: Option<&'a str>,
    pub authority: Option<&'a Path>,
    pub certificate: Option<&'a Path>,
    pub key: Option<&'a Path>,
    pub token_file: Option<&'a Path>,
}

impl Network {
    /// Reads the files. Why not, as a sentence.
    pub fn new(typed: &Typed<'_>) -> Result<Self, String> {
        let (host, port) = address(typed.agent)
            .ok_or_else(|| format!("{:?} is not like https://host:7480", typed.agent))?;
        let shown = typed.site.unwrap_or(&host).to_owned();
        let name = ServerName::try_from(shown).map_err(|why| format!("{host}: {why}"))?;
        let authority = typed.authority.ok_or("the authority of the sites was not named")?;
        let tls = ClientConfig::builder().with_root_certificates(roots(authority)?);
        let tls = match (typed.certificate, typed.key) {
            (Some(certificate), Some(key)) => {
                let chain = certificates(certificate)?;
                let read = PrivateKeyDer::from_pem_file(key).map_err(|why| told(key, why))?;
                tls.with_client_auth_cert(chain, read).map_err(|why| told(certificate, why))?
            }
            (None, None) => tls.with_no_client_auth(),
            _ => return Err("a certificate and its key belong together".to_owned()),
        };
        let token = typed.token_file.map(read_token).transpose()?;
        if token.is_none() && typed.certificate.is_none() {
            return Err("neither a certificate nor a token was named".to_owned());
        }
        Ok(Self { host, port, name, tls: Arc::new(tls), token })
    }
}

impl Way {
    /// The value of the `Authorization` header.
    pub fn authorization(&self) -> Option<String> {
        match self {
            Self::Network(Network { token: Some(token), .. }) => {
                Some(format!("Bearer {}", token.expose()))
            }
            _ => None,
        }
    }

    pub async fn open(&self) -> std::io::Result<TokioIo<Box<dyn Stream>>> {
        let stream: Box<dyn Stream> = match self {
            Self::Socket(path) => Box::new(UnixStream::connect(path).await?),
            Self::Network(network) => {
                let late = |_| std::io::Error::from(std::io::ErrorKind::TimedOut);
                tokio::time::timeout(PATIENCE, network.connect()).await.map_err(late)??
            }
        };
        Ok(TokioIo::new(stream))
    }
}

impl Network {
    async fn connect(&self) -> std::io::Result<Box<dyn Stream>> {
        let tcp = TcpStream::connect((self.host.as_str(), self.port)).await?;
        let connector = TlsConnector::from(self.tls.clone());
        Ok(Box::new(connector.connect(self.name.clone(), tcp).await?))
    }
}

pub trait Stream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send {}
impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send> Stream for T {}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "{}", path.display()),
            Self::Network(Network { host, port, .. }) => write!(f, "https://{host}:{port}"),
        }
    }
}

/// A host and a port; an IPv6 address stands in brackets.
fn address(agent: &str) -> Option<(String, u16)> {
    let rest = agent.strip_prefix("https://")?;
    let (host, port) = rest.strip_suffix('/').unwrap_or(rest).rsplit_once(':')?;
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = inner.unwrap_or(host);
    let plain = host.chars().all(|c| c.is_ascii_alphanumeric() || "-.:".contains(c));
    (plain && !host.is_empty() && (inner.is_some() || !host.contains(':')))
        .then_some((host.to_owned(), port.parse().ok().filter(|port| *port > 0)?))
}

fn roots(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|why| told(path, why))?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).map_err(|why| told(path, why))?;
    let all: Vec<_> = read.collect::<Result<_, _>>().map_err(|why| told(path, why))?;
    if all.is_empty() { Err(told(path, "it holds no certificate")) } else { Ok(all) }
}

fn read_token(path: &Path) -> Result<Secret, String> {
    let text = std::fs::read_to_string(path).map_err(|why| told(path, why))?;
    let token = text.trim_end_matches(['\r', '\n']);
    match !token.is_empty() && token.chars().all(|c| c.is_ascii_graphic()) {
        true => Ok(Secret::new(token)),
        false => Err(told(path, "it does not hold a token alone")),
    }
}

fn told(path: &Path, why: impl fmt::Display) -> String {
    format!("cannot use {}: {why}", path.display())
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn an_agent_elsewhere_is_a_host_and_a_port_behind_https() {
        let good = |text: &str| address(text).map(|(host, port)| format!("{host} {port}"));
        assert_eq!(good("https://east.example.org:7480").as_deref(), Some("east.example.org 7480"));
        assert_eq!(good("https://[::1]:7480/").as_deref(), Some("::1 7480"));
        for bad in [
            "http://east:7480",
            "https://east",
            "https://:7480",
            "https://east:0",
            "https://::1:7480",
            "https://user:pass@east:7480",
            "https://east:7480/v1",
            "east:7480",
        ] {
            assert_eq!(good(bad), None, "{bad}");
        }
    }
}
