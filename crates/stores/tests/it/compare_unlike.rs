//! Sides that are not alike: compared right where that is possible, refused with the reason where
//! it is not.

use crate::sites::Site;
use mainstay_core::estate::PostgresEndpoint;
use mainstay_core::position::Lsn;
use mainstay_stores::postgres::compare::{self, Comparison, Held, Kind};
use mainstay_stores::postgres::setup;
use mainstay_testkit::{Options, Postgres};
use tokio_postgres::Client;

/// Stands for a link of two sites at which nobody writes.
struct Still;

impl Held for Still {
    async fn advance_to(&mut self, _: Lsn) -> Result<(), String> {
        Ok(())
    }
}

async fn compared(source: &PostgresEndpoint, target: &PostgresEndpoint) -> Comparison {
    compare::run(source, target, Still, &mut ()).await.unwrap()
}

/// A site whose database is made with these options, and whose sessions begin with settings.
struct Odd {
    _server: Postgres,
    client: Client,
    endpoint: PostgresEndpoint,
}

impl Odd {
    async fn start(database: &str, schema: &str, settings: &[(&str, &str)]) -> Self {
        Self::start_on(Options::default(), database, schema, settings).await
    }

    async fn start_on(
        options: Options,
        database: &str,
        schema: &str,
        settings: &[(&str, &str)],
    ) -> Self {
        let server = Postgres::start(options.fsync(false));
        let admin = server.client("postgres").await;
        let made = format!("CREATE DATABASE bank TEMPLATE template0 {database}");
        admin.batch_execute(&made).await.unwrap_or_else(|e| panic!("{made}: {e:?}"));
        let client = server.client("bank").await;
        client.batch_execute("SET search_path = public").await.unwrap();
        client.batch_execute(schema).await.unwrap_or_else(|e| panic!("{schema}: {e:?}"));
        let endpoint = server.endpoint("bank");
        setup::prepare(&endpoint).await.unwrap();
        for (at, (name, value)) in settings.iter().enumerate() {
            let of = if at % 2 == 0 { "DATABASE bank" } else { "ROLE mainstay" };
            admin.batch_execute(&format!("ALTER {of} SET {name} = {value}")).await.unwrap();
        }
        Self { _server: server, client, endpoint }
    }

    async fn run(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap_or_else(|e| panic!("{sql}: {e:?}"));
    }
}

/// Every one of them changes how PostgreSQL writes values, or ends what takes long.
const ODD_SETTINGS: [(&str, &str); 14] = [
    ("DateStyle", "'SQL, DMY'"),
    ("IntervalStyle", "'iso_8601'"),
    ("bytea_output", "'escape'"),
    ("extra_float_digits", "-15"),
    ("TimeZone", "'Asia/Kathmandu'"),
    ("lc_monetary", "'C.utf8'"),
    ("quote_all_identifiers", "on"),
    ("search_path", "public"),
    ("client_encoding", "'LATIN1'"),
    ("default_transaction_isolation", "'serializable'"),
    ("statement_timeout", "'1ms'"),
    ("idle_in_transaction_session_timeout", "'1ms'"),
    ("transaction_timeout", "'100ms'"),
    ("row_security", "on"),
];

/// `$K` is the collation of the key.
const VALUES: &str = "
    CREATE TYPE mood AS ENUM ('calm', 'cross');
    CREATE TABLE reading (
        k text COLLATE \"$K\" PRIMARY KEY, f8 float8, f4 float4, every interval, cost money,
        at timestamptz, day date, b bytea, n numeric, j json, jb jsonb, x text, c char(4),
        class regclass, mood mood, many float8[], span tstzrange, pair reading_part);
    INSERT INTO reading SELECT p || i,
        CASE i % 5 WHEN 0 THEN 'NaN'::float8 WHEN 1 THEN '-0' WHEN 2 THEN 'Infinity' ELSE i / 3.0 END,
        CASE i % 3 WHEN 0 THEN 'NaN'::float4 WHEN 1 THEN '-0' ELSE i / 7.0 END,
        make_interval(months => i, days => i, secs => i / 7.0), (i * 1.37)::numeric::money,
        '1890-03-25 17:00:00+00'::timestamptz + i * interval '97 days 0.000001 s',
        '2024-02-29'::date - i, decode(md5(i::text), 'hex'), i / 10.0,
        '{\"a\":  1, \"a\": 2}', '{\"b\": [1.0, 2]}', 'a', 'ab', 'reading'::regclass, 'cross',
        ARRAY[0::float8, '-0', 'NaN', i / 3.0], tstzrange('2020-01-01 UTC', '2020-06-01 UTC'),
        ROW('2020-07-01 12:00 UTC', '-0')::reading_part
    FROM generate_series(1, 300) i, unnest(ARRAY['a', 'B', 'ä', 'Z', '-', ' ', '\\']) p;";

