//! The active site comes and goes, five seconds each: its network, or with every other seed the
//! application's own processes.

use super::judge;
use super::stage::Stage;
use crate::clients::log::Moment;
use crate::error::LabError;
use crate::processes::{HOME, PidFile, STANDBY};
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};

const HALF: Duration = Duration::from_secs(5);
const SHORT: Duration = Duration::from_secs(60);
const LONG: Duration = Duration::from_secs(3600);

pub async fn play(stage: &mut Stage) -> Result<(), LabError> {
    stage.some_time().await;
    let (began, fault) = (Instant::now(), Moment::now());
    let length = if stage.long { LONG } else { SHORT };
    let by_network = stage.outcome.seed.is_multiple_of(2);
    while began.elapsed() < length {
        down(stage, by_network)?;
        // Time itself is the subject: five seconds down, five seconds up.
        tokio::time::sleep(HALF).await;
        up(stage, by_network)?;
        // Time itself is the subject: as above.
        tokio::time::sleep(HALF).await;
    }
    let active = stage.record()?.accepted.last().map_or(HOME, |it| it.by);
    let calm = Moment::now();
    stage.accepted_by(active, calm).await?;
    let record = stage.record()?;
    stage.figure("failovers", record.moves() as f64);
    stage.expect(record.moves() <= 1, "at most one failover");
    if record.moves() == 1 {
        let overlap = judge::ms(record.overlap_us(HOME, STANDBY));
        stage.figure("overlap_ms", overlap);
        stage.expect(overlap == 0.0, "both sites are never writable at once");
    }
    stage.figure("longest_gap_ms", judge::ms(record.longest_gap_us(fault)));
    Ok(())
}

fn down(stage: &Stage, by_network: bool) -> Result<(), LabError> {
    if by_network {
        return stage.spaces.isolate(HOME);
    }
    banks(stage, Signal::SIGSTOP);
    Ok(())
}

fn up(stage: &Stage, by_network: bool) -> Result<(), LabError> {
    if by_network {
        return stage.spaces.heal();
    }
    banks(stage, Signal::SIGCONT);
    Ok(())
}

fn banks(stage: &Stage, signal: Signal) {
    for number in [1, 2] {
        let file = stage.lab.folder.pid(&format!("{HOME}-bank-{number}"));
        if let Some(bank) = PidFile::read(&file) {
            bank.signal(signal);
        }
    }
}
