//! The bank's name at Azure DNS (a fake, held to its documentation). What stands there is what `curl`
//! reads.

use crate::up::UpLab;
use mainstay_testkit::{FakeAzureDns, free_port, wait_for};
use serde_json::Value;
use std::time::Duration;
use tempfile::TempDir;

const NAME: &str = "bank.example.org";
const EAST: &str = "192.0.2.10";
const WEST: &str = "198.51.100.10";
const LONG: Duration = Duration::from_secs(120);

/// No server of the zone can be asked: what the API tells is what counts.
fn start(fake: &FakeAzureDns) -> (UpLab, TempDir) {
    let files = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = files.path().join(name);
        std::fs::write(&path, text).expect("the folder is ours");
        path.display().to_string()
    };
    let secret = write("secret", FakeAzureDns::SECRET);
    let text = format!(
        "[dns.\"example.org\"]\nkind = \"azure\"\nservers = [\"127.0.0.1:{}\"]\n\n\
         [dns.\"example.org\".azure]\nsubscription = \"{}\"\nresource-group = \"{}\"\n\
         tenant = \"{}\"\nclient-id = \"{}\"\nclient-secret = \"file:{secret}\"\n\
         endpoint = \"{url}\"\nlogin = \"{url}\"\n\n\
         [applications.bank.names.\"{NAME}\"]\nttl = \"5s\"\n\n\
         [applications.bank.names.\"{NAME}\".addresses]\neast = [\"{EAST}\"]\nwest = [\"{WEST}\"]\n",
        free_port(),
        FakeAzureDns::SUBSCRIPTION,
        FakeAzureDns::GROUP,
        FakeAzureDns::TENANT,
        FakeAzureDns::CLIENT,
        url = fake.url(),
    );
    let added = write("added.toml", &text);
    (UpLab::start_with(&["--add-configuration", &added]), files)
}

/// Address and note, as they stand there.
fn stands(fake: &FakeAzureDns) -> (String, String) {
    let of = |path: &str, at: &str| {
        let set: Value = serde_json::from_str(&fake.set(path)).expect("JSON");
        set.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let address = of("A/bank", "/properties/ARecords/0/ipv4Address");
    (address, of("TXT/_mainstay.bank", "/properties/TXTRecords/0/value/0"))
}

async fn leads_to(fake: &FakeAzureDns, address: &str, epoch: u64, site: &str) {
    let note = format!("v=mainstay1 application=bank epoch={epoch} site={site}");
    let wanted = (address.to_owned(), note);
    wait_for("the name leads there", LONG, async || stands(fake) == wanted).await;
}

#[tokio::test]
async fn a_name_at_azure_follows_a_switchover() {
    let fake = FakeAzureDns::start();
    let (lab, _files) = start(&fake);
    leads_to(&fake, EAST, 1, "east").await;
    // While the link is behind it is refused.
    wait_for("the switchover", LONG, async || lab.json(&["switchover"])["state"] == "succeeded")
        .await;
    leads_to(&fake, WEST, 2, "west").await;
    wait_for("the trace is right", LONG, async || {
        lab.json(&["dns", "trace", NAME])["name"]["right"] == true
    })
    .await;
    let trace = lab.json(&["dns", "trace", NAME]);
    let server = trace["name"]["servers"][0]["server"].as_str().expect("a name");
    assert!(server.contains("API of Azure DNS"), "{trace}");
    for log in ["east-agent.log", "west-agent.log"] {
        let log = std::fs::read_to_string(lab.root().join("logs").join(log)).expect("a log");
        assert!(!log.contains("canary"), "{log}");
    }
    assert!(!lab.json(&["status"]).to_string().contains("canary"));
}
