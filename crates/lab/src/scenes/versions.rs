//! One site's configuration is a version behind: its lease is shorter, or longer, than what the
//! other one goes by. Then the active site is isolated.

use super::judge;
use super::stage::Stage;
use crate::clients::log::Moment;
use crate::error::{Doing, LabError};
use crate::processes::{HOME, PidFile, STANDBY};
use nix::sys::signal::Signal;
use std::time::Duration;

/// Longer than the longer of both leases.
const WATCHED: Duration = Duration::from_secs(40);

pub async fn play(stage: &mut Stage) -> Result<(), LabError> {
    let (site, lease) = match stage.outcome.seed.is_multiple_of(2) {
        true => (STANDBY, "3s"),
        false => (HOME, "30s"),
    };
    configure(stage, site, lease)?;
    stop(stage, site).await?;
    stage.start(site).await?;
    stage.say(&format!("{site} runs with a lease of {lease}, the others with 10s"));
    stage.accepted_by(HOME, Moment::now()).await?;
    crate::scenario::until_the_link_follows(&stage.lab, STANDBY).await?;
    stage
        .until("status tells that the leases differ", async |stage| {
            let problems = stage.status(STANDBY).await?.problems;
            Ok(problems.iter().any(|it| it.what.contains("the lease is")))
        })
        .await?;
    stage.some_time().await;
    let fault = Moment::now();
    stage.spaces.isolate(HOME)?;
    stage.say("east is isolated");
    // Time itself is the subject: whoever may accept writes does so within this.
    tokio::time::sleep(WATCHED).await;
    let record = stage.record()?;
    let refuses = record.by(HOME).next_back().map_or(0, |it| it.at_us - fault.mono_us);
    stage.figure("refuses_after_ms", judge::ms(refuses.max(0)));
    if let Some(first) = record.first_by(STANDBY, fault) {
        stage.figure("rto_ms", judge::ms(first.at_us - fault.mono_us));
    }
    let overlap = judge::ms(record.overlap_us(HOME, STANDBY));
    stage.figure("overlap_ms", overlap);
    stage.expect(overlap == 0.0, "both sites are never writable at once");
    stage.spaces.heal()
}

fn configure(stage: &Stage, site: &str, lease: &str) -> Result<(), LabError> {
    let file = stage.lab.folder.config(site);
    let doing = || format!("change {}", file.display());
    let text = std::fs::read_to_string(&file).doing(doing)?;
    let text = text.replace("lease = \"10s\"", &format!("lease = \"{lease}\""));
    std::fs::write(&file, text).doing(doing)
}

async fn stop(stage: &Stage, site: &str) -> Result<(), LabError> {
    for process in ["agent", "gate", "watchdog"] {
        let file = stage.lab.folder.pid(&format!("{site}-{process}"));
        let Some(process) = PidFile::read(&file) else { continue };
        process.signal(Signal::SIGTERM);
        stage.until("a process ends", async |_| Ok(!process.is_alive())).await?;
    }
    Ok(())
}
