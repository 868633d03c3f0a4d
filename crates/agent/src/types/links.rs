//! A link that has stopped and is to go on.

use mainstay_core::{ApplicationName, SiteName, StoreName};
use serde::{Deserialize, Serialize};

/// Body of `POST /v1/link/continue`: a link that has stopped is to try again.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ContinueRequest {
    pub application: Option<ApplicationName>,
    pub store: Option<StoreName>,
    /// The schema change that is left out from now on, by the position that the link names.
    pub leave_out: Option<String>,
    pub reason: String,
}

/// The link that tries again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Continued {
    pub application: ApplicationName,
    pub store: StoreName,
    /// Where it runs.
    pub site: SiteName,
    pub left_out: Option<String>,
}
