//! `mainstay check` of a person's steps: what could not work, or could be led astray, is refused.

use crate::check::told;

const SCALE: &str = r#"[[applications.bank.runbook.failover]]
name = "more-workers"
kind = "scale"
after = "promote"
command = ["/opt/dr/scale", "workers", "12", "--key", "{key}"]
probe = ["/opt/dr/scale-is", "workers", "12"]
"#;

/// The example with these steps.
fn told_of(name: &str, steps: &str) {
    let gates = "[applications.bank.gates.east]\n";
    let with = format!("{steps}\n{gates}");
    let allowed = "step-commands = [\"/opt/dr/scale\", \"/opt/dr/scale-is\"]\n# A bank";
    told(&format!("step-{name}"), &[(gates, &with), ("# A bank", allowed)], &[]);
}

fn told_of_scale(name: &str, from: &str, to: &str) {
    assert!(SCALE.contains(from), "{from:?} is not there");
    told_of(name, &SCALE.replacen(from, to, 1));
}

#[test]
fn every_kind_of_step_can_be_written() {
    let others = r#"
[[applications.bank.runbook.failover]]
name = "address"
kind = "repoint"
after = "more-workers"
needs = ["more-workers"]
to = "west"
file = "/etc/bank/database.env"
variables = { DATABASE = "{gate.db}" }
reload = ["/opt/dr/scale", "reload"]

[[applications.bank.runbook.failover]]
name = "count"
kind = "verify"
instead = "verify"
store = "db"
query = "SELECT count(*) FROM accounts"
at-least = 1

[[applications.bank.runbook.failover]]
name = "tell"
kind = "http"
after = "count"
group = "last"
address = "10.0.9.9:80"
path = "/moved"
body = '{"to": "{to}"}'
optional = true

[[applications.bank.runbook.failover]]
name = "warm"
kind = "warm"
after = "count"
group = "last"
address = "10.0.2.10:8080"
list = "/etc/bank/warm.txt"

[[applications.bank.runbook.switchover]]
name = "yes"
kind = "approve"
before = "check"
text = "may the bank move to {to}?"

[[applications.bank.runbook.switchover]]
name = "same"
kind = "deploy"
after = "yes"
version = ["/opt/dr/scale", "version"]
wanted = ["/opt/dr/scale", "version", "{from}"]

[[applications.bank.runbook.switchover]]
name = "rest"
kind = "wait"
after = "promote"
span = "2s"

[[applications.bank.runbook.switchover]]
name = "told"
kind = "notify"
after = "verify"
text = "the bank is at {to}"
"#;
    told_of("good", &format!("{SCALE}{others}"));
}

#[test]
fn a_step_that_could_not_be_made_is_refused() {
    told_of_scale("program", "/opt/dr/scale\"", "/bin/sh\"");
    told_of_scale("relative", "/opt/dr/scale\"", "scale\"");
    told_of_scale("placeholder", "{key}", "{site}");
    told_of_scale("secret", "{key}", "postgres://bank:hush@db/bank");
    told_of_scale("key-of-another-kind", "probe = ", "text = \"x\"\nprobe = ");
    told_of_scale("nothing-to-run", "command", "undo");
    told_of_scale(
        "link-local",
        "kind = \"scale\"",
        "kind = \"http\"\naddress = \"169.254.169.254:80\"",
    );
}

#[test]
fn a_step_that_cannot_stand_there_is_refused() {
    told_of_scale("anchor", "promote", "promotion");
    told_of_scale("instead", "after = \"promote\"", "instead = \"promote\"");
    told_of_scale("nowhere", "after = \"promote\"\n", "");
    told_of_scale("name-taken", "more-workers", "drain");
    told_of("held", &SCALE.replace(".failover", ".switchover").replace("promote", "drain-to-end"));
}
