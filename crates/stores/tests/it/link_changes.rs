//! Every kind of change arrives as it was made: PostgreSQL's own dumps of both sides are equal.

use crate::link_world::World;

/// Each case has its own tables; all go over one link, so that they also meet in batches.
struct Case {
    name: &'static str,
    schema: &'static str,
    /// Each is a transaction.
    changes: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        name: "large values that an update leaves as they were, under each replica identity",
        schema: "
            CREATE TABLE toast_d (id int PRIMARY KEY, n int, big text);
            CREATE TABLE toast_f (id int, n int, big text);
            ALTER TABLE toast_f REPLICA IDENTITY FULL;
            CREATE TABLE toast_i (id int NOT NULL, n int, big text);
            CREATE UNIQUE INDEX toast_i_key ON toast_i (id);
            ALTER TABLE toast_i REPLICA IDENTITY USING INDEX toast_i_key;
            CREATE TABLE toast_key (big text PRIMARY KEY, n int);
            ALTER TABLE toast_d ALTER big SET STORAGE EXTERNAL;
            ALTER TABLE toast_f ALTER big SET STORAGE EXTERNAL;
            ALTER TABLE toast_i ALTER big SET STORAGE EXTERNAL;",
        changes: &[
            "INSERT INTO toast_d SELECT i, 0, repeat(md5(i::text), 320) FROM generate_series(1,5) i;
             INSERT INTO toast_f SELECT * FROM toast_d; INSERT INTO toast_i SELECT * FROM toast_d;
             INSERT INTO toast_key SELECT string_agg(md5(i::text), ''), 1 FROM generate_series(1,70) i",
            "UPDATE toast_d SET n = 1; UPDATE toast_f SET n = 1; UPDATE toast_i SET n = 1;
             UPDATE toast_key SET n = 2",
            "UPDATE toast_d SET n = 2 WHERE id = 1; UPDATE toast_d SET n = 3 WHERE id = 1;
             UPDATE toast_d SET n = 4 WHERE id = 1",
            "UPDATE toast_d SET id = 100 WHERE id = 2; UPDATE toast_f SET id = 100 WHERE id = 2;
             UPDATE toast_i SET id = 100 WHERE id = 2",
            "UPDATE toast_d SET big = repeat('y', 9000), n = 9, id = 101 WHERE id = 3;
             UPDATE toast_f SET big = NULL WHERE id = 4; DELETE FROM toast_i WHERE id = 5;
             DELETE FROM toast_f WHERE id = 5",
        ],
    },
    Case {
        name: "keys that move, swap and refer to each other",
        schema: "
            CREATE TABLE swap (id int PRIMARY KEY DEFERRABLE, v text);
            ALTER TABLE swap REPLICA IDENTITY FULL;
            CREATE TABLE self (id int PRIMARY KEY, up int REFERENCES self DEFERRABLE INITIALLY DEFERRED);
            CREATE TABLE parent (id int PRIMARY KEY);
            CREATE TABLE child (id int PRIMARY KEY, p int REFERENCES parent ON DELETE CASCADE
                                ON UPDATE CASCADE);
            CREATE TABLE two (a int, b text, v int, PRIMARY KEY (b, a));",
        changes: &[
            "INSERT INTO swap VALUES (1, 'a'), (2, 'b'); INSERT INTO self VALUES (2, 1), (1, NULL);
             INSERT INTO parent VALUES (1), (2); INSERT INTO child VALUES (1, 1), (2, 2), (3, 1);
             INSERT INTO two VALUES (1, 'x', 1), (2, 'y', 2)",
            "UPDATE swap SET id = 3 - id",
            "UPDATE self SET id = id + 10 WHERE id = 1; UPDATE self SET up = 11 WHERE id = 2",
            "UPDATE parent SET id = 20 WHERE id = 2; DELETE FROM parent WHERE id = 1",
            "UPDATE two SET a = a + 1, b = b || '!', v = v + 1",
        ],
    },
    Case {
        name: "rows without a key, with duplicates, nulls and values that are equal but not the same",
        schema: "
            CREATE TABLE loose (n numeric, j json, f float8, c char(4), t text);
            ALTER TABLE loose REPLICA IDENTITY FULL;",
        changes: &[
            "INSERT INTO loose VALUES (1.0, '{\"a\": 1}', '-0', 'x', 'a'), (1.00, '{\"a\":1}', 0, 'x', 'a'),
             (NULL, NULL, NULL, NULL, NULL), (NULL, NULL, NULL, NULL, NULL), (2, '1', 'NaN', 'y', ''),
             (3, '1', 1, 'z', 'd'), (3, '1', 1, 'z', 'd'), (3, '1', 1, 'z', 'd')",
            "DELETE FROM loose WHERE f = 0 AND n::text = '1.00'",
            "DELETE FROM loose WHERE ctid = (SELECT min(ctid) FROM loose WHERE n IS NULL)",
            "UPDATE loose SET t = 'e' WHERE ctid = (SELECT min(ctid) FROM loose WHERE n = 3)",
            "UPDATE loose SET c = 'yy', f = 'Infinity' WHERE n = 2",
        ],
    },
    Case {
        name: "truncates, alone, together, cascading, with sequences and partitions",
        schema: "
            CREATE TABLE trunc_a (id serial PRIMARY KEY, v int);
            CREATE TABLE trunc_b (id int PRIMARY KEY, a int REFERENCES trunc_a);
            CREATE TABLE trunc_c (id int PRIMARY KEY);
            CREATE TABLE part (id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
            CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
            CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');",
        changes: &[
            "INSERT INTO trunc_a (v) VALUES (1), (2); INSERT INTO trunc_b VALUES (1, 1);
             INSERT INTO trunc_c VALUES (1); INSERT INTO part VALUES (1, '2026-01-05'), (2, '2026-02-05')",
            "TRUNCATE trunc_a RESTART IDENTITY CASCADE; INSERT INTO trunc_a (v) VALUES (3)",
            "TRUNCATE trunc_c, trunc_b; INSERT INTO trunc_c VALUES (7)",
            "UPDATE part SET at = '2026-02-06' WHERE id = 1",
            "TRUNCATE part_2; INSERT INTO part VALUES (3, '2026-02-07')",
        ],
    },
    Case {
        name: "types: special values, arrays, composites, ranges, enums, domains, generated columns",
        schema: "
            CREATE TYPE mood AS ENUM ('calm', 'cross');
            CREATE DOMAIN positive AS int CHECK (VALUE > 0);
            CREATE DOMAIN more AS positive;
            CREATE TYPE pair AS (a int, b text);
            CREATE TABLE types (
                id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, twice bigint GENERATED ALWAYS AS (id * 2) STORED,
                f4 real, f8 float8, num numeric, num2 numeric(12,3), j jsonb, js json, b bytea, t text, c char(5),
                vc varchar(20), d date, ts timestamp, tz timestamptz, ti time, itz timetz, iv interval, m mood,
                ms mood[], p positive, q more, qs positive[], pr pair, prs pair[], r int4range, mr tstzmultirange,
                u uuid, ip inet, mac macaddr, bits varbit, x xml, pt point, path_ path, ts_v tsvector, money_ money,
                ints int[], texts text[], cls regclass, o oid, ch \"char\");
            CREATE TABLE \"odd \"\"name\" (\"a b\" int PRIMARY KEY, \"\"\"\" text, \"SELECT\" int);
            CREATE TABLE enum_key (m mood, p positive, b bytea, PRIMARY KEY (m, p, b));
            CREATE TABLE keyless_only_inserted (v int);",
        changes: &[
            "INSERT INTO types (f4, f8, num, num2, j, js, b, t, c, vc, d, ts, tz, ti, itz, iv, m, ms, p, q, qs, pr, prs,
                r, mr, u, ip, mac, bits, x, pt, path_, ts_v, money_, ints, texts, cls, o, ch) VALUES
             ('NaN', '-Infinity', 'NaN', 1.5, '{\"a\": [1, null, \"\\u00e9\"]}', '{ \"z\":1,  \"z\":2}', '\\x00ff0a5c27', E'\\t\\n\\\\ ''\" 😀 \u{10FFFF}',
              'ab', '', 'infinity', '-infinity', '1850-01-01 12:00:00.123456+00', '24:00', '12:00:00+05:30',
              '1 mon -2 days 03:04:05.678', 'cross', '{calm,NULL,cross}', 1, 2, '{1,NULL}', '(1,\"a,b\")',
              '{\"(2,)\",NULL}', '[1,5)', '{[2026-01-01,2026-02-01)}', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
              '10.0.0.0/8', '08:00:2b:01:02:03', B'1010', '<a b=\"c\">d</a>', '(1,2)', '[(0,0),(1,1)]', 'a fat cat', 12.34,
              '{{1,2},{3,NULL}}', '{\"\",NULL,\"NULL\",\"a\\\"b\"}', 'types', 42, 'q'),
             ('-0', 1e-300, 'Infinity', NULL, '1', 'null', '', '', '', NULL, '4713-01-01 BC', '294276-01-01', 'infinity', NULL, NULL,
              '-178000000 years', NULL, '{}', NULL, NULL, NULL, '(,)', '{}', 'empty', '{}', NULL, '::1', NULL, B'', '', NULL, NULL, '', '-0.01',
              '{}', '{}', 'pg_class', 0, '')",
            "UPDATE types SET f8 = 0.1 + 0.2, num = 123456789012345678901234567890.123456789, m = 'calm', b = decode(repeat('00ff', 5000), 'hex')
             WHERE id = 1",
            "UPDATE types SET j = jsonb_set(j, '{b}', '\"x\"'), pr = ROW(9, NULL)::pair WHERE id = 1; DELETE FROM types WHERE id = 2",
            "INSERT INTO \"odd \"\"name\" VALUES (1, '$1', 2); UPDATE \"odd \"\"name\" SET \"\"\"\" = NULL, \"a b\" = 5",
            "INSERT INTO enum_key VALUES ('calm', 1, '\\x00'), ('cross', 2, ''); UPDATE enum_key SET m = 'cross', b = '\\x01' WHERE p = 1;
             DELETE FROM enum_key WHERE p = 2; INSERT INTO keyless_only_inserted VALUES (1), (1), (NULL)",
        ],
    },
    Case {
        name: "triggers fire once, and savepoints that were rolled back leave nothing",
        schema: "
            CREATE TABLE fires (id int PRIMARY KEY);
            CREATE TABLE fired (id serial PRIMARY KEY, what int);
            CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS
                $$BEGIN INSERT INTO fired (what) VALUES (NEW.id); RETURN NEW; END$$;
            CREATE TRIGGER fire AFTER INSERT ON fires FOR EACH ROW EXECUTE FUNCTION fire();
            CREATE TABLE outer_ (id int PRIMARY KEY); CREATE TABLE base (id int PRIMARY KEY);
            CREATE TABLE derived (v int, PRIMARY KEY (id)) INHERITS (base);",
        changes: &[
            "INSERT INTO fires SELECT generate_series(1, 10)",
            "INSERT INTO outer_ VALUES (1); SAVEPOINT s; INSERT INTO outer_ VALUES (2); ROLLBACK TO s;
             INSERT INTO outer_ VALUES (3)",
            "INSERT INTO base VALUES (1); INSERT INTO derived VALUES (2, 3); UPDATE base SET id = id + 10",
            "SELECT pg_logical_emit_message(true, 'other', 'a message for somebody else')",
        ],
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_change_arrives_as_it_was_made() {
    let schema: String = CASES.iter().map(|case| case.schema).collect();
    let world = World::start(&schema).await;
    let link = world.streaming().await;
    for case in CASES {
        for change in case.changes {
            world.source.run(&format!("BEGIN; {change}; COMMIT")).await;
        }
        println!("{}", case.name);
        world.caught_up(&link).await;
        world.assert_equal();
    }
    link.stop().await;
}

/// The same changes, when they were all made before the first copy began, and once more through
/// one backlog that the link applies in merged batches.
#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_row_is_copied_and_a_backlog_is_applied_in_batches() {
    let schema: String = CASES.iter().map(|case| case.schema).collect();
    let world = World::start(&schema).await;
    let all = || CASES.iter().flat_map(|case| case.changes);
    for change in all().filter(|change| change.starts_with("INSERT")) {
        world.source.run(&format!("BEGIN; {change}; COMMIT")).await;
    }
    let link = world.streaming().await;
    world.caught_up(&link).await;
    link.stop().await;
    world.assert_equal();

    let truncate = "SELECT 'TRUNCATE ' || string_agg(quote_ident(tablename), ', ') || ' RESTART IDENTITY' \
                    FROM pg_tables WHERE schemaname = 'public'";
    let truncate = world.source.text(truncate).await;
    world.source.run(&truncate).await;
    for change in all() {
        world.source.run(&format!("BEGIN; {change}; COMMIT")).await;
    }
    let link = world.streaming().await;
    world.caught_up(&link).await;
    link.stop().await;
    world.assert_equal();
}
