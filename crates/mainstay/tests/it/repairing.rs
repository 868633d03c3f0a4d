//! `mainstay repair` as a person sees it.

use crate::fake::FakeAgent;
use crate::golden::compare;
use crate::sample::{bank, site};
use mainstay_agent::types::{RepairState, RepairSummary};
use mainstay_core::StoreName;
use mainstay_core::position::Lsn;
use mainstay_stores::postgres::repair::{Repaired, Undone};
use serde_json::{Value, json};

const ID: &str = "bank-db-repair-1";

fn repair(dry_run: bool) -> RepairSummary {
    RepairSummary {
        id: ID.to_owned(),
        application: bank(),
        store: StoreName::new("db").expect("a name"),
        site: site("west"),
        from: site("east"),
        dry_run,
        tables: Vec::new(),
        reason: "a person wrote at the standby".to_owned(),
        by: "ana".to_owned(),
        state: RepairState::Done,
        started_micros: 1_795_300_000_000_000,
        ended_micros: Some(1_795_300_001_500_000),
        differences: Some(5),
        repaired: Repaired {
            inserted: 1,
            updated: 2,
            deleted: 1,
            equal_by_now: 1,
            refused: Default::default(),
            position: Some(Lsn(0x2961D58)),
        },
        why: None,
        undone: None,
        undone_by: None,
    }
}

fn begun() -> RepairSummary {
    let state = RepairState::Comparing;
    let repaired = Repaired::default();
    RepairSummary { state, ended_micros: None, differences: None, repaired, ..repair(false) }
}

#[test]
fn a_repair_is_followed_to_its_end_and_says_how_to_take_it_back() {
    let ended = format!("GET /v1/repairs/{ID}");
    let agent =
        FakeAgent::new().answers("POST /v1/repair", &begun()).answers(&ended, &repair(false));
    compare("repair/done.txt", &agent.shows(&["repair", "bank/db", "--reason", "why"]));
    let asked: Value = serde_json::from_str(&agent.asked("POST /v1/repair")[0]).expect("JSON");
    let wanted = json!({"application": "bank", "store": "db", "tables": [], "dry_run": false,
        "relink": false, "reason": "why"});
    assert_eq!(asked, wanted);

    let agent = FakeAgent::new().answers("POST /v1/repair", &repair(true));
    compare("repair/dry-run.txt", &agent.shows(&["repair", "--dry-run"]));
}

#[test]
fn a_repair_that_left_something_is_no_success() {
    let mut left = repair(false);
    left.repaired.refused.insert("public.loose".into(), "it has no key".into());
    let agent = FakeAgent::new().answers("POST /v1/repair", &left);
    compare("repair/refused.txt", &agent.shows(&["repair"]));
    let failed = RepairSummary {
        state: RepairState::Failed,
        why: Some("MS-PG-152: west: the repair stopped: the link has stopped".into()),
        ..repair(false)
    };
    let agent = FakeAgent::new().answers("POST /v1/repair", &failed);
    compare("repair/failed.txt", &agent.shows(&["repair"]));
}

#[test]
fn repairs_are_listed_shown_and_undone() {
    let undone = RepairSummary {
        id: "bank-db-repair-0".into(),
        undone: Some(Undone { restored: 3, left: 1 }),
        undone_by: Some("ben".to_owned()),
        ..repair(false)
    };
    let all = [repair(true), repair(false), undone.clone()];
    let agent = FakeAgent::new().answers("GET /v1/repairs", &all);
    compare("repair/list.txt", &agent.shows(&["repair", "list"]));
    let agent = FakeAgent::new().answers("POST /v1/repair/undo", &undone);
    compare("repair/undone.txt", &agent.shows(&["repair", "undo", "bank-db-repair-0"]));

    let rows = [
        json!({"table": "public.accounts", "key": {"id": "5"}, "before": {"id": "5", "owner": "x"},
            "after": {"id": "5", "owner": null}, "position": "0/1"}),
        json!({"table": "public.accounts", "key": {"id": "7"}, "before": null,
            "after": {"id": "7", "owner": "y"}, "position": "0/1"}),
        json!({"table": "public.accounts", "key": {"id": "9"}, "before": {"id": "9"},
            "after": null, "position": "0/1"}),
    ];
    let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
    let path = format!("GET /v1/repairs/{ID}/rows");
    let agent = FakeAgent::new().gives(&path, 200, lines);
    compare("repair/rows.txt", &agent.shows(&["repair", "show", ID, "--limit", "2"]));
}
