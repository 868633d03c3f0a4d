//! The acts, in order.

use super::account::{self, Story};
use super::client_log::ClientLog;
use super::narrator::Narrator;
use super::{bring_back, disaster, failover, home, load, salvage, up};
use crate::clients::log::Moment;
use crate::current::CurrentLab;
use crate::error::LabError;
use crate::report::Report;
use mainstay_agent::api::types::ReturnPhase;
use std::time::Duration;

/// How long clients work between two acts, so that each state shows in the plots.
const INTERLUDE: Duration = Duration::from_secs(6);

pub async fn play(lab: &CurrentLab, narrator: &Narrator) -> Result<Report, LabError> {
    let began = Moment::now();
    up::bring_up(lab, narrator).await?;
    let mut log = ClientLog::of(lab);
    let clients = load::start_clients(lab).await?;
    load::until_it_flows(lab, narrator, &mut log).await?;
    load::until_the_disaster(lab, narrator).await;

    let kill = disaster::strike(lab, narrator).await?;
    let failover = failover::await_failover(lab, narrator, &mut log, kill).await?;
    let lost = failover::count_the_lost(lab, narrator, &mut log).await?;
    tokio::time::sleep(INTERLUDE).await;

    disaster::mend(lab).await?;
    let accepted_by_lost_site = bring_back::bring_back(lab, narrator).await?;
    bring_back::until_phase(lab, narrator, ReturnPhase::Streaming).await?;
    let salvaged = salvage::show_and_replay(lab, narrator).await?;
    bring_back::until_phase(lab, narrator, ReturnPhase::Ready).await?;
    let way_home = home::switch_home(lab, narrator).await?;
    tokio::time::sleep(INTERLUDE).await;

    load::stop_clients(lab, &clients).await?;
    narrator.say("clients have stopped; the account");
    let story = Story { began, kill, failover, lost, accepted_by_lost_site, salvaged, way_home };
    account::take(lab, narrator, &mut log, story).await
}
