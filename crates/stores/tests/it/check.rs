//! The check names each thing that Mainstay cannot work with, before anything is touched.

use crate::sites::Site;
use mainstay_core::estate::{Durability, PostgresEndpoint, PostgresStore};
use mainstay_core::{Finding, Secret, Severity, SiteName};
use mainstay_stores::postgres::{check, setup};
use mainstay_testkit::{Options, Postgres};
use std::collections::BTreeMap;

const PLACE: &str = "applications.bank.stores.db";
const GOOD: &str = "CREATE ROLE bank LOGIN; CREATE TABLE account (id int PRIMARY KEY, v text)";

fn store(sites: &[(&str, PostgresEndpoint)], roles: &[&str]) -> PostgresStore {
    let named = |(name, endpoint): &(&str, PostgresEndpoint)| {
        (SiteName::new(*name).unwrap(), endpoint.clone())
    };
    PostgresStore {
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        readers: Vec::new(),
        max_lag: std::time::Duration::from_secs(5),
        salvage: BTreeMap::new(),
        durability: Durability::EachCommit,
        compare_every: None,
        endpoints: sites.iter().map(named).collect(),
    }
}

async fn found(sites: &[(&str, PostgresEndpoint)], roles: &[&str]) -> Vec<Finding> {
    let store = store(sites, roles);
    tokio::spawn(async move { check::findings(PLACE, &store).await }).await.unwrap()
}

/// Codes and the site where each was found, errors first marked.
fn codes(findings: &[Finding]) -> Vec<String> {
    let one = |finding: &Finding| {
        let site = finding.place.rsplit('.').next().unwrap();
        let mark = if finding.severity == Severity::Error { "!" } else { "" };
        format!("{mark}{} {site}", finding.code)
    };
    let mut codes: Vec<_> = findings.iter().map(one).collect();
    codes.sort();
    codes
}

#[tokio::test]
async fn two_good_sites_give_no_finding() {
    let (east, west) = tokio::join!(Site::start(GOOD), Site::start(GOOD));
    let sites = [("east", east.endpoint.clone()), ("west", west.endpoint.clone())];
    assert_eq!(found(&sites, &["bank"]).await, []);
}

#[tokio::test]
async fn each_thing_that_is_wrong_in_a_database_is_named_with_its_site() {
    let (east, west) = tokio::join!(Site::start(GOOD), Site::start(""));
    east.run(
        "CREATE TABLE keyless (v text); CREATE TABLE full_rows (v text);
         ALTER TABLE full_rows REPLICA IDENTITY FULL;
         CREATE TABLE by_index (v text UNIQUE NOT NULL);
         ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_v_key;
         CREATE TABLE nothing (v int PRIMARY KEY); ALTER TABLE nothing REPLICA IDENTITY NOTHING;
         CREATE UNLOGGED TABLE fleeting (v int PRIMARY KEY);
         SELECT lo_create(0);
         CREATE ROLE root SUPERUSER; CREATE ROLE climber LOGIN IN ROLE root;
         CREATE ROLE writer LOGIN; GRANT INSERT ON account TO writer;
         CREATE ROLE reader LOGIN; GRANT SELECT ON account TO reader",
    )
    .await;
    east.run("ALTER SYSTEM SET event_triggers = off").await;
    east.run("SELECT pg_reload_conf()").await;
    let roles = ["bank", "root", "climber", "mainstay"];
    let sites = [("east", east.endpoint.clone()), ("west", west.endpoint.clone())];
    let found = found(&sites, &roles).await;
    let expected = [
        "!MS-PG-111 east", // root
        "!MS-PG-111 east", // climber
        "!MS-PG-111 east", // mainstay
        "!MS-PG-111 west", // mainstay
        "!MS-PG-112 west", // bank
        "!MS-PG-112 west", // climber
        "!MS-PG-112 west", // root
        "!MS-PG-308 east", // keyless
        "!MS-PG-308 east", // nothing
        "!MS-PG-311 east",
        "MS-PG-306 east",
        "MS-PG-307 east", // writer
        "MS-PG-309 east", // full_rows
        "MS-PG-310 east",
    ];
    assert_eq!(codes(&found), expected, "{found:#?}");
    assert!(found.iter().all(|finding| finding.what.len() > 20 && finding.advice.len() > 20));
    assert!(found.iter().any(|finding| finding.what.contains("public.keyless")));
    assert!(found.iter().any(|finding| finding.what.contains("\"writer\"")));
}

