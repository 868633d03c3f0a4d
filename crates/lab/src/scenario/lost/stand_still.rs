//! More would be lost than may be: the standby waits for a person, and says so.

use crate::clients::log::Moment;
use crate::error::LabError;
use crate::scenario::agent::Agent;
use crate::scenario::failover::{STRAY_US, served_since};
use crate::scenario::stage::Stage;
use crate::scenario::typed::{ended, typed};
use crate::scenario::wait::{Seen, wait_for};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);
/// How long it has to stand still once nothing but the loss is in its way: the lease has run out,
/// and a failover that may begin does so within one look.
const STILL: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(200);

pub struct Told {
    /// From the kill until `mainstay status` told it.
    pub after_s: f64,
    /// What `mainstay plan failover` expects to be lost.
    pub loss_s: f64,
}

/// Waits until the loss is all that is in the way, and `mainstay status` says so with the loss.
pub async fn until_told(stage: &Stage<'_>, kill: Moment) -> Result<Told, LabError> {
    let (lab, site) = (stage.lab, stage.roles.other);
    let agent = Agent::of(lab, site);
    let what = "a status that says what would be lost";
    let after_s = wait_for(lab, what, PATIENCE, async || {
        let status = String::from_utf8_lossy(&typed(lab, site, &["status"]).await?).into_owned();
        let line = status.lines().find(|line| line.contains("--accept-loss"));
        Ok(match line {
            Some(line) => {
                let after_s = (Moment::now().mono_us - kill.mono_us) as f64 / 1e6;
                stage.say(&format!("after {after_s:.1} s {site} says:{line}"));
                Seen::Yes(after_s)
            }
            None => Seen::NotYet(status),
        })
    })
    .await?;
    let loss_s = wait_for(lab, "a loss that alone is in the way", PATIENCE, async || {
        let problems = agent.bank().await?.problems;
        if let Some(running) = problems.iter().find(|it| it.what.contains("lease may run")) {
            return Ok(Seen::NotYet(running.what.clone()));
        }
        let plan = agent.plan_failover().await?;
        let refusals: Vec<&str> = plan.refusals.iter().map(|it| it.what.as_str()).collect();
        Ok(match (refusals.as_slice(), plan.loss_bound_s) {
            ([only], Some(loss_s)) if only.contains("more than the bound") => Seen::Yes(loss_s),
            (others, loss) => Seen::NotYet(format!("{others:?}, loss {loss:?}")),
        })
    })
    .await?;
    Ok(Told { after_s, loss_s })
}

/// Nothing happens by itself, nor when a person orders a failover and accepts nothing.
pub async fn and_nobody_promotes(stage: &mut Stage<'_>, kill: Moment) -> Result<(), LabError> {
    let (lab, site) = (stage.lab, stage.roles.other);
    let agent = Agent::of(lab, site);
    let before = agent.bank().await?.epoch;
    let output = ended(lab, site, &["failover", "--no-wait"]).await?;
    let refused = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() || !refused.contains("more than the bound") {
        return Err(not_still(stage, "an order that accepts no loss was obeyed", &refused));
    }
    let began = Instant::now();
    while began.elapsed() < STILL {
        let bank = agent.bank().await?;
        if bank.epoch != before || bank.serving || bank.execution.is_some() {
            return Err(not_still(stage, "it took over by itself", &bank.state));
        }
        tokio::time::sleep(LOOK).await;
    }
    let record = stage.log.refresh()?;
    if let Seen::Yes(()) = served_since(record, kill.mono_us + STRAY_US) {
        return Err(not_still(stage, "a client was served", ""));
    }
    stage
        .say(&format!("the lease has run out, and {site} waits for a person who accepts the loss"));
    Ok(())
}

fn not_still(stage: &Stage<'_>, what: &str, seen: &str) -> LabError {
    LabError::NotSeen {
        what: "a standby that waits for a person".to_owned(),
        seconds: STILL.as_secs(),
        seen: format!("{what}: {seen}"),
        logs: stage.lab.folder.logs(),
    }
}
