//! Commands that ask an agent and change nothing.

use crate::fake::FakeAgent;
use crate::golden::{compare, mainstay, shown};
use crate::sample::{self, SALVAGED, SIDES, link, problem, site};
use mainstay_agent::coordinator::etcd::Member;
use mainstay_agent::types::{
    ApiError, Equality, ExecutionKind, ExecutionState, LinkView, ProvedAt, Refusal, ReturnPhase,
    ReturnProgress, Status,
};
use mainstay_core::position::Lsn;
use mainstay_core::{Lag, LinkPhase, Position};
use serde_json::{Value, json};
use std::time::Duration;

/// Five lines for one application, whatever its state.
fn told_in_five_lines(name: &str, change: impl FnOnce(&mut Status)) {
    let mut status = sample::status();
    change(&mut status);
    let agent = FakeAgent::new().answers("GET /v1/status", &status);
    let answer = agent.shows(&["status"]);
    assert_eq!(answer.lines().count(), 6, "five lines and the exit status:\n{answer}");
    compare(&format!("status/{name}.txt"), &answer);
}

#[test]
fn status_tells_in_five_lines_what_is_active_behind_wrong_and_what_to_type_next() {
    told_in_five_lines("well", |_| {});
    told_in_five_lines("active-here", |status| {
        let application = &mut status.applications[0];
        (status.here, application.state, application.serving) =
            (site("east"), "active".into(), true);
        application.links.clear();
    });
    told_in_five_lines("east-lost", |status| {
        let application = &mut status.applications[0];
        application.state = "lease-wait".into();
        let reason = "connection refused".to_owned();
        application.links = vec![link(LinkPhase::Disconnected { reason }, Lag::Unknown)];
        let east = application.sites.get_mut(&site("east")).expect("east");
        (east.verdict, east.why) =
            ("unreachable".into(), "neither west nor the witness reach it".into());
        application.problems = vec![
            problem(
                "east is lost; its lease runs out in 6 s",
                "wait, or look: mainstay plan failover",
            ),
            problem("the link of db is disconnected", "mainstay executions --follow"),
        ];
    });
    told_in_five_lines("moving", |status| {
        status.applications[0].execution = Some(sample::execution(3, ExecutionState::Running));
    });
    told_in_five_lines("behind", |status| {
        let late = Lag::Known(Duration::from_secs(95));
        let copying = LinkPhase::Copying {
            tables_done: 3,
            tables: 7,
            rows: 12_345,
            bytes: 1 << 30,
            total_bytes: 5 << 30,
            keys_done: 0,
            keys: 9,
            seconds_left: Some(600),
        };
        status.applications[0].links =
            vec![link(LinkPhase::Streaming, late), link(copying, Lag::Unknown)];
    });
    told_in_five_lines("late", |status| {
        status.applications[0].links =
            vec![link(LinkPhase::Streaming, Lag::Known(Duration::from_secs(95)))];
    });
    told_in_five_lines("stopped", |status| {
        let stopped =
            LinkPhase::Stopped { code: "MS-PG-104".into(), reason: "the slot is lost".into() };
        status.applications[0].links = vec![link(stopped, Lag::Unknown)];
        status.applications[0].coordinator = false;
        status.applications[0].coordinator_silent_since_micros = Some(sample::NOON);
    });
    told_in_five_lines("etcd-lost-a-member", |status| {
        status.coordinator.members = vec![sample::member(1, false), sample::member(2, true)];
        let why = Some("https://10.0.3.30:2379: connection refused".to_owned());
        let gone =
            Member { version: None, has_leader: false, trouble: why, ..sample::member(3, false) };
        status.coordinator.members.push(gone);
    });
    told_in_five_lines("nobody", |status| {
        status.applications[0].active = None;
        status.applications[0].state = "unknown".into();
    });
}

