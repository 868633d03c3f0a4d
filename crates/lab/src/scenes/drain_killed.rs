//! What the standby's agent had received and not yet applied is all that it has of the last
//! seconds. It is killed while it applies that, after it has claimed the epoch.

use super::judge;
use super::stage::Stage;
use crate::clients::log::Moment;
use crate::error::LabError;
use crate::processes::{
    DATABASE, HOME, STANDBY, connect_as_superuser, database_error, kill_agent, kill_site,
    start_agent,
};
use crate::scenario::{Agent, typed};
use std::time::Duration;

/// Longer than the RPO of a second, by far.
const BEHIND: Duration = Duration::from_secs(6);
/// Nothing is promoted in it unasked.
const WATCHED: Duration = Duration::from_secs(15);

pub async fn play(stage: &mut Stage) -> Result<(), LabError> {
    let (plan, folder, secrets) = (&stage.lab.plan, &stage.lab.folder, &stage.lab.secrets);
    let lock = connect_as_superuser(plan, folder, STANDBY, secrets, DATABASE).await?;
    let locked = lock.batch_execute("BEGIN; LOCK TABLE public.written IN EXCLUSIVE MODE").await;
    locked.map_err(|error| database_error(&stage.lab.folder, STANDBY, error))?;
    stage.say("nothing can be applied at west");
    // Time itself is the subject: so far behind the standby falls.
    tokio::time::sleep(BEHIND).await;
    stage.some_time().await;
    let fault = Moment::now();
    stage.spaces.isolate(HOME)?;
    kill_site(&stage.lab.plan, &stage.lab.folder, HOME)?;
    stage.say("everything at east is dead");
    stage
        .until("the failover drains", async |stage| {
            let executions = Agent::of(&stage.lab, STANDBY).executions().await?;
            let drains = |it: &&mainstay_agent::types::StepRecord| {
                it.name == "drain" && it.started_micros.is_some()
            };
            Ok(executions.first().is_some_and(|it| it.steps.iter().any(|step| drains(&step))))
        })
        .await?;
    kill_agent(&stage.lab.folder, STANDBY).await;
    drop(lock);
    stage.say("the agent at west is killed, with what it had received; west can apply again");
    start_agent(&stage.lab.plan, &stage.lab.folder, STANDBY).await?;
    // Time itself is the subject: as long as anything would take that begins by itself.
    tokio::time::sleep(WATCHED).await;
    let status = typed(&stage.lab, STANDBY, &["status"]).await?;
    stage.say(&String::from_utf8_lossy(&status));
    let record = stage.record()?;
    let lost = judge::lost(stage, &record, (HOME, STANDBY)).await?;
    let promoted = record.first_by(STANDBY, fault).is_some();
    stage.expect(
        !promoted || lost.is_empty(),
        "what was received and lost again is not given up without a person's word",
    );
    let ordered = Moment::now();
    let words = ["failover", "--reason", "the scene's person", "--accept-loss", "1h"];
    typed(&stage.lab, STANDBY, &words).await?;
    let first = stage.accepted_by(STANDBY, ordered).await?;
    stage.figure("order_to_write_ms", judge::ms(first.at_us - ordered.mono_us));
    stage.spaces.heal()?;
    stage.start(HOME).await?;
    stage.until_equal(HOME).await?;
    judge::salvaged(stage, STANDBY, &lost).await
}
