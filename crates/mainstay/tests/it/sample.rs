//! What an agent would say, in the types of its API.

use mainstay_agent::coordinator::etcd::Member;
use mainstay_agent::types::{
    ApplicationStatus, ClientsView, CoordinatorView, Equality, EqualityView, Execution,
    ExecutionKind, ExecutionState, LinkView, PauseView, Plan, PlannedStep, ProbeView, Problem,
    ProblemKind, ProvedAt, Recheck, Rechecks, ReplaySummary, Return, ReturnMeans, ReturnPhase,
    ReturnProgress, SalvageStates, SalvageSummary, SiteView, Status, StepRecord, StepState,
    VantageView, WatchingView,
};
use mainstay_core::position::Lsn;
use mainstay_core::watch::Minute;
use mainstay_core::{
    ApplicationName, Epoch, Lag, LinkPhase, LinkStatus, Position, ProbeName, Retained, SiteName,
    StoreName, Verdict,
};
use mainstay_stores::postgres::compare::Rechecked;
use std::collections::BTreeMap;
use std::time::Duration;

/// 2026-11-21 12:00:00 UTC, in microseconds.
pub const NOON: i64 = 1_795_262_400_000_000;

pub fn site(name: &str) -> SiteName {
    SiteName::new(name).expect("a name")
}

pub fn bank() -> ApplicationName {
    ApplicationName::new("bank").expect("a name")
}

fn db() -> StoreName {
    StoreName::new("db").expect("a name")
}

/// East is active and well, west tells it.
pub fn status() -> Status {
    let well = SiteView { verdict: "healthy".into(), why: "probes answer".into(), witness: false };
    let witness = SiteView { witness: true, ..well.clone() };
    let sites = [(site("east"), well.clone()), (site("west"), well), (site("witness"), witness)];
    Status {
        here: site("west"),
        version: "0.1.0".into(),
        coordinator: CoordinatorView {
            kind: "embedded".into(),
            site: Some(site("witness")),
            members: vec![],
        },
        applications: vec![ApplicationStatus {
            name: bank(),
            epoch: Epoch::new(3),
            active: Some(site("east")),
            home: Some(site("east")),
            state: "standby".into(),
            serving: false,
            coordinator: true,
            coordinator_silent_since_micros: None,
            rto_s: 30.0,
            rpo_s: 1.0,
            links: vec![link(LinkPhase::Streaming, Lag::Known(Duration::from_millis(12)))],
            sites: BTreeMap::from(sites),
            execution: None,
            returning: None,
            equality: vec![equality(Equality::Equal(proved()), Some(proved()))],
            reads: vec![],
            pause: None,
            names: Vec::new(),
            watching: WatchingView::default(),
            problems: vec![],
        }],
    }
}

/// East as west and the witness see it, and its clients as they fare.
pub fn watching() -> WatchingView {
    let probe = |name: &str, outcome: &str, age_ms, why: &str| ProbeView {
        probe: ProbeName::new(name).expect("a name"),
        outcome: outcome.into(),
        age_ms,
        why: why.into(),
    };
    let web = probe("web", "passes", Some(412), "answers in 3 ms");
    let bad = probe("write", "fails", Some(830), "db takes no write");
    let never = probe("write", "unknown", None, "");
    let vantage = |vantage: &str, verdict, why: &str, probes| VantageView {
        about: site("east"),
        vantage: site(vantage),
        verdict,
        age_s: 0.4,
        why: why.into(),
        probes,
    };
    let why = "this agent holds no credentials for any of the probes";
    WatchingView {
        vantages: vec![
            vantage("east", Verdict::Healthy, "web: answers in 3 ms", vec![web.clone()]),
            vantage("west", Verdict::Unhealthy, "probe write: no", vec![web, bad, never]),
            vantage("witness", Verdict::Unknown, why, vec![]),
        ],
        clients: vec![ClientsView {
            site: site("east"),
            minute: Minute { requests: 120, failed: 37, connections: 4, unconnected: 0 },
            gray: true,
        }],
        phi: Some(0.42),
        flapping_s: None,
        clock: None,
    }
}

/// A member of etcd that works, and that leads.
pub fn member(number: u8, leads: bool) -> Member {
    Member {
        endpoint: format!("https://10.0.{number}.30:2379"),
        version: Some("3.5.21".into()),
        leads,
        has_leader: true,
        trouble: None,
    }
}

/// The rest of an hour.
pub fn pause() -> PauseView {
    let (by, reason) = ("alice".into(), "new disks at west".into());
    PauseView { by, site: site("west"), reason, since_micros: NOON, left_s: 3480.0 }
}

