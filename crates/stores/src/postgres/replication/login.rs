//! From a TCP connection to a session that is ready for commands: TLS, start-up, password.

use super::frames::{Duplex, FrameReader, FrameWriter, error_fields, split};
use super::paced::Paced;
use super::{Replication, ReplicationError};
use crate::postgres::connect::{self, ConnectError, SETTINGS, place};
use bytes::BytesMut;
use mainstay_core::estate::{PostgresEndpoint, PostgresTls};
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::{AuthenticationSaslBody, Message};
use postgres_protocol::message::frontend;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_postgres::fallible_iterator::FallibleIterator;

type Result<T> = std::result::Result<T, ReplicationError>;

/// A source that answers so soon needs no large window: the kernel's own choice stays for others.
const NEAR: Duration = Duration::from_millis(1);
/// Bytes that a near source may have under way; the kernel doubles it for its own needs.
pub(super) const WINDOW: usize = 32 * 1024;

/// What the session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Replication,
    Ordinary,
}

pub(super) async fn open(
    endpoint: &PostgresEndpoint,
    what: &str,
    mode: Mode,
) -> Result<Replication> {
    let socket = socket(endpoint, mode).await?;
    let (reader, writer) = split(&place(endpoint), socket);
    let mut login = Login { endpoint, reader, writer };
    login.start_up(what, mode).await?;
    login.authenticate().await?;
    Ok(Replication { place: place(endpoint), reader: login.reader, writer: login.writer })
}

async fn socket(endpoint: &PostgresEndpoint, mode: Mode) -> Result<Box<dyn Duplex>> {
    let unreachable = |e: std::io::Error| ConnectError::Unreachable {
        place: place(endpoint),
        why: e.to_string(),
    };
    let begun = Instant::now();
    let tcp = TcpStream::connect((endpoint.host.as_str(), endpoint.port));
    let tcp = tcp.await.map_err(unreachable)?;
    tcp.set_nodelay(true).map_err(unreachable)?;
    watch_over(&tcp).map_err(unreachable)?;
    match mode {
        Mode::Replication => {
            // Beyond what fits there the source gathers what it sends by itself.
            if begun.elapsed() < NEAR {
                SockRef::from(&tcp).set_recv_buffer_size(WINDOW).map_err(unreachable)?;
            }
            secured(endpoint, Paced::new(tcp)).await
        }
        Mode::Ordinary => secured(endpoint, tcp).await,
    }
}

async fn secured(
    endpoint: &PostgresEndpoint,
    tcp: impl Duplex + 'static,
) -> Result<Box<dyn Duplex>> {
    match &endpoint.tls {
        PostgresTls::Disable => Ok(Box::new(tcp)),
        PostgresTls::VerifyFull { authority } => encrypt(endpoint, authority, tcp).await,
    }
}

/// A peer that vanished is noticed, also while nothing is sent: making a slot may take long.
fn watch_over(tcp: &TcpStream) -> std::io::Result<()> {
    let probes = TcpKeepalive::new()
        .with_time(Duration::from_secs(5))
        .with_interval(Duration::from_secs(2))
        .with_retries(3);
    SockRef::from(tcp).set_tcp_keepalive(&probes)?;
    SockRef::from(tcp).set_tcp_user_timeout(Some(Duration::from_secs(15)))
}

async fn encrypt(
    endpoint: &PostgresEndpoint,
    authority: &Path,
    mut tcp: impl Duplex + 'static,
) -> Result<Box<dyn Duplex>> {
    let tls = |why: String| ConnectError::Tls { place: place(endpoint), why };
    let config = connect::client_config(authority)?;
    let name = ServerName::try_from(endpoint.host.clone()).map_err(|e| tls(e.to_string()))?;
    request_tls(endpoint, &mut tcp).await?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    match connector.connect(name, tcp).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(e) if connect::is_certificate(&e) => Err(tls(connect::chain(&e)).into()),
        Err(e) => {
            let why = connect::chain(&e);
            Err(ConnectError::Unreachable { place: place(endpoint), why }.into())
        }
    }
}

/// The server answers the request with one byte, before TLS begins.
async fn request_tls(endpoint: &PostgresEndpoint, tcp: &mut impl Duplex) -> Result<()> {
    let unreachable = |e: std::io::Error| ConnectError::Unreachable {
        place: place(endpoint),
        why: e.to_string(),
    };
    let mut out = BytesMut::new();
    frontend::ssl_request(&mut out);
    tcp.write_all(&out).await.map_err(unreachable)?;
    match tcp.read_u8().await.map_err(unreachable)? {
        b'S' => Ok(()),
        _ => {
            let why = "the server does not offer TLS; set ssl = on there".to_owned();
            Err(ConnectError::Tls { place: place(endpoint), why }.into())
        }
    }
}

