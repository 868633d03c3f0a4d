//! The two sites do not reach each other and the witness reaches both, with etcd's leader at each
//! of the three in turn.

use super::stage::Stage;
use super::{etcd, judge};
use crate::clients::log::Moment;
use crate::error::LabError;
use crate::processes::{HOME, STANDBY};
use crate::scenario::{typed, until_the_link_follows};
use std::time::{Duration, Instant};

/// More than a lease.
const CUT: Duration = Duration::from_secs(16);
const TOLD_WITHIN: Duration = Duration::from_secs(10);

pub async fn play(stage: &mut Stage) -> Result<(), LabError> {
    let began = Moment::now();
    let mut slowest = 0.0_f64;
    for leader in Stage::all_sites() {
        etcd::lead_from(stage, leader).await?;
        stage.some_time().await;
        slowest = slowest.max(cut(stage, leader).await?);
    }
    let record = stage.record()?;
    judge::no_failover(stage, &record, HOME);
    judge::none_failed(stage, &record, began, &[(HOME, "gate"), (HOME, "direct")]);
    stage.figure("told_after_ms", slowest);
    stage.figure("longest_gap_ms", judge::ms(record.longest_gap_us(began)));
    Ok(())
}

/// Returns after how many milliseconds `mainstay status` told of it at both sites.
async fn cut(stage: &mut Stage, leader: &str) -> Result<f64, LabError> {
    let cut = Instant::now();
    stage.spaces.cut(HOME, STANDBY)?;
    stage.say(&format!("east and west are cut from each other while {leader} leads etcd"));
    let mut told = None;
    while cut.elapsed() < CUT {
        if told.is_none() && told_at(stage, HOME).await? && told_at(stage, STANDBY).await? {
            told = Some(cut.elapsed());
        }
        // Time itself is the subject: the cut lasts longer than a lease.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let within = told.is_some_and(|after| after <= TOLD_WITHIN);
    stage.expect(within, format!("both sites tell of the cut within 10 s ({leader} leads)"));
    let at_risk = stage.status(STANDBY).await?.links.iter().all(|link| {
        let lag = link.status.lag.known();
        lag.is_none_or(|lag| lag > Duration::from_secs(1))
    });
    stage.expect(at_risk, format!("the standby shows more at risk than the RPO ({leader} leads)"));
    let text = typed(&stage.lab, STANDBY, &["plan", "failover"]).await?;
    stage.say(String::from_utf8_lossy(&text).lines().next().unwrap_or_default());
    stage.spaces.heal()?;
    until_the_link_follows(&stage.lab, STANDBY).await?;
    Ok(told.unwrap_or(CUT).as_secs_f64() * 1000.0)
}

/// Whether the site's agent names a problem that has to do with the other site or its link.
async fn told_at(stage: &Stage, site: &str) -> Result<bool, LabError> {
    let other = if site == HOME { STANDBY } else { HOME };
    let problems = stage.status(site).await?.problems;
    Ok(problems.iter().any(|it| it.what.contains(other) || it.what.contains("link")))
}
