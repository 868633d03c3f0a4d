//! Starts and kills a whole site.

use super::child::{self, Spec};
use super::etcd;
use super::folder::Folder;
use super::pid::PidFile;
use super::plan::{DataSite, LabPlan};
use super::postgres::{self, DATABASE};
use super::secrets::Secrets;
use super::tree;
use crate::error::{Doing, LabError};
use crate::network::NetworkConfig;
use std::ffi::OsString;

/// The site's agent, the same command that a user types.
pub fn agent_spec(plan: &LabPlan, folder: &Folder, site: &str) -> Spec {
    mainstay(plan, folder, site, "agent")
}

pub fn gate_spec(plan: &LabPlan, folder: &Folder, site: &str) -> Spec {
    mainstay(plan, folder, site, "gate")
}

pub fn watchdog_spec(plan: &LabPlan, folder: &Folder, site: &str) -> Spec {
    mainstay(plan, folder, site, "watchdog")
}

fn mainstay(plan: &LabPlan, folder: &Folder, site: &str, command: &str) -> Spec {
    let arguments: [OsString; 7] = [
        command.into(),
        "--config".into(),
        folder.config(site).into(),
        "--site".into(),
        site.into(),
        "--state".into(),
        folder.state(site).into(),
    ];
    Spec {
        name: format!("{site}-{command}"),
        space: plan.space(site),
        program: plan.binary.clone(),
        arguments: arguments.into(),
        environment: tools(plan, site),
        user: None,
        current_dir: folder.site(site),
    }
}

/// The agent copies the schema with `pg_dump`, which it finds in PATH as it would anywhere.
fn tools(plan: &LabPlan, site: &str) -> Vec<(String, OsString)> {
    let mut path = plan.postgres.join("bin").into_os_string();
    if let Some(inherited) = std::env::var_os("PATH") {
        path.push(":");
        path.push(inherited);
    }
    let own = plan.environment.get(site).into_iter().flatten();
    let own = own.map(|(name, value)| (name.clone(), value.into()));
    let libraries = plan.postgres.join("lib").into();
    own.chain([("PATH".to_owned(), path), ("LD_LIBRARY_PATH".to_owned(), libraries)]).collect()
}

/// The site's two bank processes. All that they know is the address of "the database".
pub fn bank_specs(
    plan: &LabPlan,
    folder: &Folder,
    site: &str,
    place: &DataSite,
    secrets: &Secrets,
) -> Vec<Spec> {
    let database = format!(
        "host={} port={} user=bank dbname={DATABASE} application_name=bank",
        place.gate_database.ip(),
        place.gate_database.port()
    );
    let spec = |(number, listen): (usize, &std::net::SocketAddr)| Spec {
        name: format!("{site}-bank-{}", number + 1),
        space: plan.space(site),
        program: plan.binary.clone(),
        arguments: ["lab", "bank", "--listen", &listen.to_string(), "--database", &database]
            .map(OsString::from)
            .into(),
        environment: vec![("BANK_PASSWORD".to_owned(), (&secrets.bank).into())],
        user: None,
        current_dir: folder.site(site),
    };
    place.banks.iter().enumerate().map(spec).collect()
}

/// The relays between the sites.
pub async fn start_network(plan: &LabPlan, folder: &Folder) -> Result<(), LabError> {
    let path = folder.network_config();
    let config = NetworkConfig {
        control: folder.network_socket(),
        routes: plan.routes.clone(),
        doors: plan.doors(),
    };
    let text = serde_json::to_vec_pretty(&config).doing(|| format!("write {}", path.display()))?;
    std::fs::write(&path, text).doing(|| format!("write {}", path.display()))?;
    let spec = Spec {
        name: "network".to_owned(),
        space: None,
        program: plan.binary.clone(),
        arguments: vec!["lab".into(), "network".into(), "--routes".into(), path.into()],
        environment: Vec::new(),
        user: None,
        current_dir: folder.root().to_owned(),
    };
    let process = child::start(folder, spec)?;
    let socket = folder.network_socket();
    child::wait_until_up(folder, &process, async || {
        tokio::net::UnixStream::connect(&socket).await.is_ok()
    })
    .await
}

/// Starts what is not running of a site: PostgreSQL, etcd, agent, gate and banks. Returns once each
/// accepts connections.
pub async fn start_site(
    plan: &LabPlan,
    folder: &Folder,
    site: &str,
    secrets: &Secrets,
) -> Result<(), LabError> {
    let data = plan.site(site)?.data.as_ref();
    if data.is_some() && !runs(folder, &format!("{site}-postgres")) {
        postgres::start_postgres(plan, folder, site, secrets).await?;
    }
    start_member(plan, folder, site).await?;
    start_agent(plan, folder, site).await?;
    let Some(place) = data else { return Ok(()) };
    let watchdog = watchdog_spec(plan, folder, site);
    if !runs(folder, &watchdog.name) {
        child::start(folder, watchdog)?;
    }
    start_unless_running(folder, gate_spec(plan, folder, site), place.gate_http).await?;
    for (spec, address) in
        bank_specs(plan, folder, site, place, secrets).into_iter().zip(place.banks)
    {
        start_unless_running(folder, spec, address).await?;
    }
    Ok(())
}

