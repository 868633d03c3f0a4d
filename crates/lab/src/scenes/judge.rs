//! Figures that several scenes have, from the writers' logs and the databases.

use super::record::Record;
use super::stage::Stage;
use crate::clients::log::Moment;
use crate::error::LabError;
use crate::scenario::{Agent, typed};
use std::collections::HashSet;

/// The objectives of a lease of ten seconds.
const REFUSES_WITHIN_MS: f64 = 5_000.0;
const WRITABLE_WITHIN_MS: f64 = 20_000.0;

pub fn ms(micros: i64) -> f64 {
    micros as f64 / 1000.0
}

/// `old` notices by itself that it may not go on.
pub fn refuses(stage: &mut Stage, record: &Record, fault: Moment, old: &str) {
    let last = record.by(old).next_back().map_or(0, |it| it.at_us - fault.mono_us);
    stage.expect(ms(last) <= REFUSES_WITHIN_MS, format!("{old} refuses writes within 5 s"));
}

/// `new` took over from `old` after the fault, as soon as it has to, and never both.
pub fn takeover(stage: &mut Stage, record: &Record, fault: Moment, (old, new): (&str, &str)) {
    let last = record.by(old).next_back().map_or(0, |it| it.at_us - fault.mono_us);
    stage.figure("refuses_after_ms", ms(last.max(0)));
    if let Some(first) = record.first_by(new, fault) {
        let rto = ms(first.at_us - fault.mono_us);
        stage.figure("rto_ms", rto);
        stage.expect(rto <= WRITABLE_WITHIN_MS, format!("{new} accepts writes within 20 s"));
    }
    let overlap = ms(record.overlap_us(old, new));
    stage.figure("overlap_ms", overlap);
    stage.expect(overlap == 0.0, "both sites are never writable at once");
}

/// Nothing moved: every write was accepted by the one site, and none was missed for long.
pub fn no_failover(stage: &mut Stage, record: &Record, site: &str) {
    let elsewhere = record.accepted.iter().filter(|it| it.by != site).count();
    stage.figure("false_failovers", record.moves() as f64);
    stage.expect(record.moves() == 0 && elsewhere == 0, format!("only {site} accepts writes"));
}

/// Acknowledged by `old` and not at `new`.
pub async fn lost(
    stage: &mut Stage,
    record: &Record,
    (old, new): (&str, &str),
) -> Result<HashSet<String>, LabError> {
    let there = stage.ids(new).await?;
    let lost: Vec<_> = record.by(old).filter(|it| !there.contains(&it.id)).collect();
    let last_kept = record.by(old).rfind(|it| there.contains(&it.id)).map(|it| it.written_wall_us);
    let span =
        lost.iter().map(|it| it.written_wall_us).max().zip(last_kept).map_or(0, |(a, b)| a - b);
    let lost: HashSet<String> = lost.into_iter().map(|it| it.id.clone()).collect();
    stage.figure("acknowledged", record.accepted.len() as f64);
    stage.figure("lost", lost.len() as f64);
    stage.figure("lost_span_ms", ms(span));
    let failover = Agent::of(&stage.lab, new).executions().await?.into_iter().next();
    let bound = failover.as_ref().and_then(|it| it.facts.get("loss_bound_s")?.as_f64());
    match bound {
        Some(bound) => {
            stage.figure("stated_bound_ms", bound * 1000.0);
            stage.expect(ms(span) <= bound * 1000.0, "the loss is within the stated bound");
        }
        None => stage.expect(false, "the failover states a bound of its loss"),
    }
    Ok(lost)
}

/// Everything that was lost is in the salvage, by the writers' own ids. Asked at the active site.
pub async fn salvaged(
    stage: &mut Stage,
    active: &str,
    lost: &HashSet<String>,
) -> Result<(), LabError> {
    let mut text = String::new();
    for salvage in Agent::of(&stage.lab, active).salvages().await? {
        let words = ["salvage", "export", &salvage.id];
        text.push_str(&String::from_utf8_lossy(&typed(&stage.lab, active, &words).await?));
    }
    let kept = lost.iter().filter(|id| text.contains(&format!("\"{id}\""))).count();
    stage.figure("salvaged", kept as f64);
    let all = lost.len();
    stage.expect(kept == all, format!("{kept} of {all} lost writes are in the salvage"));
    Ok(())
}

/// No write of the site's own clients failed, by any way that leads to it.
pub fn none_failed(stage: &mut Stage, record: &Record, after: Moment, ways: &[(&str, &str)]) {
    let of_ways = |site: &str, way: &str| ways.contains(&(site, way));
    let since = |sent: Moment| sent.mono_us >= after.mono_us;
    let failed = record.refused.iter().filter(|it| of_ways(&it.site, &it.way) && since(it.sent));
    let failed: Vec<_> = failed.collect();
    let first = failed.first().and_then(|it| it.why.clone()).unwrap_or_default();
    stage.figure("failed_writes", failed.len() as f64);
    stage.expect(failed.is_empty(), format!("{} writes failed: {first}", failed.len()));
}
