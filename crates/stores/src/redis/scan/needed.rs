//! Whether a source lets Mainstay replicate, or has to be scanned.

use crate::redis::compare::side::Side;
use crate::redis::fault::Fault;
use crate::redis::reply::Reply;
use mainstay_core::estate::RedisEndpoint;
use std::fmt;

/// Why a source has to be scanned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The server has no such command: a managed one, or it was renamed.
    NoCommand,
    /// The user may not use it.
    NotAllowed(String),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::NoCommand => write!(f, "the server has no command PSYNC"),
            Reason::NotAllowed(why) => write!(f, "PSYNC is not allowed: {why}"),
        }
    }
}

/// None when the source can be streamed from, as far as can be told without beginning it.
pub async fn needed(source: &RedisEndpoint) -> Result<Option<Reason>, Fault> {
    let mut side = Side::open(source, "look").await?;
    let known = side.call(&["COMMAND", "INFO", "PSYNC"]).await?;
    if known.items().first().is_none_or(|it| *it == Reply::Nil) {
        return Ok(Some(Reason::NoCommand));
    }
    // A server of before 7.0 cannot say it; a link that streams is refused then, and says so.
    let who = side.call(&["ACL", "WHOAMI"]).await?;
    let user = who.text().unwrap_or("default").to_owned();
    let answers = side.ask(&[vec!["ACL", "DRYRUN", &user, "PSYNC", "?", "-1"]]).await?;
    Ok(match answers.first() {
        Some(Reply::Bulk(why)) => {
            Some(Reason::NotAllowed(String::from_utf8_lossy(why).into_owned()))
        }
        _ => None,
    })
}
