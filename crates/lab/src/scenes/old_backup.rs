//! All of etcd is restored from a snapshot of before the last move: the epoch that it forgot is
//! never given to anybody again.

use super::etcd::etcdctl;
use super::judge;
use super::stage::Stage;
use crate::clients::log::Moment;
use crate::error::{Doing, LabError};
use crate::processes::{HOME, PidFile, STANDBY};
use crate::scenario::typed;
use nix::sys::signal::Signal;
use std::time::Duration;

const WATCHED: Duration = Duration::from_secs(25);
/// As the guide says: what is true, and nothing else.
const TRUTH: &str = r#"{"epoch":2,"active":"west","former":"east","cause":"switchover","renewal":0,"positions":{},"handover":null}"#;

pub async fn play(stage: &mut Stage) -> Result<(), LabError> {
    let snapshot = stage.lab.folder.root().join("snapshot").display().to_string();
    etcdctl(stage, HOME, &["snapshot", "save", &snapshot]).await?;
    typed(&stage.lab, STANDBY, &["switchover", "--reason", "the scene's person"]).await?;
    stage.accepted_by(STANDBY, Moment::now()).await?;
    stage.some_time().await;
    let fault = Moment::now();
    kill_members(stage);
    stage.say("every member of etcd is dead; all are restored from before the move");
    for site in Stage::all_sites() {
        restore(stage, site, &snapshot).await?;
    }
    for site in Stage::all_sites() {
        stage.start(site).await?;
    }
    // Time itself is the subject: for more than two leases nobody takes what was forgotten.
    tokio::time::sleep(WATCHED).await;
    let told = typed(&stage.lab, STANDBY, &["status"]).await?;
    let told = String::from_utf8_lossy(&told).into_owned();
    stage.say(&told);
    stage.expect(told.contains("MS-COORD-003"), "it is told what is wrong (MS-COORD-003)");
    let record = stage.record()?;
    let stale = record.first_by(HOME, fault).is_some();
    stage.expect(!stale, "the site of the forgotten epoch's past accepts no write");
    etcdctl(stage, HOME, &["put", "mainstay/bank", TRUTH]).await?;
    let put = Moment::now();
    let first = stage.accepted_by(STANDBY, put).await?;
    stage.figure("truth_to_write_ms", judge::ms(first.at_us - put.mono_us));
    let record = stage.record()?;
    stage.figure("overlap_ms", judge::ms(record.overlap_us(HOME, STANDBY)));
    stage.expect(record.moves() == 1, "nothing moved but what a person ordered");
    stage.expect(record.overlap_us(HOME, STANDBY) == 0, "both sites are never writable at once");
    Ok(())
}

fn kill_members(stage: &Stage) {
    for site in Stage::all_sites() {
        if let Some(member) = PidFile::read(&stage.lab.folder.pid(&format!("{site}-etcd"))) {
            member.signal(Signal::SIGKILL);
        }
    }
}

async fn restore(stage: &Stage, site: &str, snapshot: &str) -> Result<(), LabError> {
    let data = stage.lab.folder.etcd_data(site);
    std::fs::remove_dir_all(&data).doing(|| format!("remove {}", data.display()))?;
    let peer = |site: &str| -> Result<String, LabError> {
        let member = stage.lab.plan.site(site)?.etcd.as_ref();
        Ok(member.map(|it| format!("https://{}", it.known_as)).unwrap_or_default())
    };
    let all: Result<Vec<String>, LabError> =
        Stage::all_sites().iter().map(|site| Ok(format!("{site}={}", peer(site)?))).collect();
    let (all, own, data) = (all?.join(","), peer(site)?, data.display().to_string());
    let words = ["snapshot", "restore", snapshot, "--name", site, "--data-dir", &data];
    let more = ["--initial-cluster", &all, "--initial-advertise-peer-urls", &own];
    etcdctl(stage, site, &[&words[..], &more].concat()).await.map(drop)
}