pub fn proved() -> ProvedAt {
    let position = Position::Postgres(Lsn(0x1_6B37_4000));
    ProvedAt { position, since: None, micros: NOON - 3_600_000_000 }
}

pub fn equality(equality: Equality, last_equal: Option<ProvedAt>) -> EqualityView {
    let (store, from, to) = (db(), site("east"), site("west"));
    EqualityView {
        store,
        from,
        to,
        equality,
        last_equal,
        trouble: None,
        rechecks: Rechecks::default(),
    }
}

/// Of 42 rows as of 1/6B374D84.
pub fn recheck(differing_rows: u64, unread: u64) -> Recheck {
    let of = Rechecked {
        position: Lsn(0x1_6B37_4D84),
        changes: 42 + unread,
        rows: 42,
        unread,
        differing_rows,
        differing_tables: u64::from(differing_rows > 0),
        differing: Vec::new(),
        stood_ms: 20,
    };
    Recheck { micros: NOON, of }
}

pub fn link(phase: LinkPhase, lag: Lag) -> LinkView {
    let at = |lsn| Some(Position::Postgres(Lsn(lsn)));
    let status = LinkStatus {
        phase,
        applied: at(0x1_6B37_4D84),
        received: at(0x1_6B37_4D84),
        source_end: at(0x1_6B37_4E00),
        lag,
        applied_commit_micros: Some(NOON),
        transactions: 4711,
        rows: 9422,
        retained: Some(Retained {
            bytes: 12 << 20,
            left: Some(500 << 20),
            bound: Some(512 << 20),
            unreserved: false,
        }),
    };
    LinkView { store: db(), from: site("east"), to: site("west"), status }
}

pub fn problem(what: &str, advice: &str) -> Problem {
    Problem::new(ProblemKind::LinkStopped, "db from east to west", what, advice)
}

/// A switchover whose first `done` steps are done.
pub fn execution(done: usize, state: ExecutionState) -> Execution {
    let names = ["hold", "drain", "fence", "promote", "open"];
    let steps = names.iter().enumerate().map(|(index, name)| step(name, index, done, state));
    let ended = (state != ExecutionState::Running).then_some(NOON + 1_250_000);
    Execution {
        id: "bank-4".into(),
        application: bank(),
        kind: ExecutionKind::Switchover,
        epoch: Epoch::new(4),
        from: Some(site("east")),
        to: site("west"),
        state,
        requested_by: "ana".into(),
        started_micros: NOON,
        ended_micros: ended,
        steps: steps.collect(),
        facts: BTreeMap::new(),
        runbook: None,
        questions: vec![],
    }
}

fn step(name: &str, index: usize, done: usize, state: ExecutionState) -> StepRecord {
    let began = NOON + index as i64 * 250_000;
    let (state, started, ended, detail) = match index.cmp(&done) {
        std::cmp::Ordering::Less => {
            (StepState::Done, Some(began), Some(began + 250_000), format!("{name} is confirmed"))
        }
        std::cmp::Ordering::Equal if state == ExecutionState::Running => {
            (StepState::Intent, Some(began), None, String::new())
        }
        std::cmp::Ordering::Equal => (
            StepState::Failed,
            Some(began),
            Some(began + 250_000),
            format!("{name} did not answer"),
        ),
        std::cmp::Ordering::Greater => (StepState::Pending, None, None, String::new()),
    };
    StepRecord { name: name.into(), state, started_micros: started, ended_micros: ended, detail }
}

pub fn plan() -> Plan {
    let step = |name: &str, what: &str, took, no_return| PlannedStep {
        name: name.into(),
        what: what.into(),
        last_took_s: took,
        point_of_no_return: no_return,
        expected_s: took,
        missing: vec![],
    };
    Plan {
        application: bank(),
        kind: ExecutionKind::Failover,
        epoch: Epoch::new(4),
        from: Some(site("east")),
        to: site("west"),
        steps: vec![
            step("fence", "wait until the lease of east has run out", Some(10.2), false),
            step("drain", "apply all that has arrived", Some(0.31), false),
            step("promote", "open the database for the application", Some(0.12), true),
            step("route", "open the gate of west", None, false),
        ],
        loss_bound_s: Some(0.42),
        last_took_s: Some(14.2),
        expected_s: Some(10.63),
        rto_left_s: Some(39.2),
        returning: None,
        refusals: vec![],
        hash: Some("3f2a91bc04de77a1".into()),
    }
}