struct Login<'a> {
    endpoint: &'a PostgresEndpoint,
    reader: FrameReader,
    writer: FrameWriter,
}

impl Login<'_> {
    async fn start_up(&mut self, what: &str, mode: Mode) -> Result<()> {
        let application = format!("mainstay {what}");
        let mut parameters = vec![
            ("user", self.endpoint.user.as_str()),
            ("database", self.endpoint.database.as_str()),
            ("client_encoding", "UTF8"),
            ("application_name", application.as_str()),
            // Names of tables, functions and the like inside values come with their schema.
            ("search_path", ""),
            // A warning of the server's may mean that changes are left out.
            ("client_min_messages", "warning"),
        ];
        if mode == Mode::Replication {
            parameters.push(("replication", "database"));
        }
        parameters.extend(SETTINGS);
        let mut out = BytesMut::new();
        frontend::startup_message(parameters, &mut out).map_err(|e| self.protocol(&e))?;
        self.writer.send(&out).await
    }

    /// Until the server is ready for the first command.
    async fn authenticate(&mut self) -> Result<()> {
        loop {
            match self.reader.next_message().await? {
                Message::AuthenticationOk
                | Message::BackendKeyData(_)
                | Message::ParameterStatus(_)
                | Message::NoticeResponse(_) => {}
                Message::AuthenticationCleartextPassword => {
                    let password = self.password()?.as_bytes().to_vec();
                    self.send_password(&password).await?;
                }
                Message::AuthenticationMd5Password(body) => {
                    let user = self.endpoint.user.as_bytes();
                    let hash = md5_hash(user, self.password()?.as_bytes(), body.salt());
                    self.send_password(hash.as_bytes()).await?;
                }
                Message::AuthenticationSasl(body) => self.scram(&body).await?,
                Message::ReadyForQuery(_) => return Ok(()),
                other => return Err(self.unexpected(other)),
            }
        }
    }

    async fn send_password(&mut self, password: &[u8]) -> Result<()> {
        let mut out = BytesMut::new();
        frontend::password_message(password, &mut out).map_err(|e| self.protocol(&e))?;
        self.writer.send(&out).await
    }

    async fn scram(&mut self, offer: &AuthenticationSaslBody) -> Result<()> {
        let known = offer.mechanisms().any(|m| Ok(m == SCRAM_SHA_256));
        if !known.map_err(|e| self.protocol(&e))? {
            return Err(self.refused("it asks for a password in a way that is not SCRAM-SHA-256"));
        }
        let password = self.password()?.as_bytes();
        let mut scram = ScramSha256::new(password, ChannelBinding::unsupported());
        let mut out = BytesMut::new();
        frontend::sasl_initial_response(SCRAM_SHA_256, scram.message(), &mut out)
            .map_err(|e| self.protocol(&e))?;
        self.writer.send(&out).await?;
        match self.reader.next_message().await? {
            Message::AuthenticationSaslContinue(body) => {
                scram.update(body.data()).map_err(|e| self.refused(&e.to_string()))?;
            }
            other => return Err(self.unexpected(other)),
        }
        out.clear();
        frontend::sasl_response(scram.message(), &mut out).map_err(|e| self.protocol(&e))?;
        self.writer.send(&out).await?;
        match self.reader.next_message().await? {
            // The server proves that it knows the password, too.
            Message::AuthenticationSaslFinal(body) => {
                scram.finish(body.data()).map_err(|e| self.refused(&e.to_string()))
            }
            other => Err(self.unexpected(other)),
        }
    }

    fn password(&self) -> Result<&str> {
        match &self.endpoint.password {
            Some(password) => Ok(password.expose()),
            None => Err(self.refused("it asks for a password and the configuration has none")),
        }
    }

    fn unexpected(&self, message: Message) -> ReplicationError {
        match message {
            Message::ErrorResponse(body) => match error_fields(&body) {
                Ok((why, sqlstate)) => {
                    ConnectError::Refused { place: place(self.endpoint), why, sqlstate }.into()
                }
                Err(error) => self.protocol(&error),
            },
            _ => self.refused("it asks for a way to log in that Mainstay does not have"),
        }
    }

    fn refused(&self, why: &str) -> ReplicationError {
        let (place, why, sqlstate) = (place(self.endpoint), why.to_owned(), "28000".to_owned());
        ConnectError::Refused { place, why, sqlstate }.into()
    }

    fn protocol(&self, error: &std::io::Error) -> ReplicationError {
        ReplicationError::Protocol { place: place(self.endpoint), why: error.to_string() }
    }
}
