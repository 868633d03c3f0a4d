//! With `--lost`: so many transactions never arrive, and more is lost than may be. Nothing is
//! promoted by itself; a person accepts the loss; each transaction has to be in the salvage of the
//! site that comes back, while the new site goes on writing to the same rows.

mod account;
mod desk;
mod judge;
mod kept;
mod stale;
mod stand_still;

use super::round::{self, By, Round};
use super::stage::Stage;
use super::{bring_back, crashes, disaster, play, salvage};
use crate::clients::log::Moment;
use crate::clients::payees::log::Written;
use crate::error::LabError;
use crate::oracle::PayeeLog;
use crate::report::NeverArrived;
use desk::Desk;
use mainstay_agent::types::{ReturnPhase, SalvageSummary};
use stale::Stale;
use std::time::{Duration, Instant};

/// Payees that both sites have before anything is lost, at least; and for each program.
const PREPARED: u64 = 1_000;
const PREPARED_EACH: u64 = 40;
/// The line is cut for at least so long: more than the RPO and two renewals of the lease, so that
/// the loss is over the bound however few transactions there are.
const CUT: Duration = Duration::from_secs(4);

/// What is known so far; its figures are completed in the account.
pub struct Lost {
    log: PayeeLog,
    prepared: Vec<Written>,
    /// What never arrived.
    lost: Vec<Written>,
    /// Until the account: the programs, which go on.
    desk: Desk,
    figures: NeverArrived,
}

/// From the load to the application at home again.
pub async fn play(
    stage: &mut Stage<'_>,
    rounds: &mut Vec<Round>,
    wanted: u64,
    crash_return: bool,
) -> Result<Lost, LabError> {
    let began = Moment::now();
    let (mut lost, kill) = never_arrive(stage, wanted).await?;
    let told = stand_still::until_told(stage, kill).await?;
    (lost.figures.told_s, lost.figures.told_loss_s) = (Some(told.after_s), told.loss_s);
    stand_still::and_nobody_promotes(stage, kill).await?;
    let by = By::Person { accept_loss_s: told.loss_s.ceil() };
    let mut round = round::fail_over(stage, began, kill, by, rounds).await?;
    lost.desk.go_on()?;
    tokio::time::sleep(play::INTERLUDE).await;
    come_back(stage, &mut lost, &mut round, crash_return).await?;
    rounds.push(round);
    play::go_home(stage, rounds).await?;
    Ok(lost)
}

/// Exactly so many transactions are acknowledged behind the cut line; then the site dies.
async fn never_arrive(stage: &mut Stage<'_>, wanted: u64) -> Result<(Lost, Moment), LabError> {
    let mut log = PayeeLog::of(stage.lab);
    let mut desk = Desk::open(stage.lab)?;
    let programs = stage.lab.plan.wanted.workers.into();
    let payees = PREPARED.max(PREPARED_EACH * programs);
    desk.prepare(payees).await?;
    let prepared = log.acknowledged()?;
    desk::until_arrived(stage, payees).await?;
    disaster::cut(stage.lab).await?;
    let (began, cut) = (Instant::now(), tokio::time::Instant::now());
    stage.say("the line between the sites is cut; the active site goes on");
    desk.mix(wanted).await?;
    let took = began.elapsed().as_secs_f64();
    stage.say(&format!("{wanted} transactions are acknowledged in {took:.1} s; none arrives"));
    tokio::time::sleep_until(cut + CUT).await;
    let lost = log.acknowledged()?;
    let kill = disaster::kill(stage)?;
    let oldest = lost.iter().map(|it| it.at.mono_us).min().unwrap_or(kill.mono_us);
    let figures = NeverArrived {
        wanted,
        programs,
        acknowledged: lost.len() as u64,
        took_s: took,
        lost_s: (kill.mono_us - oldest) as f64 / 1e6,
        ..NeverArrived::default()
    };
    Ok((Lost { log, prepared, lost, desk, figures }, kill))
}

/// The lost site returns, while somebody tries to write there as before.
async fn come_back(
    stage: &mut Stage<'_>,
    lost: &mut Lost,
    round: &mut Round,
    crash_return: bool,
) -> Result<(), LabError> {
    let stale = Stale::begin(stage.lab, round.lost_site)?;
    round::bring_back(stage, round).await?;
    let began = Instant::now();
    let acknowledged = [lost.prepared.as_slice(), lost.lost.as_slice()];
    let kept = kept::untouched_until_kept(stage.lab, stage.patience, round, &acknowledged);
    let ((kept, touched), crashes) = tokio::try_join!(kept, crashes(stage, crash_return))?;
    round.crashes = crashes;
    let figures = &mut lost.figures;
    (figures.salvaging_s, figures.touched_before_kept) = (began.elapsed().as_secs_f64(), touched);
    stage.say(&format!("the salvage is kept: {} transactions", kept.transactions));
    bring_back::until_phase(stage, round.lost_site, ReturnPhase::Streaming).await?;
    lost.figures.streaming_s = began.elapsed().as_secs_f64();
    bring_back::until_phase(stage, round.lost_site, ReturnPhase::Ready).await?;
    lost.figures.return_s = began.elapsed().as_secs_f64();
    (lost.figures.stale_attempts, lost.figures.stale_accepted) = stale.end().await?;
    judge_and_replay(stage, lost, round, kept).await
}

/// Nobody writes payees while they are compared with what is shown beside the salvage; while it is
/// replayed, everybody does.
async fn judge_and_replay(
    stage: &Stage<'_>,
    lost: &mut Lost,
    round: &mut Round,
    kept: SalvageSummary,
) -> Result<(), LabError> {
    lost.desk.pause().await?;
    let export = salvage::export(stage, &kept).await?;
    judge::export(&lost.lost, &export, &mut lost.figures);
    judge::shown(stage, &kept.id, &mut lost.figures).await?;
    lost.desk.go_on()?;
    let replaying = Instant::now();
    round.salvaged = Some(salvage::replay(stage, kept, &export).await?);
    lost.figures.replay_s = replaying.elapsed().as_secs_f64();
    Ok(())
}

async fn crashes(stage: &mut Stage<'_>, wanted: bool) -> Result<u32, LabError> {
    match wanted {
        true => crashes::while_returning(stage).await,
        false => Ok(0),
    }
}