pub fn salvage() -> SalvageSummary {
    SalvageSummary {
        id: "bank-db-east-3".into(),
        application: bank(),
        store: db(),
        site: site("east"),
        epoch: Epoch::new(3),
        transactions: 2,
        changes: 3,
        first_commit_micros: Some(NOON),
        last_commit_micros: Some(NOON + 420_000),
        inexact: None,
        states: Some(SalvageStates { open: 1, replayed: 0, rejected: 0, kept: 1 }),
        replay: None,
        rpo_exact_s: Some(0.42),
    }
}

/// East, as it comes back.
pub fn returning(phase: ReturnPhase, progress: Option<ReturnProgress>) -> Return {
    Return {
        phase,
        epoch: Epoch::new(3),
        store: db(),
        salvage: Some(salvage()),
        rows_put_right: Some(42),
        put_right_until: Some(Position::Postgres(Lsn(0x2C4_C000))),
        differs: false,
        copied_again: false,
        means: Some(ReturnMeans::Delta),
        because: "42 rows put right and the changes since 0/2C4B8D8; the start was pinned at the \
                  promotion"
            .into(),
        progress,
        detail: String::new(),
        inexact: None,
        asked: None,
    }
}

pub fn replay() -> ReplaySummary {
    ReplaySummary {
        transactions: 2,
        rows_inserted: 1,
        already_there: 1,
        kept: 1,
        ..ReplaySummary::default()
    }
}

/// As the agent tells of a salvage beside the active site: one transaction a line.
pub const SIDES: &str = concat!(
    r#"{"system":"7","commit_lsn":"1/6B374E00","commit_micros":1795262400000000,"xid":7,"state":"open","decided":null,"total":25,"changes":["#,
    r#"{"table":"public.transfers","op":"insert","key":{"id":"a1"},"old":null,"new":{"id":"a1","cents":"50"},"active":{"is":"missing"}},"#,
    r#"{"table":"public.accounts","op":"update","key":{"id":"1"},"old":null,"new":{"id":"1","cents":"950","note":"first\nsecond line, which is longer than what fits beside another one"},"#,
    r#""active":{"is":"differs","columns":["cents"],"row":{"id":"1","cents":"1000","note":"first\nsecond line, which is longer than what fits beside another one"}}},"#,
    r#"{"table":"public.log","op":"insert","key":null,"old":null,"new":{"line":"x"},"active":{"is":"unknown","why":"the table has no key"}}"#,
    "]}\n",
    r#"{"system":"7","commit_lsn":"1/6B374F20","commit_micros":1795262400420000,"xid":8,"state":"rejected","decided":{"verdict":"rejected","at_micros":1795262500000000,"reason":"paid back by hand"},"total":2,"changes":["#,
    r#"{"table":"public.transfers","op":"delete","key":{"id":"a2"},"old":null,"new":null,"active":{"is":"still-there","row":{"id":"a2","cents":"7"}}},"#,
    r#"{"table":"public.transfers","op":"delete","key":{"id":"a3"},"old":null,"new":null,"active":{"is":"same"}}"#,
    "]}\n",
);

/// What a replay leaves: the first transaction with both rows, and how many there are.
pub fn replay_left() -> ReplaySummary {
    let left = concat!(
        r#"{"system":"7","commit_lsn":"1/6B374E00","commit_micros":1795262400000000,"xid":7,"#,
        r#""why":"the active site's row is not as it was before this change","table":"public.accounts","op":"update","#,
        r#""key":{"id":"1"},"salvaged":{"id":"1","cents":"950"},"found":{"id":"1","cents":"1000"}}"#
    );
    let first = vec![serde_json::from_str(left).expect("JSON")];
    ReplaySummary { asked: 3, first, done_before: 1, rejected_before: 2, ..replay() }
}

/// As the stores write it: one transaction a line.
pub const SALVAGED: &str = concat!(
    r#"{"system":"7","commit_lsn":"1/6B374E00","commit_micros":1795262400000000,"xid":7,"changes":["#,
    r#"{"table":"public.transfers","op":"insert","key":{"id":"a1"},"old":null,"new":{"id":"a1","cents":"50"}},"#,
    r#"{"table":"public.accounts","op":"update","key":{"id":"1"},"old":null,"new":{"id":"1","cents":"950"}}"#,
    "],\"end_lsn\":\"1/6B374F00\"}\n",
    r#"{"system":"7","commit_lsn":"1/6B374F20","commit_micros":1795262400420000,"xid":8,"changes":["#,
    r#"{"table":"public.transfers","op":"delete","key":{"id":"a2"},"old":null,"new":null}"#,
    "],\"end_lsn\":\"1/6B375000\"}\n",
);
