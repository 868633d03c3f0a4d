//! What a comparison of a Redis store says. Values are never shown, nor are they known here.

use crate::cli::output::{BAD, CARE, GOOD, styled};
use crate::cli::text::{count, seconds, table};
use mainstay_stores::redis::compare::{Answer, Comparison, Difference, Kind};

/// Keys that are shown; more of them are in the JSON.
const SHOWN: usize = 20;

pub fn text(comparison: &Comparison) -> String {
    let Comparison { from, to, keys_source, keys_target, differences, .. } = comparison;
    let place = match from == to {
        true => format!("at position {to}"),
        false => format!("between positions {from} and {}", to.offset),
    };
    let verdict = match comparison.answer {
        Answer::Equal => styled(GOOD, format!("equal {place}")),
        Answer::Different => styled(BAD, format!("different {place}")),
        Answer::Unknown => styled(CARE, format!("unknown {place}")),
    };
    let took = seconds(comparison.seconds);
    let read = format!("{} at source, {keys_target} at target", count(*keys_source, "key"));
    let head = format!("{verdict}: {read}, read in {took}\n");
    let changing = comparison.changing.iter().take(SHOWN).map(|key| {
        format!("note: {key} changed at every look, and whether it is equal is unknown\n")
    });
    head + &differing(*differences, &comparison.differing) + &changing.collect::<String>()
}

fn differing(all: u64, listed: &[Difference]) -> String {
    if listed.is_empty() {
        return String::new();
    }
    let shown = &listed[..listed.len().min(SHOWN)];
    let rows = shown.iter().map(|one| {
        let differs = match one.kind {
            Kind::Missing => "only at source".to_owned(),
            Kind::Extra => "only at target".to_owned(),
            Kind::Different => format!("differs: {}", one.what),
        };
        [one.database.to_string(), one.key.clone(), differs]
    });
    let more = match all.saturating_sub(shown.len() as u64) {
        0 => String::new(),
        more => format!("and {}\n", count(more, "more key")),
    };
    table(["database", "key", "difference"], rows) + &more
}
