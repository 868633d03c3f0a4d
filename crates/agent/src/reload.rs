//! A configuration that is read anew while the agent runs. Who may do what changes at once;
//! everything else waits for a restart, and is named.

use crate::agent::Agent;
use mainstay_core::estate::{Application, Estate};
use mainstay_core::people::People;
use serde_json::json;
use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;

/// Takes in each configuration that was found good.
pub async fn run(agent: Agent, mut read: Receiver<Estate>, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            estate = read.recv() => match estate {
                Some(estate) => take_in(&agent, estate).await,
                None => return,
            },
        }
    }
}

/// In the ledger first: who may do what never changes without a trace.
async fn take_in(agent: &Agent, estate: Estate) {
    let context = &agent.context;
    let waits = differs(&context.estate, &estate);
    let people = context.register.differs(estate.people.as_ref());
    let body = json!({"people": people, "after_a_restart": waits});
    if let Err(why) = context.ledger.append("configuration-read", "", &body).await {
        return tracing::error!(%why, "nothing is changed that cannot be recorded");
    }
    context.register.replace(estate.people);
    tracing::info!(people, "the configuration was read anew");
    if !waits.is_empty() {
        tracing::warn!(?waits, "this changed too, and counts after a restart of the agent");
    }
}

/// What of the file is not as this agent runs by, as its tables are called.
fn differs(runs: &Estate, read: &Estate) -> Vec<String> {
    let way = |people: &Option<People>| {
        people.as_ref().map(|it| (it.authority.clone(), it.group.clone()))
    };
    let whole = [
        ("sites", runs.here == read.here && runs.sites == read.sites),
        ("coordinator", runs.coordinator == read.coordinator),
        ("tls", runs.tls == read.tls),
        ("dns", runs.dns == read.dns),
        ("alerts", runs.alerts == read.alerts),
        ("people: authority and group", way(&runs.people) == way(&read.people)),
    ];
    let mut found: Vec<String> =
        whole.iter().filter(|(_, same)| !same).map(|(name, _)| (*name).to_owned()).collect();
    let mut names: Vec<_> = runs.applications.keys().chain(read.applications.keys()).collect();
    names.sort();
    names.dedup();
    for name in names {
        match (runs.applications.get(name), read.applications.get(name)) {
            (Some(one), Some(other)) => {
                found.extend(parts(one, other).map(|part| format!("applications.{name}{part}")));
            }
            _ => found.push(format!("applications.{name}")),
        }
    }
    found
}

fn parts(one: &Application, other: &Application) -> impl Iterator<Item = &'static str> {
    let rest = |it: &Application| Application {
        stores: Default::default(),
        gates: Default::default(),
        names: Default::default(),
        probes: Default::default(),
        fencing: Default::default(),
        ..it.clone()
    };
    let same = [
        ("", rest(one) == rest(other)),
        (".stores", one.stores == other.stores),
        (".gates", one.gates == other.gates),
        (".names", one.names == other.names),
        (".probes", one.probes == other.probes),
        (".fencing", one.fencing == other.fencing),
    ];
    same.into_iter().filter(|(_, same)| !same).map(|(part, _)| part)
}
