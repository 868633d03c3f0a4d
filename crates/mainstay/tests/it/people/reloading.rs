//! An agent that is told, by SIGHUP, to read its configuration again. The oracle is who gets in
//! afterwards, and its ledger.

use super::office::{Office, refusal};
use mainstay_core::people::Role;
use mainstay_testkit::{Signal, signal, wait_for};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(120);

fn edit(office: &Office, from: &str, to: &str) {
    let file = office.path().join("mainstay.toml");
    let text = std::fs::read_to_string(&file).expect("the configuration");
    assert!(text.contains(from), "{from:?} is not there");
    std::fs::write(&file, text.replacen(from, to, 1)).expect("it can be written");
    signal(office.pid(), Signal::SIGHUP);
}

fn ledger(office: &Office) -> String {
    let shown = office.here(&["ledger", "show", "--kind", "configuration-read"]);
    String::from_utf8_lossy(&shown.stdout).into_owned()
}

#[tokio::test]
async fn who_may_do_what_changes_at_once_and_the_rest_is_named_and_waits() {
    let office = Office::open().await;
    let viewer = office.token_file(Role::Viewer);
    let approves = || refusal(&office.with_token(&viewer, &["approve", "none"]));
    assert_eq!(approves(), "MS-PEOPLE-003", "a viewer");
    edit(&office, "role = \"viewer\"", "role = \"approver\"");
    wait_for("it is read", LONG, async || approves() == "MS-PEOPLE-005").await;
    assert!(
        ledger(&office).contains("{\"after_a_restart\":[],\"people\":true}"),
        "{}",
        ledger(&office)
    );

    edit(&office, "[people.viewer]", "[people.somebody-else]");
    wait_for("nobody is a viewer", LONG, async || ledger(&office).matches("true").count() == 2)
        .await;
    assert_eq!(approves(), "MS-PEOPLE-005", "a token is who it is, by whatever name");
    std::fs::write(office.token_file(Role::Admin), "x".repeat(40)).expect("a file");
    edit(&office, "cool-down = \"10m\"", "cool-down = \"3m\"");
    let waits = "{\"after_a_restart\":[\"applications.bank\"],\"people\":true}";
    wait_for("it is named", LONG, async || ledger(&office).contains(waits)).await;
}

#[tokio::test]
async fn a_wrong_file_changes_nothing_and_is_told() {
    let office = Office::open().await;
    let operator = office.token_file(Role::Operator);
    edit(&office, "role = \"operator\"", "role = \"emperor\"");
    let told = "the configuration stays as it was";
    wait_for("it is told", LONG, async || office.log().contains(told)).await;
    let refused = office.with_token(&operator, &["approve", "none"]);
    assert_eq!(refusal(&refused), "MS-PEOPLE-003", "an operator still");
    assert!(office.log().contains("emperor"), "{}", office.log());
    assert!(!ledger(&office).contains("people"), "{}", ledger(&office));
    edit(&office, "role = \"emperor\"", "role = \"approver\"");
    wait_for("it is read", LONG, async || {
        refusal(&office.with_token(&operator, &["approve", "none"])) == "MS-PEOPLE-005"
    })
    .await;
}
