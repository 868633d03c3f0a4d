//! One site's loop: observe, let the core decide, make the effects; and what surrounds it: the
//! coordinator, the runbook's journal, the ledger and the API.

mod act;
pub mod agent;
mod alerting;
pub mod api;
mod application;
mod clocks;
mod comparing;
mod context;
pub mod coordinator;
pub mod disk;
mod error;
mod known;
pub mod ledger;
mod line;
mod main_loop;
pub mod memory;
mod metrics;
mod names;
mod observe;
mod once;
pub mod outside;
pub mod peer;
pub mod people;
pub mod probes;
mod reads;
mod rechecking;
mod reload;
mod runbook;
mod salvage;
pub mod serve;
mod space;
pub mod stores;
pub mod time;
pub mod types;
pub mod watchdog;
mod watching;

pub use error::AgentError;
pub use runbook::{Answer, Heard, Question, Skip, Step, steps_of};

use crate::agent::Agent;
use crate::alerting::Alerting;
use crate::application::{Application, Applications};
use crate::context::Context;
use crate::coordinator::{Coordinator, Embedded, Etcd, Remote};
use crate::disk::Disk;
use crate::ledger::Ledger;
use crate::memory::Memory;
use crate::peer::Peer;
use crate::peer::tls::Identity;
use crate::people::door;
use crate::people::register::Register;
use crate::probes::Probes;
use crate::stores::{Postgres, Stores};
use mainstay_core::SiteName;
use mainstay_core::estate::{CoordinatorPlace, Estate};
use mainstay_traffic::control::{self, ControlServer};
use mainstay_traffic::dns::Publisher;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What an agent is started with.
pub struct AgentSpec {
    pub estate: Estate,
    /// Folder of the agent's own state; one for each agent.
    pub state: PathBuf,
    /// Folder of PostgreSQL's own client programs.
    pub tools: PathBuf,
    /// Where `/metrics` is served over plain HTTP, besides the Unix socket.
    pub metrics: Option<SocketAddr>,
}

/// What an agent reaches beyond its own process: this machine and the network, or a simulation.
pub struct Outside {
    pub disk: Disk,
    pub peers: BTreeMap<SiteName, Arc<Peer>>,
    pub gate: ControlServer,
    pub stores: Arc<dyn Stores>,
    pub probes: Probes,
}

/// Runs one site's agent until shutdown. `read` has each configuration that was read anew since.
pub async fn run(
    spec: AgentSpec,
    read: Receiver<Estate>,
    shutdown: CancellationToken,
) -> Result<(), AgentError> {
    if spec.estate.people.as_ref().is_some_and(|people| people.group.is_some()) {
        serve::keep_to_owner();
    }
    let identity = Arc::new(Identity::load(&spec.estate.tls)?);
    let outside = outside(&spec, &identity)?;
    let agent = assemble(&spec, outside).await?;
    let tasks = TaskTracker::new();
    serve(&spec, &identity, &agent, &tasks, &shutdown).await?;
    start(&agent, &tasks, &shutdown);
    alerting::start(&agent, &tasks, &shutdown);
    tasks.spawn(reload::run(agent.clone(), read, shutdown.clone()));
    tracing::info!(site = %agent.context.here(), "the agent runs");
    shutdown.cancelled().await;
    tasks.close();
    tasks.wait().await;
    Ok(())
}

/// The agent with all that it remembers; nothing of it runs yet.
pub async fn assemble(spec: &AgentSpec, outside: Outside) -> Result<Agent, AgentError> {
    let context = Arc::new(context(spec, outside).await?);
    let applications = applications(&context).await?;
    Ok(Agent { context, applications })
}

/// Observes, decides and acts from now on, until shutdown.
pub fn start(agent: &Agent, tasks: &TaskTracker, shutdown: &CancellationToken) {
    let Agent { context, applications } = agent;
    observe::members::start(context, shutdown);
    observe::views::start(context, applications, shutdown);
    for application in applications.values() {
        if !context.is_witness() {
            act::prepare::start(application);
            runbook::ready::start(application, shutdown);
        }
        observe::start(application, shutdown);
        tasks.spawn(main_loop::run(application.clone(), shutdown.clone()));
    }
}

/// This machine and the network.
fn outside(spec: &AgentSpec, identity: &Identity) -> Result<Outside, AgentError> {
    let failed = |why: String| AgentError::State { path: spec.state.clone(), why };
    std::fs::create_dir_all(&spec.state).map_err(|why| failed(why.to_string()))?;
    space::check(&spec.state)?;
    let others = spec.estate.sites.iter().filter(|(name, _)| **name != spec.estate.here);
    let peers = others.map(|(name, site)| {
        (name.clone(), Arc::new(Peer::new(name.clone(), site.agent.clone(), identity)))
    });
    let gate = ControlServer::bind(&control::socket(&spec.state));
    Ok(Outside {
        disk: Disk::Real,
        peers: peers.collect(),
        gate: gate.map_err(|why| failed(why.to_string()))?,
        stores: Arc::new(Postgres),
        probes: Probes::Real,
    })
}

