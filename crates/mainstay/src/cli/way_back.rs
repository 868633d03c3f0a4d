//! The way back of a lost site, in words.

use super::text::{count, seconds};
use mainstay_agent::types::{Return, ReturnMeans, ReturnPhase, ReturnProgress};

/// Fence, salvage, rows, link, comparison.
const PHASES: u32 = 5;

/// `east is on its way back, phase 3 of 5, putting rows right: 500 of 1200 rows; delta: …`
/// With `away` the application is not at home, and the next planned move is the failback.
pub fn told(site: &str, way: &Return, away: bool) -> String {
    let means = means(way).map_or_else(String::new, |means| format!(" ({means})"));
    match way.phase {
        ReturnPhase::Ready => {
            let possible = if away { "failback is possible" } else { "a switchover is possible" };
            format!("{site} is back: {}, {possible}{means}", way.detail)
        }
        _ => format!("{site} is on its way back, {}{means}", phase(way)),
    }
}

/// How the site gets what it lacks, and why so.
pub fn means(way: &Return) -> Option<String> {
    let word = match way.means? {
        ReturnMeans::Delta => "delta",
        ReturnMeans::FullCopy => "full copy",
    };
    Some(format!("{word}: {}", way.because))
}

fn phase(way: &Return) -> String {
    let comparing = way.progress == Some(ReturnProgress::Comparing);
    let (number, doing) = match way.phase {
        ReturnPhase::Fencing => (1, "fencing it"),
        ReturnPhase::Salvaging => (2, "taking what only it has"),
        ReturnPhase::PuttingRight => (3, "putting rows right"),
        ReturnPhase::Streaming if comparing => (5, "comparing both sites"),
        ReturnPhase::Streaming => (4, "catching up with the active site"),
        ReturnPhase::Ready => (PHASES, "back"),
    };
    format!("phase {number} of {PHASES}, {doing}{}", progress(way))
}

/// How far the phase is where that is known, else what happened last.
fn progress(way: &Return) -> String {
    match way.progress {
        Some(ReturnProgress::Salvaged { transactions }) => {
            format!(": {} so far", count(transactions, "transaction"))
        }
        Some(ReturnProgress::PutRight { rows, of }) => {
            format!(": {rows} of {}", count(of, "row"))
        }
        Some(ReturnProgress::CatchingUp { bytes_left, seconds_left }) => {
            let left = seconds_left.map_or_else(String::new, |left| {
                format!(", about {} at the speed so far", about(left))
            });
            format!(": {} left{left}", bytes(bytes_left))
        }
        Some(ReturnProgress::Comparing) => String::new(),
        None if way.detail.is_empty() => String::new(),
        None => format!(": {}", way.detail),
    }
}

fn about(left: u64) -> String {
    if left < 120 { format!("{left} s") } else { seconds(left as f64) }
}

fn bytes(bytes: u64) -> String {
    match bytes {
        small if small < 1 << 20 => format!("{} kB", small.div_ceil(1 << 10)),
        large => format!("{} MB", large >> 20),
    }
}
