//! The line with which a tunnel begins, and its answer.

use mainstay_core::{ApplicationName, Epoch, StoreName};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    pub application: ApplicationName,
    /// The epoch at which the caller takes the called site for active.
    pub epoch: Epoch,
    pub to: Target,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    Http,
    /// Requests that only read, for a site that has a share of them without being active.
    Reads,
    Store(StoreName),
    /// A connection that only reads, for a site whose own database may be read.
    StoreReads(StoreName),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    pub ok: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The epoch of the gate that refuses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
}

impl Answer {
    pub fn yes() -> Self {
        Self { ok: true, reason: None, epoch: None }
    }

    pub fn no(reason: &str, epoch: Epoch) -> Self {
        Self { ok: false, reason: Some(reason.to_owned()), epoch: Some(epoch) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_are_as_documented() {
        let hello = |to| Hello {
            application: ApplicationName::new("bank").unwrap(),
            epoch: Epoch::new(7),
            to,
        };
        let store = Target::Store(StoreName::new("db").unwrap());
        assert_eq!(
            serde_json::to_string(&hello(store)).unwrap(),
            r#"{"application":"bank","epoch":7,"to":{"store":"db"}}"#
        );
        assert_eq!(
            serde_json::to_string(&hello(Target::Http)).unwrap(),
            r#"{"application":"bank","epoch":7,"to":"http"}"#
        );
        assert_eq!(serde_json::to_string(&Answer::yes()).unwrap(), r#"{"ok":true}"#);
        assert_eq!(
            serde_json::to_string(&Answer::no("closed", Epoch::new(8))).unwrap(),
            r#"{"ok":false,"reason":"closed","epoch":8}"#
        );
    }
}
