//! The server that holds the application's name in DNS (Knot) is dead throughout a failover, and
//! comes back later with what it knew. The name is read by `dig`.

use super::judge;
use super::stage::Stage;
use crate::clients::log::Moment;
use crate::error::{Doing, LabError};
use crate::network::spaces::address;
use crate::processes::{HOME, PidFile, STANDBY, Spec, WITNESS, find_dns, kill_site, start_process};
use crate::scenario::Agent;
use mainstay_agent::types::ExecutionState;
use nix::sys::signal::Signal;
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const ZONE: &str = "example.org";
const NAME: &str = "bank.example.org";
const NOTE: &str = "_mainstay.bank.example.org";
/// In the zone's file and in the sites' configurations; in base64. It opens nothing but this.
const SECRET: &str = "b25seSBmb3IgdGhlIG5hbWUgb2YgdGhpcyBzY2VuZSE=";
const PORT: u16 = 5300;
const CONVERGES_WITHIN: Duration = Duration::from_secs(60);
/// After it leads to the new site, the name is watched for so long.
const WATCHED: Duration = Duration::from_secs(8);

/// What the name leads to while the site is active.
fn leads_to(site: &str) -> &'static str {
    if site == HOME { "192.0.2.10" } else { "198.51.100.10" }
}

fn server() -> SocketAddr {
    SocketAddr::from((address(WITNESS), PORT))
}

fn folder(stage: &Stage) -> PathBuf {
    stage.lab.folder.site(WITNESS).join("dns")
}

/// Before anything is started: each site knows the name, and the key that changes it.
pub fn prepare(stage: &mut Stage) -> Result<(), LabError> {
    let secret = stage.lab.folder.root().join("dns-key");
    std::fs::write(&secret, SECRET).doing(|| format!("write {}", secret.display()))?;
    let mut text = format!(
        "[dns.\"{ZONE}\"]\nservers = [\"{}\"]\n\n[dns.\"{ZONE}\".key]\nname = \"mainstay\"\n\
         secret = \"file:{}\"\n\n[applications.bank.names.\"{NAME}\"]\nttl = \"5s\"\n\n\
         [applications.bank.names.\"{NAME}\".addresses]\n",
        server(),
        secret.display()
    );
    for site in [HOME, STANDBY] {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{site} = [\"{}\"]", leads_to(site));
    }
    stage.lab.plan.wanted.added = text;
    Ok(())
}

pub async fn play(stage: &mut Stage) -> Result<(), LabError> {
    write_files(stage)?;
    let knot = start_server(stage)?;
    until_it_leads(stage, HOME, 1).await?;
    knot.signal(Signal::SIGKILL);
    stage.say("the DNS server is dead");
    stage.some_time().await;
    let fault = Moment::now();
    stage.spaces.isolate(HOME)?;
    kill_site(&stage.lab.plan, &stage.lab.folder, HOME)?;
    stage.say("everything at east is dead");
    stage.accepted_by(STANDBY, fault).await?;
    let record = stage.record()?;
    judge::takeover(stage, &record, fault, (HOME, STANDBY));
    stage.until("the failover ends", async |stage| ended(stage).await).await?;
    let lost = judge::lost(stage, &record, (HOME, STANDBY)).await?;
    stage.spaces.heal()?;
    stage.start(HOME).await?;
    stage.until_equal(HOME).await?;
    judge::salvaged(stage, STANDBY, &lost).await?;
    start_server(stage)?;
    converges(stage).await
}

async fn ended(stage: &Stage) -> Result<bool, LabError> {
    let executions = Agent::of(&stage.lab, STANDBY).executions().await?;
    Ok(executions.first().is_some_and(|it| it.state == ExecutionState::Succeeded))
}

