//! The last act: the account, from the oracle's figures and what Mainstay stated.

use super::agent::Agent;
use super::client_log::ClientLog;
use super::home::WayHome;
use super::narrator::Narrator;
use super::salvage::Salvaged;
use super::stated;
use crate::clients::log::Moment;
use crate::current::CurrentLab;
use crate::error::{Doing, LabError};
use crate::oracle::{self, ClientRecord, CommitSpan, Lost, Tally};
use crate::processes::{HOME, RPO_SECONDS, RTO_SECONDS, STANDBY};
use crate::report::{LagPoint, Limits, Report, SiteBooks};
use mainstay_agent::api::types::Execution;
use std::collections::HashSet;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// A planned move may pause writes for less than this.
const SWITCHOVER_PAUSE_SECONDS: f64 = 3.0;
/// How long the standby has to receive the last transfers.
const CATCH_UP: Duration = Duration::from_secs(20);

/// What the acts found out.
pub struct Story {
    pub began: Moment,
    pub kill: Moment,
    pub failover: Execution,
    pub lost: Vec<Lost>,
    /// What the lost site's database said of its last commits when it came back.
    pub accepted_by_lost_site: CommitSpan,
    pub salvaged: Salvaged,
    pub way_home: WayHome,
}

/// What both databases say in the end.
struct Books {
    home: Tally,
    standby: Tally,
    ids_home: HashSet<Uuid>,
    ids_standby: HashSet<Uuid>,
    accepted_by_standby: HashSet<Uuid>,
    overlap_ms: i64,
}

pub async fn take(
    lab: &CurrentLab,
    narrator: &Narrator,
    log: &mut ClientLog,
    story: Story,
) -> Result<Report, LabError> {
    let (home, standby) = until_equal(lab).await?;
    let comparison = Agent::of(lab, STANDBY).compare().await;
    let books = Books {
        home,
        standby,
        ids_home: oracle::transfers_at(lab, HOME).await?,
        ids_standby: oracle::transfers_at(lab, STANDBY).await?,
        accepted_by_standby: oracle::accepted_by(lab, STANDBY, STANDBY).await?,
        overlap_ms: overlap_ms(lab, &story).await?,
    };
    let ledger_ok = ledgers_verify(lab, narrator).await?;
    let lag = lag_points(lab, story.began).await;
    let record = log.refresh()?;
    let mut report = report(lab, narrator, record, &story, &books);
    report.ledger_ok = ledger_ok;
    report.lag = lag;
    report.comparison =
        comparison.unwrap_or_else(|error| serde_json::json!({ "error": error.to_string() }));
    report.judge(&Limits {
        rto_s: RTO_SECONDS.into(),
        rpo_s: RPO_SECONDS.into(),
        switchover_pause_s: SWITCHOVER_PAUSE_SECONDS,
    });
    Ok(report)
}