async fn context(spec: &AgentSpec, outside: Outside) -> Result<Context, AgentError> {
    let estate = spec.estate.clone();
    let Outside { disk, peers, gate, stores, probes } = outside;
    let coordinator = coordinator(spec, &disk, &peers)?;
    let memory = Memory::open_on(&disk, &spec.state.join("state.db"))?;
    Ok(Context {
        state: spec.state.clone(),
        tools: spec.tools.clone(),
        started: time::tick(),
        alerts: Alerting::open(&estate, &memory).await?,
        memory,
        ledger: Ledger::open_on(&disk, &spec.state.join("ledger.db"), estate.here.clone())?,
        peers,
        coordinator,
        gate,
        stores,
        probes,
        watchdog: watchdog::line::Heard::default(),
        comparing: once::Once::default(),
        register: Register::new(estate.people.clone()),
        clocks: clocks::Clocks::default(),
        dns: estate.dns.iter().map(|(name, zone)| (name.clone(), Publisher::new(zone))).collect(),
        estate,
    })
}

fn coordinator(
    spec: &AgentSpec,
    disk: &Disk,
    peers: &BTreeMap<SiteName, Arc<Peer>>,
) -> Result<Coordinator, AgentError> {
    match &spec.estate.coordinator {
        CoordinatorPlace::Etcd(etcd) => Ok(Coordinator::Etcd(Etcd::new(etcd)?)),
        CoordinatorPlace::Embedded { site } if *site == spec.estate.here => {
            let path = spec.state.join("coordinator.db");
            Ok(Coordinator::Here(Embedded::open_on(disk, &path)?))
        }
        CoordinatorPlace::Embedded { site } => match peers.get(site) {
            Some(peer) => Ok(Coordinator::There(Remote::new(peer.clone()))),
            None => Err(AgentError::UnknownSite { site: site.to_string() }),
        },
    }
}

/// Every application with what this agent remembers of it.
async fn applications(context: &Arc<Context>) -> Result<Applications, AgentError> {
    let mut applications = BTreeMap::new();
    for (name, spec) in &context.estate.applications {
        let epochs = context.memory.epochs(name).await?;
        let claiming = context.memory.claim(name).await?;
        let fencing = act::fencing::remembered(context.memory.fencing(name).await?, epochs.highest);
        let execution = context.memory.executions(name).await?.into_iter().next();
        let mut returns = BTreeMap::new();
        for store in spec.stores.keys() {
            if let Some(returning) = context.memory.returning(name, store).await? {
                returns.insert(store.clone(), returning);
            }
        }
        let application = Application::new(context.clone(), spec.clone(), epochs);
        application.learn(|known| {
            known.facts.claiming = claiming;
            known.facts.fencing = fencing;
            known.execution = execution;
            known.returns = returns;
        });
        applications.insert(name.clone(), application);
    }
    Ok(Arc::new(applications))
}

async fn serve(
    spec: &AgentSpec,
    identity: &Arc<Identity>,
    agent: &Agent,
    tasks: &TaskTracker,
    shutdown: &CancellationToken,
) -> Result<(), AgentError> {
    let estate = &spec.estate;
    let own = estate
        .sites
        .get(&estate.here)
        .ok_or_else(|| AgentError::UnknownSite { site: estate.here.to_string() })?;
    let known = estate.sites.keys().cloned().collect();
    let listener = serve::listen(&own.agent).await?;
    tasks.spawn(serve::peers(
        listener,
        identity.clone(),
        known,
        api::peers::router(agent.clone()),
        shutdown.clone(),
    ));
    let people = estate.people.as_ref();
    let group = people.and_then(|people| people.group.as_deref());
    let socket = serve::listen_unix(&spec.state.join("agent.sock"), group)?;
    tasks.spawn(serve::people(socket, api::people::router(agent.clone()), shutdown.clone()));
    if let (Some(address), Some(people)) = (own.people, people) {
        let listener = serve::listen(&address.to_string()).await?;
        let tls = door::server(&estate.tls, people)?;
        let router = api::people::router(agent.clone());
        tasks.spawn(serve::visitors(listener, tls, router, shutdown.clone()));
    }
    if !agent.context.is_witness() {
        watchdog::line::serve(agent, &spec.state, shutdown)?;
    }
    if let Some(address) = spec.metrics {
        let listener = serve::listen(&address.to_string()).await?;
        let router = api::people::metrics_router(agent.clone());
        let ends = shutdown.clone();
        tasks.spawn(async move {
            let served =
                axum::serve(listener, router).with_graceful_shutdown(ends.cancelled_owned());
            if let Err(why) = served.await {
                tracing::error!(%why, "metrics are not served any more");
            }
        });
    }
    Ok(())
}