#[tokio::test]
async fn one_database_twice_and_a_server_that_is_not_there_are_named() {
    let east = Site::start(GOOD).await;
    let again = PostgresEndpoint { host: "localhost".into(), ..east.endpoint.clone() };
    let gone = PostgresEndpoint { port: mainstay_testkit::free_port(), ..east.endpoint.clone() };
    let canary = Secret::new("canary-password");
    let wrong = PostgresEndpoint { password: Some(canary), ..east.endpoint.clone() };
    let absent = PostgresEndpoint { database: "nowhere".into(), ..east.endpoint.clone() };
    let sites = [
        ("east", east.endpoint.clone()),
        ("east-again", again),
        ("gone", gone),
        ("refused", wrong),
        ("unnamed", absent),
    ];
    let found = found(&sites, &["bank"]).await;
    let expected =
        ["!MS-PG-100 gone", "!MS-PG-101 refused", "!MS-PG-101 unnamed", "!MS-PG-316 east-again"];
    assert_eq!(codes(&found), expected, "{found:#?}");
    assert!(!format!("{found:?}").contains("canary"), "no password in what is shown");
}

#[tokio::test]
async fn a_server_that_cannot_replicate_is_named_with_the_setting() {
    let options = Options::default()
        .set("wal_level", "replica")
        .set("max_wal_senders", "1")
        .set("max_replication_slots", "2");
    let server = Postgres::start(options);
    let admin = server.client("postgres").await;
    let roles = "CREATE ROLE bank; CREATE ROLE weak LOGIN PASSWORD 'weak'";
    admin.batch_execute(roles).await.unwrap();
    let weak = PostgresEndpoint {
        user: "weak".into(),
        password: Some(Secret::new("weak")),
        ..server.endpoint("postgres")
    };
    let found = found(&[("east", weak)], &["bank"]).await;
    let expected = ["!MS-PG-301 east", "!MS-PG-302 east", "!MS-PG-302 east", "!MS-PG-303 east"];
    assert_eq!(codes(&found), expected, "{found:#?}");
}

