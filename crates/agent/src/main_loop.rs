//! The loop of one application: ask the core what to do, and have it done.

use crate::act;
use crate::application::Application;
use mainstay_core::Epoch;
use mainstay_core::decision::{Action, Databases, Decision, State};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The decision is asked at least so often; facts that arrive ask at once.
const BEAT: Duration = Duration::from_millis(100);

/// Asks and does until shutdown.
pub async fn run(application: Arc<Application>, shutdown: CancellationToken) {
    let mut beat = tokio::time::interval(BEAT);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut before = None;
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            _ = beat.tick() => {}
            () = application.changed() => {}
        }
        let decision = application.decide();
        note_state(&application, &decision, &mut before).await;
        carry_out(&application, decision);
    }
    act::links::stop_all(&application).await;
}

/// Every change of state is in the ledger before what follows from it is done.
async fn note_state(
    application: &Arc<Application>,
    decision: &Decision,
    before: &mut Option<(State, Epoch)>,
) {
    let epoch = application.known().facts.highest;
    let now = (decision.state, epoch);
    if *before == Some(now) {
        return;
    }
    let hindrances: Vec<String> = decision.hindrances.iter().map(ToString::to_string).collect();
    tracing::info!(
        application = %application.spec.name, %epoch, state = decision.state.name(), ?hindrances,
        "state"
    );
    let body = serde_json::json!({
        "epoch": epoch, "state": decision.state.name(), "hindrances": hindrances,
    });
    application.learn(|known| known.note_state(decision.state));
    *before = Some(now);
    // A failed entry is already told, and tried again; see `enter` and `observe::ledger`.
    let _told = application.enter("state", body).await;
}

fn carry_out(application: &Arc<Application>, decision: Decision) {
    act::names::keep(application, decision.posture.as_ref());
    act::gate::direct(application, decision.state, decision.posture);
    if decision.databases != Databases::Leave {
        act::databases::keep(application, decision.databases);
    }
    act::readers::keep(application);
    act::links::keep(application, decision.state);
    act::returning::keep(application, decision.state);
    act::compare::keep(application, decision.state);
    act::recheck::keep(application, decision.state);
    act::execution::resume_abandoned(application);
    act::fencing::keep(application);
    act::execution::resume_promoted(application);
    crate::salvage::keep_counted(application, decision.state);
    for action in decision.actions {
        carry_out_action(application, action);
    }
}

fn carry_out_action(application: &Arc<Application>, action: Action) {
    match action {
        Action::Found => act::renewal::found(application),
        Action::Renew => act::renewal::renew(application),
        Action::AskPromises => act::promises::ask(application),
        Action::TakeBack => act::handover::take_back(application),
        Action::FenceOutside { from } => act::fencing::begin(application, from),
        Action::Claim { from, ordered } => act::claim::claim(application, from, ordered),
        Action::Promote => act::execution::promote(application),
    }
}