fn values(collation: &str) -> String {
    let part = "CREATE TYPE reading_part AS (at timestamptz, size float8);";
    part.to_owned() + &VALUES.replace("$K", collation)
}

/// What a careless comparison takes for the same, or a server writes the same for.
const INVISIBLE: [&str; 12] = [
    "f8 = 0.0",
    "f4 = 0.0",
    "x = 'a '",
    "n = n * 1.00",
    "j = '{\"a\": 1, \"a\": 2}'",
    "every = every + interval '24 hours' - interval '1 day'",
    "at = at + interval '0.000001 s'",
    "b = set_byte(b, 15, (get_byte(b, 15) + 1) % 256)",
    "cost = cost + '0.01'",
    "f8 = float8 '-4.9e-324'",
    "many = ARRAY['-0', '-0', 'NaN', many[4]]",
    "pair = ROW((pair).at, '0')::reading_part",
];

fn keys(found: &Comparison) -> Vec<(&str, String)> {
    let differing = |table: &'_ compare::TableComparison| {
        table.differing.iter().map(|d| d.key.join("/")).collect::<Vec<_>>().join(",")
    };
    let unequal = found.tables.iter().filter(|table| !table.is_equal());
    unequal.map(|table| (table.table.as_str(), differing(table))).collect()
}

async fn equal_and_each_change_is_found(source: &Odd, target: &Odd) {
    let same = compared(&source.endpoint, &target.endpoint).await;
    assert!(same.equal, "{same:#?}");
    assert_eq!(same.tables.iter().map(|table| table.rows_source).sum::<u64>(), 2100);
    // Row 181: its f8 and f4 are -0.0.
    target.run("CREATE TABLE kept AS TABLE reading").await;
    source.run("CREATE TABLE kept AS TABLE reading").await;
    for change in INVISIBLE {
        target.run(&format!("UPDATE reading SET {change} WHERE k = 'ä181'")).await;
        let found = compared(&source.endpoint, &target.endpoint).await;
        assert_eq!(keys(&found), [("public.reading", "ä181".to_owned())], "{change}");
        target
            .run("DELETE FROM reading WHERE k = 'ä181'; INSERT INTO reading SELECT * FROM kept WHERE k = 'ä181'")
            .await;
    }
}

#[tokio::test]
async fn unlike_settings_and_collations_compare_right_and_what_is_nearly_invisible_is_found() {
    let (bytes, words) = (values("C"), values("C.utf8"));
    let unicode = "ENCODING 'UTF8' LC_COLLATE 'C.utf8' LC_CTYPE 'C.utf8'";
    let (source, target) = tokio::join!(
        Odd::start("ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'", &bytes, &[]),
        Odd::start(unicode, &words, &ODD_SETTINGS)
    );
    equal_and_each_change_is_found(&source, &target).await;
}

#[tokio::test]
async fn unlike_encodings_compare_right_and_are_noted() {
    let latin = "ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'";
    let utf8 = "ENCODING 'UTF8' LC_COLLATE 'C.utf8' LC_CTYPE 'C.utf8'";
    let schema = values("C");
    let (source, target) = tokio::join!(
        Odd::start(latin, &schema, &ODD_SETTINGS[..7]),
        Odd::start(utf8, &schema, &[])
    );
    equal_and_each_change_is_found(&source, &target).await;
    let noted = compared(&source.endpoint, &target.endpoint).await.notes;
    let expected = "the encoding is LATIN1 at the source, UTF8 at the target: text was compared \
                    as UTF-8";
    assert_eq!(noted, [expected]);
}

