//! Connections to a Redis server, as the user that Mainstay has there.

use super::reply::{self, Reply};
use mainstay_core::estate::{RedisEndpoint, RedisTls};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How long a server may take to accept a connection, TLS and password included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What the server's answers are read ahead into.
const READ_AHEAD: usize = 64 * 1024;

/// `place` is the endpoint as people write it: `host:port`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    #[error("{place} does not answer: {why}; start it or mend the way to it")]
    Unreachable { place: String, why: String },

    #[error("{place} refused the connection: {why}{}", advice(.why))]
    Refused { place: String, why: String },

    #[error(
        "{place}: TLS failed: {why}; the server must show a certificate for that host name, \
         signed by the authority that the configuration names, and not itself an authority (CA:TRUE)"
    )]
    Tls { place: String, why: String },

    #[error(
        "the authority {} cannot be used: {why}; write the path of a PEM file with the \
         certificate that signed the server's", path.display()
    )]
    Authority { path: PathBuf, why: String },
}

fn advice(why: &str) -> &'static str {
    match why.split(' ').next() {
        Some("WRONGPASS" | "NOAUTH") => {
            "; correct the user and password that the configuration refers to"
        }
        Some("NOPERM") => {
            "; give this user all commands and keys there (ACL SETUSER ... ~* &* +@all)"
        }
        _ => "; see the server's log",
    }
}

impl ConnectError {
    /// The documented code of this error: a page in `docs/errors`.
    pub fn code(&self) -> &'static str {
        match self {
            ConnectError::Unreachable { .. } => "MS-RD-100",
            ConnectError::Refused { .. } => "MS-RD-101",
            ConnectError::Tls { .. } | ConnectError::Authority { .. } => "MS-RD-105",
        }
    }

    /// A server that is loading its data, or has no connection left, is there again later.
    pub fn heals(&self) -> bool {
        match self {
            ConnectError::Unreachable { .. } => true,
            ConnectError::Refused { why, .. } => reply::heals(why),
            ConnectError::Tls { .. } | ConnectError::Authority { .. } => false,
        }
    }
}

/// The endpoint as people write it, without its password.
pub fn place(endpoint: &RedisEndpoint) -> String {
    format!("{}:{}", endpoint.host, endpoint.port)
}

pub(crate) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// A connection that is logged in.
pub(crate) type Connection = BufReader<Box<dyn Transport>>;

/// Connects and logs in; `what` the connection is for is shown in the server's `CLIENT LIST`.
pub(crate) async fn connect(
    endpoint: &RedisEndpoint,
    what: &str,
) -> Result<Connection, ConnectError> {
    let place = || place(endpoint);
    let attempt = async {
        let mut connection = BufReader::with_capacity(READ_AHEAD, open(endpoint).await?);
        if let Some(password) = &endpoint.password {
            let user = endpoint.user.as_deref().unwrap_or("default");
            login(&mut connection, &place, &["AUTH", user, password.expose()]).await?;
        }
        let name = format!("mainstay:{}", what.replace(' ', "-"));
        login(&mut connection, &place, &["CLIENT", "SETNAME", &name]).await?;
        Ok(connection)
    };
    match tokio::time::timeout(CONNECT_TIMEOUT, attempt).await {
        Ok(outcome) => outcome,
        Err(_) => {
            let why = format!("no answer within {} s", CONNECT_TIMEOUT.as_secs());
            Err(ConnectError::Unreachable { place: place(), why })
        }
    }
}

async fn login(
    connection: &mut Connection,
    place: &impl Fn() -> String,
    command: &[&str],
) -> Result<(), ConnectError> {
    let mut bytes = Vec::new();
    reply::encode(&mut bytes, command);
    let answered = async {
        connection.write_all(&bytes).await?;
        connection.flush().await?;
        reply::read(connection).await
    };
    match answered.await {
        Ok(Reply::Error(why)) => Err(ConnectError::Refused { place: place(), why }),
        Ok(_) => Ok(()),
        Err(error) => Err(ConnectError::Unreachable { place: place(), why: error.to_string() }),
    }
}

async fn open(endpoint: &RedisEndpoint) -> Result<Box<dyn Transport>, ConnectError> {
    let unreachable = |error: std::io::Error| ConnectError::Unreachable {
        place: place(endpoint),
        why: error.to_string(),
    };
    let socket = TcpStream::connect((&*endpoint.host, endpoint.port)).await.map_err(unreachable)?;
    socket.set_nodelay(true).map_err(unreachable)?;
    keep_alive(&socket).map_err(unreachable)?;
    let authority = match &endpoint.tls {
        RedisTls::Disable => return Ok(Box::new(socket)),
        RedisTls::VerifyFull { authority } => authority,
    };
    let failed = |why: String| ConnectError::Tls { place: place(endpoint), why };
    let name = ServerName::try_from(endpoint.host.clone()).map_err(|e| failed(e.to_string()))?;
    let connector = TlsConnector::from(Arc::new(client_config(authority)?));
    match connector.connect(name, socket).await {
        Ok(stream) => Ok(Box::new(stream)),
        // A wrong certificate does not mend itself, unlike a lost network.
        Err(e) if e.get_ref().is_some_and(|e| e.is::<rustls::Error>()) => {
            Err(failed(e.to_string()))
        }
        Err(e) => Err(unreachable(e)),
    }
}

/// A peer that is gone without a word is noticed within 15 s.
fn keep_alive(socket: &TcpStream) -> std::io::Result<()> {
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(5))
        .with_interval(Duration::from_secs(2))
        .with_retries(3);
    let socket = socket2::SockRef::from(socket);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(Duration::from_secs(15)))
}

/// TLS that verifies the server's name against one authority. The process has installed its
/// provider of cryptography before.
fn client_config(authority: &Path) -> Result<ClientConfig, ConnectError> {
    let bad = |why: String| ConnectError::Authority { path: authority.to_owned(), why };
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(authority).map_err(|e| bad(e.to_string()))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|e| bad(e.to_string()))?;
        roots.add(certificate).map_err(|e| bad(e.to_string()))?;
    }
    if roots.is_empty() {
        return Err(bad("it holds no certificate".to_owned()));
    }
    Ok(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}
