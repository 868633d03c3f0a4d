//! What the agents see of the sites, in `mainstay status --all`.

use super::output::{BAD, CARE, GOOD, styled};
use super::text::seconds;
use mainstay_agent::types::{ClientsView, ProbeView, VantageView, WatchingView};
use mainstay_core::{SiteName, Verdict};

pub fn details(watching: &WatchingView) -> String {
    let vantages = watching.vantages.iter().map(vantage);
    let clients = watching.clients.iter().filter_map(clients);
    let late = watching.phi.map(|phi| format!("  renewals: φ {phi:.1} (late from 3.0)\n"));
    vantages.chain(clients).chain(late).collect()
}

/// `  east from west: healthy, 0.4 s ago`, and each probe below.
fn vantage(view: &VantageView) -> String {
    let VantageView { about, vantage, verdict, age_s, why, probes } = view;
    let style = match verdict {
        Verdict::Healthy => GOOD,
        Verdict::Unknown => CARE,
        Verdict::Unhealthy | Verdict::Unreachable => BAD,
    };
    let told = match (probes.is_empty(), why.is_empty()) {
        (true, false) => format!(": {why}"),
        _ => String::new(),
    };
    let verdict = styled(style, verdict.name());
    let head = format!("  {about} from {vantage}: {verdict}, {} ago{told}\n", seconds(*age_s));
    std::iter::once(head).chain(probes.iter().map(probe)).collect()
}

/// `    probe web fails, 0.4 s ago: 10.0.1.10:8080: answered with status 503`
fn probe(view: &ProbeView) -> String {
    let ProbeView { probe, outcome, age_ms, why } = view;
    let style = match outcome.as_str() {
        "passes" => GOOD,
        "unknown" => CARE,
        _ => BAD,
    };
    let age = age_ms.map(|age| format!(", {} ago", seconds(age as f64 / 1000.0)));
    let why = if why.is_empty() { String::new() } else { format!(": {why}") };
    format!("    probe {probe} {}{}{why}\n", styled(style, outcome), age.unwrap_or_default())
}

fn clients(view: &ClientsView) -> Option<String> {
    let ClientsView { site, minute, .. } = view;
    (minute.requests + minute.connections > 0).then(|| {
        format!(
            "  clients at {site}, last minute: {} of {} requests and {} of {} database connections \
             failed\n",
            minute.failed, minute.requests, minute.unconnected, minute.connections
        )
    })
}

/// ` (its clients fail)`, where probes do not see it.
pub fn gray(watching: &WatchingView, site: &SiteName) -> String {
    let gray = watching.clients.iter().any(|clients| clients.site == *site && clients.gray);
    if gray { format!(" ({})", styled(BAD, "its clients fail")) } else { String::new() }
}
