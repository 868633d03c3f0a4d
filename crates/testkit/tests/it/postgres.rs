use mainstay_testkit::{Options, Postgres, wait_for};
use std::fs;
use std::net::TcpStream;
use std::time::Duration;

async fn count(postgres: &Postgres) -> i64 {
    let client = postgres.client("bank").await;
    client.query_one("SELECT count(*) FROM t", &[]).await.expect("t is there").get(0)
}

async fn with_rows(options: Options, rows: u32) -> Postgres {
    let postgres = Postgres::start(options);
    let bank = postgres.create_database("bank").await;
    let fill = format!("CREATE TABLE t AS SELECT generate_series(1, {rows}) AS n");
    bank.batch_execute(&fill).await.expect("a table is made");
    postgres
}

#[tokio::test]
async fn a_server_is_durable_and_decodes_logically() {
    let postgres = Postgres::start(Options::default());
    let client = postgres.client("postgres").await;
    for (name, value) in [("fsync", "on"), ("wal_level", "logical"), ("server_version_num", "18")] {
        let row = client.query_one("SELECT current_setting($1)", &[&name]).await.expect("it is");
        assert!(row.get::<_, String>(0).starts_with(value), "{name}");
    }
}

#[tokio::test]
async fn a_server_has_the_major_version_that_was_asked_for() {
    for major in [15, 17, 18] {
        let postgres = Postgres::start(Options::default().fsync(false).major(major));
        let client = postgres.client("postgres").await;
        let row = client.query_one("SELECT current_setting('server_version')", &[]).await;
        let version: String = row.expect("it has one").get(0);
        assert!(version.starts_with(&format!("{major}.")), "{version}");
    }
}

#[tokio::test]
async fn committed_work_survives_a_kill_on_the_same_port() {
    let mut postgres = with_rows(Options::default(), 1000).await;
    let port = postgres.port();
    postgres.kill9();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "the server was killed");
    postgres.restart();
    assert_eq!(postgres.port(), port);
    assert_eq!(count(&postgres).await, 1000);
    postgres.stop_immediate();
    postgres.restart();
    assert_eq!(count(&postgres).await, 1000);
}

#[tokio::test]
async fn over_tcp_the_superuser_needs_its_password() {
    let postgres = Postgres::start(Options::default());
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(postgres.port()).dbname("postgres").user("mainstay");
    let refused = config.password("wrong").connect(tokio_postgres::NoTls).await.err();
    let refused = refused.expect("a wrong password is refused");
    assert!(refused.as_db_error().is_some_and(|e| e.code().code() == "28P01"), "{refused:?}");
}

#[tokio::test]
async fn two_servers_run_side_by_side_and_are_told_apart() {
    let (one, other) = (Postgres::start(Options::default()), Postgres::start(Options::default()));
    let mut identifiers = Vec::new();
    for postgres in [&one, &other] {
        let client = postgres.client("postgres").await;
        let row = client.query_one("SELECT system_identifier FROM pg_control_system()", &[]).await;
        identifiers.push(row.expect("it has one").get::<_, i64>(0));
    }
    assert_ne!(identifiers[0], identifiers[1]);
}

#[tokio::test]
async fn equal_databases_give_equal_dumps_and_unequal_ones_do_not() {
    let one = with_rows(Options::default().fsync(false), 3).await;
    let other = with_rows(Options::default().fsync(false), 3).await;
    let bank = other.client("bank").await;
    bank.batch_execute("UPDATE t SET n = n WHERE n = 1").await.expect("it moves the row");
    assert_eq!(one.dump("bank"), other.dump("bank"));
    bank.batch_execute("UPDATE t SET n = 7 WHERE n = 1").await.expect("it changes the row");
    assert_ne!(one.dump("bank"), other.dump("bank"));
}

#[tokio::test]
async fn nothing_is_left_of_a_server_whose_test_panicked() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let test = std::thread::spawn(move || {
        let postgres = Postgres::start(Options::default());
        sender.send((postgres.port(), postgres.data_folder())).expect("the test waits for it");
        panic!("as a failing test does");
    });
    let (port, folder) = receiver.recv().expect("the server started");
    assert!(test.join().is_err());
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    assert!(!fs::exists(folder).expect("its parent can be read"));
}

/// Plays the test that is killed, in a process of its own: prints where its server is and waits.
#[tokio::test]
async fn nothing_is_left_of_a_server_whose_test_was_killed() {
    if std::env::var_os("PLAY_THE_KILLED_TEST").is_some() {
        let postgres = Postgres::start(Options::default());
        println!("{}", postgres.data_folder().display());
        std::thread::park();
    }
    let mut test = start_victim();
    let folder = wait_for_folder(&mut test);
    let server = fs::read_to_string(folder.join("postmaster.pid")).expect("the server runs");
    let server = server.lines().next().expect("line 1 is the process id").to_owned();
    test.kill().expect("it is our child");
    test.wait().expect("it is our child");
    wait_for("the server's folder is gone", Duration::from_secs(60), async || !folder.exists())
        .await;
    let cwd = fs::read_link(format!("/proc/{server}/cwd"));
    assert!(cwd.is_err(), "the server ended: {cwd:?}");
}

fn start_victim() -> std::process::Child {
    let this = std::env::current_exe().expect("a test has a file");
    let name = "postgres::nothing_is_left_of_a_server_whose_test_was_killed";
    let mut command = std::process::Command::new(this);
    command.args([name, "--exact", "--nocapture"]).env("PLAY_THE_KILLED_TEST", "1");
    command.stdout(std::process::Stdio::piped()).spawn().expect("the test starts")
}

fn wait_for_folder(test: &mut std::process::Child) -> std::path::PathBuf {
    use std::io::{BufRead, BufReader};
    let lines = BufReader::new(test.stdout.take().expect("it is piped")).lines();
    let mut lines = lines.map(|line| line.expect("it is text"));
    lines.find(|line| line.starts_with('/')).expect("it prints its folder").into()
}
