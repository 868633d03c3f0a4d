//! "Equal" is only said when it is true, and with the position at which it was.

use crate::sites::{SCHEMA, Site};
use mainstay_core::position::Lsn;
use mainstay_stores::postgres::compare::{self, Comparison, Held, Kind};

/// Stands for a link of two sites at which nobody writes.
struct Still;

impl Held for Still {
    async fn advance_to(&mut self, _: Lsn) -> Result<(), String> {
        Ok(())
    }
}

async fn pair(schema: &str) -> (Site, Site) {
    tokio::join!(Site::start(schema), Site::start(schema))
}

async fn compared(source: &Site, target: &Site) -> Comparison {
    compare::run(&source.endpoint, &target.endpoint, Still, &mut ()).await.unwrap()
}

fn differing(comparison: &Comparison) -> Vec<(&str, Vec<(&str, Kind)>)> {
    let one = |table: &compare::TableComparison| table.differences > 0;
    let key = |d: &'_ compare::Difference| d.key.join("/");
    let tables = comparison.tables.iter().filter(|table| one(table));
    tables
        .map(|table| {
            let keys = table.differing.iter();
            let keys = keys.map(|d| (&*String::leak(key(d)), d.kind)).collect();
            (table.table.as_str(), keys)
        })
        .collect()
}

#[tokio::test]
async fn every_kind_of_difference_is_found_and_only_those() {
    let (source, target) = pair(SCHEMA).await;
    let load = "INSERT INTO transfer (id, account, amount, note, proof, at) \
                SELECT md5(i::text)::uuid, 1 + i % 50, i, '{\"a\": 1}', sha256(i::text::bytea), \
                       '2020-01-01' FROM generate_series(1, 2000) i; \
                INSERT INTO loose SELECT 'same' FROM generate_series(1, 3)";
    tokio::join!(source.run(load), target.run(load));
    let same = compared(&source, &target).await;
    assert!(same.equal, "{same:?}");
    assert!(same.position <= source.position().await && same.position.0 > 0);
    let rows: u64 = same.tables.iter().map(|table| table.rows_source).sum();
    assert_eq!(rows, 2000 + 2000 + 50 + 9 + 9 + 3);
    assert!(same.bytes > 400_000);
    assert!(same.sequences.is_empty());

    target
        .run(
            "UPDATE transfer SET proof = set_byte(proof, 31, (get_byte(proof, 31) + 1) % 256) \
                 WHERE amount = 77;
             DELETE FROM pair WHERE b = 9;
             INSERT INTO pair VALUES ('Ä', 0, NULL);
             UPDATE whole SET v = CASE id WHEN 1 THEN 'v2' ELSE 'v1' END WHERE id IN (1, 2);
             UPDATE account SET balance = 100.00 WHERE id = 7;
             DELETE FROM loose WHERE ctid = (SELECT max(ctid) FROM loose);
             UPDATE transfer SET note = NULL WHERE amount = 78; UPDATE pair SET big = '' WHERE b = 3",
        )
        .await;
    let found = compared(&source, &target).await;
    assert!(!found.equal);
    let found = differing(&found);
    let of =
        |name: &str| found.iter().find(|(table, _)| *table == name).map(|(_, keys)| keys.clone());
    assert_eq!(found.len(), 5, "{found:?}");
    assert_eq!(of("public.account").unwrap(), [("7", Kind::Differs)], "100 is not written 100.00");
    assert_eq!(of("public.whole").unwrap(), [("1", Kind::Differs), ("2", Kind::Differs)]);
    assert_eq!(
        of("public.pair").unwrap(),
        [("c/3", Kind::Differs), ("i/9", Kind::OnlyAtSource), ("Ä/0", Kind::OnlyAtTarget)]
    );
    assert_eq!(of("public.transfer").unwrap().len(), 2);
    assert_eq!(of("public.loose").unwrap()[0].1, Kind::OnlyAtSource);
}

#[tokio::test]
async fn differing_tables_and_lagging_sequences_are_told() {
    let (source, target) = pair(SCHEMA).await;
    source.run("CREATE TABLE more (id int PRIMARY KEY); SELECT nextval('audit_at_seq')").await;
    target
        .run("CREATE TABLE other (r int PRIMARY KEY, k int); ALTER TABLE pair ADD extra int")
        .await;
    source
        .run("CREATE TABLE named (r int PRIMARY KEY, k int); INSERT INTO named VALUES (1, 2)")
        .await;
    target
        .run("CREATE TABLE named (r int PRIMARY KEY, k int); INSERT INTO named VALUES (1, 2)")
        .await;
    let found = compared(&source, &target).await;
    assert!(!found.equal);
    let unlike: Vec<_> = found.tables.iter().filter(|t| t.unlike.is_some()).collect();
    let unlike: Vec<_> = unlike.iter().map(|table| table.table.as_str()).collect();
    assert_eq!(unlike, ["public.more", "public.other", "public.pair"]);
    assert_eq!(found.sequences.len(), 1);
    assert_eq!(found.sequences[0].sequence, "public.audit_at_seq");
    assert_eq!((found.sequences[0].source, found.sequences[0].target), (1, Some(0)));
}

