//! Readers can only read, whatever way somebody gave them to write.

use mainstay_core::Epoch;
use mainstay_core::estate::{Durability, PostgresStore};
use mainstay_core::{Finding, SiteName};
use mainstay_stores::postgres::{check, fence, readers, setup};
use mainstay_testkit::{Options, Postgres};
use std::time::Duration;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, Error, NoTls};

const READERS: [&str; 1] = ["reader"];

async fn site(major: u32) -> (Postgres, Client) {
    let server = Postgres::start(Options::default().fsync(false).major(major));
    let admin = server.create_database("bank").await;
    admin
        .batch_execute(
            "REVOKE CREATE ON SCHEMA public FROM PUBLIC;
             CREATE ROLE app LOGIN PASSWORD 'word'; CREATE ROLE reader LOGIN PASSWORD 'word';
             CREATE TABLE account (id int PRIMARY KEY, cents int);
             CREATE SEQUENCE number; CREATE SCHEMA other;
             GRANT ALL ON account TO app; GRANT SELECT ON account TO reader",
        )
        .await
        .unwrap();
    setup::prepare(&server.endpoint("bank")).await.unwrap();
    (server, admin)
}

fn names() -> Vec<String> {
    READERS.map(str::to_owned).to_vec()
}

async fn keep(server: &Postgres, open: bool) -> Vec<String> {
    let unfit = readers::keep(&server.endpoint("bank"), &names(), open).await.unwrap();
    unfit.into_iter().map(|one| one.why).collect()
}

async fn login(server: &Postgres, role: &str) -> Result<Client, Error> {
    let mut config = Config::new();
    config.host("127.0.0.1").port(server.port()).dbname("bank").user(role).password("word");
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}

async fn found(server: &Postgres) -> Vec<Finding> {
    let store = PostgresStore {
        roles: vec!["app".into()],
        readers: names(),
        max_lag: Duration::from_secs(5),
        salvage: Default::default(),
        durability: Durability::EachCommit,
        compare_every: None,
        endpoints: [(SiteName::new("east").unwrap(), server.endpoint("bank"))].into(),
    };
    tokio::spawn(async move { check::findings("db", &store).await }).await.unwrap()
}

#[tokio::test]
async fn at_a_fenced_site_a_reader_reads_and_the_application_is_refused() {
    for major in [15, 18] {
        let (server, admin) = site(major).await;
        let (endpoint, roles) = (server.endpoint("bank"), vec!["app".to_owned()]);
        let finds = found(&server).await;
        // Before PostgreSQL 17 the fence does not hold at rest, readers or not.
        assert!(finds.iter().all(|it| it.code == "MS-PG-306"), "{finds:?}");
        fence::open(&endpoint, &roles, Epoch::new(1), || true).await.unwrap();
        assert!(keep(&server, true).await.is_empty());
        let before = login(&server, "reader").await.unwrap();
        fence::fence(&endpoint, &roles, Epoch::new(2)).await.unwrap();
        assert!(keep(&server, false).await.is_empty());
        before.query_one("SELECT count(*) FROM account", &[]).await.expect("it is not cut");
        let refused = login(&server, "app").await.expect_err("the fence holds");
        assert_eq!(refused.code(), Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION));

        let reader = login(&server, "reader").await.unwrap();
        let insert = "INSERT INTO account VALUES (1, 1)";
        let begins = reader.batch_execute(insert).await.unwrap_err();
        assert_eq!(begins.code(), Some(&SqlState::READ_ONLY_SQL_TRANSACTION));
        reader.batch_execute("SET default_transaction_read_only = off").await.unwrap();
        let refused = reader.batch_execute(insert).await.unwrap_err();
        assert_eq!(refused.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE));
        let rows = admin.query_one("SELECT count(*) FROM account", &[]).await.unwrap();
        assert_eq!(rows.get::<_, i64>(0), 0);
    }
}

