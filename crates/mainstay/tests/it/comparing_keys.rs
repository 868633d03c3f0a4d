//! What `mainstay compare` shows of a Redis store, and of an application with stores of both kinds.

use crate::fake::FakeAgent;
use crate::golden::compare;
use serde_json::{Value, json};

const HISTORY: &str = "3f0a9c5be2d1478860f1c2b3a4d5e6f708192a3b";

fn view(store: &str, state: &Value) -> Value {
    let mut view = json!({"application": "bank", "store": store, "site": "west",
        "started_micros": 1_795_226_400_000_000_i64});
    view.as_object_mut().expect("an object").extend(state.as_object().expect("one").clone());
    view
}

fn keys(answer: &str, to: u64, differences: u64) -> Value {
    let at = |offset: u64| json!({"history": HISTORY, "offset": offset});
    let differing = |n: u64| {
        let (kind, what) = match n % 3 {
            0 => ("missing", "only one side has it"),
            1 => ("extra", "only one side has it"),
            _ => ("different", "when it expires"),
        };
        json!({"database": n % 2, "key": format!("session:\\xff{n}"), "kind": kind, "what": what})
    };
    let differing: Vec<Value> = (0..differences.min(100)).map(differing).collect();
    json!({"state": "ended", "ended_micros": 1, "result": {"kind": "redis", "from": at(918_271),
        "to": at(to), "answer": answer, "equal": answer == "equal", "keys_source": 41_803,
        "keys_target": 41_802, "differences": differences, "differing": differing, "unsettled": 0,
        "changing": [], "looked_again": 12, "seconds": 3.1}})
}

#[test]
fn a_comparison_of_keys_names_its_positions_and_the_first_keys_that_differ() {
    let equal = view("cache", &keys("equal", 918_271, 0));
    let agent = FakeAgent::new().answers("POST /v1/compare", &equal);
    compare("compare/keys-equal.txt", &agent.shows(&["compare", "bank", "cache"]));
    let reading = json!({"state": "running", "seconds_left": 90,
        "progress": {"kind": "redis", "keys_done": 1200, "keys": 83_605}});
    let agent = FakeAgent::new().answers("POST /v1/compare", &view("cache", &reading)).answers(
        "GET /v1/compare?application=bank&store=cache",
        &view("cache", &keys("different", 921_877, 2_022)),
    );
    compare("compare/keys-differ.txt", &agent.shows(&["compare"]));
}

#[test]
fn without_a_store_all_are_compared_one_after_the_other() {
    let rows = json!({"state": "ended", "ended_micros": 1, "result": {"kind": "postgres",
        "position": "1/6B374D84", "equal": true, "tables": [], "sequences": [], "notes": [],
        "bytes": 9_000_000, "seconds": 1.5}});
    let mut first = view("db", &rows);
    first["others"] = json!(["cache"]);
    let both = |arguments: &[&str]| {
        let agent = FakeAgent::new()
            .answers("POST /v1/compare", &first)
            .answers("POST /v1/compare", &view("cache", &keys("different", 921_877, 1)));
        let shown = agent.shows(arguments);
        let asked = agent.asked("POST /v1/compare");
        let of = |store: &str| format!("{{\"application\":\"bank\",\"store\":{store}}}");
        assert_eq!(asked, [of("null"), of("\"cache\"")]);
        shown
    };
    compare("compare/both.txt", &both(&["compare", "bank"]));
    compare("compare/both-as-json.txt", &both(&["compare", "bank", "--output", "json"]));
}