#[test]
fn status_says_how_far_a_way_back_is_what_is_left_and_what_is_asked() {
    let tells = |file: &str, phase, progress, detail: &str| {
        told_in_five_lines(file, |status| {
            let application = &mut status.applications[0];
            application.active = Some(site("west"));
            // The link of the time before is still told of.
            let mut reverse = application.links[0].clone();
            (reverse.from, reverse.to) = (site("west"), site("east"));
            application.links.push(reverse);
            (application.state, application.serving) = ("active".into(), true);
            let mut way = sample::returning(phase, progress);
            way.detail = detail.into();
            if phase < ReturnPhase::Streaming {
                way.because = "the start was pinned at the promotion, at 0/2C4B8D8".into();
            }
            application.returning = Some(way);
            if phase != ReturnPhase::Ready {
                application.problems = vec![problem(
                    "the way back of db goes on",
                    "nothing is asked of you yet: it goes on by itself",
                )];
            }
        });
    };
    let salvaged = ReturnProgress::Salvaged { transactions: 1300 };
    tells("returning-salvage", ReturnPhase::Salvaging, Some(salvaged), "it is fenced");
    let rows = ReturnProgress::PutRight { rows: 12, of: 42 };
    tells("returning-rows", ReturnPhase::PuttingRight, Some(rows), "2 transactions salvaged");
    let far = ReturnProgress::CatchingUp { bytes_left: 734 << 20, seconds_left: Some(95) };
    tells("returning-link", ReturnPhase::Streaming, Some(far), "42 rows put right");
    let unknown = ReturnProgress::CatchingUp { bytes_left: 900, seconds_left: None };
    tells("returning-link-slow", ReturnPhase::Streaming, Some(unknown), "42 rows put right");
    let comparing = ReturnProgress::Comparing;
    tells("returning-compare", ReturnPhase::Streaming, Some(comparing), "42 rows put right");
    tells("returning-waits", ReturnPhase::Streaming, None, "the reverse link is starting");
    let equal = "equal to the active site at 0/2C8E9C0";
    tells("returned", ReturnPhase::Ready, None, equal);
    told_in_five_lines("returned-at-home", |status| {
        let mut way = sample::returning(ReturnPhase::Ready, None);
        way.detail = equal.into();
        status.applications[0].returning = Some(way);
    });
}

#[test]
fn status_as_json_is_what_the_agent_says() {
    let agent = FakeAgent::new().answers("GET /v1/status", &sample::status());
    let output = agent.run(&["status", "--output", "json"]);
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(told, serde_json::to_value(sample::status()).expect("JSON"));
}

#[test]
fn status_with_all_shows_each_link_and_problem() {
    let mut status = sample::status();
    status.applications[0].problems = vec![problem("one", "do this"), problem("two", "do that")];
    let agent = FakeAgent::new().answers("GET /v1/status", &status);
    compare("status/all.txt", &agent.shows(&["status", "--all"]));
}

#[test]
fn status_with_all_says_what_each_vantage_sees_and_what_clients_see() {
    let mut status = sample::status();
    status.applications[0].watching = sample::watching();
    let agent = FakeAgent::new().answers("GET /v1/status", &status);
    compare("status/watching.txt", &agent.shows(&["status", "--all"]));
}

#[test]
fn status_with_all_says_when_a_store_was_last_proved_equal() {
    let mut status = sample::status();
    let unknown = |why: &str| Equality::Unknown { why: why.to_owned() };
    let position = Position::Postgres(Lsn(0x1_6B37_4D84));
    let at = ProvedAt { position, since: None, micros: sample::NOON };
    let mut failed = sample::equality(
        unknown("the link was interrupted since it was proved"),
        Some(sample::proved()),
    );
    failed.trouble = Some("whether both sides are equal is unknown: no snapshot".into());
    let mut never =
        sample::equality(unknown("not compared since the link or the agent of west began"), None);
    never.rechecks.last = Some(sample::recheck(0, 0));
    failed.rechecks.trouble = Some("3 in a row not made: no snapshot within 1 s".into());
    let mut different =
        sample::equality(Equality::Different { at, rows: 3, tables: 1 }, Some(sample::proved()));
    different.rechecks.last = Some(sample::recheck(3, 958));
    status.applications[0].equality = vec![never, failed, different];
    let differs = "db at west differs from east in 3 rows as of 1/6B374D84";
    status.applications[0].problems = vec![problem(differs, "mainstay compare bank db")];
    let agent = FakeAgent::new().answers("GET /v1/status", &status);
    compare("status/equality.txt", &agent.shows(&["status", "--all"]));
}

