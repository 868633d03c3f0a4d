//! The lost site had accepted hundreds of transactions that the standby never received. It comes
//! back: not one write is accepted there, and all of them are salvaged before a row is touched.

use super::judge;
use super::stage::Stage;
use crate::clients::log::Moment;
use crate::error::LabError;
use crate::processes::{HOME, STANDBY, kill_site};
use crate::scenario::{Agent, typed};
use std::collections::HashSet;

const NEVER_SENT: usize = 500;

pub async fn play(stage: &mut Stage) -> Result<(), LabError> {
    stage.some_time().await;
    stage.spaces.cut(HOME, STANDBY)?;
    let cut = Moment::now();
    stage
        .until("500 writes that are never sent", async |stage| {
            let record = stage.record()?;
            Ok(record.by(HOME).filter(|it| it.sent_us > cut.mono_us).count() >= NEVER_SENT)
        })
        .await?;
    stage.spaces.isolate(HOME)?;
    kill_site(&stage.lab.plan, &stage.lab.folder, HOME)?;
    stage.say("everything at east is dead");
    stage
        .until("west may be promoted by a person", async |stage| {
            let words = ["failover", "--reason", "the scene's person", "--accept-loss", "1h"];
            typed(&stage.lab, STANDBY, &words).await.map(|_| true)
        })
        .await?;
    stage.accepted_by(STANDBY, cut).await?;
    let record = stage.record()?;
    let lost = judge::lost(stage, &record, (HOME, STANDBY)).await?;
    stage.expect(lost.len() >= NEVER_SENT, "500 and more are lost at first");
    let returned = Moment::now();
    stage.spaces.heal()?;
    stage.start(HOME).await?;
    let touched = touched_before_kept(stage, &lost).await?;
    stage.figure("touched_before_kept", touched as f64);
    stage.expect(touched == 0, "nothing is touched before its salvage is kept");
    stage.until_equal(HOME).await?;
    judge::salvaged(stage, STANDBY, &lost).await?;
    let record = stage.record()?;
    let stale = record.by(HOME).filter(|it| it.sent_us > returned.mono_us).count();
    let asked = record.refused.iter().filter(|it| it.site == HOME && it.way == "direct");
    let asked = asked.filter(|it| it.sent.mono_us > returned.mono_us).count();
    stage.figure("stale_accepted", stale as f64);
    stage.figure("stale_refused", asked as f64);
    stage.expect(stale == 0 && asked > 0, "not one write is accepted at the returning site");
    Ok(())
}

/// How many of the rows are gone from the returning site while the active one keeps no salvage.
async fn touched_before_kept(stage: &Stage, lost: &HashSet<String>) -> Result<usize, LabError> {
    loop {
        // In this order: what is there was there before the salvage was looked for.
        let Ok(there) = stage.ids(HOME).await else { continue };
        let kept = Agent::of(&stage.lab, STANDBY).salvages().await?;
        if kept.iter().any(|it| it.transactions > 0) {
            return Ok(0);
        }
        let gone = lost.iter().filter(|id| !there.contains(*id)).count();
        if gone > 0 {
            return Ok(gone);
        }
    }
}
