//! After a fence nothing more is written, whatever was going on.

use mainstay_core::Epoch;
use mainstay_core::estate::PostgresEndpoint;
use mainstay_stores::postgres::{fence, setup};
use mainstay_testkit::{Options, Postgres, Signal, signal, wait_for, wait_for_value};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_postgres::{Client, Config, NoTls};

const PATIENCE: Duration = Duration::from_secs(60);

struct Site {
    server: Postgres,
    admin: Client,
    endpoint: PostgresEndpoint,
    roles: Vec<String>,
}

impl Site {
    async fn start() -> Self {
        let server = Postgres::start(Options::default().set("max_connections", "200"));
        let admin = server.create_database("bank").await;
        admin
            .batch_execute(
                "SET scram_iterations = 1;
                 CREATE ROLE app LOGIN PASSWORD 'app'; CREATE ROLE other LOGIN PASSWORD 'other';
                 CREATE TABLE written (client int, number int, PRIMARY KEY (client, number));
                 GRANT ALL ON written TO app, other;",
            )
            .await
            .unwrap();
        let endpoint = server.endpoint("bank");
        setup::prepare(&endpoint).await.unwrap();
        Self { server, admin, endpoint, roles: vec!["app".into()] }
    }

    async fn open(&self, epoch: u64) {
        fence::open(&self.endpoint, &self.roles, Epoch::new(epoch), || true).await.unwrap();
    }

    async fn fence(&self, epoch: u64) -> fence::Fenced {
        fence::fence(&self.endpoint, &self.roles, Epoch::new(epoch)).await.unwrap()
    }

    async fn rows(&self) -> i64 {
        self.admin.query_one("SELECT count(*) FROM written", &[]).await.unwrap().get(0)
    }

    async fn login(&self, role: &str) -> Result<Client, tokio_postgres::Error> {
        login(self.server.port(), role).await
    }
}

async fn login(port: u16, role: &str) -> Result<Client, tokio_postgres::Error> {
    let mut config = Config::new();
    config.host("127.0.0.1").port(port).dbname("bank").user(role).password(role);
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}