#[test]
fn a_plan_shows_the_steps_the_loss_and_the_last_time() {
    let agent =
        FakeAgent::new().answers("GET /v1/plan?kind=failover&application=bank", &sample::plan());
    compare("plan/failover.txt", &agent.shows(&["plan", "failover", "bank"]));
    let mut refused = sample::plan();
    refused.loss_bound_s = None;
    refused.refusals = vec![Refusal {
        what: "the lag is unknown".into(),
        advice: "mainstay failover --accept-loss 30s, if nothing of east can be saved".into(),
    }];
    let agent = FakeAgent::new().answers("GET /v1/plan?kind=failover", &refused);
    compare("plan/refused.txt", &agent.shows(&["plan", "failover"]));
    let mut home = sample::plan();
    (home.kind, home.loss_bound_s) = (ExecutionKind::Switchover, Some(0.0));
    home.returning = Some(sample::returning(ReturnPhase::Ready, None));
    let agent = FakeAgent::new().answers("GET /v1/plan?kind=switchover", &home);
    compare("plan/home.txt", &agent.shows(&["plan", "switchover"]));
}

#[test]
fn executions_are_listed_and_each_is_shown_with_its_steps() {
    let all = [
        sample::execution(2, ExecutionState::Aborted),
        mainstay_agent::types::Execution {
            id: "bank-3".into(),
            ..sample::execution(5, ExecutionState::Succeeded)
        },
    ];
    let agent = FakeAgent::new().answers("GET /v1/executions", &all);
    compare("executions/list.txt", &agent.shows(&["executions"]));
    compare("executions/one.txt", &agent.shows(&["executions", "bank-4"]));
    compare("executions/none-such.txt", &agent.shows(&["executions", "bank-9"]));
    let agent = FakeAgent::new().answers("GET /v1/executions", &json!([]));
    compare("executions/none.txt", &agent.shows(&["executions"]));
}

#[test]
fn salvage_is_listed_shown_side_by_side_and_exported() {
    let agent = FakeAgent::new()
        .answers("GET /v1/salvage", &[sample::salvage()])
        .gives("GET /v1/salvage/bank-db-east-3", 200, SALVAGED.to_owned())
        .gives("GET /v1/salvage/bank-db-east-3/sql?open=true", 200, "BEGIN;\n".to_owned())
        .gives("GET /v1/salvage/bank-db-east-3/sides?limit=20&open=false", 200, SIDES.to_owned())
        .gives("GET /v1/salvage/bank-db-east-3/sides?limit=1&open=true", 200, String::new());
    compare("salvage/list.txt", &agent.shows(&["salvage", "list"]));
    let show = ["salvage", "show", "bank-db-east-3"];
    let shown = agent.shows(&show);
    assert!(shown.lines().all(|line| line.chars().count() <= 100), "{shown}");
    compare("salvage/show.txt", &shown);
    let open = ["salvage", "show", "bank-db-east-3", "--limit", "1", "--open"];
    compare("salvage/none-open.txt", &agent.shows(&open));
    let lines = agent.run(&["salvage", "show", "bank-db-east-3", "--output", "json"]).stdout;
    assert_eq!(String::from_utf8_lossy(&lines), SIDES, "JSON lines as the agent gives them");
    let exported = agent.run(&["salvage", "export", "bank-db-east-3"]).stdout;
    assert_eq!(String::from_utf8_lossy(&exported), SALVAGED, "an export is the file to the byte");
    let sql = ["salvage", "export", "bank-db-east-3", "--form", "sql", "--open"];
    assert_eq!(agent.run(&sql).stdout, b"BEGIN;\n");
    let whole = ["salvage", "export", "bank-db-east-3", "--open"];
    compare("salvage/json-is-whole.txt", &agent.shows(&whole));
    compare("salvage/not-an-id.txt", &agent.shows(&["salvage", "show", "../../etc/passwd"]));
}