/// The tallies of both sides once they are equal, or as they are when time is up.
async fn until_equal(lab: &CurrentLab) -> Result<(Tally, Tally), LabError> {
    let began = Instant::now();
    loop {
        let tallies = (oracle::tally(lab, HOME).await?, oracle::tally(lab, STANDBY).await?);
        if tallies.0.fingerprint == tallies.1.fingerprint || began.elapsed() > CATCH_UP {
            return Ok(tallies);
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// Over both changes of the active site, the larger one.
async fn overlap_ms(lab: &CurrentLab, story: &Story) -> Result<i64, LabError> {
    let standby = oracle::commits_accepted_by(lab, STANDBY, STANDBY, None).await?;
    // Later than everything that home accepted before it was lost.
    let home_again = oracle::commits_accepted_by(lab, HOME, HOME, standby.first_us).await?;
    let at_failover = oracle::overlap_ms(story.accepted_by_lost_site, standby);
    Ok(at_failover.max(oracle::overlap_ms(standby, home_again)))
}

/// By the command that an auditor would type.
async fn ledgers_verify(lab: &CurrentLab, narrator: &Narrator) -> Result<bool, LabError> {
    let mut all_good = true;
    for site in lab.plan.sites.keys() {
        let output = tokio::process::Command::new(&lab.plan.binary)
            .args(["ledger", "verify", "--ledger"])
            .arg(lab.folder.ledger(site))
            .output()
            .await
            .doing(|| "run `mainstay ledger verify`".to_owned())?;
        if !output.status.success() {
            narrator
                .say(&format!("the ledger of {site}: {}", String::from_utf8_lossy(&output.stderr)));
            all_good = false;
        }
    }
    Ok(all_good)
}

async fn lag_points(lab: &CurrentLab, began: Moment) -> Vec<LagPoint> {
    let mut points = Vec::new();
    for (site, _) in lab.plan.data_sites() {
        // An agent that does not tell its lag leaves a gap in the plot, and nothing else.
        let samples = Agent::of(lab, site).lag().await.unwrap_or_default();
        points.extend(samples.into_iter().map(|sample| LagPoint {
            site: site.to_owned(),
            at_s: (sample.micros - began.wall_us) as f64 / 1e6,
            lag_s: sample.lag_s,
        }));
    }
    points
}

fn report(
    lab: &CurrentLab,
    narrator: &Narrator,
    record: &ClientRecord,
    story: &Story,
    books: &Books,
) -> Report {
    let Story { began, kill, lost, salvaged, way_home, .. } = story;
    let missing = oracle::unaccounted(record, &books.ids_home, &books.ids_standby);
    let is_back =
        |lost: &&Lost| books.ids_home.contains(&lost.id) && books.ids_standby.contains(&lost.id);
    let summary = salvaged.summary.as_ref();
    let rto_s = oracle::rto_s(record, &books.accepted_by_standby, *kill);
    Report {
        version: env!("CARGO_PKG_VERSION"),
        seed: lab.plan.wanted.seed,
        began_micros: began.wall_us,
        scenario_s: narrator.seconds(),
        accounts: lab.plan.wanted.accounts,
        rto_s,
        rto_stated_s: stated::rto_s(&story.failover),
        rpo_s: oracle::rpo_s(lost, *kill),
        rpo_stated_s: stated::rpo_s(summary),
        rpo_bound_s: stated::loss_bound_s(&story.failover),
        switchover_pause_s: oracle::longest_pause_s(record, way_home.began, way_home.ended),
        acknowledged: record.acknowledged.len() as u64,
        lost: lost.len() as u64,
        lost_numbers: in_order(lost.iter().map(|lost| lost.number)),
        salvaged: summary.map_or(0, |summary| summary.transactions),
        salvaged_numbers: salvaged.numbers.clone(),
        replayed: salvaged.replay.as_ref().map_or(0, |replay| replay.transactions),
        left_to_a_person: salvaged.replay.as_ref().map_or(0, |replay| replay.asked),
        returned: lost.iter().filter(is_back).count() as u64,
        unaccounted: missing.len() as u64,
        unaccounted_numbers: in_order(missing),
        failed_for_good: record.given_up.len() as u64,
        retried: record.acknowledged.iter().filter(|ack| ack.attempts > 1).count() as u64,
        balanced: books.home.balanced && books.standby.balanced,
        numbers_unique: books.home.numbers_unique && books.standby.numbers_unique,
        sides_equal: books.home.fingerprint == books.standby.fingerprint,
        sites: vec![site_books(HOME, &books.home), site_books(STANDBY, &books.standby)],
        overlap_ms: books.overlap_ms,
        ledger_ok: false,
        comparison: serde_json::Value::Null,
        objectives: Vec::new(),
        missed: Vec::new(),
        kill_at_s: since(*began, *kill),
        switchover_at_s: since(*began, way_home.began),
        timeline: stated::failover_timeline(&story.failover, *kill, rto_s),
        switchover_timeline: stated::switchover_timeline(&way_home.execution, way_home.began),
        lag: Vec::new(),
        acknowledged_per_second: oracle::acknowledged_per_second(record, *began),
    }
}

fn in_order(numbers: impl IntoIterator<Item = i64>) -> Vec<i64> {
    let mut numbers: Vec<i64> = numbers.into_iter().collect();
    numbers.sort_unstable();
    numbers
}

fn site_books(site: &str, tally: &Tally) -> SiteBooks {
    let Tally { transfers, balance, balanced, .. } = tally.clone();
    SiteBooks { site: site.to_owned(), transfers, balance, balanced }
}

fn since(from: Moment, to: Moment) -> f64 {
    (to.mono_us - from.mono_us) as f64 / 1e6
}
