//! Connections to a PostgreSQL server, as the superuser that Mainstay uses.

use mainstay_core::estate::{PostgresEndpoint, PostgresTls};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_postgres::config::SslMode;
use tokio_postgres::{CancelToken, Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

/// How long a server may take to accept a connection, TLS and password included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What makes values read the same at both sides of a link: the settings that decide how
/// PostgreSQL writes them as text, and the time limits that a role or database may have been
/// given, which are not meant for Mainstay.
pub const SETTINGS: [(&str, &str); 14] = [
    ("DateStyle", "ISO"),
    ("IntervalStyle", "postgres"),
    ("extra_float_digits", "3"),
    ("bytea_output", "hex"),
    ("TimeZone", "UTC"),
    ("lc_monetary", "C"),
    ("xmloption", "content"),
    ("quote_all_identifiers", "off"),
    ("default_transaction_read_only", "off"),
    ("default_transaction_isolation", "read committed"),
    ("statement_timeout", "0"),
    ("lock_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    ("idle_session_timeout", "0"),
];

/// `place` is the endpoint as people write it: `host:port/database`.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("{place} does not answer: {why}; start it or mend the way to it")]
    Unreachable { place: String, why: String },

    #[error("{place} refused the connection: {why}{}", advice(.sqlstate))]
    Refused { place: String, why: String, sqlstate: String },

    #[error(
        "{place}: TLS failed: {why}; the server must show a certificate for that host name, \
         signed by the authority that the configuration names, and not itself an authority (CA:TRUE)"
    )]
    Tls { place: String, why: String },

    #[error("the authority {} cannot be used: {why}; write the path of a PEM file with the certificate that signed the server's", path.display())]
    Authority { path: PathBuf, why: String },
}

fn advice(sqlstate: &str) -> &'static str {
    match sqlstate {
        "28P01" => "; correct the password that the configuration refers to",
        "28000" => "; allow this user in the server's pg_hba.conf, and give it LOGIN",
        "3D000" => "; create the database, or correct its name in the configuration",
        "53300" => "; raise max_connections",
        _ => "",
    }
}

impl ConnectError {
    /// The documented code of this error: a page in `docs/errors`.
    pub fn code(&self) -> &'static str {
        match self {
            ConnectError::Unreachable { .. } => "MS-PG-100",
            ConnectError::Refused { .. } => "MS-PG-101",
            ConnectError::Tls { .. } | ConnectError::Authority { .. } => "MS-PG-105",
        }
    }

    /// PostgreSQL's own code, when the server gave one.
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            ConnectError::Refused { sqlstate, .. } => Some(sqlstate),
            _ => None,
        }
    }
}

/// The endpoint as people write it, without its password.
pub fn place(endpoint: &PostgresEndpoint) -> String {
    format!("{}:{}/{}", endpoint.host, endpoint.port, endpoint.database)
}

/// Connects, and tells the server `what` for (its `application_name` is `mainstay <what>`).
pub async fn connect(endpoint: &PostgresEndpoint, what: &str) -> Result<Client, ConnectError> {
    let mut config = config(endpoint, what);
    connect_with(endpoint, config.options(options())).await
}

/// The same with the settings that the server gives to the user, as any client has them.
pub async fn as_client(endpoint: &PostgresEndpoint, what: &str) -> Result<Client, ConnectError> {
    connect_with(endpoint, &config(endpoint, what)).await
}

async fn connect_with(
    endpoint: &PostgresEndpoint,
    config: &Config,
) -> Result<Client, ConnectError> {
    let attempt = async {
        match &endpoint.tls {
            PostgresTls::Disable => open(config, NoTls).await.map_err(|e| refused(endpoint, &e)),
            PostgresTls::VerifyFull { authority } => {
                let tls = MakeRustlsConnect::new(client_config(authority)?);
                open(config, tls).await.map_err(|e| refused(endpoint, &e))
            }
        }
    };
    match tokio::time::timeout(CONNECT_TIMEOUT, attempt).await {
        Ok(outcome) => outcome,
        Err(_) => Err(no_answer(endpoint)),
    }
}

/// Asks the server to cancel what a connection waits for.
pub(crate) async fn cancel(
    endpoint: &PostgresEndpoint,
    token: &CancelToken,
) -> Result<(), ConnectError> {
    let attempt = async {
        let cancelled = match &endpoint.tls {
            PostgresTls::Disable => token.cancel_query(NoTls).await,
            PostgresTls::VerifyFull { authority } => {
                let tls = MakeRustlsConnect::new(client_config(authority)?);
                token.cancel_query(tls).await
            }
        };
        cancelled.map_err(|error| refused(endpoint, &error))
    };
    match tokio::time::timeout(CONNECT_TIMEOUT, attempt).await {
        Ok(outcome) => outcome,
        Err(_) => Err(no_answer(endpoint)),
    }
}

fn config(endpoint: &PostgresEndpoint, what: &str) -> Config {
    let mut config = Config::new();
    config
        .host(&endpoint.host)
        .port(endpoint.port)
        .dbname(&endpoint.database)
        .user(&endpoint.user)
        .application_name(format!("mainstay {what}"))
        .keepalives_idle(Duration::from_secs(5))
        .keepalives_interval(Duration::from_secs(2))
        .keepalives_retries(3)
        .tcp_user_timeout(Duration::from_secs(15));
    if let Some(password) = &endpoint.password {
        config.password(password.expose());
    }
    config.ssl_mode(match endpoint.tls {
        PostgresTls::Disable => SslMode::Disable,
        PostgresTls::VerifyFull { .. } => SslMode::Require,
    });
    config
}

/// As the `options` parameter of libpq: a backslash keeps a space inside a value.
fn options() -> String {
    let setting = |(name, value): &(&str, &str)| format!("-c {name}={}", value.replace(' ', "\\ "));
    SETTINGS.iter().map(setting).collect::<Vec<_>>().join(" ")
}

/// The connection itself runs in a task of its own, which ends when the client is dropped; what
/// ended it is told by the client's next call.
async fn open<T>(config: &Config, tls: T) -> Result<Client, tokio_postgres::Error>
where
    T: tokio_postgres::tls::MakeTlsConnect<tokio_postgres::Socket> + Send,
    T::Stream: Send + 'static,
{
    let (client, connection) = config.connect(tls).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a PostgreSQL connection ended");
        }
    });
    Ok(client)
}

pub(crate) fn no_answer(endpoint: &PostgresEndpoint) -> ConnectError {
    let why = format!("no answer within {} s", CONNECT_TIMEOUT.as_secs());
    ConnectError::Unreachable { place: place(endpoint), why }
}

fn refused(endpoint: &PostgresEndpoint, error: &tokio_postgres::Error) -> ConnectError {
    let place = place(endpoint);
    if let Some(db) = error.as_db_error() {
        let sqlstate = db.code().code().to_owned();
        return ConnectError::Refused { place, why: db.message().to_owned(), sqlstate };
    }
    let why = chain(error);
    if is_certificate(error) {
        return ConnectError::Tls { place, why };
    }
    ConnectError::Unreachable { place, why }
}

/// An error with what caused it, as one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}

/// True when TLS itself failed: a wrong certificate does not mend itself, unlike a lost network.
pub(crate) fn is_certificate(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let inside = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if error.is::<rustls::Error>() || inside.is_some_and(|e| e.is::<rustls::Error>()) {
            return true;
        }
        next = error.source();
    }
    false
}

/// TLS that verifies the server's name against one authority. The process has installed its
/// provider of cryptography before.
pub(crate) fn client_config(authority: &Path) -> Result<ClientConfig, ConnectError> {
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
