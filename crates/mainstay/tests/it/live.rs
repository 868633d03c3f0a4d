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
fn folder(east: &Postgres, west: &Postgres) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("tls")).expect("a folder");
    std::fs::write(folder.path().join("tls/ca.pem"), "-").expect("a file");
    let text = EXAMPLE
        .replace("10.0.1.20:5432", &format!("127.0.0.1:{}", east.port()))
        .replace("10.0.2.20:5432", &format!("127.0.0.1:{}", west.port()))
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
    let folder = folder(&east, &west);
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
