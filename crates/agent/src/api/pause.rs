//! A person's pause of automatic failover, and its end. It is kept in the coordinator, so any
//! agent can take the word.

use super::moves::pick;
use crate::act::pause;
use crate::agent::Agent;
use crate::application::Application;
use crate::error::Refused;
use crate::people::Asker;
use crate::time::unix_micros;
use crate::types::{PauseRequest, PauseView, Paused, ResumeRequest, Resumed};
use mainstay_core::Pause;
use serde_json::json;
use std::time::Duration;

/// Whoever pauses for longer has forgotten it, or means `failover = "approve"`.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

pub async fn begin(
    agent: &Agent,
    asker: &Asker,
    request: &PauseRequest,
) -> Result<Paused, Refused> {
    let application = pick(agent, request.application.as_ref())?;
    let pause = Pause {
        by: asker.name.clone(),
        site: application.here().clone(),
        reason: reason(&request.reason)?,
        since_micros: unix_micros(),
        left: length(request.for_s)?,
    };
    let body = json!({"by": pause.by, "reason": pause.reason, "for_s": pause.left.as_secs()});
    enter(application, "paused", body).await?;
    change(application, Some(&pause), "not-paused").await?;
    Ok(Paused { application: application.spec.name.clone(), pause: PauseView::from(pause) })
}

pub async fn end(
    agent: &Agent,
    asker: &Asker,
    request: &ResumeRequest,
) -> Result<Resumed, Refused> {
    let application = pick(agent, request.application.as_ref())?;
    enter(application, "resumed", json!({"by": asker.name})).await?;
    let was = change(application, None, "not-resumed").await?;
    Ok(Resumed { application: application.spec.name.clone(), was: was.map(PauseView::from) })
}

/// The ledger has what was meant before it is done, and that it was not.
async fn change(
    application: &Application,
    pause: Option<&Pause>,
    failed: &'static str,
) -> Result<Option<Pause>, Refused> {
    match pause::set(application, pause).await {
        Ok(former) => Ok(former),
        Err(why) => {
            enter(application, failed, json!({"why": why.to_string()})).await?;
            Err(refused(
                format!("{why}; whether it was done is not known"),
                "look at `mainstay status`; when the coordinator answers, type it again",
            ))
        }
    }
}

async fn enter(
    application: &Application,
    kind: &'static str,
    body: serde_json::Value,
) -> Result<(), Refused> {
    let entered = application.enter(kind, body).await;
    entered.map_err(|why| refused(why.to_string(), "nothing is begun that cannot be recorded"))
}

fn reason(text: &str) -> Result<String, Refused> {
    match text.trim() {
        "" => Err(refused("the reason is empty", "say why, for whoever finds it paused at night")),
        text => Ok(text.to_owned()),
    }
}

fn length(seconds: u64) -> Result<Duration, Refused> {
    let length = Duration::from_secs(seconds);
    if length.is_zero() || length > LONGEST {
        let what = format!("a pause of {seconds} s is out of range");
        let advice = "write 1s to 24h; to leave every failover to a person for longer, write \
                      `failover = \"approve\"` in the configuration";
        return Err(refused(what, advice));
    }
    Ok(length)
}

fn refused(what: impl Into<String>, advice: &str) -> Refused {
    Refused::new("MS-AGENT-030", what, advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_has_a_reason_and_an_end() {
        assert_eq!(reason(" new disks ").unwrap(), "new disks");
        assert!(reason(" ").is_err());
        assert_eq!(length(1).unwrap(), Duration::from_secs(1));
        assert_eq!(length(86_400).unwrap(), LONGEST);
        assert!(length(0).is_err() && length(86_401).is_err() && length(u64::MAX).is_err());
    }
}
