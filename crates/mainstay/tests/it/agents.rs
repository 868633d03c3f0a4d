//! What people tell agents to do about rows that differ, on a lab that is up. The oracle is psql
//! at both databases.

use crate::pausing::user;
use crate::up::UpLab;
use mainstay_testkit::wait_for;
use std::path::Path;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(180);

/// Rows that no client of the lab changes.
const QUIET: &str = "CREATE TABLE public.quiet (id int PRIMARY KEY, v text NOT NULL); \
    INSERT INTO public.quiet SELECT i, 'v' || i FROM generate_series(1, 2000) i";
const SPOILT: &str = "SET session_replication_role = replica; \
    UPDATE public.quiet SET v = 'spoilt' WHERE id = 7; DELETE FROM public.quiet WHERE id = 8; \
    INSERT INTO public.quiet VALUES (9000, 'only here')";
const ROWS: &str = "SELECT string_agg(t::text, ',' ORDER BY id) FROM public.quiet t";

async fn quiet_table(lab: &UpLab) {
    lab.sql("east", QUIET);
    let there = "SELECT count(*) FROM pg_tables WHERE tablename = 'quiet'";
    wait_for("the table is at west", LONG, async || lab.sql("west", there) == "1").await;
    let rows = lab.sql("east", ROWS);
    wait_for("its rows are at west", LONG, async || lab.sql("west", ROWS) == rows).await;
}

fn differing(lab: &UpLab) -> u64 {
    let compared = lab.json(&["compare"]);
    let tables = compared["tables"].as_array().unwrap_or_else(|| panic!("{compared:#}"));
    let rows = tables.iter().map(|table| table["differences"].as_u64().expect("a number")).sum();
    assert_eq!(compared["equal"], rows == 0, "{compared:#}");
    rows
}

#[tokio::test]
async fn rows_that_differ_are_repaired_and_brought_back_by_the_standbys_agent() {
    let lab = UpLab::start();
    quiet_table(&lab).await;
    assert_eq!(differing(&lab), 0, "while clients transfer money");
    lab.sql("west", SPOILT);
    let spoilt = lab.sql("west", ROWS);
    assert_eq!(differing(&lab), 3);

    let dry = lab.json(&["repair", "--dry-run"]);
    assert_eq!(lab.sql("west", ROWS), spoilt, "a dry run changes nothing: {dry:#}");
    let repaired = lab.json(&["repair", "--reason", "a test"]);
    let told = &repaired["repaired"];
    let told = [&told["inserted"], &told["updated"], &told["deleted"]].map(|n| n.as_u64());
    assert_eq!(told, [Some(1); 3], "{repaired:#}");
    assert_eq!(lab.sql("west", ROWS), lab.sql("east", ROWS));
    assert_eq!(differing(&lab), 0);

    lab.done(&["repair", "undo", repaired["id"].as_str().expect("an id")]);
    assert_eq!(lab.sql("west", ROWS), spoilt);
    lab.done(&["ledger", "verify"]);
    for kind in ["comparison-asked", "repair-begun", "repair-undo-begun"] {
        let shown = lab.at("west", &["ledger", "show", "--kind", kind]);
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert!(shown.contains(&format!("\"by\":\"{}\"", user())), "{kind}: {shown}");
    }
}

/// The lost site's slot is gone, and with it the history of what only that site had accepted.
#[tokio::test]
async fn a_return_without_its_history_asks_a_person_and_then_touches_only_what_differs() {
    let lab = UpLab::start();
    quiet_table(&lab).await;
    lab.done(&["lab", "kill", "east"]);
    wait_for("west serves", LONG, async || {
        let status = lab.json(&["status"]);
        let bank = &status["applications"][0];
        bank["active"] == "west" && bank["serving"] == true
    })
    .await;
    lab.sql("west", "UPDATE public.quiet SET v = 'since' WHERE id = 3");
    let slots = lab.root().join("sites/east/postgres/pg_replslot");
    forget_slots(&slots);
    lab.done(&["lab", "start", "east"]);

    wait_for("the way back asks", LONG, async || asked(&lab).is_some()).await;
    let asked = asked(&lab).expect("it asks");
    assert!(asked.contains("mainstay return continue --inexact"), "{asked}");
    assert_ne!(lab.sql("east", ROWS), lab.sql("west", ROWS), "nothing is touched before the word");
    lab.done(&["return", "continue", "--inexact", "--reason", "its slot is lost"]);
    wait_for("east is back", LONG, async || {
        let status = lab.json(&["status"]);
        status["applications"][0]["equality"].to_string().contains("\"equal\"")
    })
    .await;
    assert_eq!(lab.sql("east", ROWS), lab.sql("west", ROWS));
    let salvages = lab.json(&["salvage", "list"]).to_string();
    assert!(salvages.contains("inexact\":{") || salvages.contains("inexact\":\""), "{salvages}");
}

fn asked(lab: &UpLab) -> Option<String> {
    let status = lab.run(&["status"]);
    let text = String::from_utf8_lossy(&status.stdout).into_owned();
    text.contains("return continue").then_some(text)
}

/// As a disk that came back without them: the server is not running.
fn forget_slots(folder: &Path) {
    for slot in std::fs::read_dir(folder).expect("its slots") {
        std::fs::remove_dir_all(slot.expect("a slot").path()).expect("it can be removed");
    }
}
