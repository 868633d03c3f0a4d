//! All clocks of one site run 5 % too fast, also the one that leases go by. It is noticed, and no
//! failover begins by itself; a person's does.

use super::clock;
use super::judge;
use super::stage::Stage;
use crate::clients::log::Moment;
use crate::error::LabError;
use crate::processes::{HOME, STANDBY, WITNESS, kill_site};
use crate::scenario::{Seen, typed, wait_for};
use std::time::Duration;

/// A rate is known after a minute.
const NOTICED_WITHIN: Duration = Duration::from_secs(240);
/// More than the lease, and all that a failover takes besides.
const WATCHED: Duration = Duration::from_secs(25);

fn fast(stage: &Stage) -> &'static str {
    if stage.outcome.seed.is_multiple_of(2) { WITNESS } else { STANDBY }
}

pub fn prepare(stage: &mut Stage) -> Result<(), LabError> {
    let variables = [
        ("LD_PRELOAD", clock::library()?),
        ("FAKETIME", "+0 x1.05"),
        // A cache would show the same instant twice.
        ("FAKETIME_NO_CACHE", "1"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    stage.lab.plan.environment.insert(fast(stage).to_owned(), variables.into());
    Ok(())
}

pub async fn play(stage: &mut Stage) -> Result<(), LabError> {
    let fast = fast(stage);
    let began = Moment::now();
    for site in Stage::all_sites() {
        let named = format!("the clock of {fast} runs");
        wait_for(&stage.lab, &format!("{site} names the clock"), NOTICED_WITHIN, async || {
            let problems = stage.status(site).await?.problems;
            Ok(match problems.iter().any(|it| it.what.contains(&named)) {
                true => Seen::Yes(()),
                false => Seen::NotYet(format!("{problems:?}")),
            })
        })
        .await?;
    }
    stage.figure("told_after_ms", judge::ms(Moment::now().mono_us - began.mono_us));
    stage.some_time().await;
    let fault = Moment::now();
    stage.spaces.isolate(HOME)?;
    kill_site(&stage.lab.plan, &stage.lab.folder, HOME)?;
    stage.say("everything at east is dead");
    // Time itself is the subject: nothing is promoted in all of it.
    tokio::time::sleep(WATCHED).await;
    let begun = stage.record()?.first_by(STANDBY, fault).is_some();
    stage.expect(!begun, "no failover begins by itself");
    let ordered = Moment::now();
    typed(&stage.lab, STANDBY, &["failover", "--reason", "the scene's person"]).await?;
    let first = stage.accepted_by(STANDBY, ordered).await?;
    stage.figure("order_to_write_ms", judge::ms(first.at_us - ordered.mono_us));
    let record = stage.record()?;
    let overlap = judge::ms(record.overlap_us(HOME, STANDBY));
    stage.figure("overlap_ms", overlap);
    stage.expect(overlap == 0.0, "both sites are never writable at once");
    judge::lost(stage, &record, (HOME, STANDBY)).await.map(drop)
}
