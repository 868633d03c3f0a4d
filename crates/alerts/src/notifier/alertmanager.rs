//! `kind = "alertmanager"`: Prometheus's Alertmanager groups, silences and sends by its own rules.
//! It forgets what it is not told again, so each alert says until when it is good.

use super::post::Post;
use super::{AlertsError, SendError};
use crate::alert::{Message, Status, moment};
use mainstay_core::NotifierName;
use mainstay_core::notifier::HttpTarget;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Good for so many repetitions: one that is late does not end it.
const REPETITIONS: u32 = 3;
/// What has no end is shown so long.
const SHOWN: Duration = Duration::from_secs(300);

pub struct Alertmanager {
    post: Post,
    path: String,
    good_for: Duration,
}

impl Alertmanager {
    pub fn new(
        name: &NotifierName,
        to: &HttpTarget,
        every: Option<Duration>,
    ) -> Result<Self, AlertsError> {
        let path = format!("{}/api/v2/alerts", to.url.path.expose().trim_end_matches('/'));
        let good_for = every.map_or(SHOWN, |every| every.saturating_mul(REPETITIONS));
        Ok(Self { post: Post::new(name, to)?, path, good_for })
    }

    pub async fn send(&self, message: &Message) -> Result<(), SendError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(SendError::new)?;
        let now = i64::try_from(now.as_micros()).map_err(SendError::new)?;
        let body = json!([self.one(message, now)]).to_string();
        self.post.send(&self.path, &[], body.into()).await
    }

    /// Labels are what makes two alerts one, so the agent that tells it is no label.
    fn one(&self, message: &Message, now: i64) -> Value {
        let alert = &message.alert;
        let until = |good: Duration| {
            moment(now.saturating_add(i64::try_from(good.as_micros()).unwrap_or(i64::MAX)))
        };
        let ends = match message.status {
            Status::Begun | Status::Lasts => until(self.good_for),
            Status::Ended => moment(now),
            Status::Happened | Status::Test => until(SHOWN),
        };
        json!({
            "labels": {
                "alertname": format!("mainstay-{}", alert.kind),
                "application": alert.application,
                "subject": alert.subject,
                "severity": alert.severity,
            },
            "annotations": {
                "summary": alert.what,
                "next": alert.advice,
                "expected_loss": alert.loss.words(),
                "told_by": alert.site,
                "status": message.status,
                "count": message.count.to_string(),
            },
            "startsAt": moment(message.since_micros.min(now)),
            "endsAt": ends,
        })
    }
}
