//! The ways to people, one file each.

mod alertmanager;
mod command;
mod email;
mod post;
mod webhook;

use crate::alert::{Message, bounded};
use alertmanager::Alertmanager;
use command::Command;
use email::Email;
use mainstay_core::NotifierName;
use mainstay_core::notifier::{Notifier, NotifierKind};
use std::fmt::Display;
use std::path::PathBuf;
use std::time::Duration;
use webhook::Webhook;

/// A whole delivery, with looking up the name and connecting.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Why a notifier cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum AlertsError {
    #[error("MS-ALERT-001: the notifier {name} cannot trust {path}: {why}; it must be a PEM file \
             with the authority's certificates, readable for the user of mainstay", path = path.display())]
    Authority { name: NotifierName, path: PathBuf, why: String },
    #[error("MS-ALERT-001: the notifier {name} cannot be used: {why}; see `mainstay check`")]
    Unusable { name: NotifierName, why: String },
}

/// Why one message was not delivered. It holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SendError(String);

impl SendError {
    pub fn new(why: impl Display) -> Self {
        Self(bounded(&why.to_string(), 500))
    }
}

/// One way, ready to be used.
pub enum Sender {
    Webhook(Webhook),
    Command(Command),
    Email(Box<Email>),
    Alertmanager(Alertmanager),
}

impl Sender {
    pub fn new(name: &NotifierName, spec: &Notifier) -> Result<Self, AlertsError> {
        Ok(match &spec.kind {
            NotifierKind::Webhook { to, secret } => {
                Self::Webhook(Webhook::new(name, to, secret.clone())?)
            }
            NotifierKind::Command { run } => Self::Command(Command::new(run.clone())),
            NotifierKind::Email(email) => Self::Email(Box::new(Email::new(name, email)?)),
            NotifierKind::Alertmanager { to } => {
                Self::Alertmanager(Alertmanager::new(name, to, spec.every)?)
            }
        })
    }

    /// Delivers one message, or gives up after [`PATIENCE`]. After an error it may have arrived.
    pub async fn send(&self, message: &Message) -> Result<(), SendError> {
        let sending = async {
            match self {
                Self::Webhook(webhook) => webhook.send(message).await,
                Self::Command(command) => command.send(message).await,
                Self::Email(email) => email.send(message).await,
                Self::Alertmanager(alertmanager) => alertmanager.send(message).await,
            }
        };
        let late = || SendError::new(format!("nothing within {} s", PATIENCE.as_secs()));
        tokio::time::timeout(PATIENCE, sending).await.unwrap_or_else(|_| Err(late()))
    }
}
