//! What the lab found out, for a terminal, for a browser and for a program.

mod blocks;
mod html;
mod never_arrived;
mod objectives;
mod plot;
mod terminal;

pub use html::html;
pub use never_arrived::NeverArrived;
pub use objectives::{Limits, Objective};
pub use terminal::terminal;

use serde::Serialize;

/// The one document of `--output json`. Figures without another word are the clients' and the
/// databases'; `…_stated…` and `…_bound…` are Mainstay's own.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub version: &'static str,
    pub seed: u64,
    /// `embedded` or `etcd`.
    pub coordinator: &'static str,
    /// When the run began, microseconds since the Unix epoch.
    pub began_micros: i64,
    pub scenario_s: f64,
    pub accounts: i64,

    /// From the kill to the first acknowledged write; none when there was none.
    pub rto_s: Option<f64>,
    pub rto_stated_s: Option<f64>,
    /// Span of acknowledged work that the new site did not have.
    pub rpo_s: f64,
    pub rpo_stated_s: Option<f64>,
    /// What the failover said, before it began, could be lost at most.
    pub rpo_bound_s: Option<f64>,
    /// The longest that any client waited for an acknowledgement around the switchover.
    pub switchover_pause_s: Option<f64>,

    pub acknowledged: u64,
    pub lost: u64,
    pub lost_numbers: Vec<i64>,
    /// Transactions in the salvage.
    pub salvaged: u64,
    pub salvaged_numbers: Vec<i64>,
    /// Transactions of the salvage that were replayed.
    pub replayed: u64,
    /// Transactions of the salvage that collide with what is there: a client that had got no
    /// answer made the same transfer again at the new site.
    pub left_to_a_person: u64,
    /// Lost transfers that are at both sites in the end.
    pub returned: u64,
    /// Acknowledged transfers that one side does not have in the end.
    pub unaccounted: u64,
    pub unaccounted_numbers: Vec<i64>,
    /// Transfers that a client no longer tries.
    pub failed_for_good: u64,
    /// Transfers that needed more than one attempt.
    pub retried: u64,
    /// How often an agent was killed while its site returned.
    pub crashes: u64,
    /// Planned moves.
    pub moves: u64,
    /// Changes of the active site that nobody asked for and no disaster explains.
    pub stray_moves: u64,
    /// One after the other. The figures above are their sums, and of times the worst.
    pub disasters: Vec<DisasterFigures>,
    /// With `--lost`.
    pub never_arrived: Option<NeverArrived>,

    pub balanced: bool,
    pub numbers_unique: bool,
    /// Both sides hold the same rows.
    pub sides_equal: bool,
    pub sites: Vec<SiteBooks>,
    /// The old site's last commit after the new site's first, over both changes of the active
    /// site; 0 when they never overlap.
    pub overlap_ms: i64,
    pub ledger_ok: bool,
    pub comparison: serde_json::Value,

    pub objectives: Vec<Objective>,
    pub missed: Vec<String>,

    /// Seconds since the run began.
    pub kill_at_s: f64,
    /// The last planned move.
    pub switchover_at_s: Option<f64>,
    pub timeline: Vec<Happened>,
    pub switchover_timeline: Vec<Happened>,
    pub lag: Vec<LagPoint>,
    pub acknowledged_per_second: Vec<u32>,
}

/// One disaster, as the report as a whole tells of all.
#[derive(Debug, Clone, Serialize)]
pub struct DisasterFigures {
    pub lost_site: String,
    pub kill_at_s: f64,
    /// By a person, instead of by the agents.
    pub ordered: bool,
    pub rto_s: Option<f64>,
    pub rpo_s: f64,
    pub lost: u64,
    pub salvaged: u64,
    pub replayed: u64,
    pub left_to_a_person: u64,
    pub returned: u64,
    pub crashes: u64,
    /// Of the planned move after it.
    pub pause_s: Option<f64>,
}

/// The bank's books at one site, at the end.
#[derive(Debug, Clone, Serialize)]
pub struct SiteBooks {
    pub site: String,
    pub transfers: i64,
    pub balance: String,
    pub balanced: bool,
}

/// Times are seconds since the event that the timeline is about.
#[derive(Debug, Clone, Serialize)]
pub struct Happened {
    pub at_s: f64,
    pub until_s: Option<f64>,
    pub what: String,
    pub detail: String,
}

#[derive(Debug, Clone, Serialize)]
pub struct LagPoint {
    /// The site that receives.
    pub site: String,
    /// Seconds since the run began.
    pub at_s: f64,
    /// None: unknown.
    pub lag_s: Option<f64>,
}

/// A number of seconds, or that there is none.
pub fn seconds(value: Option<f64>) -> String {
    value.map_or_else(|| "unknown".to_owned(), |s| format!("{s:.2} s"))
}

/// What Mainstay's own comparison said in the end, with the position at which it was true.
pub fn compared(report: &Report) -> String {
    let comparison = &report.comparison;
    let position = comparison["position"].as_str().unwrap_or("an unknown position");
    match (comparison["equal"].as_bool(), comparison["error"].as_str()) {
        (Some(true), _) => format!("equal at {position}"),
        (Some(false), _) => format!("different at {position}"),
        (None, why) => format!("unknown: {}", why.unwrap_or("there was none")),
    }
}

/// Groups the digits before the point by three: `100,000,000.00`.
pub fn grouped(number: &str) -> String {
    let whole = number.find('.').unwrap_or(number.len());
    let mut text = String::new();
    for (index, digit) in number.char_indices() {
        let follows_digit = text.ends_with(|c: char| c.is_ascii_digit());
        if index < whole && (whole - index).is_multiple_of(3) && follows_digit {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn digits_are_grouped_by_three_from_the_point() {
        for (plain, expected) in [
            ("0", "0"),
            ("999", "999"),
            ("1000", "1,000"),
            ("-100.00", "-100.00"),
            ("100000000.00", "100,000,000.00"),
        ] {
            assert_eq!(grouped(plain), expected);
        }
    }
}
