//! One site's loop: observe, let the core decide, make the effects; and what surrounds it: the
//! coordinator, the runbook's journal, the ledger and the API.

mod act;
pub mod api;
mod application;
mod comparing;
mod context;
pub mod coordinator;
mod error;
mod known;
pub mod ledger;
mod line;
mod main_loop;
pub mod memory;
mod metrics;
mod observe;
mod once;
pub mod peer;
pub mod people;
mod rechecking;
mod runbook;
mod salvage;
pub mod serve;
mod space;
mod time;
pub mod watchdog;

pub use error::AgentError;

use crate::api::agent::Agent;
use crate::application::{Application, Applications};
use crate::context::Context;
use crate::coordinator::{Coordinator, Embedded, Etcd, Remote};
use crate::ledger::Ledger;
use crate::memory::Memory;
use crate::peer::Peer;
use crate::peer::tls::Identity;
use crate::people::door;
use crate::people::register::Register;
use mainstay_core::SiteName;
use mainstay_core::estate::{CoordinatorPlace, Estate};
use mainstay_traffic::control::{self, ControlServer};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
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

/// Runs one site's agent until shutdown.
pub async fn run(spec: AgentSpec, shutdown: CancellationToken) -> Result<(), AgentError> {
    if spec.estate.people.as_ref().is_some_and(|people| people.group.is_some()) {
        serve::keep_to_owner();
    }
    let identity = Arc::new(Identity::load(&spec.estate.tls)?);
    let context = Arc::new(context(&spec, &identity)?);
    let applications = applications(&context).await?;
    let agent = Agent { context: context.clone(), applications: applications.clone() };
    let tasks = TaskTracker::new();
    serve(&spec, &identity, &agent, &tasks, &shutdown).await?;
    observe::members::start(&context, &shutdown);
    observe::views::start(&context, &applications, &shutdown);
    for application in applications.values() {
        if !context.is_witness() {
            act::prepare::start(application);
        }
        observe::start(application, &shutdown);
        tasks.spawn(main_loop::run(application.clone(), shutdown.clone()));
    }
    tracing::info!(site = %context.here(), "the agent runs");
    shutdown.cancelled().await;
    tasks.close();
    tasks.wait().await;
    Ok(())
}

fn context(spec: &AgentSpec, identity: &Identity) -> Result<Context, AgentError> {
    let estate = spec.estate.clone();
    let here = estate.here.clone();
    std::fs::create_dir_all(&spec.state)
        .map_err(|why| AgentError::State { path: spec.state.clone(), why: why.to_string() })?;
    space::check(&spec.state)?;
    let peers: BTreeMap<SiteName, Arc<Peer>> = estate
        .sites
        .iter()
        .filter(|(name, _)| **name != here)
        .map(|(name, site)| {
            (name.clone(), Arc::new(Peer::new(name.clone(), site.agent.clone(), identity)))
        })
        .collect();
    let coordinator = coordinator(spec, &peers)?;
    let gate = ControlServer::bind(&control::socket(&spec.state))
        .map_err(|why| AgentError::State { path: spec.state.clone(), why: why.to_string() })?;
    Ok(Context {
        state: spec.state.clone(),
        tools: spec.tools.clone(),
        started: time::tick(),
        memory: Memory::open(&spec.state.join("state.db"))?,
        ledger: Ledger::open(&spec.state.join("ledger.db"), here)?,
        peers,
        coordinator,
        gate,
        watchdog: watchdog::line::Heard::default(),
        comparing: once::Once::default(),
        register: Register::new(estate.people.clone()),
        estate,
    })
}

fn coordinator(
    spec: &AgentSpec,
    peers: &BTreeMap<SiteName, Arc<Peer>>,
) -> Result<Coordinator, AgentError> {
    match &spec.estate.coordinator {
        CoordinatorPlace::Etcd(etcd) => Ok(Coordinator::Etcd(Etcd::new(etcd)?)),
        CoordinatorPlace::Embedded { site } if *site == spec.estate.here => {
            Ok(Coordinator::Here(Embedded::open(&spec.state.join("coordinator.db"))?))
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
