//! `mainstay check`: a wrong file is told what is wrong, where, and what to write instead.

use crate::golden::{compare, mainstay, shown};
use std::path::Path;
use tempfile::TempDir;

const GOOD: &str = include_str!("../../src/config/example.toml");

/// A folder with everything that the example names.
fn folder(text: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let tls = folder.path().join("tls");
    std::fs::create_dir(&tls).expect("a folder");
    let sites = ["east", "west", "witness"];
    let own = sites.iter().flat_map(|site| [format!("{site}.pem"), format!("{site}.key")]);
    for name in own.chain(["ca.pem".to_owned(), "databases.pem".to_owned()]) {
        std::fs::write(tls.join(name), "-").expect("a file");
    }
    std::fs::write(folder.path().join("mainstay.toml"), text).expect("a file");
    folder
}

fn check(folder: &Path, arguments: &[&str]) -> std::process::Output {
    mainstay(folder)
        .args(["check", "mainstay.toml"])
        .args(arguments)
        .env("BANK_DB_PASSWORD", "canary-4711")
        .output()
        .expect("it runs")
}

/// The example with some texts replaced must be answered as the golden file says.
pub fn told(name: &str, edits: &[(&str, &str)], arguments: &[&str]) {
    compare(&format!("check/{name}.txt"), &answer(edits, arguments, |_| ()));
}

/// What is said of the example with some texts replaced, and more in the folder than it names.
pub fn answer(edits: &[(&str, &str)], arguments: &[&str], more: impl FnOnce(&Path)) -> String {
    let mut text = GOOD.to_owned();
    for (from, to) in edits {
        assert!(text.contains(from), "{from:?} is not in the example");
        text = text.replacen(from, to, 1);
    }
    let folder = folder(&text);
    more(folder.path());
    let answer = shown(&check(folder.path(), arguments), folder.path());
    assert!(!answer.contains("canary"), "a secret was shown:\n{answer}");
    answer
}

#[test]
fn a_good_file_is_one_line_for_each_application() {
    told("good", &[], &[]);
    told("good-at-the-witness", &[], &["--site", "witness"]);
    told("good-as-json", &[], &["--output", "json"]);
}

#[test]
fn a_typo_is_answered_with_the_key_that_was_meant() {
    told("unknown-key", &[("agent =", "agnet =")], &[]);
    told("unknown-key-as-json", &[("agent =", "agnet =")], &["--output", "json"]);
    told(
        "unknown-table",
        &[("[applications.bank.objectives]", "[applications.bank.objektives]")],
        &[],
    );
    told("stranger", &[("home =", "colour = \"blue\"\nhome =")], &[]);
}

#[test]
fn a_value_of_the_wrong_kind_is_answered_with_what_can_stand_there() {
    told("wrong-type", &[("rto = \"30s\"", "rto = 30")], &[]);
    told("wrong-table", &[("[tls]\ndirectory = \"tls\"", "")], &[]);
    told("bad-duration", &[("\"10m\"", "\"10 minutes\"")], &[]);
    told("bad-address", &[("\"10.0.1.10:7400\"", "\"10.0.1.10\"")], &[]);
    told("bad-word", &[("\"automatic\"", "\"auto\"")], &[]);
    told("bad-name", &[("[sites.east]", "[sites.East]")], &[]);
    told("not-toml", &[("home = \"east\"", "home = east")], &[]);
}

/// The example's store as one of Redis.
fn redis() -> [(&'static str, &'static str); 5] {
    let salvage = "[applications.bank.stores.db.salvage]\n\"public.transfers\" = \
                   \"replay-inserts\"\n\"public.accounts\" = \"keep\"\n";
    let (east, west) =
        ("10.0.1.20:5432\"\ndatabase = \"bank\"", "10.0.2.20:5432\"\ndatabase = \"bank\"");
    [
        ("kind = \"postgres\"", "kind = \"redis\""),
        ("roles = [\"bank\"]", "users = [\"bank\"]"),
        (salvage, ""),
        (east, "10.0.1.20:6379\""),
        (west, "10.0.2.20:6379\""),
    ]
}

