//! What takes two, on a lab that is up: who asks, who approves, and what makes it void. The oracle
//! is the database of the site that would take over.

use super::certificates::{Authority, Files};
use super::office::{json, refusal};
use crate::up::UpLab;
use mainstay_testkit::{free_port, wait_for, wait_for_value};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;
use tempfile::TempDir;

const LONG: Duration = Duration::from_secs(120);

/// The lab, with people: ana is an operator with a certificate, ben an approver with a certificate
/// and a token, carla an approver with a token.
struct TwoPeople {
    lab: UpLab,
    own: TempDir,
    door: u16,
    ana: Files,
    ben: Files,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Ana,
    Ben,
    BensToken,
    Carla,
}

impl TwoPeople {
    async fn with(application: &str) -> Self {
        let own = tempfile::tempdir().expect("a folder");
        let people = Authority::new("people");
        let [ana, ben] = ["ana", "ben"].map(|name| people.issue(name, own.path()));
        std::fs::write(own.path().join("people.pem"), people.pem()).expect("a file");
        for name in ["ben", "carla"] {
            let token = format!("{name:-<40}");
            std::fs::write(own.path().join(format!("{name}.token")), token).expect("a file");
        }
        let two = Self { lab: UpLab::start(), own, door: free_port(), ana, ben };
        two.reconfigure(application);
        two.restart_west();
        two.follows_east().await;
        two
    }

    /// Its agent reads its configuration anew, and has forgotten every request.
    fn restart_west(&self) {
        self.lab.kill_agent("west");
        self.lab.done(&["lab", "start", "west"]);
    }

    async fn follows_east(&self) {
        wait_for("the link goes on", LONG, async || {
            let status = self.lab.at("west", &["status"]);
            String::from_utf8_lossy(&status.stdout).contains(" s behind east")
        })
        .await;
    }

    /// West's agent, which would take over, lets people in.
    fn reconfigure(&self, application: &str) {
        let file = self.lab.root().join("sites/west/mainstay.toml");
        let text = std::fs::read_to_string(&file).expect("a configuration");
        let door = format!("[sites.west]\npeople = \"127.0.0.1:{}\"\n", self.door);
        let own = self.own.path().display();
        let people = format!(
            "[people]\nauthority = \"{own}/people.pem\"\n\
             [people.ana]\nrole = \"operator\"\n\
             [people.ben]\nrole = \"approver\"\ntoken = \"file:{own}/ben.token\"\n\
             [people.carla]\nrole = \"approver\"\ntoken = \"file:{own}/carla.token\"\n"
        );
        assert!(text.contains("[sites.west]\n") && text.contains("force = \"one\"\n"), "{text}");
        let text = text.replace("[sites.west]\n", &door).replace("force = \"one\"\n", application);
        std::fs::write(&file, text + &people).expect("a file");
    }

    /// A command of a person, from elsewhere, to west's agent.
    fn says(&self, who: Who, arguments: &[&str]) -> Output {
        let shown: Vec<PathBuf> = match who {
            Who::Ana => vec![self.ana.certificate.clone(), self.ana.key.clone()],
            Who::Ben => vec![self.ben.certificate.clone(), self.ben.key.clone()],
            Who::BensToken => vec![self.own.path().join("ben.token")],
            Who::Carla => vec![self.own.path().join("carla.token")],
        };
        let options: &[&str] = match shown.len() {
            1 => &["--token-file"],
            _ => &["--certificate", "--key"],
        };
        let agent = format!("https://127.0.0.1:{}", self.door);
        let authority = self.lab.root().join("sites/west/tls/ca.pem").display().to_string();
        let mut all = vec!["--agent", &agent, "--site", "west", "--authority", &authority];
        let shown: Vec<String> = shown.iter().map(|path| path.display().to_string()).collect();
        all.extend(options.iter().zip(&shown).flat_map(|(option, path)| [*option, path.as_str()]));
        self.lab.run(&[&all, arguments].concat())
    }

    /// The request that a person's failover is answered with.
    async fn asks(&self, who: Who) -> Value {
        let arguments = ["failover", "--reason", "a test", "--output", "json"];
        request(|| self.says(who, &arguments)).await
    }

    fn ledger(&self, kind: &str) -> String {
        let shown = self.lab.at("west", &["ledger", "show", "--kind", kind]);
        String::from_utf8_lossy(&shown.stdout).into_owned()
    }

    fn west_takes_writes(&self) -> bool {
        let mut psql = self.lab.tool_as("psql", "west", "bank");
        let write = "SELECT nextval('transfer_number')";
        psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-c", write])
            .output()
            .expect("psql")
            .status
            .success()
    }

    /// East is lost, and nobody takes over by himself: somebody has paused.
    async fn paused_and_lost(&self) {
        wait_for("it is paused", LONG, async || {
            self.lab.run(&["pause", "--reason", "a test"]).status.success()
        })
        .await;
        wait_for("west knows of the pause", LONG, async || {
            String::from_utf8_lossy(&self.lab.at("west", &["status"]).stdout).contains("a test")
        })
        .await;
        self.lab.done(&["lab", "kill", "east"]);
    }
}