/// What it answers from its return on: what it knew, then what is so now, and nothing else.
async fn converges(stage: &mut Stage) -> Result<(), LabError> {
    let back = Instant::now();
    let (mut changed, mut wrong) = (None, Vec::new());
    while changed.map_or(back.elapsed() < CONVERGES_WITHIN, |at: Instant| at.elapsed() < WATCHED) {
        match dig(NAME, "A").await? {
            // Not up yet, or too busy: no answer is not an empty one.
            None => {}
            Some(answer) if answer == leads_to(STANDBY) => {
                changed.get_or_insert_with(Instant::now);
            }
            Some(answer) if answer == leads_to(HOME) && changed.is_none() => {}
            Some(answer) => wrong.push(answer),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let after = changed.map(|at| at.duration_since(back).as_secs_f64() * 1000.0);
    stage.figure("converges_after_ms", after.unwrap_or(f64::INFINITY));
    stage.expect(after.is_some(), "the name leads to west within a minute of the server's return");
    stage.figure("wrong_answers", wrong.len() as f64);
    stage.expect(wrong.is_empty(), format!("nothing stale or empty is answered: {wrong:?}"));
    let note = dig(NOTE, "TXT").await?.unwrap_or_default();
    stage.expect(note.contains("epoch=2 site=west"), format!("the note beside it: {note}"));
    Ok(())
}

async fn until_it_leads(stage: &Stage, site: &str, epoch: u64) -> Result<(), LabError> {
    let note = format!("epoch={epoch} site={site}");
    stage
        .until("the name leads there", async |_| {
            Ok(dig(NAME, "A").await?.is_some_and(|it| it == leads_to(site))
                && dig(NOTE, "TXT").await?.is_some_and(|it| it.contains(&note)))
        })
        .await
}

/// What the server answers; none when it does not.
async fn dig(name: &str, kind: &str) -> Result<Option<String>, LabError> {
    let (at, port) = (format!("@{}", address(WITNESS)), PORT.to_string());
    let found = find_dns()?;
    let mut command = tokio::process::Command::new(found.programs.join("bin/dig"));
    command.env("LD_LIBRARY_PATH", &found.libraries).args([&at, "-p", &port, "+short"]);
    command.args(["+time=1", "+tries=1", name, kind]).kill_on_drop(true);
    let output = command.output().await.doing(|| "run dig".to_owned())?;
    let told = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok((output.status.success() && !told.starts_with(';')).then_some(told))
}

/// knot.conf(5), and the zone.
fn write_files(stage: &Stage) -> Result<(), LabError> {
    let folder = folder(stage);
    let (home, at) = (folder.display(), server());
    let config = format!(
        "server:\n    rundir: \"{home}\"\n    listen: {}@{PORT}\n\
         log:\n  - target: stderr\n    any: info\n\
         database:\n    storage: \"{home}\"\n\
         key:\n  - id: mainstay\n    algorithm: hmac-sha256\n    secret: {SECRET}\n\
         acl:\n  - id: update\n    key: mainstay\n    action: update\n\
         zone:\n  - domain: {ZONE}\n    storage: \"{home}\"\n    file: zone\n    acl: update\n",
        at.ip()
    );
    let zone = format!(
        "$TTL 300\n@ IN SOA ns1.{ZONE}. hostmaster.{ZONE}. 1 3600 900 86400 60\n\
         @ IN NS ns1.{ZONE}.\nns1 IN A {}\n",
        at.ip()
    );
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text);
    std::fs::create_dir_all(&folder)
        .and_then(|()| write("knot.conf", &config))
        .and_then(|()| write("zone", &zone))
        .doing(|| format!("write into {}", folder.display()))
}

fn start_server(stage: &Stage) -> Result<PidFile, LabError> {
    let found = find_dns()?;
    let folder = folder(stage);
    let spec = Spec {
        name: "dns".to_owned(),
        space: stage.lab.plan.space(WITNESS),
        program: found.programs.join("sbin/knotd"),
        arguments: vec!["-c".into(), folder.join("knot.conf").into()],
        environment: vec![("LD_LIBRARY_PATH".to_owned(), found.libraries.into())],
        user: None,
        current_dir: folder,
    };
    start_process(&stage.lab.folder, spec)
}