#[tokio::test]
async fn servers_of_unequal_majors_compare_right() {
    let old = Options::default().major(15);
    let utf8 = "ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'";
    let schema = values("C");
    let (source, target) = tokio::join!(
        Odd::start_on(old, utf8, &schema, &ODD_SETTINGS[..12]),
        Odd::start(utf8, &schema, &ODD_SETTINGS)
    );
    equal_and_each_change_is_found(&source, &target).await;
}

async fn pair(schema: &str) -> (Site, Site) {
    tokio::join!(Site::start(schema), Site::start(schema))
}

#[tokio::test]
async fn columns_in_another_order_are_compared_by_their_names() {
    let (source, target) = tokio::join!(
        Site::start(
            "CREATE TABLE t (id int, a text, b text, PRIMARY KEY (id));
             INSERT INTO t SELECT i, 'a' || i, 'b' || i FROM generate_series(1, 500) i"
        ),
        Site::start(
            "CREATE TABLE t (gone int, b text, id int PRIMARY KEY, a text);
             ALTER TABLE t DROP gone;
             INSERT INTO t (id, a, b) SELECT i, 'a' || i, 'b' || i FROM generate_series(1, 500) i"
        )
    );
    let same = compared(&source.endpoint, &target.endpoint).await;
    assert!(same.equal, "{same:#?}");
    target.run("UPDATE t SET a = b, b = a WHERE id = 77").await;
    let found = compared(&source.endpoint, &target.endpoint).await;
    assert_eq!(keys(&found), [("public.t", "77".to_owned())]);
}

#[tokio::test]
async fn unlike_columns_are_refused_with_their_names_and_types() {
    let (source, target) = tokio::join!(
        Site::start(
            "CREATE TABLE more (id int PRIMARY KEY, extra varchar(40)[]);
             CREATE TABLE wide (id int PRIMARY KEY, v numeric(10,2));
             CREATE TYPE mood AS ENUM ('calm', 'cross');
             CREATE TABLE felt (id int PRIMARY KEY, m mood[]);
             CREATE DOMAIN short AS varchar(3) CHECK (VALUE <> '');
             CREATE TYPE part AS (a int, m short);
             CREATE TABLE made (id int PRIMARY KEY, p part);
             CREATE DOMAIN checked AS int CHECK (VALUE > 0);
             CREATE TABLE fine (id checked PRIMARY KEY)"
        ),
        Site::start(
            "CREATE TABLE more (id int PRIMARY KEY);
             CREATE TABLE wide (id bigint PRIMARY KEY, v numeric(10,3));
             CREATE TYPE mood AS ENUM ('cross', 'calm');
             CREATE TABLE felt (id int PRIMARY KEY, m mood[]);
             CREATE DOMAIN short AS varchar(4) CHECK (VALUE <> '');
             CREATE TYPE part AS (a int, m short);
             CREATE TABLE made (id int PRIMARY KEY, p part);
             CREATE DOMAIN checked AS int;
             CREATE TABLE fine (id checked PRIMARY KEY)"
        )
    );
    let told = async |source: &Site, target: &Site| {
        let found = compared(&source.endpoint, &target.endpoint).await;
        assert!(!found.equal);
        let tables = found.tables.into_iter();
        let unlike = tables.filter_map(|table| Some(format!("{}: {}", table.table, table.unlike?)));
        unlike.collect::<Vec<_>>()
    };
    let expected = [
        "public.felt: column \"m\": type public.mood is enum ('calm', 'cross') at the source, \
         enum ('cross', 'calm') at the target",
        "public.made: column \"p\": type public.short is character varying(3) at the source, \
         character varying(4) at the target",
        "public.more: column \"extra\" (character varying(40)[]) is only at the source",
        "public.wide: column \"id\" is integer at the source, bigint at the target; \
         column \"v\" is numeric(10,2) at the source, numeric(10,3) at the target",
    ];
    assert_eq!(told(&source, &target).await, expected);
    let back = told(&target, &source).await;
    let expected = "public.more: column \"extra\" (character varying(40)[]) is only at the target";
    assert_eq!(back[2], expected);
}

/// Empties a table once the source's snapshot is taken.
struct Emptying(Vec<Client>);

impl Held for Emptying {
    async fn advance_to(&mut self, _: Lsn) -> Result<(), String> {
        for client in &self.0 {
            client.batch_execute("TRUNCATE public.t").await.unwrap();
        }
        Ok(())
    }
}

