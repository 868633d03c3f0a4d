//! The bank's name in DNS, on a real server. What it answers is what `dig` says.

use crate::up::UpLab;
use mainstay_testkit::{DNS_KEY, DNS_SECRET, DNS_ZONE, DnsKind, DnsServer, wait_for};
use serde_json::Value;
use std::time::Duration;

const NAME: &str = "bank.example.org";
const NOTE: &str = "_mainstay.bank.example.org";
const EAST: &str = "192.0.2.10";
const WEST: &str = "198.51.100.10";
const LONG: Duration = Duration::from_secs(60);

struct Named {
    lab: UpLab,
    server: DnsServer,
    _files: tempfile::TempDir,
}

fn start() -> Named {
    let server = DnsServer::start(DnsKind::Knot);
    let files = tempfile::tempdir().expect("a folder");
    let secret = files.path().join("secret");
    std::fs::write(&secret, DNS_SECRET).expect("the folder is ours");
    let added = files.path().join("added.toml");
    let text = format!(
        "[dns.\"{DNS_ZONE}\"]\nservers = [\"{}\"]\n\n\
         [dns.\"{DNS_ZONE}\".key]\nname = \"{DNS_KEY}\"\nsecret = \"file:{}\"\n\n\
         [applications.bank.names.\"{NAME}\"]\nttl = \"5s\"\n\n\
         [applications.bank.names.\"{NAME}\".addresses]\neast = [\"{EAST}\"]\nwest = [\"{WEST}\"]\n",
        server.address(),
        secret.display(),
    );
    std::fs::write(&added, text).expect("the folder is ours");
    let added = added.display().to_string();
    let lab = UpLab::start_with(&["--add-configuration", &added]);
    Named { lab, server, _files: files }
}

impl Named {
    async fn leads_to(&self, address: &str, epoch: u64, site: &str) {
        let note = format!("\"v=mainstay1 application=bank epoch={epoch} site={site}\"");
        wait_for("the name leads there", LONG, async || {
            self.server.dig(NAME, "A") == [address]
                && self.server.dig(NOTE, "TXT") == [note.clone()]
        })
        .await;
    }

    fn status(&self) -> Value {
        self.lab.json(&["status"])
    }

    fn problems(&self) -> String {
        self.status()["applications"][0]["problems"].to_string()
    }
}

#[tokio::test]
async fn a_name_follows_a_switchover_and_nobody_waits_for_a_server_that_hangs() {
    let named = start();
    named.leads_to(EAST, 1, "east").await;
    named.lab.done(&["switchover"]);
    named.leads_to(WEST, 2, "west").await;
    named.server.pause();
    // Until east is back it is refused.
    wait_for("the switchover home", LONG, async || {
        named.lab.json(&["switchover"])["state"] == "succeeded"
    })
    .await;
    wait_for("people are told", LONG, async || named.problems().contains("MS-DNS-001")).await;
    named.server.resume();
    named.leads_to(EAST, 3, "east").await;
    wait_for("people are told no more", LONG, async || !named.problems().contains("MS-DNS")).await;
    let trace = named.lab.json(&["dns", "trace", NAME]);
    assert_eq!(trace["name"]["right"], true, "{trace}");
    assert_eq!(trace["name"]["servers"][0]["answer"]["epoch"], 3, "{trace}");
}

#[tokio::test]
async fn what_a_person_changed_is_put_right_and_a_newer_epoch_is_left_alone() {
    let named = start();
    named.leads_to(EAST, 1, "east").await;
    named.server.nsupdate(&[
        &format!("update delete {NAME} A"),
        &format!("update add {NAME} 300 A 203.0.113.1"),
    ]);
    named.leads_to(EAST, 1, "east").await;
    let newer = "\"v=mainstay1 application=bank epoch=9 site=west\"";
    named.server.nsupdate(&[
        &format!("update delete {NOTE} TXT"),
        &format!("update add {NOTE} 300 TXT {newer}"),
        &format!("update delete {NAME} A"),
        &format!("update add {NAME} 300 A {WEST}"),
    ]);
    wait_for("people are told", LONG, async || named.problems().contains("MS-DNS-003")).await;
    assert_eq!(named.server.dig(NAME, "A"), [WEST]);
    assert_eq!(named.server.dig(NOTE, "TXT"), [newer]);
    let logs = std::fs::read_to_string(named.lab.root().join("logs/east-agent.log")).unwrap();
    let status = named.status().to_string();
    assert!(![logs, status].iter().any(|text| text.contains(DNS_SECRET)));
}