/// Connects again and again, and writes a few rows each time; counts what was acknowledged.
async fn write_in_a_loop(port: u16, client: i32, stop: Arc<AtomicBool>, acked: Arc<AtomicU64>) {
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        let Ok(session) = login(port, "app").await else { continue };
        if client % 2 == 0 {
            let _ = session.batch_execute("SET synchronous_commit = off").await;
        }
        for _ in 0..10 {
            number += 1;
            let sql = format!("INSERT INTO written VALUES ({client}, {number})");
            if session.batch_execute(&sql).await.is_ok() {
                acked.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_one_write_is_committed_after_a_fence_against_fifty_clients() {
    let site = Site::start().await;
    let make = "SELECT pg_create_logical_replication_slot('oracle', 'test_decoding')";
    site.admin.execute(make, &[]).await.unwrap();
    let (stop, acked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut clients = JoinSet::new();
    for client in 0..50 {
        let (stop, acked) = (stop.clone(), acked.clone());
        clients.spawn(write_in_a_loop(site.server.port(), client, stop, acked));
    }
    let mut cut = 0;
    for round in 1..=6 {
        site.open(round).await;
        let before = acked.load(Ordering::SeqCst);
        wait_for("writes at the open site", PATIENCE, async || {
            acked.load(Ordering::SeqCst) > before + 100
        })
        .await;
        let fenced = site.fence(round).await;
        let rows = site.rows().await;
        // Nothing may happen from here on: the clients get time to try.
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(site.rows().await, rows, "round {round}");
        cut += fenced.sessions_cut;
        // What the history itself says: each commit of the application ends before the position.
        let late = "SELECT count(*) FROM pg_logical_slot_get_changes('oracle', NULL, NULL) \
                    WHERE data LIKE 'table public.written%' AND lsn >= $1::text::pg_lsn";
        let late: i64 =
            site.admin.query_one(late, &[&fenced.position.to_string()]).await.unwrap().get(0);
        assert_eq!(late, 0, "round {round}");
    }
    assert!(cut > 0, "no session was there to be cut");
    stop.store(true, Ordering::Relaxed);
    while clients.join_next().await.is_some() {}
    assert!(acked.load(Ordering::SeqCst) <= u64::try_from(site.rows().await).unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_server_keeps_the_application_out_until_it_is_opened_and_nobody_else() {
    let mut site = Site::start().await;
    assert!(site.login("app").await.is_ok(), "preparing refuses nobody");
    site.open(1).await;
    assert!(site.login("app").await.is_ok());
    site.server.kill9();
    site.server.restart();
    site.admin = site.server.client("bank").await;
    let state = fence::state(&site.endpoint).await.unwrap();
    assert_eq!(state, fence::FenceState { epoch: Epoch::new(1), open: false });
    let refused = site.login("app").await.err().unwrap();
    assert_eq!(refused.code().unwrap().code(), "57P03", "{refused:?}");
    assert!(site.login("other").await.is_ok());
    // The role cannot talk the trigger out of it.
    let mut config = Config::new();
    config.host("127.0.0.1").port(site.server.port()).dbname("bank").user("app").password("app");
    assert!(config.options("-c event_triggers=off").connect(NoTls).await.is_err());
    site.open(1).await;
    assert!(site.login("app").await.is_ok());
    assert!(fence::state(&site.endpoint).await.unwrap().open);
}

#[tokio::test]
async fn the_superuser_gets_in_whatever_became_of_the_trigger_and_its_table() {
    let site = Site::start().await;
    site.fence(1).await;
    site.admin.batch_execute("DROP TABLE mainstay.site").await.unwrap();
    site.server.client("bank").await.batch_execute("SELECT 1").await.unwrap();
    setup::prepare(&site.endpoint).await.unwrap();
    site.open(1).await;
}

/// As by an agent that is stopped between its decision and the statement.
#[tokio::test(flavor = "multi_thread")]
async fn an_opening_does_not_undo_a_fence_that_came_after_its_decision() {
    let site = Site::start().await;
    site.open(5).await;
    let fenced_meanwhile = || {
        let fence = fence::fence(&site.endpoint, &site.roles, Epoch::new(5));
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(fence)).unwrap();
        true
    };
    for still in [&fenced_meanwhile as &dyn Fn() -> bool, &|| false] {
        let opened = fence::open(&site.endpoint, &site.roles, Epoch::new(5), still).await;
        assert_eq!(opened.err().unwrap().code(), "MS-PG-115");
        assert!(site.login("app").await.is_err());
    }
    site.open(5).await;
    assert!(site.login("app").await.is_ok());
}

#[tokio::test]
async fn a_stale_epoch_neither_fences_nor_opens() {
    let site = Site::start().await;
    site.open(5).await;
    let stale = Epoch::new(4);
    let error = fence::fence(&site.endpoint, &site.roles, stale).await.err().unwrap();
    assert_eq!(error.code(), "MS-PG-110", "{error}");
    assert!(site.login("app").await.is_ok());
    site.fence(6).await;
    let error =
        fence::open(&site.endpoint, &site.roles, Epoch::new(5), || true).await.err().unwrap();
    assert_eq!(error.code(), "MS-PG-110", "{error}");
    assert!(site.login("app").await.is_err());
    site.fence(6).await;
    site.open(6).await;
    site.open(6).await;
    assert!(site.login("app").await.is_ok());
}

#[tokio::test]
async fn a_session_that_cannot_be_ended_is_not_called_fenced() {
    let site = Site::start().await;
    site.open(1).await;
    let app = site.login("app").await.unwrap();
    let pid: i32 = app.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    signal(pid.cast_unsigned(), Signal::SIGSTOP);
    let short = Duration::from_millis(700);
    let outcome = fence::fence_within(&site.endpoint, &site.roles, Epoch::new(2), short).await;
    signal(pid.cast_unsigned(), Signal::SIGCONT);
    let error = outcome.err().unwrap();
    assert_eq!(error.code(), "MS-PG-113", "{error}");
    assert!(error.to_string().contains(&pid.to_string()), "{error}");
    assert_eq!(site.fence(2).await.sessions_cut, 0);
}

/// A client that is slow to answer the question for its password has not passed any check yet, or
/// has just passed it: it is ended rather than believed.
#[tokio::test]
async fn a_login_that_is_under_way_does_not_outlast_the_fence() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let site = Site::start().await;
    site.open(1).await;
    let mut socket =
        tokio::net::TcpStream::connect(("127.0.0.1", site.server.port())).await.unwrap();
    let body = b"\x00\x03\x00\x00user\0app\0database\0bank\0\0";
    socket.write_i32(i32::try_from(body.len() + 4).unwrap()).await.unwrap();
    socket.write_all(body).await.unwrap();
    let mut first = [0; 1];
    socket.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"R", "the server asks for the password");
    site.fence(2).await;
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the half-made connection is gone");
}

#[tokio::test]
async fn a_prepared_transaction_is_not_called_fenced() {
    let site = Site::start().await;
    site.open(1).await;
    let app = site.login("app").await.unwrap();
    app.batch_execute("BEGIN; INSERT INTO written VALUES (1, 1); PREPARE TRANSACTION 'half'")
        .await
        .unwrap();
    let outcome = fence::fence(&site.endpoint, &site.roles, Epoch::new(2)).await;
    let error = outcome.err().unwrap();
    assert_eq!(error.code(), "MS-PG-114", "{error}");
    assert!(error.to_string().contains("'half'"), "{error}");
    site.admin.batch_execute("ROLLBACK PREPARED 'half'").await.unwrap();
    site.fence(2).await;
}

#[tokio::test]
async fn a_role_that_a_fence_cannot_hold_is_refused_and_nothing_is_changed() {
    let site = Site::start().await;
    site.admin.batch_execute("CREATE ROLE strong SUPERUSER LOGIN").await.unwrap();
    for role in ["strong", "mainstay"] {
        let roles = vec!["app".to_owned(), role.to_owned()];
        let error = fence::fence(&site.endpoint, &roles, Epoch::new(9)).await.err().unwrap();
        assert_eq!(error.code(), "MS-PG-111", "{error}");
    }
    assert_eq!(fence::state(&site.endpoint).await.unwrap().epoch, Epoch::new(0));
    assert!(site.login("app").await.is_ok());
    let missing = vec!["nobody".to_owned()];
    let error = fence::open(&site.endpoint, &missing, Epoch::new(9), || true).await.err().unwrap();
    assert_eq!(error.code(), "MS-PG-112", "{error}");
}

#[tokio::test]
async fn a_standby_that_does_not_answer_does_not_hold_up_a_fence() {
    let site = Site::start().await;
    site.open(1).await;
    site.admin.batch_execute("ALTER SYSTEM SET synchronous_standby_names = 'gone'").await.unwrap();
    site.admin.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    wait_for_value("the setting", PATIENCE, async || {
        let row = site.admin.query_one("SHOW synchronous_standby_names", &[]).await.unwrap();
        (row.get::<_, &str>(0) == "gone").then_some(())
    })
    .await;
    tokio::time::timeout(PATIENCE, site.fence(2)).await.unwrap();
}

#[tokio::test]
async fn preparing_twice_at_once_and_again_changes_nothing() {
    let site = Site::start().await;
    let (one, other) = tokio::join!(setup::prepare(&site.endpoint), setup::prepare(&site.endpoint));
    one.unwrap();
    other.unwrap();
    site.admin
        .batch_execute("DROP PUBLICATION mainstay; CREATE PUBLICATION mainstay")
        .await
        .unwrap();
    let error = setup::prepare(&site.endpoint).await.err().unwrap();
    assert_eq!(error.code(), "MS-PG-104", "{error}");
}

#[tokio::test]
async fn a_database_without_mainstay_says_so() {
    let site = Site::start().await;
    site.admin.batch_execute("DROP SCHEMA mainstay CASCADE").await.unwrap();
    assert!(site.login("app").await.is_ok(), "no trigger is left behind");
    let error = fence::state(&site.endpoint).await.err().unwrap();
    assert_eq!(error.code(), "MS-PG-103", "{error}");
}
