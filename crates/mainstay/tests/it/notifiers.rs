//! `[alerts.<name>]` as it is checked, and `mainstay alerts` as it is shown.

use crate::check::told;
use crate::fake::FakeAgent;
use crate::golden::{compare, mainstay};
use crate::sample::{NOON, site};
use mainstay_agent::types::{Alerts, NotifierView, Tested, Tried};
use mainstay_alerts::Status;
use mainstay_alerts::desk::{Counts, Delivered, Pending, Trouble};
use mainstay_core::NotifierName;

const TLS: &str = "[tls]\ndirectory = \"tls\"\n";

/// The example with these alerts.
fn told_of(name: &str, alerts: &str, arguments: &[&str]) {
    told(name, &[(TLS, &format!("{TLS}\n{alerts}\n"))], arguments);
}

#[test]
fn the_alerts_of_the_guide_are_good() {
    let page = include_str!("../../../../docs/guides/alerts.md");
    let written = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
    let folder = tempfile::tempdir().expect("a folder");
    let example = include_str!("../../src/config/example.toml");
    let text = format!("{example}\n{}", written.expect("the guide has an example"));
    std::fs::write(folder.path().join("mainstay.toml"), text).expect("a file");
    let checked = mainstay(folder.path()).args(["check", "--file-only"]).output().expect("it runs");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}

#[test]
fn each_kind_of_notifier_needs_its_own_keys() {
    told_of(
        "alerts-stray-and-missing",
        "[alerts.one]\nkind = \"webhook\"\nrun = [\"/bin/true\"]\n\
         [alerts.two]\nkind = \"command\"\nrun = [\"notify\"]\nsecret = \"env:X\"\n\
         [alerts.three]\nkind = \"email\"\nencryption = \"none\"\npassword = \"env:X\"\n\
         [alerts.four]\nkind = \"alertmanager\"\nurl = \"http://127.0.0.1:9093\"\nevery = \"off\"\n\
         applications = [\"bnak\"]\n",
        &["--file-only"],
    );
    told_of(
        "alerts-bad-words",
        "[alerts.one]\nkind = \"pager\"\nleast = \"low\"\nfrom = \"ops\"\n",
        &["--file-only"],
    );
}

#[test]
fn the_url_of_a_webhook_is_never_repeated() {
    let hook = |url: &str| format!("[alerts.hook]\nkind = \"webhook\"\nurl = \"{url}\"\n");
    told_of("alerts-url-refused", &hook("ftp://hooks.example.org/canary"), &[]);
    told_of("alerts-url-not-kept", &hook("env:NOT_SET"), &["--site", "witness"]);
    // What is kept there is no URL.
    told_of("alerts-url-kept-badly", &hook("env:BANK_DB_PASSWORD"), &[]);
}

fn name(name: &str) -> NotifierName {
    NotifierName::new(name).expect("a name")
}

#[test]
fn alerts_are_listed_with_what_waits_what_was_delivered_and_what_fails() {
    let works = NotifierView {
        name: name("pager"),
        kind: "webhook".into(),
        place: "https://hooks.example.org:443".into(),
        trouble: None,
        pending: vec![],
        delivered: vec![Delivered {
            key: "bank/link-stopped/db from east to west".into(),
            status: Status::Begun,
            what: "the link of db from east to west stopped: a table has no key".into(),
            micros: NOON,
        }],
        counts: Counts { sent: 1, ..Counts::default() },
    };
    let fails = NotifierView {
        name: name("team"),
        kind: "email".into(),
        place: "ops@example.org by mail.example.org:587".into(),
        trouble: Some(Trouble { why: "refused".into(), since_micros: NOON, failures: 7 }),
        pending: vec![Pending {
            key: "bank/link-stopped/db from east to west".into(),
            status: Status::Begun,
            what: "the link of db from east to west stopped: a table has no key".into(),
            since_micros: NOON,
        }],
        delivered: vec![],
        counts: Counts { failed: 7, left_out: 1, sent: 0 },
    };
    let all = Alerts { here: site("east"), notifiers: vec![works, fails] };
    let agent = FakeAgent::new().answers("GET /v1/alerts", &all);
    compare("alerts/list.txt", &agent.shows(&["alerts", "list"]));
    let none = Alerts { here: site("east"), notifiers: vec![] };
    let agent = FakeAgent::new().answers("GET /v1/alerts", &none);
    compare("alerts/nobody.txt", &agent.shows(&["alerts", "list"]));
}

#[test]
fn a_test_says_what_became_of_each_and_fails_when_one_did() {
    let tried = |word: &str, failed: Option<&str>| Tried {
        name: name(word),
        kind: "webhook".into(),
        place: "https://hooks.example.org:443".into(),
        took_s: 0.25,
        failed: failed.map(str::to_owned),
    };
    let tested = Tested {
        here: site("east"),
        tried: vec![tried("good", None), tried("bad", Some("answered 500 Internal Server Error"))],
    };
    let agent = FakeAgent::new().answers("POST /v1/alerts/test", &tested);
    compare("alerts/test.txt", &agent.shows(&["alerts", "test"]));
}