#[test]
fn salvage_is_replayed_and_rejected_and_what_is_left_says_what_to_type() {
    let agent = FakeAgent::new()
        .answers("POST /v1/salvage/replay", &sample::replay())
        .answers("POST /v1/salvage/replay", &sample::replay_left())
        .answers("POST /v1/salvage/reject", &json!({"transactions": 2, "rejected_before": 1}));
    let id = "bank-db-east-3";
    compare("salvage/replay.txt", &agent.shows(&["salvage", "replay", id]));
    let (first, second) = ("1/6B374E00", "1/6b374f20");
    let named = ["salvage", "replay", id, "--transaction", first, "--transaction", second];
    compare("salvage/replay-left.txt", &agent.shows(&named));
    agent.run(&[&named[..], &["--overwrite", "--reason", "both are right"]].concat());
    assert_eq!(
        agent.asked("POST /v1/salvage/replay"),
        [
            r#"{"id":"bank-db-east-3","transactions":[],"reason":"","overwrite":false}"#,
            r#"{"id":"bank-db-east-3","transactions":["1/6B374E00","1/6B374F20"],"reason":"","overwrite":false}"#,
            r#"{"id":"bank-db-east-3","transactions":["1/6B374E00","1/6B374F20"],"reason":"both are right","overwrite":true}"#,
        ]
    );
    let reject = ["salvage", "reject", id, "--reason", "paid back by hand"];
    compare("salvage/reject.txt", &agent.shows(&reject));
    compare("salvage/no-reason.txt", &agent.shows(&["salvage", "reject", id, "--reason", " "]));
    assert_eq!(
        agent.asked("POST /v1/salvage/reject"),
        [r#"{"id":"bank-db-east-3","transactions":[],"reason":"paid back by hand"}"#]
    );
}

#[test]
fn a_stopped_link_goes_on_and_a_schema_change_is_left_out_by_its_position() {
    let continued = |left_out: Option<&str>| json!({"application": "bank", "store": "db", "site": "west", "left_out": left_out});
    let agent = FakeAgent::new().answers("POST /v1/link/continue", &continued(None));
    compare("link/continue.txt", &agent.shows(&["link", "continue"]));
    let agent = FakeAgent::new().answers("POST /v1/link/continue", &continued(Some("0/16B3748")));
    let left_out = ["link", "continue", "bank/db", "--leave-out", "0/16b3748", "--reason", "made"];
    compare("link/left-out.txt", &agent.shows(&left_out));
    assert_eq!(
        agent.asked("POST /v1/link/continue"),
        [r#"{"application":"bank","store":"db","leave_out":"0/16B3748","reason":"made"}"#]
    );
    compare("link/no-store.txt", &agent.shows(&["link", "continue", "bank/"]));
}

fn compared(state: serde_json::Value) -> serde_json::Value {
    let mut view = json!({"application": "bank", "store": "db", "site": "west",
        "started_micros": 1_795_226_400_000_000_i64});
    view.as_object_mut().expect("an object").extend(state.as_object().expect("one").clone());
    view
}

const FOLLOWED: &str = "GET /v1/compare?application=bank&store=db";

fn reading() -> serde_json::Value {
    let progress = json!({"kind": "postgres", "tables_done": 2, "tables": 12, "table": "public.transfer",
        "table_bytes": 812_u64 << 20, "bytes": 1200_u64 << 20, "total_bytes": 9000_u64 << 20});
    compared(json!({"state": "running", "progress": progress, "seconds_left": 240}))
}

#[test]
fn a_comparison_is_followed_to_its_end_with_its_notes_and_refused_tables() {
    let unlike = json!({"table": "public.wide", "rows_source": 0, "rows_target": 0,
        "differences": 0, "differing": [],
        "unlike": "column \"id\" is integer at the source, bigint at the target"});
    let ended = compared(json!({"state": "ended", "ended_micros": 1, "result": {
        "kind": "postgres", "position": "1/6B374D84", "equal": false, "tables": [unlike], "sequences": [],
        "notes": ["extension \"hstore\" is 1.7 at the source, 1.8 at the target"],
        "bytes": 9_000_000, "seconds": 1.5}}));
    let follow = |agent: FakeAgent, arguments: &[&str]| {
        let agent = agent.answers("POST /v1/compare", &reading()).answers(FOLLOWED, &reading());
        agent.answers(FOLLOWED, &ended).shows(arguments)
    };
    compare("compare/followed.txt", &follow(FakeAgent::new(), &["compare"]));
    let json = follow(FakeAgent::new(), &["compare", "--output", "json"]);
    compare("compare/followed-as-json.txt", &json);
    let refusal = "{\"code\": \"MS-AGENT-016\", \"message\": \"no answer\", \"advice\": \"-\"}";
    let unheard = FakeAgent::new().gives(FOLLOWED, 409, refusal.to_owned());
    assert_eq!(follow(unheard, &["compare"]), follow(FakeAgent::new(), &["compare"]));
}

#[test]
fn a_comparison_that_failed_or_was_lost_with_its_agent_is_unknown() {
    let error = json!({"code": "MS-AGENT-014", "advice": "make it again while the link streams",
        "message": "whether both sides are equal is unknown: the link does not move"});
    let failed = compared(json!({"state": "failed", "ended_micros": 1, "error": error}));
    let agent = FakeAgent::new().answers("POST /v1/compare", &failed);
    compare("compare/failed.txt", &agent.shows(&["compare"]));
    let lost = json!({"code": "MS-AGENT-014", "advice": "make it again while the link streams",
        "message": "whether both sides are equal is unknown: west has made no comparison since \
                    its agent began"});
    let agent = FakeAgent::new().answers("POST /v1/compare", &reading());
    let agent = agent.gives(FOLLOWED, 409, lost.to_string());
    compare("compare/lost.txt", &agent.shows(&["compare"]));
}

#[test]
fn a_comparison_names_its_position_and_fails_when_the_sites_differ() {
    let table = |differences: u64| {
        let differing =
            vec![json!({"key": ["17"], "kind": "only-at-source"}); differences as usize];
        json!({"table": "public.accounts", "rows_source": 100_000, "rows_target": 100_000 - differences,
            "differences": differences, "differing": differing, "unlike": null})
    };
    let comparison = |equal: bool, differences| {
        compared(json!({"state": "ended", "ended_micros": 1, "result": {
            "kind": "postgres", "position": "1/6B374D84", "equal": equal, "tables": [table(differences)],
            "sequences": [], "notes": [], "bytes": 9_000_000, "seconds": 1.5}}))
    };
    let agent = FakeAgent::new().answers("POST /v1/compare", &comparison(true, 0));
    compare("compare/equal.txt", &agent.shows(&["compare", "bank", "db"]));
    assert_eq!(agent.asked("POST /v1/compare"), [r#"{"application":"bank","store":"db"}"#]);
    let agent = FakeAgent::new().answers("POST /v1/compare", &comparison(false, 2));
    compare("compare/different.txt", &agent.shows(&["compare"]));
}

#[test]
fn without_an_agent_the_error_names_the_socket_and_how_to_start_one() {
    let folder = FakeAgent::new().stop();
    std::fs::remove_file(folder.path().join("agent.sock")).expect("the socket was there");
    let ask = |extra: &[&str]| {
        let mut command = mainstay(folder.path());
        command.arg("--state").arg(folder.path()).arg("status").args(extra);
        shown(&command.output().expect("it runs"), folder.path())
    };
    compare("silent.txt", &ask(&[]));
    compare("silent-as-json.txt", &ask(&["--output", "json"]));
}

#[test]
fn a_refusal_is_shown_with_its_code_and_what_to_do() {
    let refusal = ApiError {
        code: "MS-AGENT-012".into(),
        message: "the lag of db is unknown".into(),
        advice: "mainstay failover --accept-loss 30s".into(),
    };
    let text = serde_json::to_string(&refusal).expect("JSON");
    let agent = FakeAgent::new().gives("GET /v1/plan?kind=switchover", 409, text);
    compare("refused.txt", &agent.shows(&["plan", "switchover"]));
    let agent = FakeAgent::new().gives("GET /v1/status", 200, "<html>".into());
    compare("strange.txt", &agent.shows(&["status"]));
}

#[test]
fn an_application_that_is_not_there_is_said_so() {
    let agent = FakeAgent::new().answers("GET /v1/status", &sample::status());
    compare("status/no-such-application.txt", &agent.shows(&["status", "till"]));
}

/// Status and messages between agents hold a link's phase beside its counters.
#[test]
fn a_link_of_every_phase_reads_back_as_it_was_written() {
    let reason = "why".to_owned();
    let phases = [
        LinkPhase::Starting,
        LinkPhase::Copying {
            tables_done: 1,
            tables: 2,
            rows: 3,
            bytes: 4,
            total_bytes: 5,
            keys_done: 6,
            keys: 7,
            seconds_left: Some(8),
        },
        LinkPhase::Streaming,
        LinkPhase::Disconnected { reason: reason.clone() },
        LinkPhase::Stopped { code: "MS-PG-001".to_owned(), reason },
    ];
    for phase in phases {
        let written = serde_json::to_string(&link(phase.clone(), Lag::Unknown)).expect("JSON");
        let read: LinkView = serde_json::from_str(&written).expect("what was written");
        assert_eq!(read.status, link(phase, Lag::Unknown).status);
    }
}

/// The argument of `lab kill` and the option `--site` are two things.
#[test]
fn a_lab_that_is_not_up_is_said_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = mainstay(folder.path()).args(["lab", "kill", "east"]).output().expect("it runs");
    let told = shown(&output, folder.path());
    assert!(told.contains("MS-LAB-004") && told.contains("mainstay lab up"), "{told}");
    assert_eq!(output.status.code(), Some(1));
}
