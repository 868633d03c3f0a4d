//! The active site's agent is stopped for longer than everybody waits for it, and goes on then as
//! if nothing had happened.

use super::judge;
use super::stage::Stage;
use crate::clients::log::Moment;
use crate::error::LabError;
use crate::processes::{HOME, PidFile, STANDBY};
use nix::sys::signal::Signal;
use std::time::Duration;

const SHORT: Duration = Duration::from_secs(25);
const LONG: Duration = Duration::from_secs(60);
/// How long it is watched after it goes on.
const WATCHED: Duration = Duration::from_secs(8);

pub async fn play(stage: &mut Stage) -> Result<(), LabError> {
    stage.some_time().await;
    let agent = PidFile::read(&stage.lab.folder.pid(&format!("{HOME}-agent")));
    let fault = Moment::now();
    if let Some(agent) = &agent {
        agent.signal(Signal::SIGSTOP);
    }
    stage.say("SIGSTOP to the agent at east");
    stage.accepted_by(STANDBY, fault).await?;
    let since = Duration::from_micros((Moment::now().mono_us - fault.mono_us).unsigned_abs());
    // Time itself is the subject: so long the agent is stopped.
    let whole = if stage.long { LONG } else { SHORT };
    tokio::time::sleep(whole.saturating_sub(since)).await;
    if let Some(agent) = &agent {
        agent.signal(Signal::SIGCONT);
    }
    stage.say("SIGCONT to the agent at east");
    // Time itself is the subject: so long it could accept what it must not.
    tokio::time::sleep(WATCHED).await;
    let record = stage.record()?;
    judge::takeover(stage, &record, fault, (HOME, STANDBY));
    let lost = judge::lost(stage, &record, (HOME, STANDBY)).await?;
    stage.until_equal(HOME).await?;
    judge::salvaged(stage, STANDBY, &lost).await?;
    let record = stage.record()?;
    stage.expect(record.moves() == 1, "it never writes again");
    Ok(())
}