#[test]
fn a_store_of_redis_has_users_and_no_database() {
    told("redis-good", &redis(), &[]);
    let [kind, users, salvage, east, west] = redis();
    told("redis-keys-of-another-kind", &[kind], &[]);
    told("redis-without-users", &[kind, (users.0, ""), salvage, east, west], &[]);
    told(
        "redis-locks-itself-out",
        &[kind, (users.0, "users = [\"mainstay\"]"), salvage, east, west],
        &[],
    );
    let password = "password = \"env:BANK_DB_PASSWORD\"\n";
    told("redis-without-password", &[kind, users, salvage, east, west, (password, "")], &[]);
    told(
        "redis-one-server-twice",
        &[kind, users, salvage, east, (west.0, "10.0.1.20:6379\"")],
        &[],
    );
    told("postgres-without-roles", &[("roles = [\"bank\"]\n", "")], &[]);
}

#[test]
fn names_must_be_those_of_the_file() {
    told("unknown-home", &[("home = \"east\"", "home = \"esat\"")], &[]);
    told("home-at-witness", &[("home = \"east\"", "home = \"witness\"")], &[]);
    told(
        "unknown-store",
        &[(
            "[applications.bank.gates.east.stores]\ndb",
            "[applications.bank.gates.east.stores]\ndx",
        )],
        &[],
    );
    told(
        "witness-with-store",
        &[("stores.db.endpoints.west]", "stores.db.endpoints.witness]")],
        &[],
    );
    told("site-not-in-file", &[], &["--site", "north"]);
}

#[test]
fn what_would_not_be_safe_is_refused_with_the_reason() {
    told("one-database-twice", &[("10.0.2.20:5432", "10.0.1.20:5432")], &[]);
    told("address-taken", &[("peer = \"10.0.1.10:7402\"", "peer = \"10.0.1.10:8080\"")], &[]);
    told("lease-out-of-range", &[("lease = \"10s\"", "lease = \"2s\"")], &[]);
    told("automatic-without-witness", &[("witness = true", "witness = false")], &[]);
    told("automatic-at-home", &[("site = \"witness\"", "site = \"east\"")], &[]);
    told("objective-out-of-reach", &[("rto = \"30s\"", "rto = \"8s\"")], &[]);
    told("locks-itself-out", &[("roles = [\"bank\"]", "roles = [\"bank\", \"mainstay\"]")], &[]);
}

/// The example with a name in DNS, and these lines changed.
fn told_of_names(name: &str, edits: &[(&str, &str)]) {
    let mut names = r#"[dns."example.org"]
servers = ["10.0.1.53:53", "10.0.2.53:53"]

[dns."example.org".key]
name = "mainstay"
secret = "env:BANK_DB_PASSWORD"

[applications.bank.names."bank.example.org"]
ttl = "30s"

[applications.bank.names."bank.example.org".addresses]
east = ["192.0.2.10", "2001:db8::10"]
west = ["198.51.100.10"]

[tls]"#
        .to_owned();
    for (from, to) in edits {
        assert!(names.contains(from), "{from:?} is not there");
        names = names.replacen(from, to, 1);
    }
    told(name, &[("[tls]", &names)], &[]);
}

#[test]
fn a_name_needs_a_zone_and_an_address_for_each_site() {
    told_of_names("names-good", &[]);
    told_of_names(
        "name-in-no-zone",
        &[
            ("names.\"bank.example.org\"]", "names.\"bank.example.com\"]"),
            ("names.\"bank.example.org\"", "names.\"bank.example.com\""),
        ],
    );
    told_of_names("name-without-a-site", &[("west = [\"198.51.100.10\"]", "west = []")]);
    told_of_names("name-at-the-witness", &[("west =", "witness =")]);
    told_of_names("name-kept-too-long", &[("ttl = \"30s\"", "ttl = \"5m\"")]);
    told_of_names("name-that-is-none", &[("names.\"bank.example.org\"]", "names.bank]")]);
    told_of_names("name-with-a-worthless-address", &[("\"192.0.2.10\"", "\"0.0.0.0\"")]);
}