/// The site's member of etcd, if it has one. Returns once it listens: before it works another one
/// has to run.
async fn start_member(plan: &LabPlan, folder: &Folder, site: &str) -> Result<(), LabError> {
    let Some((spec, address)) = etcd::member_spec(plan, folder, site)? else { return Ok(()) };
    if runs(folder, &spec.name) {
        return Ok(());
    }
    let process = child::start(folder, spec)?;
    child::wait_for_port(folder, &process, address).await
}

/// Returns once it answers.
pub async fn start_agent(plan: &LabPlan, folder: &Folder, site: &str) -> Result<(), LabError> {
    let spec = agent_spec(plan, folder, site);
    if runs(folder, &spec.name) {
        return Ok(());
    }
    let process = child::start(folder, spec)?;
    let socket = folder.agent_socket(site);
    child::wait_until_up(folder, &process, async || {
        tokio::net::UnixStream::connect(&socket).await.is_ok()
    })
    .await
}

async fn start_unless_running(
    folder: &Folder,
    spec: Spec,
    address: std::net::SocketAddr,
) -> Result<(), LabError> {
    if runs(folder, &spec.name) {
        return Ok(());
    }
    let process = child::start(folder, spec)?;
    child::wait_for_port(folder, &process, address).await
}

pub fn runs(folder: &Folder, process: &str) -> bool {
    PidFile::read(&folder.pid(process)).is_some_and(|pid| pid.is_alive())
}

/// SIGKILL to every process of the site, PostgreSQL's children included. Returns how many.
pub fn kill_site(plan: &LabPlan, folder: &Folder, site: &str) -> Result<usize, LabError> {
    plan.site(site)?;
    Ok(tree::kill_in(plan, &folder.site(site)))
}

/// What of the site still runs, or takes connections.
pub async fn left_of(plan: &LabPlan, folder: &Folder, site: &str) -> Result<Vec<String>, LabError> {
    let processes = tree::processes_in(plan, &folder.site(site));
    let mut left: Vec<String> = processes.iter().map(|pid| format!("process {pid}")).collect();
    for (service, address) in plan.site(site)?.services() {
        if tokio::net::TcpStream::connect(address).await.is_ok() {
            left.push(format!("{service} at {address}"));
        }
    }
    Ok(left)
}

/// SIGKILL to the site's agent alone. Returns when it is gone.
pub async fn kill_agent(folder: &Folder, site: &str) {
    let Some(agent) = PidFile::read(&folder.pid(&format!("{site}-agent"))) else { return };
    agent.signal(nix::sys::signal::Signal::SIGKILL);
    while agent.is_alive() {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}

/// The bank's clients; all that they know is the addresses of the two gates.
pub fn start_clients_process(plan: &LabPlan, folder: &Folder) -> Result<PidFile, LabError> {
    let wanted = &plan.wanted;
    let mut arguments: Vec<OsString> = vec!["lab".into(), "clients".into()];
    let mut option = |name: &str, value: OsString| arguments.extend([name.into(), value]);
    option("--folder", folder.clients().into());
    for (site, place) in plan.data_sites() {
        option("--gateway", format!("{site}={}", place.gate_http).into());
    }
    option("--accounts", wanted.accounts.to_string().into());
    option("--rate", wanted.rate.to_string().into());
    option("--workers", wanted.workers.to_string().into());
    option("--seed", wanted.seed.to_string().into());
    let spec = Spec {
        name: "clients".to_owned(),
        space: None,
        program: plan.binary.clone(),
        arguments,
        environment: Vec::new(),
        user: None,
        current_dir: folder.root().to_owned(),
    };
    child::start(folder, spec)
}

/// A scene's client at a site; it outlives the site's processes.
pub fn start_writer(
    plan: &LabPlan,
    folder: &Folder,
    site: &str,
    gate: Option<std::net::SocketAddr>,
    direct: std::net::SocketAddr,
    (user, password): (&str, &str),
) -> Result<PidFile, LabError> {
    let mut arguments: Vec<OsString> = ["lab", "writer", "--at", site].map(OsString::from).into();
    let mut option = |name: &str, value: OsString| arguments.extend([name.into(), value]);
    option("--folder", folder.writers().into());
    option("--direct", direct.to_string().into());
    option("--user", user.into());
    option("--database", DATABASE.into());
    if let Some(gate) = gate {
        option("--gate", gate.to_string().into());
    }
    let spec = Spec {
        name: format!("{site}-writer"),
        space: plan.space(site),
        program: plan.binary.clone(),
        arguments,
        environment: vec![("BANK_PASSWORD".to_owned(), password.into())],
        user: None,
        current_dir: folder.root().to_owned(),
    };
    child::start(folder, spec)
}
