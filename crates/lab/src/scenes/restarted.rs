//! Both sites lose their power at once and get it back.

use super::judge;
use super::stage::Stage;
use crate::clients::log::Moment;
use crate::error::LabError;
use crate::processes::{HOME, STANDBY, kill_site};
use crate::scenario::until_the_link_follows;
use futures::future::try_join;

pub async fn play(stage: &mut Stage) -> Result<(), LabError> {
    stage.some_time().await;
    let fault = Moment::now();
    for site in [HOME, STANDBY] {
        kill_site(&stage.lab.plan, &stage.lab.folder, site)?;
    }
    let dead = Moment::now();
    stage.say("everything at both sites is dead");
    try_join(stage.start(HOME), stage.start(STANDBY)).await?;
    stage.say("everything runs again");
    let started = Moment::now();
    stage
        .until("writes are accepted again", async |stage| {
            Ok(stage.record()?.accepted.last().is_some_and(|it| it.sent_us > started.mono_us))
        })
        .await?;
    let record = stage.record()?;
    let first = record.accepted.iter().find(|it| it.sent_us > dead.mono_us);
    let back = first.map_or(0, |it| it.at_us - fault.mono_us);
    stage.figure("back_after_ms", judge::ms(back));
    until_the_link_follows(&stage.lab, STANDBY).await?;
    let record = stage.record()?;
    judge::no_failover(stage, &record, HOME);
    let there = stage.ids(HOME).await?;
    let lost = record.accepted.iter().filter(|it| !there.contains(&it.id)).count();
    stage.figure("acknowledged", record.accepted.len() as f64);
    stage.figure("lost", lost as f64);
    stage.expect(lost == 0, "nothing that was acknowledged is lost");
    Ok(())
}