/// Each way to write, what is said of it, and how it is taken back.
const WAYS: [(&str, &str, &str); 14] = [
    ("ALTER ROLE reader SUPERUSER", "is SUPERUSER", "ALTER ROLE reader NOSUPERUSER"),
    ("ALTER ROLE reader CREATEROLE", "is CREATEROLE", "ALTER ROLE reader NOCREATEROLE"),
    ("ALTER ROLE reader REPLICATION", "is REPLICATION", "ALTER ROLE reader NOREPLICATION"),
    ("ALTER ROLE reader BYPASSRLS", "is BYPASSRLS", "ALTER ROLE reader NOBYPASSRLS"),
    ("ALTER ROLE reader CREATEDB", "is CREATEDB", "ALTER ROLE reader NOCREATEDB"),
    (
        "GRANT INSERT ON account TO reader",
        "may change public.account",
        "REVOKE INSERT ON account FROM reader",
    ),
    (
        "GRANT UPDATE (cents) ON account TO reader",
        "may change public.account",
        "REVOKE UPDATE (cents) ON account FROM reader",
    ),
    (
        "GRANT TRUNCATE ON account TO PUBLIC",
        "may change public.account",
        "REVOKE TRUNCATE ON account FROM PUBLIC",
    ),
    (
        "ALTER TABLE account OWNER TO reader",
        "owns public.account",
        "ALTER TABLE account OWNER TO postgres_owner",
    ),
    ("GRANT app TO reader", "may change public.account as \"app\"", "REVOKE app FROM reader"),
    (
        "GRANT USAGE ON SEQUENCE number TO reader",
        "may take numbers of public.number",
        "REVOKE USAGE ON SEQUENCE number FROM reader",
    ),
    (
        "GRANT CREATE ON SCHEMA other TO PUBLIC",
        "may create in schema other",
        "REVOKE CREATE ON SCHEMA other FROM PUBLIC",
    ),
    (
        "GRANT CREATE ON DATABASE bank TO reader",
        "may create schemas",
        "REVOKE CREATE ON DATABASE bank FROM reader",
    ),
    (
        "GRANT pg_write_all_data TO reader",
        "may act as the server",
        "REVOKE pg_write_all_data FROM reader",
    ),
];

#[tokio::test]
async fn a_reader_that_could_write_in_any_way_is_found_and_shut_out_until_it_cannot() {
    let (server, admin) = site(18).await;
    admin.batch_execute("CREATE ROLE postgres_owner; ALTER ROLE reader NOINHERIT").await.unwrap();
    for (give, said, take) in WAYS {
        admin.batch_execute(give).await.unwrap();
        let finds = found(&server).await;
        let told = |it: &Finding| it.code == "MS-PG-319" && it.what.contains(said);
        assert!(finds.iter().any(told), "{give}: {finds:?}");
        let session = login(&server, "reader").await.unwrap();
        let unfit = keep(&server, true).await;
        assert!(unfit.iter().any(|why| why.contains(said)), "{give}: {unfit:?}");
        session.batch_execute("SELECT 1").await.expect("an open site is left as it is");
        keep(&server, false).await;
        assert!(session.batch_execute("SELECT 1").await.is_err(), "{give}: its session goes on");
        let refused = login(&server, "reader").await.err().unwrap_or_else(|| panic!("{give}"));
        assert_eq!(refused.code(), Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION));
        admin.batch_execute(take).await.unwrap();
        let left = keep(&server, false).await;
        assert!(left.is_empty(), "{take}: {left:?}");
        login(&server, "reader").await.unwrap_or_else(|why| panic!("{take}: {why}"));
        admin.batch_execute("GRANT SELECT ON account TO reader").await.unwrap();
    }
}

#[tokio::test]
async fn functions_that_run_as_their_owner_are_named_and_a_missing_reader_is_told() {
    let (server, admin) = site(18).await;
    admin
        .batch_execute(
            "CREATE FUNCTION public.pay(int) RETURNS void LANGUAGE sql SECURITY DEFINER \
             AS 'UPDATE public.account SET cents = $1'",
        )
        .await
        .unwrap();
    let finds = found(&server).await;
    let [one] = finds.as_slice() else { panic!("{finds:?}") };
    assert!(one.code == "MS-PG-320" && one.what.contains("pay(integer)"), "{one:?}");
    admin.batch_execute("REVOKE EXECUTE ON FUNCTION public.pay FROM PUBLIC").await.unwrap();
    assert!(found(&server).await.is_empty());
    admin.batch_execute("DROP OWNED BY reader; DROP ROLE reader").await.unwrap();
    let finds = found(&server).await;
    assert!(finds.iter().any(|it| it.code == "MS-PG-112"), "{finds:?}");
    assert!(keep(&server, false).await.is_empty(), "who is not there writes nothing");
}
