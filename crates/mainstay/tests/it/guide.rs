//! What the guides tell people to write.

use crate::golden::mainstay;

/// What stands between the fence lines of the page's first block of this kind.
fn block(page: &str, kind: &str) -> String {
    let lines = page.lines().skip_while(|line| *line != format!("```{kind}")).skip(1);
    lines.take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_coordinator_of_the_etcd_guide_fits_the_first_configuration() {
    let first = block(include_str!("../../../../docs/guides/first-configuration.md"), "toml");
    let etcd = block(include_str!("../../../../docs/guides/etcd.md"), "toml");
    let embedded = "[coordinator]\nkind = \"embedded\"\nsite = \"witness\"\n";
    assert!(first.contains(embedded), "{first}");
    let folder = tempfile::tempdir().expect("a folder");
    let text = first.replace(embedded, &etcd).replace("\"approve\"", "\"automatic\"");
    std::fs::write(folder.path().join("mainstay.toml"), text).expect("a file");
    let checked = mainstay(folder.path()).args(["check", "--file-only"]).output().expect("it runs");
    let said = String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success() && said.starts_with("shop: home east"), "{said}");
}

#[test]
fn the_first_configuration_of_the_guide_is_a_good_one() {
    let page = include_str!("../../../../docs/guides/first-configuration.md");
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("mainstay.toml"), block(page, "toml")).expect("a file");
    let checked = mainstay(folder.path()).args(["check", "--file-only"]).output().expect("it runs");
    let said = String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success(), "{said}");
    assert!(said.starts_with("shop: home east, standby west"), "{said}");
}

#[test]
fn the_web_side_of_the_gate_guide_fits_the_first_configuration() {
    let first = block(include_str!("../../../../docs/guides/first-configuration.md"), "toml");
    let gate = block(include_str!("../../../../docs/guides/gate.md"), "toml");
    let web = "[applications.shop.gates.east.http]";
    let plain: String =
        first.split_inclusive("\n\n").filter(|table| !table.starts_with(web)).collect();
    assert!(plain.len() < first.len(), "{first}");
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("mainstay.toml"), plain + "\n" + &gate).expect("a file");
    let checked = mainstay(folder.path()).args(["check", "--file-only"]).output().expect("it runs");
    let said = String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success(), "{said}");
    assert!(said.starts_with("shop: home east, standby west"), "{said}");
}
