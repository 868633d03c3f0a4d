//! Schema changes travel at their place among the rows. The oracle is `pg_dump` of both sides.

use crate::link_world::{LONG, World};
use mainstay_testkit::{Options, Postgres};
use std::sync::Arc;

const SCHEMA: &str = "
    CREATE TABLE t (id int PRIMARY KEY, v text);
    INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 100) i;
    CREATE ROLE bank NOLOGIN;
    GRANT ALL ON SCHEMA public TO bank;
    CREATE FUNCTION complete() RETURNS event_trigger LANGUAGE plpgsql AS $$
    DECLARE made record; BEGIN
        FOR made IN SELECT * FROM pg_event_trigger_ddl_commands()
            WHERE object_identity LIKE 'public.auto%' AND object_type = 'table' LOOP
            EXECUTE format('ALTER TABLE %s ADD COLUMN by_trigger text', made.object_identity);
        END LOOP;
    END $$;
    CREATE EVENT TRIGGER a_complete ON ddl_command_end WHEN TAG IN ('CREATE TABLE')
        EXECUTE FUNCTION complete();";

/// Each is one string that a client sends.
const STEPS: &[&str] = &[
    // Columns.
    "ALTER TABLE t ADD COLUMN a int; INSERT INTO t (id, v, a) VALUES (101, 'q', 1)",
    "ALTER TABLE t ADD b text NOT NULL DEFAULT 'b', ADD c numeric DEFAULT 1.5 CHECK (c > 0)",
    "ALTER TABLE t RENAME COLUMN a TO renamed; UPDATE t SET renamed = 7 WHERE id = 3",
    "ALTER TABLE t DROP COLUMN b; UPDATE t SET v = 'w' WHERE id = 4",
    "ALTER TABLE t ALTER renamed TYPE bigint USING renamed * 2; UPDATE t SET renamed = 1 << 40",
    "ALTER TABLE t ADD g int GENERATED ALWAYS AS (id * 2) STORED; UPDATE t SET v = 'x' WHERE id = 5",
    // The old rows' value is that of the source's clock.
    "ALTER TABLE t ADD at timestamptz NOT NULL DEFAULT now(), ADD day date DEFAULT CURRENT_DATE",
    "BEGIN; UPDATE t SET at = 'epoch' WHERE id = 6; ALTER TABLE t ADD at2 timestamptz DEFAULT now(); \
     UPDATE t SET at2 = 'epoch' WHERE id = 7; ALTER TABLE t ALTER c SET DEFAULT random(), ADD z int; \
     ALTER TABLE t ALTER at SET DEFAULT clock_timestamp(); COMMIT",
    "ALTER TABLE t ALTER day TYPE timestamptz USING day::timestamptz",
    "SET TimeZone = 'America/New_York'; ALTER TABLE t ALTER day TYPE date; \
     ALTER TABLE t ADD tz timestamptz DEFAULT '2026-01-02 03:04'; RESET TimeZone",
    // Types.
    "CREATE TYPE mood AS ENUM ('calm', 'cross'); CREATE TABLE moods (id int PRIMARY KEY, m mood)",
    "INSERT INTO moods VALUES (1, 'calm')",
    "ALTER TYPE mood ADD VALUE 'glad' BEFORE 'cross'",
    "INSERT INTO moods VALUES (2, 'glad')",
    "ALTER TYPE mood RENAME VALUE 'glad' TO 'happy'; INSERT INTO moods VALUES (3, 'happy')",
    "CREATE TYPE pair AS (a int, b text); CREATE DOMAIN even AS int CHECK (VALUE % 2 = 0); \
     CREATE TABLE typed (id int PRIMARY KEY, p pair, e even); INSERT INTO typed VALUES (1, '(1,x)', 2)",
    "ALTER TYPE pair ADD ATTRIBUTE c int; UPDATE typed SET p = '(1,x,3)'; \
     ALTER DOMAIN even ADD CHECK (VALUE > 0)",
    // Schemas, tables, indexes, constraints, comments, privileges.
    "CREATE SCHEMA shop CREATE TABLE item (id serial PRIMARY KEY, name text) \
     CREATE VIEW items AS SELECT * FROM item",
    "INSERT INTO shop.item (name) VALUES ('a'), ('b')",
    "SET search_path = shop, public; CREATE TABLE sale (id bigint GENERATED ALWAYS AS IDENTITY \
     PRIMARY KEY, item int REFERENCES item, at timestamptz DEFAULT now()); \
     INSERT INTO sale (item) VALUES (1); SET search_path = public",
    "CREATE INDEX ON shop.sale (item) WHERE item > 0; CREATE UNIQUE INDEX named ON t (lower(v), id)",
    "CREATE INDEX CONCURRENTLY slow ON t (v)",
    "REINDEX INDEX CONCURRENTLY slow",
    "DROP INDEX CONCURRENTLY slow",
    "ALTER TABLE t ADD CONSTRAINT pos CHECK (id > 0) NOT VALID; ALTER TABLE t VALIDATE CONSTRAINT pos",
    "COMMENT ON TABLE t IS 'it''s; a \"table\"'; COMMENT ON COLUMN t.v IS 'v'",
    "GRANT SELECT, UPDATE (v) ON t TO bank; REVOKE UPDATE (v) ON t FROM bank",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT SELECT ON TABLES TO bank",
    "SET ROLE bank; CREATE TABLE owned (id int PRIMARY KEY); INSERT INTO owned VALUES (1); RESET ROLE",
    "ALTER TABLE typed OWNER TO bank; ALTER TABLE typed RENAME TO typed2; UPDATE typed2 SET e = 4",
    "ALTER TABLE owned SET SCHEMA shop; INSERT INTO shop.owned VALUES (2)",
    "ALTER TABLE moods REPLICA IDENTITY FULL; UPDATE moods SET id = 30 WHERE id = 3",
    "ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (id, v); UPDATE t SET v = 'k' WHERE id = 9",
    // Functions, triggers, rules, policies, sequences, statistics, views.
    "CREATE FUNCTION f(i int) RETURNS int LANGUAGE sql IMMUTABLE BEGIN ATOMIC SELECT i; SELECT i + 1; END",
    "CREATE OR REPLACE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN \
     INSERT INTO shop.item (name) VALUES (NEW.v); RETURN NEW; END $f$; \
     CREATE TRIGGER noted AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION note(); \
     INSERT INTO t (id, v) VALUES (2000, 'fires once')",
    "CREATE RULE quiet AS ON DELETE TO moods DO INSTEAD NOTHING; \
     ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON t USING (id > 0)",
    "CREATE SEQUENCE s INCREMENT 5; ALTER SEQUENCE s OWNED BY t.id; CREATE STATISTICS st ON id, v FROM t",
    "CREATE VIEW v AS SELECT id FROM t; CREATE MATERIALIZED VIEW mv AS SELECT count(*) AS n FROM t",
    "INSERT INTO t (id, v) VALUES (2001, 'y'); REFRESH MATERIALIZED VIEW mv",
    "DROP TRIGGER noted ON t; DROP RULE quiet ON moods; DROP VIEW v; DROP MATERIALIZED VIEW mv",
    // Partitions and inheritance.
    "CREATE TABLE part (id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at); \
     CREATE TABLE part_a PARTITION OF part FOR VALUES FROM ('2026-01-01') TO ('2026-02-01'); \
     INSERT INTO part VALUES (1, '2026-01-05')",
    "CREATE TABLE part_b (id int, at date, PRIMARY KEY (id, at)); INSERT INTO part_b VALUES (2, '2026-02-05'); \
     ALTER TABLE part ATTACH PARTITION part_b FOR VALUES FROM ('2026-02-01') TO ('2026-03-01'); \
     ALTER TABLE part ADD n timestamptz DEFAULT now(); INSERT INTO part VALUES (3, '2026-02-06')",
    "ALTER TABLE part DETACH PARTITION part_a CONCURRENTLY",
    "ALTER TABLE part DETACH PARTITION part_b; DROP TABLE part_b",
    "CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (c int, PRIMARY KEY (id)) INHERITS (parent); \
     INSERT INTO child VALUES (1, 2); ALTER TABLE parent ADD d timestamptz DEFAULT now()",
    // Tables that are made of a query: their rows travel as rows.
    "CREATE TABLE made AS SELECT g AS id, random() AS r FROM generate_series(1, 50) g",
    "SELECT id, r + random() AS r INTO shop.into_table FROM made",
    "CREATE TABLE IF NOT EXISTS made AS SELECT 1 AS id; CREATE TABLE empty AS TABLE made WITH NO DATA",
    // A transaction that is too large to be held in memory.
    "CREATE TABLE big (id int PRIMARY KEY, v text); \
     INSERT INTO big SELECT g, repeat(md5(g::text), 40) FROM generate_series(1, 6000) g; \
     ALTER TABLE big ADD c timestamptz DEFAULT now(); UPDATE big SET c = 'epoch' WHERE id % 2 = 0; \
     CREATE TABLE big_copy AS SELECT * FROM big; ALTER TABLE big DROP v",
    "DROP TABLE big, big_copy",
    // An event trigger of the application makes another change.
    "CREATE TABLE auto_one (id int PRIMARY KEY); INSERT INTO auto_one VALUES (1, 'x')",
    "SET session_replication_role = replica; CREATE TABLE loaded (id int PRIMARY KEY); \
     INSERT INTO loaded VALUES (1); RESET session_replication_role",
    // What does not travel.
    "CREATE TEMP TABLE tmp (id int); CREATE INDEX ON tmp (id); INSERT INTO tmp VALUES (1); \
     COMMENT ON TABLE tmp IS 'x'; ALTER TABLE tmp ADD x timestamptz DEFAULT clock_timestamp(); \
     CREATE TEMP TABLE tmp2 AS SELECT random(); SELECT 1 AS a INTO TEMP tmp3; DROP TABLE tmp, tmp2, tmp3",
    "CREATE PUBLICATION other FOR TABLE t; ALTER PUBLICATION other ADD TABLE moods; DROP PUBLICATION other",
    "DROP TABLE IF EXISTS never_was; CREATE TABLE IF NOT EXISTS t (x int); CREATE UNLOGGED TABLE ul (id int)",
    // What is taken back leaves nothing.
    "BEGIN; CREATE TABLE gone (id int); INSERT INTO gone VALUES (1); ROLLBACK",
    "BEGIN; CREATE TABLE kept (id int PRIMARY KEY)",
    "SAVEPOINT s; CREATE TABLE gone (id int); ALTER TABLE kept ADD wrong int",
    "ROLLBACK TO s",
    "ALTER TABLE kept ADD right_one int; INSERT INTO kept VALUES (1, 2); COMMIT",
    // In functions, with rows in the same transaction.
    "DO $$ BEGIN CREATE TABLE by_do (id int PRIMARY KEY, v text DEFAULT '\"\nPL/pgSQL'); \
     INSERT INTO by_do VALUES (1); \
     FOR i IN 1..3 LOOP EXECUTE format('CREATE TABLE loop_%s (id int PRIMARY KEY)', i); \
     EXECUTE format('INSERT INTO loop_%s VALUES (%s)', i, i); END LOOP; \
     BEGIN CREATE TABLE not_this (id int); RAISE 'no'; EXCEPTION WHEN raise_exception THEN \
     CREATE TABLE but_this (id int PRIMARY KEY); END; INSERT INTO but_this VALUES (1); END $$",
    "CREATE FUNCTION migrate() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = shop AS $$ BEGIN \
     ALTER TABLE item ADD price int; UPDATE item SET price = 3; CREATE TABLE by_function (id int PRIMARY KEY); \
     INSERT INTO by_function VALUES (1); END $$; ALTER FUNCTION migrate OWNER TO bank; \
     ALTER TABLE shop.item OWNER TO bank; GRANT CREATE, USAGE ON SCHEMA shop TO bank",
    "SELECT migrate(); INSERT INTO shop.by_function VALUES (2)",
    "CREATE FUNCTION in_sql() RETURNS void LANGUAGE sql AS 'CREATE TABLE by_sql (id int PRIMARY KEY); \
     CREATE INDEX ON t (id, v)'; SELECT in_sql(); INSERT INTO by_sql VALUES (1)",
    "CREATE EXTENSION hstore; CREATE TABLE h (id int PRIMARY KEY, h hstore); INSERT INTO h VALUES (1, 'a=>1')",
    "DROP TABLE h; DROP EXTENSION hstore",
    "DROP TABLE moods, made; DROP TYPE mood; DROP SCHEMA shop CASCADE",
    "DROP OWNED BY bank; DROP TABLE parent, part, part_a CASCADE",
];

