//! What a comparison does to the servers that it reads, and what it tells meanwhile.

use crate::link_world::LONG;
use crate::sites::Site;
use mainstay_core::position::Lsn;
use mainstay_stores::postgres::compare::{self, Difference, Held, Listener, Pace, Progress};
use mainstay_testkit::wait_for;

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

/// Changes the first table as soon as the second is begun, which waits for the first's locks.
struct Changing<'a> {
    sites: [&'a Site; 2],
    seen: Vec<Progress>,
}

impl Listener for Changing<'_> {
    fn found(&mut self, _: &str, _: &Difference) -> std::io::Result<()> {
        Ok(())
    }

    fn progress(&mut self, progress: &Progress) {
        if progress.table.as_deref() == Some("public.second") {
            for site in self.sites {
                let sql = "SET lock_timeout = '3s'; ALTER TABLE public.first ADD more int";
                let mut psql = site.server.bin("psql");
                let done = psql.args(["-v", "ON_ERROR_STOP=1", "-c", sql, "bank"]).output();
                let done = done.unwrap();
                assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
            }
        }
        self.seen.push(progress.clone());
    }
}

#[tokio::test]
async fn progress_is_told_by_table_and_a_table_that_was_read_is_free_again() {
    let schema = "CREATE TABLE first (id int PRIMARY KEY, v text);
                  INSERT INTO first SELECT i, repeat('v', 50) FROM generate_series(1, 2000) i;
                  CREATE TABLE second (id int PRIMARY KEY);
                  INSERT INTO second SELECT generate_series(1, 5000)";
    let (source, target) = pair(schema).await;
    let mut changing = Changing { sites: [&source, &target], seen: Vec::new() };
    let (from, to) = (&source.endpoint, &target.endpoint);
    let found = compare::run_at(Pace::Gentle, from, to, Still, &mut changing).await.unwrap();
    assert!(found.equal);
    let seen = changing.seen;
    let tables: Vec<_> = seen.iter().map(|it| (it.tables_done, it.table.as_deref())).collect();
    let (first, second) = (Some("public.first"), Some("public.second"));
    assert_eq!(tables, [(0, Some("mainstay.decided")), (1, first), (2, second), (3, None)]);
    assert!(seen.iter().all(|it| it.tables == 3 && it.total_bytes == seen[3].bytes));
    assert_eq!(seen[1].bytes + seen[1].table_bytes, seen[2].bytes);
    assert!(seen[0].bytes == 0 && seen[1].table_bytes > 100_000 && seen[3].bytes > seen[2].bytes);
}

const SESSIONS: &str = "SELECT count(*)::text FROM pg_stat_activity \
                        WHERE application_name = 'mainstay comparison'";

/// A server does not notice by itself that a client has gone while it works for it. Four gigabytes
/// of text keep it busy.
#[tokio::test]
async fn a_comparison_that_is_given_up_ends_at_the_servers_too() {
    let schema = "CREATE TABLE t (id int PRIMARY KEY, v text);
                  INSERT INTO t VALUES (0, repeat('v', 40000000));
                  INSERT INTO t SELECT i, v FROM t, generate_series(1, 99) i";
    let (source, target) = pair(schema).await;
    {
        let mut nobody = ();
        let run = compare::run(&source.endpoint, &target.endpoint, Still, &mut nobody);
        let reading = wait_for("both sides are read", LONG, async || {
            let reading = SESSIONS.to_owned() + " AND query LIKE 'SELECT i, count%'";
            source.text(&reading).await == "1" && target.text(&reading).await == "1"
        });
        tokio::select! {
            ended = run => panic!("it takes longer than that: {ended:?}"),
            () = reading => {}
        }
    }
    for site in [&source, &target] {
        wait_for("its sessions are gone", LONG, async || site.text(SESSIONS).await == "0").await;
        let log = site.server.log();
        assert!(log.contains("canceling statement due to user request"), "{log}");
    }
}

#[tokio::test]
async fn a_gentle_comparison_does_not_wait_for_what_is_writing_and_a_full_one_does() {
    let (source, target) = pair("CREATE TABLE t (id int PRIMARY KEY)").await;
    let writer = source.server.client("bank").await;
    writer.batch_execute("BEGIN; INSERT INTO public.t VALUES (1)").await.unwrap();
    let (from, to) = (&source.endpoint, &target.endpoint);
    let error = compare::run_at(Pace::Gentle, from, to, Still, &mut ()).await.unwrap_err();
    assert_eq!(error.code(), "MS-PG-107", "{error}");
    assert!(error.to_string().contains("no snapshot within 3 s"), "{error}");
    let slots = "SELECT count(*)::text FROM pg_replication_slots WHERE temporary";
    wait_for("its slot is gone", LONG, async || source.text(slots).await == "0").await;
    let ends = async {
        wait_for("the comparison waits", LONG, async || source.text(slots).await == "1").await;
        writer.batch_execute("ROLLBACK").await.unwrap();
    };
    let mut nobody = ();
    let (found, ()) = tokio::join!(compare::run(from, to, Still, &mut nobody), ends);
    assert!(found.unwrap().equal);
}

/// The answer goes over the network as one.
#[tokio::test]
async fn long_keys_of_many_tables_are_all_counted_and_only_a_megabyte_of_them_is_listed() {
    let tables = |filling: &str| {
        format!(
            "DO $$BEGIN FOR i IN 10..40 LOOP
                 EXECUTE format('CREATE TABLE t%s (id text PRIMARY KEY)', i); {filling}
             END LOOP; END$$"
        )
    };
    let rows = "EXECUTE format('INSERT INTO t%s SELECT string_agg(md5(random()::text), NULL) \
                FROM generate_series(1, 20) row, generate_series(1, 62) GROUP BY row', i);";
    let (filled, empty) = (tables(rows), tables(""));
    let (source, target) = tokio::join!(Site::start(&filled), Site::start(&empty));
    let found = compare::run(&source.endpoint, &target.endpoint, Still, &mut ()).await.unwrap();
    let tables: Vec<_> = found.tables.iter().filter(|it| it.table.starts_with("public.")).collect();
    assert_eq!(tables.len(), 31);
    assert!(tables.iter().all(|table| table.differences == 20 && !table.is_equal()));
    let listed = |table: &compare::TableComparison| -> usize {
        table.differing.iter().flat_map(|difference| &difference.key).map(String::len).sum()
    };
    let all: usize = tables.iter().map(|table| listed(table)).sum();
    assert!((900_000..=1 << 20).contains(&all), "{all} bytes");
    assert!(listed(tables[0]) > 0 && listed(tables[30]) == 0);
}
