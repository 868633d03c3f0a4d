//! `mainstay check` of a gate's web side: what its parts say of each other.

use crate::golden::mainstay;

const EXAMPLE: &str = include_str!("../../src/config/example.toml");
const GROUP: &str = "[applications.bank.gates.east.http.groups.api]\n";

/// The example with these lines in east's web side is refused with this code, at this key.
fn refused(lines: &str, code: &str, place: &str) {
    let upstreams = "upstreams = [\"127.0.0.1:9001\", \"127.0.0.1:9002\"]\n";
    let text = EXAMPLE.replacen(upstreams, &format!("{upstreams}{lines}\n"), 1);
    assert_ne!(text, EXAMPLE, "the example has changed");
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("mainstay.toml"), text).expect("a file");
    let arguments = ["check", "--file-only", "--output", "json"];
    let checked = mainstay(folder.path()).args(arguments).output().expect("it runs");
    let said = String::from_utf8_lossy(&checked.stdout);
    let place = format!("applications.bank.gates.east.http.{place}");
    assert!(!checked.status.success(), "{lines}: {said}");
    assert!(said.contains(code) && said.contains(&place), "{lines}: {said}");
}

#[test]
fn a_route_leads_to_a_group_that_is_there_and_has_processes() {
    let to_nowhere = "routes = [{ path = \"/api\", group = \"api\" }]";
    refused(to_nowhere, "MS-CFG-031", "routes.0.group");
    let empty = format!("routes = [{{ group = \"api\" }}]\n{GROUP}upstreams = []");
    refused(&empty, "MS-CFG-006", "groups.api.upstreams");
    let host = "routes = [{ host = \"a/b\", group = \"api\" }]";
    refused(&format!("{host}\n{GROUP}upstreams = [\"a:1\"]"), "MS-CFG-005", "routes.0.host");
}

#[test]
fn shares_are_of_sites_that_hold_data_and_come_to_something() {
    refused("weights = { east = 1, paris = 1 }", "MS-CFG-007", "weights.paris");
    refused("weights = { east = 1, witness = 1 }", "MS-CFG-008", "weights.witness");
    refused("weights = { east = 0, west = 0 }", "MS-CFG-011", "weights");
    refused("weights = { east = 1, west = -1 }", "MS-CFG-005", "weights.west");
}

#[test]
fn a_bound_does_not_refuse_everything() {
    refused("limits = { head = 100 }", "MS-CFG-011", "limits.head");
    refused("limits = { headers = 0 }", "MS-CFG-011", "limits.headers");
    refused("limits = { body-idle = \"1ms\" }", "MS-CFG-011", "limits.body-idle");
    refused("sticky = \"a b\"", "MS-CFG-005", "sticky");
}