/// What a failover is answered with, once the link and the evidence are as they should be: until
/// then the agent refuses it, and a person types it again.
async fn request(asks: impl Fn() -> Output) -> Value {
    wait_for_value("a request", LONG, async || {
        let output = asks();
        let answer = json(&output);
        assert!(!output.status.success(), "it is not begun: {answer:#}");
        (answer["state"] == "open").then_some(answer)
    })
    .await
}

fn id(request: &Value) -> &str {
    request["id"].as_str().expect("an id")
}

#[tokio::test]
async fn what_is_forced_is_begun_by_the_word_of_somebody_else_and_of_nobody_else() {
    let two = TwoPeople::with("force = \"two\"\n").await;
    two.paused_and_lost().await;
    let request = two.asks(Who::Ben).await;
    let forced: Vec<&str> = request["forced"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|it| it["name"].as_str())
        .collect();
    assert!(forced.len() == 1 && forced[0].starts_with("paused:"), "{request:#}");
    assert!(request["left_s"].as_f64().is_some_and(|left| left > 590.0), "{request:#}");

    for (who, code) in [
        (Who::Ben, "MS-PEOPLE-004"),
        (Who::BensToken, "MS-PEOPLE-004"),
        (Who::Ana, "MS-PEOPLE-003"),
    ] {
        assert_eq!(refusal(&two.says(who, &["approve", id(&request)])), code);
    }
    assert!(!two.west_takes_writes(), "nothing is begun yet");
    let shown = two.lab.at("witness", &["requests"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains(id(&request)) && shown.contains("open for"), "{shown}");

    let approved = two.says(Who::Carla, &["approve", id(&request), "--output", "json"]);
    assert_eq!(json(&approved)["state"], "succeeded", "{:#}", json(&approved));
    assert_eq!(json(&approved)["requested_by"], "ben, approved by carla");
    assert!(two.west_takes_writes());
    let again = two.says(Who::Carla, &["approve", id(&request)]);
    assert_eq!(refusal(&again), "MS-PEOPLE-006", "not twice");

    let [asked, approval, order] = ["request", "approved", "order"].map(|kind| two.ledger(kind));
    assert!(asked.contains("\"by\":\"ben\"") && asked.contains("paused:"), "{asked}");
    assert!(
        approval.contains("\"by\":\"carla\"") && approval.contains("\"of\":\"ben\""),
        "{approval}"
    );
    assert!(order.contains("\"approved_by\":\"carla\""), "{order}");
    assert_eq!(two.ledger("not-approved").matches("MS-PEOPLE-004").count(), 2);
    assert!(two.lab.at("west", &["ledger", "verify"]).status.success());
}

#[tokio::test]
async fn soak_a_request_ends_with_its_agent_when_it_is_taken_back_and_not_by_whoever_asked() {
    let two = TwoPeople::with("force = \"two\"\n").await;
    two.paused_and_lost().await;
    let restarted = two.asks(Who::Ana).await;
    two.restart_west();
    wait_for("west answers", LONG, async || two.says(Who::Carla, &["requests"]).status.success())
        .await;
    let approved = two.says(Who::Carla, &["approve", id(&restarted)]);
    assert_eq!(refusal(&approved), "MS-PEOPLE-005");

    let withdrawn = two.asks(Who::Ana).await;
    assert!(two.says(Who::Ana, &["withdraw", id(&withdrawn)]).status.success());
    let from_elsewhere = two.lab.at("witness", &["approve", id(&withdrawn)]);
    assert_eq!(refusal(&from_elsewhere), "MS-PEOPLE-006");

    let roots = request(|| two.lab.at("witness", &["failover", "--output", "json"])).await;
    let by_root = two.lab.at("west", &["approve", id(&roots)]);
    assert_eq!(refusal(&by_root), "MS-PEOPLE-004", "the owner is one person at every site");
    assert!(!two.west_takes_writes(), "none of them began anything");
}

#[tokio::test]
async fn soak_a_request_ends_with_its_time_and_with_its_epoch() {
    let two = TwoPeople::with("force = \"two\"\napprovals-expire = \"1m\"\n").await;
    two.paused_and_lost().await;
    let approve = |request: &Value| refusal(&two.says(Who::Carla, &["approve", id(request)]));
    let expired = two.asks(Who::Ana).await;
    // Time itself is the subject: the request stands for a minute.
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(approve(&expired), "MS-PEOPLE-006");
    assert!(two.ledger("request-expired").contains(id(&expired)));
    assert!(!two.west_takes_writes(), "it began nothing");

    let outrun = two.asks(Who::Ana).await;
    wait_for("the pause has ended", LONG, async || {
        two.lab.at("west", &["resume"]).status.success()
    })
    .await;
    wait_for("west takes over by itself", LONG, async || two.west_takes_writes()).await;
    assert_eq!(approve(&outrun), "MS-PEOPLE-006");
    let told = two.ledger("not-approved");
    assert!(told.contains("it was for epoch 2"), "{told}");
}

#[tokio::test]
async fn what_waits_for_a_word_is_begun_by_an_approvers_and_an_operator_asks_for_it() {
    let two = TwoPeople::with("force = \"two\"\n").await;
    let file = two.lab.root().join("sites/west/mainstay.toml");
    let text = std::fs::read_to_string(&file).expect("a configuration");
    let text = text.replace("failover = \"automatic\"", "failover = \"approve\"");
    std::fs::write(&file, text).expect("a file");
    two.restart_west();
    two.follows_east().await;
    two.lab.done(&["lab", "kill", "east"]);
    wait_for("west asks", LONG, async || {
        let status = two.lab.at("west", &["status", "--output", "json"]);
        json(&status)["applications"][0]["state"] == "asking"
    })
    .await;
    let other_plan = two.says(Who::Ben, &["failover", "--plan", "0123456789abcdef"]);
    assert_eq!(refusal(&other_plan), "MS-PEOPLE-007");
    let request = two.asks(Who::Ana).await;
    assert_eq!(request["forced"], serde_json::json!([]), "{request:#}");
    assert!(!two.west_takes_writes(), "an operator's word is not enough");
    assert_eq!(refusal(&two.says(Who::Ana, &["approve", id(&request)])), "MS-PEOPLE-003");

    let plan = json(&two.says(Who::Ben, &["plan", "failover", "--output", "json"]));
    let hash = plan["hash"].as_str().expect("a hash");
    assert_eq!(request["plan"], hash, "nothing has changed since");
    let done = two.says(Who::Ben, &["failover", "--plan", hash, "--output", "json"]);
    assert_eq!(json(&done)["state"], "succeeded", "{:#}", json(&done));
    assert_eq!(json(&done)["requested_by"], "ben");
    assert!(two.west_takes_writes());
}

/// West has claimed the epoch, and what it had received is gone with its agent.
#[tokio::test]
async fn soak_a_loss_after_the_claim_takes_two_as_any_other() {
    let two = TwoPeople::with("force = \"two\"\n").await;
    let mut lock = two.lab.tool("psql", "west");
    let held = "BEGIN; LOCK TABLE transfers IN EXCLUSIVE MODE; SELECT pg_sleep(600)";
    let mut lock = lock.args(["-XAtq", "-c", held]).spawn().expect("psql");
    let behind = || {
        let status = json(&two.lab.at("west", &["status", "--output", "json"]));
        status["applications"][0]["links"][0]["lag"].as_f64()
    };
    wait_for("west falls behind", LONG, async || behind().is_some_and(|lag| lag > 2.0)).await;
    two.lab.done(&["lab", "kill", "east"]);
    let drains = || {
        let executions = json(&two.lab.at("west", &["executions", "--output", "json"]));
        let steps = executions[0]["steps"].as_array().cloned().unwrap_or_default();
        steps.iter().any(|it| it["name"] == "drain" && it["started_micros"].is_number())
    };
    wait_for("west drains", LONG, async || drains()).await;
    two.lab.kill_agent("west");
    lock.kill().expect("it runs");
    lock.wait().expect("it ended");
    let unlock = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' \
                  AND pid <> pg_backend_pid()";
    two.lab.sql("west", unlock);
    two.lab.done(&["lab", "start", "west"]);

    let asks = ["failover", "--accept-loss", "1h", "--reason", "a test", "--output", "json"];
    let request = request(|| two.says(Who::Ben, &asks)).await;
    assert_eq!(request["forced"][0]["name"], "arrived-lost", "{request:#}");
    assert_eq!(refusal(&two.says(Who::BensToken, &["approve", id(&request)])), "MS-PEOPLE-004");
    assert!(!two.west_takes_writes(), "one approver is not enough");
    let approved = two.says(Who::Carla, &["approve", id(&request), "--output", "json"]);
    assert!(approved.status.success(), "{:#}", json(&approved));
    wait_for("west serves", LONG, async || two.west_takes_writes()).await;
    let order = two.ledger("order");
    assert!(order.contains("\"approved_by\":\"carla\""), "{order}");
}

/// Whoever leaves before it begins has taken the order back.
#[tokio::test]
async fn an_order_that_nobody_waits_for_any_more_begins_nothing() {
    let lab = UpLab::start();
    wait_for("it is paused", LONG, async || {
        lab.run(&["pause", "--reason", "a test"]).status.success()
    })
    .await;
    let mut order =
        lab.start_command(&["failover", "--accept-loss", "1h", "--reason", "too early"]);
    let ledger = |kind| {
        let shown = lab.at("west", &["ledger", "show", "--kind", kind]);
        String::from_utf8_lossy(&shown.stdout).into_owned()
    };
    wait_for("the order is given", LONG, async || ledger("order").contains("too early")).await;
    order.kill().expect("it runs");
    order.wait().expect("it ended");
    lab.done(&["lab", "kill", "east"]);
    // Time itself is the subject: the lease of 10 s runs out, and what else takes its time is over.
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(ledger("decision"), "", "nothing was begun");
    let plan = json(&lab.at("west", &["plan", "failover", "--output", "json"]));
    let refusals = plan["refusals"].to_string();
    assert!(refusals.contains("paused"), "the pause stands in the way again: {plan:#}");
}
