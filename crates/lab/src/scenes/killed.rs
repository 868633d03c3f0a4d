//! Everything at the active site dies at once and answers nothing any more, as without power; later
//! it comes back.

use super::judge;
use super::stage::Stage;
use crate::clients::log::Moment;
use crate::error::LabError;
use crate::processes::{HOME, STANDBY, kill_site};

pub async fn play(stage: &mut Stage) -> Result<(), LabError> {
    stage.some_time().await;
    let fault = Moment::now();
    stage.spaces.isolate(HOME)?;
    kill_site(&stage.lab.plan, &stage.lab.folder, HOME)?;
    stage.say("everything at east is dead");
    stage.accepted_by(STANDBY, fault).await?;
    let record = stage.record()?;
    judge::takeover(stage, &record, fault, (HOME, STANDBY));
    let lost = judge::lost(stage, &record, (HOME, STANDBY)).await?;
    stage.spaces.heal()?;
    stage.start(HOME).await?;
    stage.until_equal(HOME).await?;
    judge::salvaged(stage, STANDBY, &lost).await?;
    let record = stage.record()?;
    stage.expect(record.moves() == 1, "one site took over, once");
    Ok(())
}
