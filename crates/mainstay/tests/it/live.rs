//! `mainstay check --live` against real servers: the findings of the databases come out as those of
//! the file do, and a good pair of databases is a good end.

use crate::golden::mainstay;
use mainstay_core::Secret;
use mainstay_testkit::{Options, Postgres};
use serde_json::Value;
use std::path::Path;
use tempfile::TempDir;

const EXAMPLE: &str = include_str!("../../src/config/example.toml");

/// The example, with the databases of two servers, reached without TLS.
fn folder(east: u16, west: u16) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("tls")).expect("a folder");
    std::fs::write(folder.path().join("tls/ca.pem"), "-").expect("a file");
    let text = EXAMPLE
        .replace("10.0.1.20:5432", &format!("127.0.0.1:{east}"))
        .replace("10.0.2.20:5432", &format!("127.0.0.1:{west}"))
        .replace("authority = \"tls/databases.pem\"", "tls = \"disable\"");
    std::fs::write(folder.path().join("mainstay.toml"), text).expect("a file");
    folder
}

fn check(folder: &Path, password: &Secret) -> (Value, Option<i32>, String) {
    let output = mainstay(folder)
        .args(["--output", "json", "check", "--live"])
        .env("BANK_DB_PASSWORD", password.expose())
        .output()
        .expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let answer = serde_json::from_str(&text).expect("JSON");
    (answer, output.status.code(), text + &String::from_utf8_lossy(&output.stderr))
}

async fn bank(server: &Postgres) {
    let client = server.create_database("bank").await;
    let made =
        client.batch_execute("CREATE ROLE bank LOGIN; CREATE TABLE account (id int PRIMARY KEY)");
    made.await.expect("it is made");
}

#[tokio::test(flavor = "multi_thread")]
async fn databases_are_looked_at_only_when_asked_and_what_is_wrong_is_told_before_anything_is_touched()
 {
    let east = Postgres::start(Options::default());
    let mut west = Postgres::start(Options::default());
    bank(&east).await;
    bank(&west).await;
    let folder = folder(east.port(), west.port());
    let password = east.endpoint("bank").password.expect("test servers have one");

    let (answer, code, _) = check(folder.path(), &password);
    assert_eq!((&answer["ok"], code), (&Value::Bool(true), Some(0)), "{answer:#}");

    west.stop();
    let (answer, code, everything) = check(folder.path(), &password);
    assert_eq!((&answer["ok"], code), (&Value::Bool(false), Some(1)), "{answer:#}");
    let place = answer["findings"][0]["place"].as_str().expect("a place");
    assert!(place.contains("endpoints.west"), "{answer:#}");
    assert!(!everything.contains(password.expose()), "the password was shown");
}

/// The oracle is a socket that answers where east's agent should, and programs that always say the
/// same.
#[test]
fn a_confirm_that_calls_a_running_site_stopped_is_told() {
    // Nothing is there; what is wrong with the databases is another matter.
    let folder = folder(1, 2);
    let agent = std::net::TcpListener::bind("127.0.0.1:0").expect("a socket");
    let address = agent.local_addr().expect("an address").to_string();
    let file = folder.path().join("mainstay.toml");
    let good = std::fs::read_to_string(&file).expect("a file");
    let password = Secret::new("none");
    let told = |confirm: &str, agent: &str| {
        let means = format!(
            "\n[[applications.bank.fencing.east]]\ncommand = [\"/bin/touch\", \"stopped\"]\n\
             confirm = {confirm}\ntimeout = \"2s\"\n"
        );
        let text = good.replace("10.0.1.10:7400", agent) + &means;
        std::fs::write(&file, text).expect("a file");
        let (answer, _, everything) = check(folder.path(), &password);
        let findings = answer["findings"].as_array().expect(&everything).clone();
        let of_fence = |it: &&Value| it["code"] == "MS-CFG-029";
        findings.iter().find(of_fence).map_or(Value::Null, |it| it["severity"].clone())
    };
    assert_eq!(told("[\"/bin/true\"]", &address), "error");
    assert_eq!(told("[\"/bin/false\"]", &address), Value::Null);
    assert_eq!(told("[\"/bin/sleep\", \"60\"]", &address), "warning");
    assert_eq!(told("[\"/bin/true\"]", "127.0.0.1:3"), "note");
    assert!(!folder.path().join("stopped").exists(), "nothing is stopped");
}
