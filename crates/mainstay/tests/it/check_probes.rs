//! `mainstay check` of probes: whatever could not work, or could be led astray, is refused.

use crate::check::told;

const WEB: &str = r#"[applications.bank.probes.web]
kind = "http"
path = "/health"
status = "200-204"
body = "well"
addresses = { east = "east.bank.example.org:8080", west = "west.bank.example.org:8080" }
"#;

/// The example with these probes.
fn told_of(name: &str, probes: &str) {
    told_with(name, probes, &[], &[]);
}

fn told_with(name: &str, probes: &str, edits: &[(&str, &str)], arguments: &[&str]) {
    let gates = "[applications.bank.gates.east]\n";
    let with = format!("{probes}\n{gates}");
    let edits: Vec<_> = [(gates, with.as_str())].into_iter().chain(edits.iter().copied()).collect();
    told(&format!("probe-{name}"), &edits, arguments);
}

/// The web probe with a text replaced.
fn told_of_web(name: &str, from: &str, to: &str) {
    assert!(WEB.contains(from), "{from:?} is not there");
    told_of(name, &WEB.replacen(from, to, 1));
}

#[test]
fn every_kind_of_probe_can_be_written() {
    let others = r#"
[applications.bank.probes.port]
kind = "tcp"
interval = "500ms"
timeout = "300ms"
threshold = 3
addresses.east = "10.0.1.10:8080"
addresses.west = "[2001:db8::2]:8080"

[applications.bank.probes.write]
kind = "postgres"
store = "db"
addresses.east = "10.0.1.10:6432"

[applications.bank.probes.as-the-bank]
kind = "postgres"
store = "db"
statement = "INSERT INTO alive (one, at) VALUES (1, now()) ON CONFLICT (one) DO UPDATE SET at = now()"
user = "bank"
password = "env:BANK_DB_PASSWORD"
addresses = { east = "10.0.1.10:6432", west = "10.0.2.10:6432" }

[applications.bank.probes.cache]
kind = "redis"
user = "probe"
password = "env:BANK_DB_PASSWORD"
write = true
authority = "tls/ca.pem"
addresses = { east = "10.0.1.40:6379", west = "10.0.2.40:6379" }

[applications.bank.probes.script]
kind = "command"
command = ["/usr/local/bin/look-at-bank", "--deep"]
"#;
    let allowed = ("# A bank", "probe-commands = [\"/usr/local/bin/look-at-bank\"]\n# A bank");
    told_with("good", &format!("{WEB}{others}"), &[allowed], &[]);
    told_with("good-at-the-witness", &format!("{WEB}{others}"), &[allowed], &["--site", "witness"]);
    told_of_web("web-by-pattern", "body = \"well\"", "body-matches = '\"status\": *\"(ok|well)\"'");
}

#[test]
fn a_value_that_cannot_stand_there_is_refused() {
    told_of_web("kind", "kind = \"http\"", "kind = \"https\"");
    told_of_web("status", "200-204", "204-200");
    told_of_web("pattern", "body = \"well\"", "body-matches = \"(well\"");
    told_of_web("path", "path = \"/health\"", "path = \"/health\\r\\nx-evil: 1\"");
    told_of_web("address", "east.bank.example.org:8080", "east.bank.example.org/x:8080");
    told_of_web("threshold", "kind =", "threshold = \"3\"\nkind =");
    told_of_web("threshold-of-none", "kind =", "threshold = 0\nkind =");
    told_of_web("too-often", "kind =", "interval = \"10ms\"\nkind =");
    told_of_web("two-bodies", "kind =", "body-matches = \"w\"\nkind =");
}

#[test]
fn each_kind_has_its_own_keys_and_every_site_its_address() {
    told_of_web("keys-of-another-kind", "kind = \"http\"", "kind = \"tcp\"");
    told_of_web("one-site-left-out", ", west = \"west.bank.example.org:8080\"", "");
    told_of_web("site-not-there", "west = \"west.", "north = \"west.");
    told_of("nothing-written", "[applications.bank.probes.web]\nkind = \"redis\"\n");
    told_of(
        "no-such-store",
        &format!("{WEB}\n[applications.bank.probes.write]\nkind = \"postgres\"\nstore = \"dbx\"\n"),
    );
}

#[test]
fn a_write_as_the_application_makes_it_is_written_whole() {
    told_of(
        "client-halves",
        &format!(
            "{WEB}\n[applications.bank.probes.write]\nkind = \"postgres\"\nstore = \"db\"\n\
             statement = \"INSERT INTO alive VALUES (1)\"\n"
        ),
    );
}

#[test]
fn a_probe_that_notices_a_loss_too_late_for_the_lease_is_refused() {
    told_of_web("too-slow", "kind =", "interval = \"3s\"\ntimeout = \"2s\"\nthreshold = 3\nkind =");
    told_of_web("just-fast-enough", "kind =", "interval = \"3s\"\ntimeout = \"2s\"\nkind =");
}

#[test]
fn link_local_addresses_are_refused_unless_told() {
    for (name, address) in [
        ("metadata", "169.254.169.254:80"),
        ("link-local-6", "[fe80::1]:80"),
        ("mapped", "[::ffff:169.254.1.1]:80"),
    ] {
        told_of_web(name, "east.bank.example.org:8080", address);
    }
    let told = WEB.replacen("kind =", "link-local = true\nkind =", 1);
    told_of("link-local-told", &told.replacen("east.bank.example.org:8080", "169.254.1.1:80", 1));
}

#[test]
fn a_program_must_be_allowed_and_named_whole() {
    let command = |words: &str| {
        format!("{WEB}\n[applications.bank.probes.script]\nkind = \"command\"\ncommand = {words}\n")
    };
    told_of("not-allowed", &command("[\"/usr/bin/curl\", \"https://example.org\"]"));
    told_of("not-whole", &command("[\"curl\"]"));
    told_of("no-program", &command("[]"));
}

#[test]
fn a_witness_must_be_able_to_look() {
    told_of(
        "witness-sees-nothing",
        "[applications.bank.probes.write]\nkind = \"postgres\"\nstore = \"db\"\n",
    );
}
