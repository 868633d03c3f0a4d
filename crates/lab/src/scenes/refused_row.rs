//! A row that the standby's database refuses: nothing after it is applied, and the standby stops
//! being one that could be promoted.

use super::judge;
use super::stage::Stage;
use crate::clients::log::Moment;
use crate::error::LabError;
use crate::processes::{HOME, STANDBY};
use crate::scenario::{Agent, typed, until_the_link_follows};
use std::time::{Duration, Instant};

const TOLD_WITHIN: Duration = Duration::from_secs(10);
/// More than twice a lease without the active site.
const WATCHED: Duration = Duration::from_secs(22);

pub async fn play(stage: &mut Stage) -> Result<(), LabError> {
    let refuse = "ALTER TABLE public.written ADD CONSTRAINT refused CHECK (id <> 'refused')";
    stage.sql(STANDBY, refuse).await?;
    stage.some_time().await;
    let began = Instant::now();
    stage.sql(HOME, "INSERT INTO public.written (id) VALUES ('refused')").await?;
    stage.say("a row is written at east that west refuses");
    let mut told = None;
    while told.is_none() && began.elapsed() < TOLD_WITHIN * 2 {
        let plan = Agent::of(&stage.lab, STANDBY).plan_failover().await?;
        told = plan.refusals.iter().find(|it| it.what.contains("db")).map(|it| it.what.clone());
        // Time itself is the subject: how long it takes until it is told.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let after = began.elapsed();
    stage.figure("told_after_ms", after.as_secs_f64() * 1000.0);
    stage.say(told.as_deref().unwrap_or("nothing is told"));
    let in_time = told.is_some() && after <= TOLD_WITHIN;
    stage.expect(in_time, "the standby is not eligible within 10 s");
    let fault = Moment::now();
    stage.spaces.isolate(HOME)?;
    stage.say("east is isolated");
    // Time itself is the subject: nothing is promoted in all of it.
    tokio::time::sleep(WATCHED).await;
    let record = stage.record()?;
    judge::no_failover(stage, &record, HOME);
    stage.spaces.heal()?;
    // Before that the link, once it goes on, makes west one that may take over at once.
    stage.accepted_by(HOME, Moment::now()).await?;
    stage.sql(STANDBY, "ALTER TABLE public.written DROP CONSTRAINT refused").await?;
    typed(&stage.lab, STANDBY, &["link", "continue"]).await?;
    until_the_link_follows(&stage.lab, STANDBY).await?;
    let there = stage.ids(STANDBY).await?;
    stage.expect(there.contains("refused"), "the row arrives once it is not refused any more");
    stage.expect(stage.record()?.first_by(STANDBY, fault).is_none(), "west never accepted a write");
    Ok(())
}
