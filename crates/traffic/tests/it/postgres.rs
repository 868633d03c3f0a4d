//! PostgreSQL through the gate, with PostgreSQL's own clients.

use super::support::SOON;
use super::support::site::{LONG, Pair};
use bytes::Bytes;
use futures::SinkExt;
use mainstay_testkit::{Options, Postgres, wait_for};
use std::net::SocketAddr;
use std::pin::pin;
use std::process::Output;
use std::time::{Duration, Instant};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, Error, NoTls};

const HOLD: Duration = Duration::from_secs(20);

/// East serves its database, west passes on to it.
async fn serving(hold: Duration) -> (Pair, Postgres) {
    let server = Postgres::start(Options::default().fsync(false));
    let pair = Pair::serving(hold, [server.port(), 1]).await;
    (pair, server)
}

pub async fn connect(server: &Postgres, gate: SocketAddr) -> Result<Client, Error> {
    let endpoint = server.endpoint("postgres");
    let mut config = Config::new();
    config.host("127.0.0.1").port(gate.port()).dbname("postgres").user(&endpoint.user);
    config.password(endpoint.password.expect("there is one").expose());
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}

pub async fn run(server: &Postgres, gate: SocketAddr, tool: &str, arguments: &[&str]) -> Output {
    let mut command = server.bin(tool);
    command.env("PGHOST", "127.0.0.1").env("PGPORT", gate.port().to_string());
    command.env("PGDATABASE", "postgres").args(arguments);
    let mut command = tokio::process::Command::from(command);
    command.output().await.expect("the tool runs")
}

