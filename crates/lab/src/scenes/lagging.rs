//! The standby has long received nothing when the active site dies: nobody is promoted until two
//! people say how much may be lost.

use super::judge;
use super::stage::Stage;
use super::two_people;
use crate::clients::log::Moment;
use crate::error::{Doing, LabError};
use crate::processes::{HOME, STANDBY, kill_site};
use crate::scenario::{Agent, typed};
use std::time::{Duration, Instant};

/// Longer than the RPO of a second, by far.
const BEHIND: Duration = Duration::from_secs(8);
const BEHIND_LONG: Duration = Duration::from_secs(600);
/// A person is told within this time, and nothing is promoted in it.
const WATCHED: Duration = Duration::from_secs(30);

pub async fn play(stage: &mut Stage) -> Result<(), LabError> {
    two_people::take_two(stage).await?;
    stage.spaces.cut(HOME, STANDBY)?;
    stage.say("nothing comes to west any more");
    // Time itself is the subject: so far behind the standby falls.
    tokio::time::sleep(if stage.long { BEHIND_LONG } else { BEHIND }).await;
    stage.some_time().await;
    let fault = Moment::now();
    stage.spaces.isolate(HOME)?;
    kill_site(&stage.lab.plan, &stage.lab.folder, HOME)?;
    stage.say("everything at east is dead");
    let told = told_after(stage).await?;
    stage.figure("told_after_ms", told);
    let record = stage.record()?;
    let promoted = record.first_by(STANDBY, fault).is_some();
    stage.expect(!promoted, "nothing is promoted while the lag is over the bound");
    let refused =
        typed(&stage.lab, STANDBY, &["failover", "--reason", "no word on the loss"]).await;
    stage.expect(refused.is_err(), "a failover without a word on the loss is refused");
    let ordered = Moment::now();
    two_people::fail_over(stage, "1h").await?;
    let first = stage.accepted_by(STANDBY, ordered).await?;
    stage.figure("order_to_write_ms", judge::ms(first.at_us - ordered.mono_us));
    let record = stage.record()?;
    let lost = judge::lost(stage, &record, (HOME, STANDBY)).await?;
    stage.spaces.heal()?;
    stage.start(HOME).await?;
    stage.until_equal(HOME).await?;
    judge::salvaged(stage, STANDBY, &lost).await
}

/// After how many milliseconds `mainstay plan failover` says at the standby what would be lost and
/// that this is in the way. Watches to the end.
async fn told_after(stage: &mut Stage) -> Result<f64, LabError> {
    let began = Instant::now();
    let mut told = None;
    while began.elapsed() < WATCHED {
        let plan = Agent::of(&stage.lab, STANDBY).plan_failover().await?;
        let lag = plan.refusals.iter().any(|it| it.what.contains("behind"));
        if told.is_none() && lag && plan.loss_bound_s.is_some_and(|bound| bound > 1.0) {
            told = Some((began.elapsed(), plan.loss_bound_s.unwrap_or_default()));
        }
        // Time itself is the subject: nothing is promoted in all of it.
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let text = typed(&stage.lab, STANDBY, &["plan", "failover"]).await?;
    let text = String::from_utf8(text).map_err(std::io::Error::other);
    stage.say(&text.doing(|| "read the plan".to_owned())?);
    stage.expect(told.is_some(), "a person is told within 30 s, with the expected loss");
    stage.figure("told_loss_ms", told.map_or(0.0, |(_, loss)| loss * 1000.0));
    Ok(told.map_or(WATCHED, |(after, _)| after).as_secs_f64() * 1000.0)
}