/// Its rows are gone for every snapshot (PostgreSQL manual, "MVCC Caveats").
#[tokio::test]
async fn a_table_that_is_emptied_under_the_comparison_is_unknown_and_neither_equal_nor_different() {
    let table = "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)";
    let (source, target) = pair(table).await;
    target.run("DELETE FROM t").await;
    let emptying = Emptying(vec![source.server.client("bank").await]);
    let error = compare::run(&source.endpoint, &target.endpoint, emptying, &mut ()).await;
    let error = error.expect_err("both look empty");
    assert_eq!(error.code(), "MS-PG-150", "{error}");
    assert!(error.to_string().contains("public.t was emptied or written anew"), "{error}");
    assert!(compared(&source.endpoint, &target.endpoint).await.equal, "both are empty now");
}

#[tokio::test]
async fn extensions_of_unequal_versions_are_noted() {
    let (source, target) = tokio::join!(
        Site::start(
            "CREATE EXTENSION hstore VERSION '1.7'; CREATE EXTENSION citext;
             CREATE TABLE t (id citext PRIMARY KEY, h hstore); INSERT INTO t VALUES ('a', 'b=>c')"
        ),
        Site::start(
            "CREATE EXTENSION hstore VERSION '1.8'; CREATE EXTENSION citext; CREATE EXTENSION cube;
             CREATE TABLE t (id citext PRIMARY KEY, h hstore); INSERT INTO t VALUES ('a', 'b=>c')"
        )
    );
    let found = compared(&source.endpoint, &target.endpoint).await;
    assert!(found.equal, "{found:#?}");
    let [cube, hstore] = found.notes.as_slice() else { panic!("{found:#?}") };
    assert!(cube.starts_with("extension \"cube\" 1."), "{cube}");
    assert!(cube.ends_with("is at the target and not at the source"), "{cube}");
    assert!(hstore.starts_with("extension \"hstore\" is 1.7 at the source, 1.8 at the target"));
    target.run("UPDATE t SET id = 'A'").await;
    let found = compared(&source.endpoint, &target.endpoint).await;
    let differences: u64 = found.tables.iter().map(|table| table.differences).sum();
    assert_eq!(differences, 2, "keys are told apart by their text");
}

#[tokio::test]
async fn swapped_rows_other_duplicates_and_both_ends_of_ranges_are_found() {
    let schema = "CREATE TABLE loose (a int, v text); ALTER TABLE loose REPLICA IDENTITY FULL;
                  INSERT INTO loose VALUES (1, 'x'), (1, 'x'), (2, 'y'), (NULL, NULL);
                  CREATE TABLE swap (id int PRIMARY KEY, v text);
                  INSERT INTO swap SELECT i, 'v' || i FROM generate_series(1, 512) i;
                  CREATE TABLE many (id int PRIMARY KEY);
                  INSERT INTO many SELECT generate_series(1, 1024);";
    let (source, target) = pair(schema).await;
    assert!(compared(&source.endpoint, &target.endpoint).await.equal);
    target
        .run(
            "DELETE FROM loose WHERE ctid = (SELECT min(ctid) FROM loose);
             INSERT INTO loose VALUES (2, 'y');
             UPDATE swap SET v = CASE id WHEN 3 THEN 'v400' ELSE 'v3' END WHERE id IN (3, 400);
             DELETE FROM many WHERE id BETWEEN 500 AND 511",
        )
        .await;
    let found = compared(&source.endpoint, &target.endpoint).await;
    let of = |name: &str| found.tables.iter().find(|table| table.table == name).unwrap();
    let loose = of("public.loose");
    let kinds: Vec<_> = loose.differing.iter().map(|difference| difference.kind).collect();
    assert_eq!((loose.rows_source, loose.rows_target, loose.differences), (4, 4, 2));
    assert!(kinds.contains(&Kind::OnlyAtSource) && kinds.contains(&Kind::OnlyAtTarget));
    let keys = |name: &str| {
        let mut keys: Vec<i32> =
            of(name).differing.iter().map(|d| d.key[0].parse().unwrap()).collect();
        keys.sort_unstable();
        keys
    };
    assert_eq!(keys("public.swap"), [3, 400]);
    // A range holds four rows: each place within one is among these.
    assert_eq!(keys("public.many"), (500..=511).collect::<Vec<_>>());
}
