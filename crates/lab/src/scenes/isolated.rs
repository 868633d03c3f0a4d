//! The active site is cut off from everyone; its own clients go on writing as long as they may.

use super::judge;
use super::stage::Stage;
use crate::clients::log::Moment;
use crate::error::LabError;
use crate::processes::{HOME, STANDBY};
use std::time::Duration;

/// How long the isolated site is watched once the other one serves.
const WATCHED: Duration = Duration::from_secs(3);

pub async fn play(stage: &mut Stage) -> Result<(), LabError> {
    stage.some_time().await;
    let fault = Moment::now();
    stage.spaces.isolate(HOME)?;
    stage.say("east is isolated");
    stage.accepted_by(STANDBY, fault).await?;
    // Time itself is the subject: the isolated site has this long to accept what it must not.
    tokio::time::sleep(WATCHED).await;
    let record = stage.record()?;
    judge::takeover(stage, &record, fault, (HOME, STANDBY));
    judge::refuses(stage, &record, fault, HOME);
    let lost = judge::lost(stage, &record, (HOME, STANDBY)).await?;
    stage.spaces.heal()?;
    stage.until_equal(HOME).await?;
    judge::salvaged(stage, STANDBY, &lost).await?;
    let record = stage.record()?;
    stage.expect(record.moves() == 1, "one site took over, once");
    Ok(())
}
