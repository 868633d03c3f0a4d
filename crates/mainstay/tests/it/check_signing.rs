//! The keys that zones are signed with: made, looked at, and told of when something is wrong.

use crate::check::{own_zone, told_with};
use crate::golden::{mainstay, shown};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const SIGNED: (&str, &str) = ("kind = \"own\"", "kind = \"own\"\nsigning-keys = [\"file:zone.key\"]");

/// `mainstay dns key new`, or `mainstay dns ds`.
fn dns(folder: &Path, arguments: &[&str]) -> String {
    let output = mainstay(folder).arg("dns").args(arguments).output().expect("it runs");
    shown(&output, folder)
}

fn new_key(folder: &Path, zone: &str, file: &str) -> String {
    dns(folder, &["key", "new", zone, "--out", file])
}

fn told(name: &str, edits: &[(&str, &str)], more: impl FnOnce(&Path)) {
    let edits = [&[SIGNED], edits].concat();
    told_with(name, &[("[tls]", &own_zone(&edits))], &[], more);
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
    told("signed-good", &[], good);
    told("signed-without-its-key", &[], |_| ());
    told("signed-with-a-key-that-others-read", &[], |folder| {
        good(folder);
        let file = folder.join("zone.key");
        fs::set_permissions(file, Permissions::from_mode(0o640)).expect("it is ours");
    });
    told("signed-with-the-key-of-another-zone", &[], |folder| {
        drop(new_key(folder, "example.com", "zone.key"));
    });
    told("signed-with-what-is-no-key", &[], |folder| {
        good(folder);
        fs::write(folder.join("zone.key"), "zone: example.org\nsecret\n").expect("it is ours");
    });
}

#[test]
fn a_signed_zone_has_one_key_or_two_in_files_and_no_other_zone_in_it() {
    let keys = |text| ("[\"file:zone.key\"]", text);
    told("signed-with-none", &[keys("[]")], |_| ());
    let three = "[\"file:one\", \"file:two\", \"file:three\"]";
    told("signed-with-three", &[keys(three)], |_| ());
    told("signed-from-the-environment", &[keys("[\"env:BANK_DB_PASSWORD\"]")], |_| ());
    told("signed-in-the-file-itself", &[keys("[\"canary\"]")], |_| ());
    told("signed-elsewhere", &[("kind = \"own\"", "kind = \"rfc2136\"")], |_| ());
    let inner = "[dns.\"in.example.org\"]\nkind = \"own\"\n\n[dns.\"in.example.org\".sites]\n\
                 east = { listen = \"10.0.1.53:53\", name = \"ns1.in.example.org\", addresses = [\"192.0.2.53\"] }\n\
                 west = { listen = \"10.0.2.53:53\", name = \"ns2.in.example.org\", addresses = [\"198.51.100.53\"] }\n\n[tls]";
    told("signed-around-another", &[("[tls]", inner)], |_| ());
}
