//! One disaster and what follows: the failover, and the lost site's return.

use super::agent::Agent;
use super::home::WayHome;
use super::salvage::Salvaged;
use super::stage::Stage;
use super::{bring_back, disaster, failover, salvage};
use crate::clients::log::Moment;
use crate::error::LabError;
use crate::oracle::{self, CommitSpan, Lost};
use mainstay_agent::types::{Execution, ReturnPhase};

/// What was found out about one disaster.
pub struct Round {
    /// The site that was killed, and the one that took over.
    pub lost_site: &'static str,
    pub new_site: &'static str,
    /// When the lost site was active and all was well.
    pub began: Moment,
    pub kill: Moment,
    pub failover: Execution,
    /// Acknowledged, and not at the new site after the failover.
    pub lost: Vec<Lost>,
    pub rto_s: Option<f64>,
    /// How long both accepted writes; over the planned move as well.
    pub overlap_ms: i64,
    /// None until someone looked for it.
    pub salvaged: Option<Salvaged>,
    /// How often an agent was killed while the site returned.
    pub crashes: u32,
    pub moved: Option<WayHome>,
}

/// Who has the failover begin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum By {
    Agents,
    /// A person, who accepts so many seconds of lost work.
    Person {
        accept_loss_s: f64,
    },
}

/// Waits for the failover from the site that was just killed, and counts what is lost by it.
pub async fn fail_over(
    stage: &mut Stage<'_>,
    began: Moment,
    kill: Moment,
    by: By,
    before: &[Round],
) -> Result<Round, LabError> {
    let (lost_site, new_site) = (stage.roles.active, stage.roles.other);
    if let By::Person { accept_loss_s } = by {
        failover::order(stage, accept_loss_s).await?;
    }
    let failover = failover::await_failover(stage, kill).await?;
    stage.roles = stage.roles.swapped();
    let mut lost = failover::count_the_lost(stage).await?;
    lost.retain(|it| before.iter().all(|round| round.lost.iter().all(|old| old.id != it.id)));
    let accepted = oracle::accepted_by(stage.lab, new_site, new_site).await?;
    let rto_s = oracle::rto_s(stage.log.refresh()?, &accepted, kill);
    Ok(Round {
        lost_site,
        new_site,
        began,
        kill,
        failover,
        lost,
        rto_s,
        overlap_ms: 0,
        salvaged: None,
        crashes: 0,
        moved: None,
    })
}

/// Starts the lost site again, and asks both databases whether they ever accepted at once.
pub async fn bring_back(stage: &mut Stage<'_>, round: &mut Round) -> Result<(), LabError> {
    disaster::mend(stage.lab).await?;
    let old = bring_back::bring_back(stage, round.lost_site, round.began).await?;
    let new = accepted_since(stage, round.new_site, round.began).await?;
    round.overlap_ms = oracle::overlap_ms(old, new);
    Ok(())
}

pub async fn accepted_since(
    stage: &Stage<'_>,
    site: &str,
    since: Moment,
) -> Result<CommitSpan, LabError> {
    oracle::commits_accepted_by(stage.lab, site, site, Some(since.wall_us)).await
}

/// The rest of the return, with every salvage that nobody has looked at yet.
pub async fn until_ready(stage: &mut Stage<'_>, rounds: &mut [Round]) -> Result<(), LabError> {
    let site = stage.roles.other;
    bring_back::until_phase(stage, site, ReturnPhase::Streaming).await?;
    for round in rounds.iter_mut().filter(|round| round.salvaged.is_none()) {
        round.salvaged = Some(salvage::show_and_replay(stage, round).await?);
    }
    bring_back::until_phase(stage, site, ReturnPhase::Ready).await
}

/// How often the active site changed, as the sites remember it.
pub async fn epoch(stage: &Stage<'_>) -> Result<u64, LabError> {
    Ok(Agent::of(stage.lab, stage.roles.active).bank().await?.epoch.number())
}
