//! The disk under ledger and journal is full, at both sites.

use super::judge;
use super::stage::Stage;
use crate::clients::log::Moment;
use crate::error::{Doing, LabError};
use crate::processes::{HOME, STANDBY, kill_site, make_private};
use crate::scenario::{Agent, typed};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

pub const SITES: [&str; 2] = [HOME, STANDBY];
/// What an agent asks for, and some more.
const SIZE: &str = "size=300m";
const WATCHED: Duration = Duration::from_secs(12);
/// More than a lease, with the active site dead.
const DEAD: Duration = Duration::from_secs(18);

/// Before anything is started: the agents' folders are small disks of their own.
pub fn prepare(stage: &Stage) -> Result<(), LabError> {
    for site in SITES {
        let state = stage.lab.folder.state(site);
        make_private(&state)?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", SIZE, "tmpfs"]).arg(&state);
        succeed(&mut mount, "mount a small disk")?;
    }
    Ok(())
}

pub fn clean_up(stage: &Stage) -> Result<(), LabError> {
    for site in SITES {
        let state = stage.lab.folder.state(site);
        succeed(Command::new("umount").arg("--lazy").arg(&state), "remove a small disk")?;
    }
    Ok(())
}

pub fn succeed(command: &mut Command, what: &str) -> Result<(), LabError> {
    let status = command.status().doing(|| what.to_owned())?;
    let ended =
        if status.success() { Ok(()) } else { Err(std::io::Error::other(status.to_string())) };
    ended.doing(|| what.to_owned())
}

pub async fn play(stage: &mut Stage) -> Result<(), LabError> {
    let begins = |stage: &Stage| SITES.iter().try_for_each(|site| fill(&ballast(stage, site)));
    let ends = |stage: &Stage| {
        SITES.iter().try_for_each(|site| {
            let file = ballast(stage, site);
            std::fs::remove_file(&file).doing(|| format!("remove {}", file.display()))
        })
    };
    without_disks(stage, "the disks of both agents are full", begins, ends).await
}

/// Nothing can be written to ledger and journal from when it begins until it ends.
pub async fn without_disks(
    stage: &mut Stage,
    what: &str,
    begins: impl Fn(&Stage) -> Result<(), LabError>,
    ends: impl Fn(&Stage) -> Result<(), LabError>,
) -> Result<(), LabError> {
    stage.some_time().await;
    let fault = Moment::now();
    begins(stage)?;
    stage.say(what);
    // Time itself is the subject: so long nothing of the service may suffer.
    tokio::time::sleep(WATCHED).await;
    let record = stage.record()?;
    judge::no_failover(stage, &record, HOME);
    let ways = [(HOME, "gate"), (HOME, "direct"), (STANDBY, "gate")];
    judge::none_failed(stage, &record, fault, &ways);
    let moved = typed(&stage.lab, STANDBY, &["switchover", "--reason", "the scene's person"]).await;
    stage.expect(moved.is_err(), "a switchover is refused");
    let died = Moment::now();
    stage.spaces.isolate(HOME)?;
    kill_site(&stage.lab.plan, &stage.lab.folder, HOME)?;
    stage.say("everything at east is dead");
    // Time itself is the subject: nothing is begun in all of it.
    tokio::time::sleep(DEAD).await;
    let begun = stage.record()?.first_by(STANDBY, died).is_some();
    stage.expect(!begun, "no failover begins that could not be journaled");
    let plan = Agent::of(&stage.lab, STANDBY).plan_failover().await?;
    let refused: Vec<_> = plan.refusals.iter().map(|it| it.what.clone()).collect();
    stage.say(&format!("in the way of a failover: {refused:?}"));
    let ledger = refused.iter().any(|what| what.contains("ledger"));
    stage.expect(ledger, "it is told that the ledger cannot be written");
    ends(stage)?;
    let freed = Moment::now();
    let first = stage.accepted_by(STANDBY, freed).await?;
    stage.figure("room_to_write_ms", judge::ms(first.at_us - freed.mono_us));
    let record = stage.record()?;
    stage.expect(record.overlap_us(HOME, STANDBY) == 0, "both sites are never writable at once");
    let lost = judge::lost(stage, &record, (HOME, STANDBY)).await?;
    stage.spaces.heal()?;
    stage.start(HOME).await?;
    stage.until_equal(HOME).await?;
    judge::salvaged(stage, STANDBY, &lost).await?;
    for site in SITES {
        let verified = typed(&stage.lab, site, &["ledger", "verify"]).await;
        stage.expect(verified.is_ok(), format!("the chain of {site} verifies: {verified:?}"));
    }
    Ok(())
}

fn ballast(stage: &Stage, site: &str) -> PathBuf {
    stage.lab.folder.state(site).join("ballast")
}

/// To the last byte.
fn fill(file: &PathBuf) -> Result<(), LabError> {
    use std::io::{ErrorKind, Write};
    let doing = || format!("fill {}", file.display());
    let mut file = std::fs::File::create(file).doing(doing)?;
    for size in [1 << 20, 4096, 1] {
        let block = vec![0_u8; size];
        loop {
            match file.write_all(&block) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => return Err(error).doing(doing),
            }
        }
    }
    Ok(())
}