/// The example with a zone that Mainstay itself answers for, and these lines changed.
fn told_of_own_zone(name: &str, edits: &[(&str, &str)]) {
    let zone = own_zone(edits);
    told(name, &[("[tls]", &zone)], &[]);
}

/// Stands before the table that it ends with.
pub fn own_zone(edits: &[(&str, &str)]) -> String {
    let mut zone = r#"[dns."example.org"]
kind = "own"

[dns."example.org".sites.east]
listen = "10.0.1.53:53"
name = "ns1.example.org"
addresses = ["192.0.2.53"]

[dns."example.org".sites.west]
listen = "10.0.2.53:53"
name = "ns2.example.org"
addresses = ["198.51.100.53"]

[applications.bank.names."bank.example.org".addresses]
east = ["192.0.2.10", "2001:db8::10"]
west = ["198.51.100.10"]

[applications.bank.names."bank.example.org".weights]
east = 95
west = 5

[applications.bank.names."example.org"]
alias = "bank.example.org"

[tls]"#
        .to_owned();
    for (from, to) in edits {
        assert!(zone.contains(from), "{from:?} is not there");
        zone = zone.replacen(from, to, 1);
    }
    zone
}

#[test]
fn a_zone_of_ones_own_needs_a_server_at_each_site_and_policies_that_can_hold() {
    told_of_own_zone("own-zone-good", &[]);
    told_of_own_zone(
        "own-zone-without-a-site",
        &[("sites.west]", "sites.witness]"), ("kind =", "servers = [\"10.0.1.53:53\"]\nkind =")],
    );
    told_of_own_zone(
        "own-zone-with-a-policy-that-cannot-hold",
        &[
            ("east = 95\nwest = 5", "east = 0"),
            (
                "[applications.bank.names.\"example.org\"]\nalias = \"bank.example.org\"",
                "[applications.bank.names.\"bank.example.org\".networks]\nnorth = [\"10.0.0.0/8\"]\n\n\
              [applications.bank.names.\"example.org\"]\nalias = \"www.example.org\"",
            ),
        ],
    );
    told_of_own_zone("policy-in-another-zone", &[("kind = \"own\"", "kind = \"rfc2136\"")]);
}

/// The example with these means to stop east.
fn told_of_means(name: &str, means: &str, more: &[(&str, &str)]) {
    let table = "[applications.bank.objectives]";
    let means = format!("{means}\n{table}");
    let edits = [&[(table, means.as_str())], more].concat();
    told(name, &edits, &[]);
}

#[test]
fn means_to_stop_a_site_are_whole_paths_with_known_placeholders_in_time() {
    let good = r#"[[applications.bank.fencing.east]]
command = ["/opt/stop", "{site}", "--json={\"epoch\": {epoch}}"]
confirm = ["/opt/is-stopped", "{site}"]
expect = "stopped"

[applications.bank.fencing.east.environment]
TOKEN = "env:BANK_DB_PASSWORD"
"#;
    told_of_means("fencing-good", good, &[]);
    told_of_means("fencing-objective", good, &[("rto = \"30s\"", "rto = \"8s\"")]);
    let late = ("cool-down = \"10m\"", "cool-down = \"10m\"\nfence-after = \"10s\"");
    told_of_means("fencing-too-late", good, &[late]);
    told_of_means("fencing-relative", &good.replace("\"/opt/stop\"", "\"stop\""), &[]);
    told_of_means("fencing-placeholder", &good.replace("{site}", "{host}"), &[]);
    told_of_means("fencing-literal-secret", &good.replace("env:BANK_DB_PASSWORD", "canary"), &[]);
    told_of_means("fencing-witness", &good.replace("fencing.east", "fencing.witness"), &[]);
    told_of_means("fencing-variable", &good.replace("TOKEN =", "\"TO KEN\" ="), &[]);
}

