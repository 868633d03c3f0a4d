//! The bank's name at Route 53 (moto, held to its documentation). What stands there is what Amazon's
//! own client reads.

use crate::up::UpLab;
use mainstay_testkit::{Route53Server, Signal, free_port, signal, wait_for};
use serde_json::Value;
use std::time::Duration;

const NAME: &str = "bank.example.org";
const EAST: &str = "192.0.2.10";
const WEST: &str = "198.51.100.10";
const LONG: Duration = Duration::from_secs(120);

struct Named {
    lab: UpLab,
    server: Route53Server,
    _files: tempfile::TempDir,
}

/// No server of the zone can be asked: what the API tells is what counts.
fn start() -> Named {
    let server = Route53Server::start();
    let files = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = files.path().join(name);
        std::fs::write(&path, text).expect("the folder is ours");
        path.display().to_string()
    };
    let id = write("id", Route53Server::KEY);
    let secret = write("secret", Route53Server::SECRET);
    let text = format!(
        "[dns.\"example.org\"]\nkind = \"route53\"\nservers = [\"127.0.0.1:{}\"]\n\n\
         [dns.\"example.org\".route53]\naccess-key = \"file:{id}\"\nsecret-key = \"file:{secret}\"\n\
         endpoint = \"{}\"\n\n\
         [applications.bank.names.\"{NAME}\"]\nttl = \"5s\"\n\n\
         [applications.bank.names.\"{NAME}\".addresses]\neast = [\"{EAST}\"]\nwest = [\"{WEST}\"]\n",
        free_port(),
        server.url(),
    );
    let added = write("added.toml", &text);
    let lab = UpLab::start_with(&["--add-configuration", &added]);
    Named { lab, server, _files: files }
}

impl Named {
    /// Address and note, as they stand there.
    fn stands(&self) -> (String, String) {
        let sets: Vec<Value> = serde_json::from_str(&self.server.sets()).expect("JSON");
        let of = |kind: &str| {
            let set = sets.iter().find(|set| set["Type"] == kind);
            let value = set.and_then(|set| set["ResourceRecords"][0]["Value"].as_str());
            value.unwrap_or_default().to_owned()
        };
        (of("A"), of("TXT"))
    }

    async fn leads_to(&self, address: &str, epoch: u64, site: &str) {
        let note = format!("\"v=mainstay1 application=bank epoch={epoch} site={site}\"");
        wait_for("the name leads there", LONG, async || {
            self.stands() == (address.to_owned(), note.clone())
        })
        .await;
    }

    /// Who is active, as the agent of that site has it.
    fn active(&self, as_told_by: &str) -> String {
        let output = self.lab.at(as_told_by, &["status", "--output", "json"]);
        let status: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        status["applications"][0]["active"].as_str().unwrap_or_default().to_owned()
    }

    fn says_nothing_secret(&self) {
        for log in ["east-agent.log", "west-agent.log"] {
            let log = std::fs::read_to_string(self.lab.root().join("logs").join(log));
            assert!(!log.expect("a log").contains("canary"));
        }
        assert!(!self.lab.json(&["status"]).to_string().contains("canary"));
    }
}

#[tokio::test]
async fn a_name_at_route_53_follows_a_switchover() {
    let named = start();
    named.leads_to(EAST, 1, "east").await;
    // While the link is behind it is refused.
    wait_for("the switchover", LONG, async || {
        named.lab.json(&["switchover"])["state"] == "succeeded"
    })
    .await;
    named.leads_to(WEST, 2, "west").await;
    wait_for("the trace is right", LONG, async || {
        named.lab.json(&["dns", "trace", NAME])["name"]["right"] == true
    })
    .await;
    let trace = named.lab.json(&["dns", "trace", NAME]);
    let server = trace["name"]["servers"][0]["server"].as_str().expect("a name");
    assert!(server.contains("API of Route 53"), "{trace}");
    named.says_nothing_secret();
}

/// The site that wakes up does not write its own address over the newer one.
#[tokio::test]
async fn a_failover_does_not_wait_for_an_api_that_is_down_and_nothing_stale_is_written() {
    let named = start();
    named.leads_to(EAST, 1, "east").await;
    named.server.answer("fail");
    let before = named.server.changes_asked();
    let east = named.lab.pid("east-agent");
    signal(east, Signal::SIGSTOP);
    wait_for("west serves", LONG, async || named.active("west") == "west").await;
    assert_eq!(named.server.changes_asked(), before);
    named.server.answer("ok");
    named.leads_to(WEST, 2, "west").await;
    signal(east, Signal::SIGCONT);
    wait_for("east knows who is active", LONG, async || named.active("east") == "west").await;
    // Its next looks; each would put a name right that is wrong in its eyes.
    for _ in 0..3 {
        assert_eq!(named.lab.json(&["dns", "trace", NAME])["name"]["right"], true);
    }
    named.leads_to(WEST, 2, "west").await;
    assert_eq!(named.server.changes_asked(), before + 1);
}
