//! `kind = "webhook"`: JSON by POST, signed.

use super::post::Post;
use super::{AlertsError, SendError};
use crate::alert::Message;
use aws_lc_rs::hmac;
use mainstay_core::notifier::HttpTarget;
use mainstay_core::{NotifierName, Secret};
use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

pub struct Webhook {
    post: Post,
    path: Secret,
    secret: Option<Secret>,
}

impl Webhook {
    pub fn new(
        name: &NotifierName,
        to: &HttpTarget,
        secret: Option<Secret>,
    ) -> Result<Self, AlertsError> {
        Ok(Self { post: Post::new(name, to)?, path: to.url.path.clone(), secret })
    }

    pub async fn send(&self, message: &Message) -> Result<(), SendError> {
        let body = message.json().to_string();
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_err(SendError::new)?;
        let signed = |secret| ("mainstay-signature", signature(secret, seconds.as_secs(), &body));
        let headers: Vec<_> = self.secret.iter().map(signed).collect();
        self.post.send(self.path.expose(), &headers, body.into()).await
    }
}

/// `t=SECONDS,v1=HEX`: HMAC-SHA256 over the seconds, a dot and the body. The moment is signed too,
/// so that whoever listened cannot send it again much later.
fn signature(secret: &Secret, seconds: u64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    let tag = hmac::sign(&key, format!("{seconds}.{body}").as_bytes());
    let mut text = format!("t={seconds},v1=");
    for byte in tag.as_ref() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
