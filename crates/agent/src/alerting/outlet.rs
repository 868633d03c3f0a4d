//! One notifier at work: its queue, its way, and its task.

use crate::context::Context;
use crate::time::{tick, unix_micros};
use crate::types::{NotifierView, Tried};
use mainstay_alerts::desk::Document;
use mainstay_alerts::{AlertsError, Desk, Message, SendError, Sender, Status};
use mainstay_core::notifier::Notifier;
use mainstay_core::{ApplicationName, NotifierName, SiteName, Tick};
use serde_json::json;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The queue is asked at least so often; what falls due asks at once.
const BEAT: Duration = Duration::from_millis(250);

pub struct Outlet {
    name: NotifierName,
    sender: Sender,
    desk: Mutex<Desk>,
    /// Held while the document is taken and written, so that an older one never replaces a newer.
    keeping: tokio::sync::Mutex<()>,
    due: Notify,
}

impl Outlet {
    pub fn new(
        name: &NotifierName,
        spec: &Notifier,
        kept: Option<Document>,
    ) -> Result<Self, AlertsError> {
        Ok(Self {
            name: name.clone(),
            sender: Sender::new(name, spec)?,
            desk: Mutex::new(Desk::new(name.clone(), spec.clone(), kept, tick())),
            keeping: tokio::sync::Mutex::default(),
            due: Notify::new(),
        })
    }

    pub fn name(&self) -> &NotifierName {
        &self.name
    }

    /// Held only for short reads and writes, never over an await.
    pub fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn view(&self, now: Tick) -> NotifierView {
        let desk = self.desk();
        NotifierView {
            name: self.name.clone(),
            kind: desk.spec().kind.name().to_owned(),
            place: desk.spec().kind.place(),
            trouble: desk.trouble().cloned(),
            pending: desk.pending(now),
            delivered: desk.last_delivered(),
            counts: desk.counts(),
        }
    }

    pub async fn test(&self, here: &SiteName, by: &str) -> Tried {
        let application = self.desk().spec().applications.first().cloned();
        // A test is about no application; every way needs a name to write.
        let application = application.or_else(|| ApplicationName::new("mainstay").ok());
        let began = Instant::now();
        let sent = match application {
            Some(application) => {
                let message = Message::test(here, &application, by, unix_micros());
                self.sender.send(&message).await
            }
            None => Err(SendError::new("there is no application")),
        };
        let (kind, place) = {
            let desk = self.desk();
            (desk.spec().kind.name().to_owned(), desk.spec().kind.place())
        };
        Tried {
            name: self.name.clone(),
            kind,
            place,
            took_s: began.elapsed().as_secs_f64(),
            failed: sent.err().map(|why| why.to_string()),
        }
    }

    /// Makes what must not be forgotten durable, and has what is due sent.
    pub async fn keep(&self, context: &Context) {
        let _alone = self.keeping.lock().await;
        let document = self.desk().take_document();
        if let Some(document) = document {
            if let Err(why) = context.memory.keep_desk(&self.name, &document).await {
                tracing::error!(notifier = %self.name, %why, "alerts would not survive a crash");
                self.desk().not_kept();
            }
            self.due.notify_one();
        }
    }

    /// What became of one message; in the ledger unless it says again what stands there.
    async fn note(
        &self,
        context: &Context,
        key: &str,
        message: &Message,
        sent: Result<(), SendError>,
    ) {
        let (micros, now) = (unix_micros(), tick());
        let outcome = match &sent {
            Ok(()) => {
                self.desk().delivered(key, message, micros, now);
                (message.status != Status::Lasts).then(|| "sent".to_owned())
            }
            Err(why) => {
                let mut desk = self.desk();
                desk.failed(key, &why.to_string(), rand::random(), micros, now);
                let first = desk.trouble().is_some_and(|trouble| trouble.failures == 1);
                first.then(|| format!("failed: {why}"))
            }
        };
        tracing::info!(notifier = %self.name, key, status = message.status.name(), ?sent, "alert");
        self.keep(context).await;
        let Some(outcome) = outcome else { return };
        let body = json!({
            "notifier": self.name, "id": message.id(), "status": message.status,
            "severity": message.alert.severity, "what": message.alert.what, "outcome": outcome,
        });
        let application = message.alert.application.as_str();
        if let Err(why) = context.ledger.append("alert", application, &body).await {
            tracing::warn!(notifier = %self.name, %why, "an alert is not in the ledger");
        }
    }
}

/// Sends what is due, one message after the other, until shutdown.
pub async fn run(outlet: Arc<Outlet>, context: Arc<Context>, shutdown: CancellationToken) {
    let mut beat = tokio::time::interval(BEAT);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = beat.tick() => {}
            () = outlet.due.notified() => {}
        }
        let next = outlet.desk().next(tick());
        let Some((key, message)) = next else { continue };
        let sent = tokio::select! {
            // It is sent again by the agent that follows.
            () = shutdown.cancelled() => return,
            sent = outlet.sender.send(&message) => sent,
        };
        outlet.note(&context, &key, &message, sent).await;
        outlet.due.notify_one();
    }
}
