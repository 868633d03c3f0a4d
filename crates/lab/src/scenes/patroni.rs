//! Patroni in our place, as its manual says for two data centres and a third for etcd: the same
//! networks, the same writers, the same death of the whole active site. For comparison only.

use super::judge::ms;
use super::stage::Stage;
use crate::clients::log::Moment;
use crate::error::{Doing, LabError};
use crate::network::spaces::address;
use crate::processes::{
    HOME, STANDBY, Spec, WITNESS, make_passable, make_roles, start_process, start_writer,
    write_private,
};
use std::path::Path;

/// PostgreSQL as Debian's Patroni knows it.
const POSTGRES: &str = "/usr/lib/postgresql/15/bin";
const PATRONI: &str = "/usr/bin/patroni";

pub async fn play(stage: &mut Stage) -> Result<(), LabError> {
    up(stage).await?;
    stage.some_time().await;
    let fault = Moment::now();
    stage.spaces.isolate(HOME)?;
    kill(stage);
    stage.say("everything at east is dead");
    stage.accepted_by(STANDBY, fault).await?;
    let record = stage.record()?;
    let first = record.first_by(STANDBY, fault).map_or(0, |it| it.at_us - fault.mono_us);
    let there = stage.ids(STANDBY).await?;
    let lost = record.by(HOME).filter(|it| !there.contains(&it.id)).count();
    let overlap = record.overlap_us(HOME, STANDBY);
    stage.figure("rto_ms", ms(first));
    stage.figure("overlap_ms", ms(overlap));
    stage.figure("acknowledged", record.accepted.len() as f64);
    stage.figure("lost", lost as f64);
    Ok(())
}

async fn up(stage: &Stage) -> Result<(), LabError> {
    for program in [PATRONI, POSTGRES] {
        if !Path::new(program).exists() {
            let why = std::io::Error::other("it is not installed; type: scripts/parts.sh patroni");
            return Err(why).doing(|| format!("start {program}"));
        }
    }
    for site in Stage::all_sites() {
        make_passable(&stage.lab.folder.site(site))?;
        start_process(&stage.lab.folder, member(stage, site))?;
    }
    start_patroni(stage, HOME)?;
    let answers = "SELECT 1 WHERE NOT pg_is_in_recovery()";
    stage.until("Patroni's primary", async |stage| primary(stage, answers).await).await?;
    let (plan, folder, secrets) = (&stage.lab.plan, &stage.lab.folder, &stage.lab.secrets);
    make_roles(plan, folder, HOME, secrets).await?;
    let table = "CREATE TABLE public.written (id text PRIMARY KEY, \
                 at timestamptz NOT NULL DEFAULT clock_timestamp()); \
                 GRANT ALL ON public.written TO bank";
    stage.sql(HOME, table).await?;
    start_patroni(stage, STANDBY)?;
    stage.until("Patroni's replica", async |stage| stage.ids(STANDBY).await.map(|_| true)).await?;
    let writers = folder.writers();
    std::fs::create_dir_all(&writers).doing(|| format!("make {}", writers.display()))?;
    for (site, place) in plan.data_sites() {
        start_writer(plan, folder, site, None, place.postgres, ("bank", &secrets.bank))?;
    }
    stage
        .until("writes are replicated", async |stage| Ok(stage.ids(STANDBY).await?.len() > 20))
        .await?;
    stage.say("Patroni runs, writers write at both sites");
    Ok(())
}

/// The database bank is not there yet.
async fn primary(stage: &Stage, question: &str) -> Result<bool, LabError> {
    stage.sql_in("postgres", HOME, question).await.map(|rows| rows.len() == 1)
}

fn member(stage: &Stage, site: &str) -> Spec {
    let url = |site: &str, port: u16| format!("http://{}:{port}", address(site));
    let cluster = Stage::all_sites().map(|site| format!("{site}={}", url(site, 2380))).join(",");
    let data = stage.lab.folder.etcd_data(site).display().to_string();
    let arguments = [
        "--name".to_owned(),
        site.to_owned(),
        "--data-dir".to_owned(),
        data,
        "--initial-cluster".to_owned(),
        cluster,
        "--initial-advertise-peer-urls".to_owned(),
        url(site, 2380),
        "--listen-peer-urls".to_owned(),
        url(site, 2380),
        "--listen-client-urls".to_owned(),
        url(site, 2379),
        "--advertise-client-urls".to_owned(),
        url(site, 2379),
    ];
    Spec {
        name: format!("{site}-etcd"),
        space: stage.lab.plan.space(site),
        program: stage.lab.plan.etcd.clone().unwrap_or_default().join("bin/etcd"),
        arguments: arguments.map(Into::into).into(),
        environment: Vec::new(),
        user: None,
        current_dir: stage.lab.folder.site(site),
    }
}

fn start_patroni(stage: &Stage, site: &str) -> Result<(), LabError> {
    let folder = stage.lab.folder.site(site).join("patroni");
    make_passable(&folder)?;
    let file = folder.join("patroni.yml");
    write_private(&file, configuration(stage, site, &folder).as_bytes())?;
    if let Some(user) = stage.lab.plan.server_user {
        user.own(&folder)?;
        user.own(&file)?;
    }
    let spec = Spec {
        name: format!("{site}-patroni"),
        space: stage.lab.plan.space(site),
        program: PATRONI.into(),
        arguments: vec![file.into()],
        environment: vec![("HOME".to_owned(), folder.clone().into())],
        user: stage.lab.plan.server_user,
        current_dir: folder,
    };
    start_process(&stage.lab.folder, spec).map(drop)
}

/// `ttl` 20 s with the loop that fits it: its manual asks for `ttl` of at least `loop_wait` and
/// twice `retry_timeout`.
fn configuration(stage: &Stage, site: &str, folder: &Path) -> String {
    let hosts = [HOME, STANDBY, WITNESS].map(|site| format!("'{}:2379'", address(site))).join(", ");
    let (here, folder, password) = (address(site), folder.display(), &stage.lab.secrets.postgres);
    format!(
        r#"scope: bank
name: {site}
restapi: {{listen: '{here}:8008', connect_address: '{here}:8008'}}
etcd3: {{hosts: [{hosts}]}}
bootstrap:
  dcs:
    ttl: 20
    loop_wait: 5
    retry_timeout: 7
    postgresql:
      use_pg_rewind: true
      parameters: {{shared_buffers: 64MB, dynamic_shared_memory_type: mmap}}
  initdb: [{{encoding: UTF8}}, no-sync, data-checksums]
  pg_hba:
  - host all all all scram-sha-256
  - host replication all all scram-sha-256
postgresql:
  listen: '{here}:5432'
  connect_address: '{here}:5432'
  data_dir: '{folder}/data'
  bin_dir: '{POSTGRES}'
  pgpass: '{folder}/pgpass'
  authentication:
    superuser: {{username: postgres, password: '{password}'}}
    replication: {{username: replicator, password: '{password}'}}
  parameters: {{unix_socket_directories: '{folder}'}}
  basebackup: {{checkpoint: fast}}
"#
    )
}

/// Everything in the site's network but its client.
fn kill(stage: &Stage) {
    let client = crate::processes::PidFile::read(&stage.lab.folder.pid(&format!("{HOME}-writer")));
    let client = client.map(|it| it.pid.cast_unsigned());
    for pid in stage.spaces.pids(HOME).into_iter().filter(|pid| Some(*pid) != client) {
        // A child may have ended with its parent.
        let _ = nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(pid.cast_signed()),
            nix::sys::signal::Signal::SIGKILL,
        );
    }
}