/// The example with etcd as its coordinator, and these lines changed.
fn told_of_etcd(name: &str, edits: &[(&str, &str)], arguments: &[&str]) {
    let mut etcd = r#"kind = "etcd"
endpoints = ["https://10.0.1.30:2379", "https://10.0.2.30:2379", "https://10.0.3.30:2379"]
authority = "tls/ca.pem"
certificate = "tls/east.pem"
key = "tls/east.key"
user = "mainstay"
password = "env:BANK_DB_PASSWORD""#
        .to_owned();
    for (from, to) in edits {
        assert!(etcd.contains(from), "{from:?} is not there");
        etcd = etcd.replacen(from, to, 1);
    }
    told(name, &[("site = \"witness\"", &etcd)], arguments);
}

#[test]
fn each_kind_of_coordinator_needs_its_own_keys() {
    told_of_etcd("etcd-good", &[], &[]);
    told_of_etcd("etcd-of-two", &[("\"https://10.0.1.30:2379\", ", "")], &[]);
    told_of_etcd(
        "etcd-of-one",
        &[("\"https://10.0.1.30:2379\", ", ""), ("\"https://10.0.2.30:2379\", ", "")],
        &[],
    );
    told_of_etcd("etcd-twice", &[("10.0.2.30", "10.0.1.30")], &[]);
    told_of_etcd("etcd-without-scheme", &[("https://10.0.1.30", "10.0.1.30")], &[]);
    told_of_etcd("etcd-in-the-clear", &[("https://10.0.1.30", "http://10.0.1.30")], &[]);
    told_of_etcd(
        "etcd-halves",
        &[
            ("authority = \"tls/ca.pem\"\n", ""),
            ("key = \"tls/east.key\"\n", ""),
            ("user = \"mainstay\"\n", "site = \"witness\"\n"),
        ],
        &[],
    );
    told_of_etcd("etcd-without-members", &[("endpoints = [", "prefix = \"x/\" #")], &[]);
    told("embedded-nowhere", &[("site = \"witness\"", "user = \"mainstay\"")], &[]);
    let missing = [("env:BANK_DB_PASSWORD", "env:NOT_SET")];
    told_of_etcd("etcd-password-at-the-witness", &missing, &["--site", "witness"]);
}

#[test]
fn a_secret_in_the_file_is_refused_and_never_repeated() {
    told("literal-secret", &[("\"env:BANK_DB_PASSWORD\"", "\"canary-1\"")], &[]);
    told(
        "misspelt-secret",
        &[("password = \"env:BANK_DB_PASSWORD\"", "pasword = \"canary-2\"")],
        &[],
    );
    told(
        "secret-beside-a-typo",
        &[(
            "database = \"bank\"\npassword = \"env:BANK_DB_PASSWORD\"",
            "databse = \"bank\"\npassword = \"canary-3\"",
        )],
        &[],
    );
    told(
        "secret-of-another-type",
        &[("\"env:BANK_DB_PASSWORD\"", "{ value = \"canary-4\" }")],
        &[],
    );
    told(
        "secret-in-an-address",
        &[("\"10.0.1.20:5432\"", "\"postgres://bank:canary-5@10.0.1.20\"")],
        &[],
    );
    told("secret-beside-a-syntax-error", &[("\"env:BANK_DB_PASSWORD\"", "canary-6")], &[]);
}

