//! The bank's name in DNS, on a real server. What it answers is what `dig` says.

use crate::up::UpLab;
use mainstay_testkit::{
    DNS_KEY, DNS_SECRET, DNS_ZONE, DnsKind, DnsServer, Signal, delv, dig, free_port, signal,
    static_ds, wait_for,
};
use mainstay_traffic::dns::server::SigningKey;
use serde_json::Value;
use std::fs::{File, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};
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

/// Mainstay's own server at each site follows its gate, and goes on when every agent is gone.
#[tokio::test]
async fn the_sites_own_servers_answer_and_go_on_without_their_agents() {
    let ports = [free_port(), free_port()];
    let at = ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let files = tempfile::tempdir().expect("a folder");
    let added = files.path().join("added.toml");
    let key = files.path().join("zone.key");
    let signing = SigningKey::create(&key, "example.org").expect("a new file");
    let text = format!(
        "[dns.\"example.org\"]\nkind = \"own\"\nsigning-keys = [\"file:{key}\"]\n\n\
         [dns.\"example.org\".sites]\n\
         east = {{ listen = \"{}\", name = \"ns1.example.org\", addresses = [\"127.0.0.1\"] }}\n\
         west = {{ listen = \"{}\", name = \"ns2.example.org\", addresses = [\"127.0.0.1\"] }}\n\n\
         [applications.bank.names.\"{NAME}\"]\nttl = \"5s\"\n\n\
         [applications.bank.names.\"{NAME}\".addresses]\neast = [\"{EAST}\"]\nwest = [\"{WEST}\"]\n\n\
         [applications.bank.names.\"example.org\"]\nalias = \"{NAME}\"\n",
        at[0],
        at[1],
        key = key.display(),
    );
    std::fs::write(&added, text).expect("the folder is ours");
    let lab = UpLab::start_with(&["--add-configuration", &added.display().to_string()]);
    let leads_to = async |address: &str, epoch: u64| {
        wait_for("both servers lead there", LONG, async || {
            at.iter().all(|at| {
                let asked = |name, kind| dig(*at, &["+short", name, kind]);
                ["example.org", NAME].iter().all(|name| asked(name, "A").trim() == address)
                    && asked(NOTE, "TXT").contains(&format!("epoch={epoch} "))
            })
        })
        .await;
    };
    leads_to(EAST, 1).await;
    let anchor = static_ds(&signing.ds().expect("a record"));
    let secure = |address| {
        for at in at {
            let said = delv(at, &anchor, &[NAME, "A"]);
            assert!(said.contains("; fully validated") && said.contains(address), "{said}");
        }
    };
    secure(EAST);
    // While the link is behind it is refused.
    wait_for("the switchover", LONG, async || lab.json(&["switchover"])["state"] == "succeeded")
        .await;
    leads_to(WEST, 2).await;
    secure(WEST);
    wait_for("the trace is right", LONG, async || {
        let trace = lab.json(&["dns", "trace", NAME]);
        trace["name"]["right"] == true
            && (0..2).all(|it| {
                trace["name"]["servers"][it]["answer"]["signed"]["keys"][0] == signing.tag
            })
    })
    .await;
    let mut younger = Vec::new();
    younger.push(take_over(&lab, "east").await);
    secure(WEST);
    // A gate that cannot use its key goes on, and people are told.
    std::fs::set_permissions(&key, Permissions::from_mode(0o644)).expect("it is ours");
    younger.push(take_over(&lab, "west").await);
    leads_to(WEST, 2).await;
    wait_for("people are told", LONG, async || {
        let status = lab.json(&["status"])["applications"][0]["problems"].to_string();
        status.contains("MS-DNS-013") && status.contains(&at[1].to_string())
    })
    .await;
    assert_eq!(lab.json(&["dns", "trace", NAME])["name"]["right"], false);
    for agent in ["east", "west"] {
        lab.kill_agent(agent);
    }
    leads_to(WEST, 2).await;
}

/// Ends with the test.
struct Younger(Child);

impl Drop for Younger {
    fn drop(&mut self) {
        if let Err(why) = self.0.kill().and_then(|()| self.0.wait()) {
            eprintln!("a gate does not end: {why}");
        }
    }
}

/// Another gate takes the ports of a site's gate, also those of the DNS server; then the older one
/// is killed.
async fn take_over(lab: &UpLab, site: &str) -> Younger {
    let log = lab.root().join("logs").join(format!("{site}-younger-gate.log"));
    let folder = lab.root().join("sites").join(site);
    let mut gate = lab.command(&["gate", "--site", site, "--config"]);
    gate.arg(folder.join("mainstay.toml")).arg("--state").arg(folder.join("state"));
    gate.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log).expect("a log"));
    let younger = Younger(gate.spawn().expect("it runs"));
    wait_for("the younger gate has the ports", LONG, async || {
        std::fs::read_to_string(&log).is_ok_and(|log| log.contains("the DNS server is up"))
    })
    .await;
    signal(lab.pid(&format!("{site}-gate")), Signal::SIGKILL);
    younger
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
