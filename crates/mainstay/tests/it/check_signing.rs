//! The keys that zones are signed with: made, looked at, and told of when something is wrong.

use crate::check::{answer, own_zone};
use crate::golden::{mainstay, shown};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const SIGNED: (&str, &str) =
    ("kind = \"own\"", "kind = \"own\"\nsigning-keys = [\"file:zone.key\"]");

/// `mainstay dns key new`, or `mainstay dns ds`.
fn dns(folder: &Path, arguments: &[&str]) -> String {
    let output = mainstay(folder).arg("dns").args(arguments).output().expect("it runs");
    shown(&output, folder)
}

fn new_key(folder: &Path, zone: &str, file: &str) -> String {
    dns(folder, &["key", "new", zone, "--out", file])
}

/// Of the example with a signed zone, after these edits: each of these words.
#[track_caller]
fn told(edits: &[(&str, &str)], more: impl FnOnce(&Path), words: &[&str]) {
    let edits = [&[SIGNED], edits].concat();
    let answer = answer(&[("[tls]", &own_zone(&edits))], &[], more);
    // Wherever lines end.
    let answer = answer.replace('│', " ").split_whitespace().collect::<Vec<_>>().join(" ");
    for word in words {
        assert!(answer.contains(word), "{word:?} is not in:\n{answer}");
    }
}

#[test]
fn a_new_key_is_for_its_owner_alone_and_only_its_public_half_is_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    let said = new_key(path, "Example.org.", "zone.key");
    let ds = said.lines().next().expect("a line");
    assert!(ds.starts_with("example.org. 3600 IN DS ") && said.ends_with("exit 0\n"), "{said}");
    let file = path.join("zone.key");
    let mode = fs::metadata(&file).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let key = fs::read_to_string(&file).expect("it is text");
    let (_, private) = key.split_once("-----BEGIN PRIVATE KEY-----\n").expect("a key");
    let private = private.lines().next().expect("a line");
    let again = new_key(path, "example.org", "zone.key");
    assert!(again.contains("MS-DNS-012") && again.ends_with("exit 1\n"), "{again}");
    assert_eq!(fs::read_to_string(&file).expect("it is text"), key);

    let text = include_str!("../../src/config/example.toml");
    let text = text.replacen("[tls]", &own_zone(&[SIGNED]), 1);
    fs::write(path.join("mainstay.toml"), text).expect("the folder is ours");
    assert_eq!(dns(path, &["ds", "example.org"]), format!("{ds}\nexit 0\n"));
    let json = dns(path, &["ds", "example.org", "--output", "json"]);
    assert!(json.contains(ds), "{json}");
    let none = dns(path, &["ds", "example.com"]);
    assert!(none.contains("MS-DNS-014") && none.ends_with("exit 1\n"), "{none}");
    for shown in [said, again, json, none] {
        assert!(!shown.contains(private), "{shown}");
    }
}

#[test]
fn what_is_wrong_with_a_key_is_told_with_what_to_type() {
    let good = |folder: &Path| drop(new_key(folder, "example.org", "zone.key"));
    told(&[], good, &["bank: home east", "exit 0"]);
    let refused = |more: &dyn Fn(&Path), words: &[&str]| {
        let always = ["MS-DNS-012", "dns.example.org.signing-keys", "zone.key", "exit 1"];
        told(&[], more, &[&always, words].concat());
    };
    refused(&|_| (), &["cannot be read", "copy it from the other site"]);
    refused(
        &|folder| {
            good(folder);
            let file = folder.join("zone.key");
            fs::set_permissions(file, Permissions::from_mode(0o640)).expect("it is ours");
        },
        &["others may read it (mode 0640)", "chmod 600"],
    );
    refused(
        &|folder| drop(new_key(folder, "example.com", "zone.key")),
        &["it is the key of example.com, not of example.org", "mainstay dns key new example.org"],
    );
    refused(
        &|folder| {
            good(folder);
            fs::write(folder.join("zone.key"), "zone: example.org\ncanary\n").expect("it is ours");
        },
        &["no private key", "mainstay dns key new example.org"],
    );
}

#[test]
fn a_signed_zone_has_one_key_or_two_in_files_and_no_other_zone_in_it() {
    let list = "[\"file:zone.key\"]";
    told(&[(list, "[]")], |_| (), &["MS-CFG-011", "names 0 keys", "exit 1"]);
    let three = "[\"file:one\", \"file:two\", \"file:three\"]";
    told(&[(list, three)], |_| (), &["MS-CFG-011", "names 3 keys", "exit 1"]);
    let variable = "[\"env:BANK_DB_PASSWORD\"]";
    told(&[(list, variable)], |_| (), &["MS-CFG-005", "stands in a file", "exit 1"]);
    told(&[(list, "[\"canary\"]")], |_| (), &["MS-CFG-013", "exit 1"]);
    let elsewhere = ("kind = \"own\"", "kind = \"rfc2136\"");
    told(&[elsewhere], |_| (), &["MS-CFG-003", "`signing-keys` means nothing", "exit 1"]);
    let inner = r#"[dns."in.example.org"]
kind = "own"

[dns."in.example.org".sites.east]
listen = "10.0.1.54:53"
name = "ns1.in.example.org"
addresses = ["192.0.2.54"]

[dns."in.example.org".sites.west]
listen = "10.0.2.54:53"
name = "ns2.in.example.org"
addresses = ["198.51.100.54"]

[tls]"#;
    told(&[("[tls]", inner)], |_| (), &["MS-CFG-005", "is inside or around it", "exit 1"]);
}
