//! `kind = "email"`: one mail by a mail server (SMTP).

use super::{AlertsError, PATIENCE, SendError};
use crate::alert::Message;
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, MessageBuilder};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use mainstay_core::NotifierName;
use mainstay_core::notifier::{self, MailEncryption};
use std::path::Path;

pub struct Email {
    server: AsyncSmtpTransport<Tokio1Executor>,
    /// From whom and to whom.
    head: MessageBuilder,
}

impl Email {
    pub fn new(name: &NotifierName, spec: &notifier::Email) -> Result<Self, AlertsError> {
        let unusable = |why: String| AlertsError::Unusable { name: name.clone(), why };
        let mailbox = |text: &String| {
            text.parse::<Mailbox>().map_err(|why| unusable(format!("{text}: {why}")))
        };
        let mut head = lettre::Message::builder().from(mailbox(&spec.from)?);
        for to in &spec.to {
            head = head.to(mailbox(to)?);
        }
        let mut server = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&spec.host)
            .port(spec.port)
            .timeout(Some(PATIENCE))
            .tls(encryption(name, spec)?);
        if let (Some(user), Some(password)) = (&spec.user, &spec.password) {
            let password = password.expose().to_owned();
            server = server.credentials(Credentials::new(user.clone(), password));
        }
        Ok(Self { server: server.build(), head })
    }

    pub async fn send(&self, message: &Message) -> Result<(), SendError> {
        let mail = self
            .head
            .clone()
            .subject(format!("[mainstay] {}", message.subject()))
            .message_id(None)
            .header(ContentType::TEXT_PLAIN)
            .body(message.text())
            .map_err(SendError::new)?;
        self.server.send(mail).await.map(drop).map_err(SendError::new)
    }
}

fn encryption(name: &NotifierName, spec: &notifier::Email) -> Result<Tls, AlertsError> {
    let parameters = || trust(name, &spec.host, spec.authority.as_deref());
    Ok(match spec.encryption {
        MailEncryption::None => Tls::None,
        MailEncryption::StartTls => Tls::Required(parameters()?),
        MailEncryption::Tls => Tls::Wrapper(parameters()?),
    })
}

fn trust(
    name: &NotifierName,
    host: &str,
    authority: Option<&Path>,
) -> Result<TlsParameters, AlertsError> {
    let mut parameters = TlsParameters::builder(host.to_owned());
    if let Some(path) = authority {
        let bad =
            |why: String| AlertsError::Authority { name: name.clone(), path: path.to_owned(), why };
        let pem = std::fs::read(path).map_err(|why| bad(why.to_string()))?;
        let certificate = Certificate::from_pem(&pem).map_err(|why| bad(why.to_string()))?;
        parameters =
            parameters.certificate_store(CertificateStore::None).add_root_certificate(certificate);
    }
    parameters
        .build()
        .map_err(|why| AlertsError::Unusable { name: name.clone(), why: why.to_string() })
}