/// What the check names is what PostgreSQL refuses, no more and no less; and what Mainstay makes
/// must not be the reason for it.
#[tokio::test]
async fn tables_that_a_publication_would_make_read_only_are_named_and_nothing_is_prepared() {
    const TABLES: &str = "
        CREATE TABLE full_stored (a int, g int GENERATED ALWAYS AS (a * 2) STORED, b int);
        CREATE TABLE full_virtual (a int PRIMARY KEY, g int GENERATED ALWAYS AS (a * 2), b int);
        CREATE TABLE \"Key\" (a int, g int GENERATED ALWAYS AS (a * 2) STORED PRIMARY KEY, b int);
        CREATE TABLE by_index (a int, g int GENERATED ALWAYS AS (a * 2) STORED NOT NULL UNIQUE, b int);
        CREATE TABLE parts (a int, g int GENERATED ALWAYS AS (a * 2) STORED, b int) PARTITION BY LIST (b);
        CREATE TABLE part PARTITION OF parts FOR VALUES IN (0);
        CREATE TABLE fine_key (a int PRIMARY KEY, g int GENERATED ALWAYS AS (a * 2) STORED, b int);
        CREATE TABLE fine_index (a int NOT NULL, g int GENERATED ALWAYS AS (a * 2) STORED, b int);
        CREATE UNIQUE INDEX fine_index_a ON fine_index (a) INCLUDE (g);
        CREATE TABLE fine_full (a int, b int);
        CREATE UNLOGGED TABLE fine_unlogged (a int, g int GENERATED ALWAYS AS (a * 2) STORED, b int);
        ALTER TABLE full_stored REPLICA IDENTITY FULL;
        ALTER TABLE full_virtual REPLICA IDENTITY FULL;
        ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_g_key;
        ALTER TABLE part REPLICA IDENTITY FULL;
        ALTER TABLE fine_index REPLICA IDENTITY USING INDEX fine_index_a;
        ALTER TABLE fine_full REPLICA IDENTITY FULL;
        ALTER TABLE fine_unlogged REPLICA IDENTITY FULL;";
    let server = Postgres::start(Options::default().fsync(false));
    let client = server.create_database("bank").await;
    client.batch_execute("CREATE ROLE bank LOGIN; SET search_path = public").await.unwrap();
    client.batch_execute(TABLES).await.unwrap();
    let list = "SELECT relname::text FROM pg_class WHERE relkind = 'r' \
                AND relnamespace = 'public'::regnamespace";
    let tables: Vec<String> =
        client.query(list, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    let refused = async || {
        let mut refused = Vec::new();
        for table in &tables {
            let update = format!("UPDATE public.\"{table}\" SET b = 1");
            if let Err(error) = client.batch_execute(&update).await {
                let detail = error.as_db_error().and_then(|e| e.detail()).unwrap_or_default();
                assert!(detail.contains("unpublished generated columns"), "{table}: {error:?}");
                refused.push(table.clone());
            }
        }
        refused.sort();
        refused
    };

    let endpoint = server.endpoint("bank");
    let fault = setup::prepare(&endpoint).await.unwrap_err();
    assert_eq!(fault.code(), "MS-PG-317", "{fault}");
    assert!(fault.to_string().contains("public.\"Key\", public.by_index"), "{fault}");
    assert!(refused().await.is_empty(), "the application goes on as before");
    assert!(!setup::is_prepared(&endpoint).await.unwrap());

    let found = found(&[("east", endpoint.clone())], &["bank"]).await;
    let named = found.iter().filter(|finding| finding.code == "MS-PG-317");
    let mut named: Vec<_> = named
        .map(|finding| {
            let table = finding.what.split("public.").nth(1).unwrap();
            table.split(" has ").next().unwrap().replace('"', "")
        })
        .collect();
    named.sort();
    client.batch_execute("CREATE PUBLICATION by_hand FOR ALL TABLES").await.unwrap();
    assert_eq!(refused().await, named, "{found:#?}");
    assert_eq!(named.len(), 5);

    let mend = "DROP PUBLICATION by_hand; DROP TABLE \"Key\", by_index;
                ALTER TABLE full_stored ADD PRIMARY KEY (a), REPLICA IDENTITY DEFAULT;
                ALTER TABLE full_virtual REPLICA IDENTITY DEFAULT;
                ALTER TABLE parts ALTER a SET NOT NULL; DROP TABLE part;
                CREATE TABLE part PARTITION OF parts (PRIMARY KEY (a)) FOR VALUES IN (0)";
    client.batch_execute(mend).await.unwrap();
    setup::prepare(&endpoint).await.unwrap();
    for table in ["full_stored", "full_virtual", "part"] {
        client.batch_execute(&format!("DELETE FROM public.{table}")).await.unwrap();
    }
}

/// PostgreSQL 17 knows no such refusal; a site of 18 would have it as soon as it had the tables.
#[tokio::test]
async fn generated_columns_in_identities_are_named_when_one_site_of_the_store_refuses_them() {
    const TABLE: &str = "CREATE TABLE public.t (a int, g int GENERATED ALWAYS AS (a * 2) STORED);
                         ALTER TABLE public.t REPLICA IDENTITY FULL";
    let older = Postgres::start(Options::default().fsync(false).major(17));
    let client = older.create_database("bank").await;
    client.batch_execute(&format!("CREATE ROLE bank LOGIN; {TABLE}")).await.unwrap();
    let endpoint = older.endpoint("bank");
    let alone = found(&[("east", endpoint.clone())], &["bank"]).await;
    assert!(alone.iter().all(|finding| finding.code != "MS-PG-317"), "{alone:#?}");
    setup::prepare(&endpoint).await.unwrap();
    client.batch_execute("UPDATE public.t SET a = 2").await.unwrap();

    let newer = Site::start("CREATE ROLE bank LOGIN").await;
    let sites = [("east", endpoint), ("west", newer.endpoint.clone())];
    let both = codes(&found(&sites, &["bank"]).await);
    assert!(both.contains(&"!MS-PG-317 east".to_owned()), "{both:?}");
}

#[tokio::test]
async fn functions_that_would_run_with_more_rights_at_the_other_site_are_named() {
    let schema = "CREATE ROLE bank LOGIN; CREATE ROLE clerk;
        CREATE FUNCTION checks(int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT true';
        CREATE FUNCTION of_domain(int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT true';
        CREATE FUNCTION makes(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1';
        CREATE FUNCTION sorts(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1';
        CREATE FUNCTION fires() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE FUNCTION rests() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE FUNCTION trusted(int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT true';
        CREATE FUNCTION idle(int) RETURNS bool LANGUAGE sql AS 'SELECT true';
        CREATE DOMAIN small AS int CHECK (of_domain(VALUE));
        CREATE TABLE t (id int PRIMARY KEY CHECK (checks(id)), a small DEFAULT sorts(1),
                        b int GENERATED ALWAYS AS (makes(id)) STORED, CHECK (trusted(a)));
        CREATE INDEX ON t (sorts(id));
        CREATE TRIGGER f BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION fires();
        CREATE TRIGGER r BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION rests();
        ALTER TABLE t ENABLE ALWAYS TRIGGER f;
        ALTER FUNCTION checks OWNER TO clerk; ALTER FUNCTION of_domain OWNER TO clerk;
        ALTER FUNCTION makes OWNER TO clerk; ALTER FUNCTION sorts OWNER TO clerk;
        ALTER FUNCTION fires OWNER TO clerk; ALTER FUNCTION rests OWNER TO clerk;
        ALTER FUNCTION idle OWNER TO clerk;";
    let site = Site::start(schema).await;
    let found = found(&[("east", site.endpoint.clone())], &["bank"]).await;
    let found: Vec<_> = found.iter().filter(|finding| finding.code == "MS-PG-318").collect();
    let names =
        ["checks(integer)", "fires()", "makes(integer)", "of_domain(integer)", "sorts(integer)"];
    assert_eq!(found.len(), names.len(), "{found:#?}");
    for (finding, name) in found.iter().zip(names) {
        assert!(finding.what.contains(&format!("public.{name} of role clerk")), "{finding:#?}");
    }
}