#[tokio::test]
async fn half_of_a_table_different_is_counted_and_twenty_are_listed() {
    let table = "CREATE TABLE t (id int PRIMARY KEY, v text); \
                 INSERT INTO t SELECT i, 'v' FROM generate_series(1, 20000) i";
    let (source, target) = pair(table).await;
    target.run("UPDATE t SET v = 'w' WHERE id % 2 = 0").await;
    let found = compared(&source, &target).await;
    let table = found.tables.iter().find(|table| table.table == "public.t").unwrap();
    assert_eq!((table.differences, table.differing.len()), (10_000, 20));
}

/// Ends the comparison's session at the target once it reads rows.
struct Killer(Option<tokio_postgres::Client>);

impl Held for Killer {
    async fn advance_to(&mut self, _: Lsn) -> Result<(), String> {
        let client = self.0.take().expect("it is asked once");
        tokio::spawn(async move {
            let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                       WHERE application_name = 'mainstay comparison' \
                             AND query LIKE 'SELECT i, count%' AND state = 'active'";
            // As often as it takes: the test ends with the comparison.
            while client.query(sql, &[]).await.is_ok_and(|ended| ended.is_empty()) {}
        });
        Ok(())
    }
}

struct Stalled;

impl Held for Stalled {
    async fn advance_to(&mut self, _: Lsn) -> Result<(), String> {
        Err("the link does not move".to_owned())
    }
}

#[tokio::test]
async fn a_comparison_that_was_cut_short_or_whose_link_stalls_is_unknown_not_equal() {
    let table = "CREATE TABLE t (id int PRIMARY KEY, v text); \
                 INSERT INTO t SELECT i, repeat('v', 100) FROM generate_series(1, 200000) i";
    let (source, target) = pair(table).await;
    let killer = Killer(Some(target.server.client("bank").await));
    let error =
        compare::run(&source.endpoint, &target.endpoint, killer, &mut ()).await.err().unwrap();
    assert_eq!(error.code(), "MS-PG-150", "{error}");
    let error =
        compare::run(&source.endpoint, &target.endpoint, Stalled, &mut ()).await.err().unwrap();
    assert_eq!(error.code(), "MS-PG-150", "{error}");
    assert!(error.to_string().contains("the link does not move"), "{error}");
    let equal = compared(&source, &target).await;
    assert!(equal.equal);
    let rows: u64 = equal.tables.iter().map(|table| table.rows_source).sum();
    eprintln!("{rows} rows a side in {:.2} s", equal.seconds);
}

/// Keys whose order differs between collations; rows that lie elsewhere in the file; a key of each
/// type by which a table is cut, and of one by which none is.
#[tokio::test]
async fn one_row_of_many_is_found_by_any_key_wherever_it_lies() {
    let rows = "generate_series(1, 30000) i";
    let schema = format!(
        "CREATE TABLE small (id smallint PRIMARY KEY, v text);
         INSERT INTO small SELECT i - 15000, 'v' FROM {rows};
         CREATE TABLE number (id numeric PRIMARY KEY, v text);
         INSERT INTO number SELECT (i - 15000) / 7.0, 'v' FROM {rows};
         CREATE TABLE uuid (id uuid PRIMARY KEY, v text);
         INSERT INTO uuid SELECT md5(i::text)::uuid, 'v' FROM {rows};
         CREATE TABLE word (id varchar(40) PRIMARY KEY, v text);
         INSERT INTO word SELECT (ARRAY['a''', 'A-', 'ä', 'Z ', '日', '\\'])[1 + i % 6] || i, 'v'
                          FROM {rows};
         CREATE TABLE two (a bigint, b text, v text, PRIMARY KEY (b, a));
         INSERT INTO two SELECT i % 3, 'b' || i, 'v' FROM {rows};
         CREATE TABLE stamp (id timestamptz PRIMARY KEY, v text);
         INSERT INTO stamp SELECT '2020-01-01'::timestamptz + i * interval '1 s', 'v' FROM {rows};"
    );
    let (source, target) = pair(&schema).await;
    // The same rows, in another order of the file.
    let names = ["number", "small", "stamp", "two", "uuid", "word"];
    for name in names {
        let anew = format!(
            "CREATE TABLE again AS SELECT * FROM {name} ORDER BY md5({name}::text);
             TRUNCATE {name}; INSERT INTO {name} SELECT * FROM again; DROP TABLE again"
        );
        target.run(&anew).await;
    }
    let equal = compared(&source, &target).await;
    assert!(equal.equal, "{equal:?}");
    let rows: u64 = equal.tables.iter().map(|table| table.rows_target).sum();
    assert_eq!(rows, 180_000);
    for name in names {
        let key = if name == "two" { "a || '/' || b" } else { "id::text" };
        let changed = format!(
            "UPDATE {name} SET v = 'w' WHERE ctid = (SELECT ctid FROM {name}
             ORDER BY md5('x' || {name}::text) LIMIT 1) RETURNING {key}"
        );
        let key = target.text(&changed).await;
        let found = compared(&source, &target).await;
        assert_eq!(differing(&found), [(&*format!("public.{name}"), vec![(&*key, Kind::Differs)])]);
        target.run(&format!("UPDATE {name} SET v = 'v' WHERE v = 'w'")).await;
    }
    // Both ends: each is bounded on one side only.
    target.run("DELETE FROM small WHERE id = (SELECT min(id) FROM small)").await;
    target.run("INSERT INTO small VALUES (32767, 'v')").await;
    let found = compared(&source, &target).await;
    let ends = vec![("-14999", Kind::OnlyAtSource), ("32767", Kind::OnlyAtTarget)];
    assert_eq!(differing(&found), [("public.small", ends)]);
}
