//! Commands that ask an agent and change nothing.

use crate::fake::FakeAgent;
use crate::golden::{compare, mainstay, shown};
use crate::sample::{self, SALVAGED, link, problem, site};
use mainstay_agent::api::types::{
    ApiError, ExecutionKind, ExecutionState, LinkView, ReturnPhase, ReturnProgress, Status,
};
use mainstay_core::{Lag, LinkPhase};
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
fn a_plan_shows_the_steps_the_loss_and_the_last_time() {
    let agent =
        FakeAgent::new().answers("GET /v1/plan?kind=failover&application=bank", &sample::plan());
    compare("plan/failover.txt", &agent.shows(&["plan", "failover", "bank"]));
    let mut refused = sample::plan();
    refused.loss_bound_s = None;
    refused.refusals = vec![problem(
        "the lag is unknown",
        "mainstay failover --accept-loss 30s, if nothing of east can be saved",
    )];
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
        mainstay_agent::api::types::Execution {
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
fn salvage_is_listed_shown_exported_and_replayed() {
    let agent = FakeAgent::new()
        .answers("GET /v1/salvage", &[sample::salvage()])
        .gives("GET /v1/salvage/bank-db-east-3", 200, SALVAGED.to_owned())
        .answers("POST /v1/salvage/replay", &sample::replay());
    compare("salvage/list.txt", &agent.shows(&["salvage", "list"]));
    compare("salvage/show.txt", &agent.shows(&["salvage", "show", "bank-db-east-3"]));
    compare(
        "salvage/first.txt",
        &agent.shows(&["salvage", "show", "bank-db-east-3", "--limit", "1"]),
    );
    compare("salvage/replay.txt", &agent.shows(&["salvage", "replay", "bank-db-east-3"]));
    let exported = agent.run(&["salvage", "export", "bank-db-east-3"]).stdout;
    assert_eq!(String::from_utf8_lossy(&exported), SALVAGED, "an export is the file to the byte");
    assert_eq!(agent.asked("POST /v1/salvage/replay"), [r#"{"id":"bank-db-east-3"}"#]);
    compare("salvage/not-an-id.txt", &agent.shows(&["salvage", "show", "../../etc/passwd"]));
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

#[test]
fn a_comparison_names_its_position_and_fails_when_the_sites_differ() {
    let table = |differences: u64| {
        let differing =
            vec![json!({"key": ["17"], "kind": "only-at-source"}); differences as usize];
        json!({"table": "public.accounts", "rows_source": 100_000, "rows_target": 100_000 - differences,
            "differences": differences, "differing": differing, "unlike": null})
    };
    let comparison = |equal: bool, differences| {
        json!({"position": "1/6B374D84", "equal": equal, "tables": [table(differences)],
            "sequences": [], "bytes": 9_000_000, "seconds": 1.5})
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
