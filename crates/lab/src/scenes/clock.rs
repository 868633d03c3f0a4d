//! The wall clock of one site jumps an hour forward, that of the other an hour back, and both come
//! back. Their monotonic clocks go on as they are.

use super::judge;
use super::stage::Stage;
use crate::clients::log::Moment;
use crate::error::{Doing, LabError};
use crate::processes::{HOME, STANDBY, WITNESS};
use crate::scenario::typed;
use rand::seq::SliceRandom;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where Debian has it, by processor.
const LIBRARIES: [&str; 2] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
];
const BETWEEN: Duration = Duration::from_secs(8);

/// Before anything is started: every Mainstay process asks libfaketime for the wall clock.
pub fn prepare(stage: &mut Stage) -> Result<(), LabError> {
    let library = library()?;
    for site in Stage::all_sites() {
        set(stage, site, "+0")?;
        let file = file(stage, site).display().to_string();
        let variables = [
            ("LD_PRELOAD", library),
            ("FAKETIME_TIMESTAMP_FILE", &file),
            ("FAKETIME_CACHE_DURATION", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        stage.lab.plan.environment.insert(site.to_owned(), variables.into());
    }
    Ok(())
}

/// It makes processes see other clocks.
pub fn library() -> Result<&'static str, LabError> {
    let library = LIBRARIES.into_iter().find(|it| Path::new(it).exists()).ok_or_else(|| {
        std::io::Error::other("it is not installed; type: scripts/parts.sh faketime")
    });
    library.doing(|| "load libfaketime".to_owned())
}

fn file(stage: &Stage, site: &str) -> PathBuf {
    stage.lab.folder.root().join(format!("{site}-clock"))
}

/// Another file in its place, so that nobody reads half of it.
fn set(stage: &Stage, site: &str, offset: &str) -> Result<(), LabError> {
    let (file, new) = (file(stage, site), file(stage, "new"));
    let write = std::fs::write(&new, format!("{offset}\n"));
    write.and_then(|()| std::fs::rename(&new, &file)).doing(|| format!("write {}", file.display()))
}

pub async fn play(stage: &mut Stage) -> Result<(), LabError> {
    stage.some_time().await;
    let began = Moment::now();
    let mut jumps = [
        (HOME, "+1h"),
        (HOME, "-1h"),
        (STANDBY, "+1h"),
        (STANDBY, "-1h"),
        (WITNESS, "+1h"),
        (WITNESS, "-1h"),
    ];
    jumps.shuffle(&mut stage.random);
    let number = if stage.long { jumps.len() } else { 3 };
    for (site, offset) in &jumps[..number] {
        set(stage, site, offset)?;
        stage.say(&format!("the wall clock at {site} jumps: {offset}"));
        // Time itself is the subject: so long the clock is wrong.
        tokio::time::sleep(BETWEEN).await;
        if *site == HOME || *site == STANDBY {
            let skew = skew(stage, site).await?;
            let jumped = (3_500.0..3_700.0).contains(&skew.abs());
            stage.expect(jumped, format!("the fault is real: {site}'s ledger is {skew} s off"));
        }
    }
    for site in Stage::all_sites() {
        set(stage, site, "+0")?;
    }
    // Time itself is the subject: all of them jump back.
    tokio::time::sleep(BETWEEN).await;
    let record = stage.record()?;
    judge::no_failover(stage, &record, HOME);
    let ways = [(HOME, "gate"), (HOME, "direct"), (STANDBY, "gate")];
    judge::none_failed(stage, &record, began, &ways);
    stage.figure("longest_gap_ms", judge::ms(record.longest_gap_us(began)));
    Ok(())
}

/// How far the time of a new entry in the site's ledger is from this process's own, in seconds.
/// To resume where nobody paused changes nothing.
async fn skew(stage: &Stage, site: &str) -> Result<f64, LabError> {
    typed(&stage.lab, site, &["resume"]).await?;
    let words = ["ledger", "show", "--kind", "resumed", "--last", "1", "--output", "json"];
    let told = typed(&stage.lab, site, &words).await?;
    let told: Value = serde_json::from_slice(&told).doing(|| "read the ledger".to_owned())?;
    let micros = find(&told).unwrap_or_default();
    Ok((micros - Moment::now().wall_us) as f64 / 1e6)
}

/// The one `micros` of an entry, wherever the document has it.
fn find(document: &Value) -> Option<i64> {
    match document {
        Value::Array(items) => items.iter().find_map(find),
        Value::Object(fields) => {
            fields.get("micros").and_then(Value::as_i64).or_else(|| fields.values().find_map(find))
        }
        _ => None,
    }
}
