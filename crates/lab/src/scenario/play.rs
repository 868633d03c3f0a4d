//! The acts, in order.

use super::account::{self, Story};
use super::narrator::Narrator;
use super::round::{self, By, Round};
use super::stage::Stage;
use super::{crashes, disaster, home, load, lose_again, lost, up};
use crate::cli::{LoseAgain, Trials};
use crate::clients::log::Moment;
use crate::current::CurrentLab;
use crate::error::LabError;
use crate::oracle;
use crate::report::Report;
use std::time::Duration;

/// How long clients work between two acts, so that each state shows in the plots.
pub const INTERLUDE: Duration = Duration::from_secs(6);
/// What the person accepts who has a site take over that is not proved equal yet.
const ACCEPTED_LOSS_S: f64 = 30.0;

pub async fn play(
    lab: &CurrentLab,
    narrator: &Narrator,
    trials: &Trials,
) -> Result<Report, LabError> {
    let began = Moment::now();
    up::bring_up(lab, narrator).await?;
    let mut stage = Stage::new(lab, narrator, trials.lost.unwrap_or_default());
    let clients = load::start_clients(lab).await?;
    load::until_it_flows(&mut stage).await?;
    let mut rounds = Vec::new();
    let mut lost = None;
    match trials.lost {
        Some(wanted) => {
            let crash_return = trials.crash_return;
            lost = Some(lost::play(&mut stage, &mut rounds, wanted, crash_return).await?);
        }
        None => disasters(&mut stage, &mut rounds, trials).await?,
    }
    tokio::time::sleep(INTERLUDE).await;

    load::stop_clients(lab, &clients).await?;
    if let Some(lost) = &mut lost {
        lost.stop().await?;
    }
    stage.say("clients have stopped; the account");
    let epoch = round::epoch(&stage).await?;
    account::take(&mut stage, Story { began, rounds, epoch, trials: *trials, lost }).await
}

/// One after the other, each at the site that is active then.
async fn disasters(
    stage: &mut Stage<'_>,
    rounds: &mut Vec<Round>,
    trials: &Trials,
) -> Result<(), LabError> {
    let mut stayed = false;
    for number in 1..=trials.disasters {
        lose_and_return(stage, rounds, trials).await?;
        if !stage.roles.is_home() {
            // Every other time it stays, so that the next disaster hits the other site.
            stayed = !stayed && number < trials.disasters;
            if !stayed {
                go_home(stage, rounds).await?;
            }
        }
        if number < trials.disasters {
            let cool_down = Duration::from_secs(stage.lab.plan.wanted.cool_down_seconds);
            tokio::time::sleep(cool_down).await;
            round::until_ready(stage, rounds).await?;
        }
    }
    Ok(())
}

/// A disaster, the failover and the return, with what the trials put in between.
async fn lose_and_return(
    stage: &mut Stage<'_>,
    rounds: &mut Vec<Round>,
    trials: &Trials,
) -> Result<(), LabError> {
    let began = Moment::now();
    load::until_the_disaster(stage).await;
    let kill = disaster::strike(stage).await?;
    let mut round = round::fail_over(stage, began, kill, By::Agents, rounds).await?;
    tokio::time::sleep(INTERLUDE).await;

    let began = Moment::now();
    round::bring_back(stage, &mut round).await?;
    if trials.crash_return {
        round.crashes = crashes::while_returning(stage).await?;
    }
    rounds.push(round);
    match trials.lose_again {
        None => {}
        Some(LoseAgain::Wait) => lose_again::and_wait(stage).await?,
        Some(LoseAgain::Failover) => {
            let kill = lose_again::once_only_not_proved(stage).await?;
            let by = By::Person { accept_loss_s: ACCEPTED_LOSS_S };
            let mut round = round::fail_over(stage, began, kill, by, rounds).await?;
            tokio::time::sleep(INTERLUDE).await;
            round::bring_back(stage, &mut round).await?;
            rounds.push(round);
        }
    }
    round::until_ready(stage, rounds).await
}

pub async fn go_home(stage: &mut Stage<'_>, rounds: &mut [Round]) -> Result<(), LabError> {
    let (old, new) = (stage.roles.active, stage.roles.other);
    let moved = home::switch(stage).await?;
    let Some(round) = rounds.last_mut() else { return Ok(()) };
    let old = round::accepted_since(stage, old, round.began).await?;
    // What home accepted before it was lost is older than anything that the other site accepted.
    let served_away = Moment { wall_us: old.first_us.unwrap_or_default(), ..round.kill };
    let new = round::accepted_since(stage, new, served_away).await?;
    round.overlap_ms = round.overlap_ms.max(oracle::overlap_ms(old, new));
    round.moved = Some(moved);
    Ok(())
}