async fn travels(source: u32, target: u32) {
    let start =
        |major| move || Arc::new(Postgres::start(Options::default().fsync(false).major(major)));
    let east = tokio::task::spawn_blocking(start(source));
    let west = tokio::task::spawn_blocking(start(target));
    let (east, west) = (east.await.unwrap(), west.await.unwrap());
    let world = World::between(&east, &west, "bank", SCHEMA).await;
    world.target.run("CREATE ROLE bank NOLOGIN").await;
    let link = world.streaming().await;
    for step in STEPS {
        world.source.run(step).await;
        let end = world.source_end().await;
        let applied = link.drain_to(end, LONG).await;
        applied.unwrap_or_else(|e| panic!("{step}: {e}: {:?}", link.status()));
        if source == target {
            let (source, target) = (east.dump("bank"), west.dump("bank"));
            let unlike = source.lines().zip(target.lines()).find(|(a, b)| a != b);
            assert!(source == target, "after {step}: {unlike:?}");
        }
    }
    // Each of these is sent by itself, as clients do that prepare what they send.
    for sql in [
        "CREATE TABLE alone (id int PRIMARY KEY)",
        "INSERT INTO alone VALUES (1)",
        "ALTER TABLE alone ADD at timestamptz DEFAULT now()",
    ] {
        world.source.client.execute(sql, &[]).await.unwrap();
    }
    world.caught_up(&link).await;
    let newest = mainstay_testkit::postgres_folder();
    let (source, target) = (east.dump_by(&newest, "bank"), west.dump_by(&newest, "bank"));
    let header = |dump: &str| {
        let settings = |line: &&str| !line.starts_with("SET ");
        dump.lines().filter(settings).map(str::to_owned).collect::<Vec<_>>()
    };
    let (source_lines, target_lines) = (header(&source), header(&target));
    let unlike = source_lines.iter().zip(&target_lines).find(|(a, b)| a != b);
    assert!(source_lines == target_lines, "{unlike:?}");
    assert!(source.contains("CREATE TABLE public.by_do"), "there is something to compare");
    link.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn schema_changes_travel_on_postgresql_18() {
    travels(18, 18).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn schema_changes_travel_on_postgresql_15() {
    travels(15, 15).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn schema_changes_travel_from_postgresql_17_to_18() {
    travels(17, 18).await;
}
