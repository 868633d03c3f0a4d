//! What waits to be told, what was told last, and trying a notifier.

use mainstay_alerts::desk::{Counts, Delivered, Pending, Trouble};
use mainstay_core::{NotifierName, SiteName};
use serde::{Deserialize, Serialize};

/// `GET /v1/alerts`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Alerts {
    pub here: SiteName,
    pub notifiers: Vec<NotifierView>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NotifierView {
    pub name: NotifierName,
    pub kind: String,
    /// Where it leads; nothing secret.
    pub place: String,
    pub trouble: Option<Trouble>,
    /// Due, and not delivered.
    pub pending: Vec<Pending>,
    /// Newest first.
    pub delivered: Vec<Delivered>,
    /// Since this agent began.
    pub counts: Counts,
}

/// `POST /v1/alerts/test`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TestRequest {
    /// None: each of them.
    pub notifier: Option<NotifierName>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tested {
    pub here: SiteName,
    pub tried: Vec<Tried>,
}

/// What came of one test.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tried {
    pub name: NotifierName,
    pub kind: String,
    pub place: String,
    pub took_s: f64,
    /// Why it was not delivered.
    pub failed: Option<String>,
}
