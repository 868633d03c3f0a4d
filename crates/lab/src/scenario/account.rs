//! The last act: the account, from the oracle's figures and what Mainstay stated.

use super::agent::Agent;
use super::lost::Lost;
use super::narrator::Narrator;
use super::round::Round;
use super::stage::Stage;
use super::stated;
use crate::cli::Trials;
use crate::clients::log::Moment;
use crate::current::CurrentLab;
use crate::error::{Doing, LabError};
use crate::oracle::{self, ClientRecord, Tally};
use crate::processes::{
    FENCED_RTO_SECONDS, Fence, HOME, LEASE_SECONDS, RPO_SECONDS, RTO_SECONDS, STANDBY,
};
use crate::report::{DisasterFigures, LagPoint, Limits, Report, SiteBooks};
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
    pub rounds: Vec<Round>,
    /// The epoch in the end.
    pub epoch: u64,
    pub trials: Trials,
    pub lost: Option<Lost>,
}

/// What both databases say in the end.
struct Books {
    home: Tally,
    standby: Tally,
    ids_home: HashSet<Uuid>,
    ids_standby: HashSet<Uuid>,
    dumps_are_equal: bool,
}

pub async fn take(stage: &mut Stage<'_>, mut story: Story) -> Result<Report, LabError> {
    let (lab, narrator) = (stage.lab, stage.narrator);
    let (home, standby) = until_equal(lab).await?;
    let comparison = Agent::of(lab, stage.roles.other).compare().await;
    let books = Books {
        home,
        standby,
        ids_home: oracle::transfers_at(lab, HOME).await?,
        ids_standby: oracle::transfers_at(lab, STANDBY).await?,
        dumps_are_equal: oracle::dumps_are_equal(lab).await?,
    };
    let ledger_ok = ledgers_verify(lab, narrator).await?;
    let lag = lag_points(lab, story.began).await;
    let record = stage.log.refresh()?;
    let mut report = report(lab, narrator, record, &story, &books);
    report.ledger_ok = ledger_ok;
    report.lag = lag;
    report.comparison =
        comparison.unwrap_or_else(|error| serde_json::json!({ "error": error.to_string() }));
    if let Some(lost) = story.lost.take() {
        report.never_arrived = Some(lost.account(lab).await?);
    }
    let (rto_s, rpo_s) = limits(lab.plan.wanted.fence);
    report.judge(&Limits {
        rto_s,
        rpo_s,
        switchover_pause_s: SWITCHOVER_PAUSE_SECONDS,
        crashes: story.trials.crash_return.then_some(story.trials.crashes_asked()),
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

/// A site that is cut off and runs on goes on accepting for 0.4 of the lease, or until it is
/// stopped; none of that arrives.
fn limits(fence: Option<Fence>) -> (f64, f64) {
    let (lease, rpo) = (f64::from(LEASE_SECONDS), f64::from(RPO_SECONDS));
    match fence {
        None | Some(Fence::Unknown) => (RTO_SECONDS.into(), rpo),
        Some(Fence::Stop) => (FENCED_RTO_SECONDS.into(), rpo),
        Some(Fence::Cut) => (FENCED_RTO_SECONDS.into(), rpo + 0.4 * lease),
    }
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
    let Story { began, rounds, .. } = story;
    let missing = oracle::unaccounted(record, &books.ids_home, &books.ids_standby);
    let disasters: Vec<DisasterFigures> =
        rounds.iter().map(|round| disaster(record, books, *began, round)).collect();
    let sum = |figure: fn(&DisasterFigures) -> u64| disasters.iter().map(figure).sum();
    let moves: Vec<_> = rounds.iter().filter_map(|round| round.moved.as_ref()).collect();
    let pauses = moves.iter().map(|it| oracle::longest_pause_s(record, it.began, it.ended));
    let first = rounds.first();
    let salvaged_numbers = rounds.iter().filter_map(|round| round.salvaged.as_ref());
    Report {
        version: env!("CARGO_PKG_VERSION"),
        seed: lab.plan.wanted.seed,
        coordinator: if lab.plan.etcd.is_some() { "etcd" } else { "embedded" },
        began_micros: began.wall_us,
        scenario_s: narrator.seconds(),
        accounts: lab.plan.wanted.accounts,
        rto_s: worst(disasters.iter().map(|it| it.rto_s)),
        rto_stated_s: worst(rounds.iter().map(|round| stated::rto_s(&round.failover))),
        rpo_s: disasters.iter().map(|it| it.rpo_s).fold(0.0, f64::max),
        rpo_stated_s: worst(rounds.iter().map(stated::rpo_s)),
        rpo_bound_s: worst(rounds.iter().map(|round| stated::loss_bound_s(&round.failover))),
        switchover_pause_s: worst(pauses),
        acknowledged: record.acknowledged.len() as u64,
        lost: sum(|it| it.lost),
        lost_numbers: in_order(rounds.iter().flat_map(|it| &it.lost).map(|lost| lost.number)),
        salvaged: sum(|it| it.salvaged),
        salvaged_numbers: in_order(salvaged_numbers.flat_map(|it| it.numbers.iter().copied())),
        replayed: sum(|it| it.replayed),
        left_to_a_person: sum(|it| it.left_to_a_person),
        returned: sum(|it| it.returned),
        unaccounted: missing.len() as u64,
        unaccounted_numbers: in_order(missing),
        failed_for_good: record.given_up.len() as u64,
        retried: record.acknowledged.iter().filter(|ack| ack.attempts > 1).count() as u64,
        crashes: sum(|it| it.crashes),
        stray_moves: story.epoch.abs_diff(1 + rounds.len() as u64 + moves.len() as u64),
        moves: moves.len() as u64,
        balanced: books.home.balanced && books.standby.balanced,
        numbers_unique: books.home.numbers_unique && books.standby.numbers_unique,
        sides_equal: books.dumps_are_equal && books.home.fingerprint == books.standby.fingerprint,
        sites: vec![site_books(HOME, &books.home), site_books(STANDBY, &books.standby)],
        overlap_ms: rounds.iter().map(|round| round.overlap_ms).max().unwrap_or_default(),
        ledger_ok: false,
        comparison: serde_json::Value::Null,
        objectives: Vec::new(),
        missed: Vec::new(),
        kill_at_s: first.map_or(0.0, |round| since(*began, round.kill)),
        switchover_at_s: moves.last().map(|moved| since(*began, moved.began)),
        timeline: first.map_or_else(Vec::new, |round| {
            let rto_s = disasters.first().and_then(|it| it.rto_s);
            stated::failover_timeline(&round.failover, round.kill, rto_s)
        }),
        switchover_timeline: moves.last().map_or_else(Vec::new, |moved| {
            stated::switchover_timeline(&moved.execution, moved.began)
        }),
        disasters,
        never_arrived: None,
        lag: Vec::new(),
        acknowledged_per_second: oracle::acknowledged_per_second(record, *began),
    }
}

fn disaster(record: &ClientRecord, books: &Books, began: Moment, round: &Round) -> DisasterFigures {
    let is_back = |lost: &&oracle::Lost| {
        books.ids_home.contains(&lost.id) && books.ids_standby.contains(&lost.id)
    };
    let salvaged = round.salvaged.as_ref();
    let replay = salvaged.and_then(|it| it.replay.as_ref());
    DisasterFigures {
        lost_site: round.lost_site.to_owned(),
        kill_at_s: since(began, round.kill),
        ordered: round.failover.requested_by != "the agents",
        rto_s: round.rto_s,
        rpo_s: oracle::rpo_s(&round.lost, round.kill),
        lost: round.lost.len() as u64,
        salvaged: salvaged.and_then(|it| it.summary.as_ref()).map_or(0, |it| it.transactions),
        replayed: replay.map_or(0, |replay| replay.transactions),
        left_to_a_person: replay.map_or(0, |replay| replay.asked),
        returned: round.lost.iter().filter(is_back).count() as u64,
        crashes: round.crashes.into(),
        pause_s: round
            .moved
            .as_ref()
            .and_then(|it| oracle::longest_pause_s(record, it.began, it.ended)),
    }
}

/// The largest; none when one of them is not known.
fn worst(figures: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let known: Option<Vec<f64>> = figures.collect();
    known?.into_iter().reduce(f64::max)
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