#[test]
fn what_the_file_names_and_is_not_there_is_named() {
    told("missing-variable", &[("env:BANK_DB_PASSWORD", "env:BANK_PASSWORD")], &[]);
    told(
        "missing-variable-at-the-witness",
        &[("env:BANK_DB_PASSWORD", "env:NONE")],
        &["--site", "witness"],
    );
    told("missing-variable-file-only", &[("env:BANK_DB_PASSWORD", "env:NONE")], &["--file-only"]);
    told("missing-secret-file", &[("env:BANK_DB_PASSWORD", "file:db.password")], &[]);
    told(
        "missing-certificates",
        &[("directory = \"tls\"", "directory = \"pki\"")],
        &["--site", "east"],
    );
    let empty = tempfile::tempdir().expect("a folder");
    compare("check/no-file.txt", &shown(&check(empty.path(), &[]), empty.path()));
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    told(
        "many",
        &[
            ("agent =", "agnet ="),
            ("home = \"east\"", "home = \"esat\""),
            ("rto = \"30s\"", "rto = 30"),
            ("\"10m\"", "\"10 minutes\""),
            ("10.0.2.20:5432", "10.0.1.20:5432"),
            ("[applications.bank.gates.west.stores]\ndb = \"127.0.0.1:6432\"\n", ""),
            ("roles = [\"bank\"]", "roles = []"),
        ],
        &[],
    );
}

/// A reader of the JSON finds the place without knowing the text.
#[test]
fn a_finding_names_its_line_and_column() {
    let folder = folder(&GOOD.replacen("rto = \"30s\"", "rto = 30", 1));
    let output = check(folder.path(), &["--output", "json"]);
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let line = 1 + GOOD.lines().position(|line| line.starts_with("rto")).expect("a line");
    let finding = &answer["findings"][0];
    assert_eq!(answer["ok"], false);
    assert_eq!(finding["code"], "MS-CFG-004");
    assert_eq!(finding["place"], "applications.bank.objectives.rto");
    assert_eq!(finding["line"], line);
    assert_eq!(finding["column"], 7);
    assert_eq!(output.status.code(), Some(1));
}

/// The example with other people in it.
fn told_of_people(name: &str, people: &str, arguments: &[&str]) {
    let begin = GOOD.find("# Ana asks").expect("the people of the example");
    told(name, &[(&GOOD[begin..], people)], arguments);
}

#[test]
fn people_are_people_and_there_are_enough_of_them() {
    told_of_people("people-none", "", &[]);
    told_of_people("people-too-few", "[people.ana]\nrole = \"approver\"\n", &[]);
    let one_login =
        "[people.ana]\nrole = \"operator\"\n[people.ben]\nrole = \"approver\"\nuser = \"ana\"\n";
    told_of_people("people-one-login", one_login, &[]);
    let site = "[people.east]\nrole = \"operator\"\n[people.ben]\nrole = \"approver\"\n";
    told_of_people("people-site", site, &[]);
    told_of_people("people-strange", "[people]\nrole = \"admin\"\n[people.ana]\nrule = 1\n", &[]);
    let literal =
        "[people.ana]\nrole = \"operator\"\ntoken = \"canary-0123456789abcdef0123456789\"\n";
    told_of_people("people-literal-token", literal, &[]);
    told("approvals-expire", &[("lease =", "approvals-expire = \"2h\"\nlease =")], &[]);
}

#[test]
fn tokens_are_read_where_people_come_and_must_be_long_and_nobody_elses() {
    let door =
        ("agent = \"10.0.1.10:7400\"", "agent = \"10.0.1.10:7400\"\npeople = \"0.0.0.0:7480\"");
    let token = ("role = \"operator\"", "role = \"operator\"\ntoken = \"env:BANK_DB_PASSWORD\"");
    let other = ("role = \"approver\"", "role = \"approver\"\ntoken = \"env:BANK_DB_PASSWORD\"");
    told("people-door-without-proof", &[door], &[]);
    told("people-weak-token", &[door, token, other], &["--site", "east"]);
    told("people-token-not-read", &[door, token, other], &["--site", "west"]);
    let taken =
        ("agent = \"10.0.1.10:7400\"", "agent = \"10.0.1.10:7400\"\npeople = \"0.0.0.0:8080\"");
    told("people-address-taken", &[taken, token], &["--site", "west"]);
}