pub fn text(output: &Output) -> String {
    [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat()
}

#[tokio::test]
async fn psql_works_at_both_gates_whatever_encryption_it_wishes_for() {
    let (pair, server) = serving(HOLD).await;
    for gate in [pair.east.db, pair.west.db] {
        let output = run(&server, gate, "psql", &["-Atc", "SELECT 6 * 7"]).await;
        assert_eq!(text(&output), "42\n");
    }
    let output = run(&server, pair.east.db, "psql", &["sslmode=require", "-Atc", "SELECT 1"]).await;
    assert!(text(&output).contains("server does not support SSL"), "{}", text(&output));
}

#[tokio::test]
async fn an_idle_session_is_cut_with_57p01_and_one_in_a_transaction_is_waited_for() {
    let (pair, server) = serving(HOLD).await;
    for gate in [pair.east.db, pair.west.db] {
        let epoch = 1;
        let idle = connect(&server, gate).await.unwrap();
        let busy = connect(&server, gate).await.unwrap();
        idle.batch_execute("SELECT 1").await.unwrap();
        busy.batch_execute("CREATE TABLE IF NOT EXISTS t (); BEGIN; INSERT INTO t DEFAULT VALUES")
            .await
            .unwrap();
        pair.east.report(|r| r.connections == 2 && r.in_transaction == 1).await;
        pair.east.hold(epoch, LONG).await;
        pair.east.report(|r| r.connections == 1 && r.in_transaction == 1 && !r.drained).await;
        let error = idle.batch_execute("SELECT 1").await.unwrap_err();
        assert!(error.is_closed() || error.code() == Some(&SqlState::ADMIN_SHUTDOWN), "{error:?}");
        busy.batch_execute("COMMIT").await.unwrap();
        pair.east.report(|r| r.connections == 0 && r.drained).await;
        pair.east.serve(epoch, LONG).await;
    }
    let rows = server.client("postgres").await.query("TABLE t", &[]).await.unwrap();
    assert_eq!(rows.len(), 2);
}

#[tokio::test]
async fn a_session_is_told_57p01_when_it_is_cut() {
    let (pair, server) = serving(HOLD).await;
    for gate in [pair.east.db, pair.west.db] {
        // The psql that sleeps on its own side is idle for the server.
        let script = "\\echo ready\n\\! sleep 2\nSELECT 1;\n";
        let file = pair.east.spec.state_dir.join("script.sql");
        std::fs::write(&file, script).unwrap();
        let path = file.to_str().unwrap();
        let arguments = ["-v", "VERBOSITY=verbose", "-f", path];
        let psql = run(&server, gate, "psql", &arguments);
        let hold = async {
            pair.east.report(|r| r.connections == 1 && r.in_transaction == 0).await;
            pair.east.hold(1, LONG).await;
            pair.east.report(|r| r.drained).await;
        };
        let (output, ()) = tokio::join!(psql, hold);
        assert!(text(&output).contains("57P01"), "{}", text(&output));
        assert!(text(&output).contains("active site changes"), "{}", text(&output));
        pair.east.serve(1, LONG).await;
    }
}

#[tokio::test]
async fn an_idle_session_is_kept_as_long_as_a_request_is_in_flight() {
    let (pair, server) = serving(HOLD).await;
    let client = connect(&server, pair.east.db).await.unwrap();
    client.batch_execute("SELECT 1").await.unwrap();
    let slow = tokio::spawn(super::support::client::post(pair.east.http, "/slow", ""));
    pair.east.report(|r| r.http_in_flight == 1).await;
    pair.east.hold(1, LONG).await;
    for _ in 0..20 {
        client.batch_execute("SELECT 1").await.unwrap();
    }
    pair.east.upstreams.iter().for_each(|upstream| upstream.gate.add_permits(1));
    assert_eq!(slow.await.unwrap().status(), 200);
    pair.east.report(|r| r.drained && r.connections == 0).await;
}

#[tokio::test]
async fn closing_and_lapsing_cut_a_transaction_at_once_and_it_is_not_committed() {
    let (pair, server) = serving(Duration::from_millis(200)).await;
    let admin = server.client("postgres").await;
    admin.batch_execute("CREATE TABLE t (id int)").await.unwrap();
    for (epoch, lapse) in [(2, false), (3, true)] {
        let span = if lapse { Duration::from_secs(1) } else { LONG };
        pair.east.serve(epoch, span).await;
        let client = connect(&server, pair.east.db).await.unwrap();
        client.batch_execute("BEGIN; INSERT INTO t VALUES (1)").await.unwrap();
        if !lapse {
            pair.east.close(epoch).await;
        }
        pair.east.report(|r| r.drained && r.posture_name == "closed" && r.lapsed == lapse).await;
        assert!(client.batch_execute("COMMIT").await.is_err());
        let refused = connect(&server, pair.east.db).await.err().unwrap();
        assert_eq!(refused.code(), Some(&SqlState::CANNOT_CONNECT_NOW), "{refused:?}");
    }
    assert!(admin.query("TABLE t", &[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn pgbench_loses_no_transaction_and_sees_no_error_during_holds() {
    let (pair, server) = serving(HOLD).await;
    let output = run(&server, pair.east.db, "pgbench", &["-i", "-q", "-s", "1"]).await;
    assert!(output.status.success(), "{}", text(&output));
    // A connection for each transaction: start-ups are what a hold holds. And a thread for each
    // client: one that is held in its start-up would keep another from ending its transaction.
    let arguments = ["-n", "-C", "-c", "4", "-j", "4", "-T", "6"];
    let (east, west) = (pair.east.db, pair.west.db);
    let one = run(&server, east, "pgbench", &arguments);
    let two = run(&server, west, "pgbench", &arguments);
    let holds = async {
        for _ in 0..8 {
            tokio::time::sleep(Duration::from_millis(300)).await;
            pair.east.hold(1, LONG).await;
            pair.east.report(|r| r.drained).await;
            pair.east.serve(1, LONG).await;
        }
    };
    let (one, two, ()) = tokio::join!(one, two, holds);
    let mut processed = 0;
    for output in [one, two] {
        let text = text(&output);
        assert!(output.status.success(), "{text}");
        assert!(text.contains("number of failed transactions: 0 "), "{text}");
        let line = text
            .lines()
            .find_map(|l| l.strip_prefix("number of transactions actually processed: "));
        processed += line.unwrap().trim().parse::<i64>().unwrap();
    }
    let admin = server.client("postgres").await;
    let row = admin.query_one("SELECT count(*) FROM pgbench_history", &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), processed);
    println!("{processed} transactions, a connection each");
}

/// How many sessions of the server are in `pg_sleep`.
async fn sleeping(server: &Postgres) -> i64 {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    server.client("postgres").await.query_one(sql, &[]).await.expect("activity").get(0)
}

#[tokio::test]
async fn a_query_is_cancelled_through_either_gate() {
    let (pair, server) = serving(HOLD).await;
    for gate in [pair.east.db, pair.west.db] {
        let client = connect(&server, gate).await.unwrap();
        let token = client.cancel_token();
        let began = Instant::now();
        let sleep = client.batch_execute("SELECT pg_sleep(60)");
        let cancel = async {
            // A server that has not begun the query yet ignores a cancel request.
            wait_for("a sleeping session", SOON, async || sleeping(&server).await == 1).await;
            token.cancel_query(NoTls).await.unwrap();
        };
        let (error, ()) = tokio::join!(sleep, cancel);
        assert_eq!(error.unwrap_err().code(), Some(&SqlState::QUERY_CANCELED));
        assert!(began.elapsed() < SOON);
    }
}

#[tokio::test]
async fn a_session_that_copied_is_idle_afterwards_and_cut() {
    let (pair, server) = serving(HOLD).await;
    let client = connect(&server, pair.east.db).await.unwrap();
    client.batch_execute("CREATE TABLE t (id int)").await.unwrap();
    // This client sends a Sync before the copy, which the server ignores, and one after it.
    let mut sink = pin!(client.copy_in::<_, Bytes>("COPY t FROM STDIN").await.unwrap());
    sink.send(Bytes::from_static(b"1\n2\n")).await.unwrap();
    pair.east.report(|r| r.in_transaction == 1).await;
    pair.east.hold(1, LONG).await;
    assert_eq!(sink.as_mut().finish().await.unwrap(), 2);
    pair.east.report(|r| r.drained && r.connections == 0).await;
    let rows = server.client("postgres").await.query("TABLE t", &[]).await.unwrap();
    assert_eq!(rows.len(), 2);
}

#[tokio::test]
async fn large_results_and_copies_pass_unchanged_through_the_tunnel() {
    let (pair, server) = serving(HOLD).await;
    let client = connect(&server, pair.west.db).await.unwrap();
    let rows = client
        .query("SELECT i, repeat(md5(i::text), 200) AS s FROM generate_series(1, 10000) i", &[])
        .await
        .unwrap();
    assert_eq!(rows.len(), 10_000);
    let bytes: usize = rows.iter().map(|row| row.get::<_, &str>(1).len()).sum();
    assert_eq!(bytes, 10_000 * 32 * 200);
}

#[tokio::test]
async fn a_start_up_is_held_until_there_is_a_place_for_it() {
    let server = Postgres::start(Options::default().fsync(false));
    let pair = Pair::start(HOLD, [server.port(), 1]).await;
    pair.west.forward(1, "east").await;
    let (east, west) = (connect(&server, pair.east.db), connect(&server, pair.west.db));
    let open = async {
        wait_for("two held start-ups", SOON, async || {
            tokio::time::sleep(Duration::from_millis(300)).await;
            true
        })
        .await;
        pair.east.serve(1, LONG).await;
    };
    let (east, west, ()) = tokio::join!(east, west, open);
    for client in [east, west] {
        client.unwrap().batch_execute("SELECT 1").await.unwrap();
    }
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_told_to_the_client() {
    let mut server = Postgres::start(Options::default().fsync(false));
    let pair = Pair::serving(HOLD, [server.port(), 1]).await;
    server.stop_immediate();
    for gate in [pair.east.db, pair.west.db] {
        let error = connect(&server, gate).await.err().unwrap();
        assert_eq!(error.code(), Some(&SqlState::CANNOT_CONNECT_NOW), "{error:?}");
    }
}

#[tokio::test]
async fn a_killed_server_is_not_mistaken_for_a_clean_end() {
    let (pair, mut server) = serving(HOLD).await;
    let client = connect(&server, pair.west.db).await.unwrap();
    client.batch_execute("BEGIN").await.unwrap();
    server.kill9();
    assert!(client.batch_execute("COMMIT").await.is_err());
    pair.east.report(|r| r.connections == 0 && r.in_transaction == 0).await;
    pair.west.report(|r| r.connections == 0 && r.in_transaction == 0).await;
}
