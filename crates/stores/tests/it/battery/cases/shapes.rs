//! Shapes of tables: partitions, inheritance, none and very many columns, generated ones.

use crate::battery::case::Case;

pub const CASES: &[Case] = &[
    Case {
        name: "partitions: rows move between them, leaves are truncated, leaves differ from their root",
        since: 15,
        schema: "
            CREATE TABLE part (id int, at date, v text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
            CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
            CREATE TABLE part_2 (v text, extra int, at date NOT NULL, id int NOT NULL);
            ALTER TABLE part_2 DROP extra; ALTER TABLE part ATTACH PARTITION part_2 FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
            CREATE TABLE part_rest PARTITION OF part DEFAULT PARTITION BY RANGE (id);
            CREATE TABLE part_rest_a PARTITION OF part_rest FOR VALUES FROM (0) TO (4);
            CREATE TABLE part_rest_b PARTITION OF part_rest DEFAULT;
            CREATE TABLE hashed (k text, v int) PARTITION BY HASH (k);
            CREATE TABLE hashed_0 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 0);
            CREATE TABLE hashed_1 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 1);
            ALTER TABLE hashed_0 REPLICA IDENTITY FULL; ALTER TABLE hashed_1 REPLICA IDENTITY FULL;",
        work: &[
            "INSERT INTO part VALUES (1, '2026-01-05', 'x'), (2, '2026-02-05', 'y'), (3, '2027-01-01', 'a'), (4, '2027-01-01', 'b');
             INSERT INTO hashed SELECT i::text, i FROM generate_series(1, 10) i",
            "UPDATE part SET at = '2026-02-06' WHERE id = 1; UPDATE part SET v = 'moved' WHERE id = 3",
            "UPDATE part SET at = at + 30; UPDATE part SET v = 'a' WHERE id = 4; UPDATE hashed SET k = k || 'x' WHERE v < 6",
            "TRUNCATE part_2; INSERT INTO part VALUES (5, '2026-02-07', 'z'); DELETE FROM hashed WHERE v % 3 = 0",
            "TRUNCATE part; INSERT INTO part VALUES (6, '2026-01-07', repeat('z', 10000))",
            "UPDATE part SET at = '2026-02-07', id = 7 WHERE id = 6; UPDATE part SET at = '2029-02-07' WHERE id = 7; UPDATE part SET id = 6 WHERE id = 7",
        ],
    },
    Case {
        name: "tables that inherit, whose rows are told apart from their parents'",
        since: 15,
        schema: "
            CREATE TABLE base (id int PRIMARY KEY, v text); CREATE TABLE derived (w int, PRIMARY KEY (id)) INHERITS (base);
            CREATE TABLE twice (x int, PRIMARY KEY (id)) INHERITS (derived);",
        work: &[
            "INSERT INTO base VALUES (1, 'a'); INSERT INTO derived VALUES (1, 'a', 3), (2, 'b', 4); INSERT INTO twice VALUES (1, 'a', 5, 6)",
            "UPDATE base SET id = id + 10, v = v || '!'", "DELETE FROM ONLY base; UPDATE derived SET w = 0 WHERE id = 11",
            "INSERT INTO base VALUES (11, 'n'); TRUNCATE ONLY derived; DELETE FROM base WHERE id = 11",
        ],
    },
    Case {
        name: "tables without columns, of one column, and of more than a thousand",
        since: 15,
        schema: "
            CREATE TABLE none (); ALTER TABLE none REPLICA IDENTITY FULL; CREATE TABLE none_default (); CREATE TABLE one (id int PRIMARY KEY);
            DO $$BEGIN
                EXECUTE 'CREATE TABLE many (id int PRIMARY KEY, ' ||
                    (SELECT string_agg('c' || i || CASE i % 3 WHEN 0 THEN ' int' WHEN 1 THEN ' text' ELSE ' bool' END, ', ' ORDER BY i)
                     FROM generate_series(1, 1200) i) || ')';
                EXECUTE 'CREATE TABLE many_full (' ||
                    (SELECT string_agg('c' || i || ' int', ', ' ORDER BY i) FROM generate_series(1, 1100) i) || ')';
                ALTER TABLE many_full REPLICA IDENTITY FULL;
            END$$;",
        work: &[
            "INSERT INTO none DEFAULT VALUES; INSERT INTO none DEFAULT VALUES; INSERT INTO none_default DEFAULT VALUES; INSERT INTO one VALUES (1), (2);
             INSERT INTO many (id, c1, c3) SELECT i, i, i FROM generate_series(1, 300) i; INSERT INTO many_full (c1, c2, c1100) VALUES (1, 1, 1), (1, 1, 1), (2, NULL, 2)",
            "DELETE FROM none WHERE ctid = (SELECT min(ctid) FROM none); UPDATE one SET id = id + 10; UPDATE many SET c600 = id, c1 = 'x';
             UPDATE many_full SET c5 = 5 WHERE ctid = (SELECT min(ctid) FROM many_full)",
            "INSERT INTO none DEFAULT VALUES; TRUNCATE none_default; INSERT INTO none_default DEFAULT VALUES; UPDATE many SET id = id + 1000 WHERE id < 50; DELETE FROM many WHERE id < 100; DELETE FROM many_full WHERE c1 = 2; DELETE FROM one WHERE id = 11",
        ],
    },
    Case {
        name: "columns that are generated, and identity columns",
        since: 15,
        schema: "
            CREATE TABLE made (a int PRIMARY KEY, b int, sum int GENERATED ALWAYS AS (a + b) STORED,
                               t text, up text GENERATED ALWAYS AS (upper(t)) STORED);
            CREATE TABLE made_unique (id int PRIMARY KEY, a int, g int GENERATED ALWAYS AS (a / 10) STORED UNIQUE);
            CREATE TABLE always_id (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text);
            CREATE TABLE always_full (n int GENERATED ALWAYS AS IDENTITY, v text); ALTER TABLE always_full REPLICA IDENTITY FULL;
            CREATE TABLE default_id (id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, v text, at timestamptz DEFAULT now());",
        work: &[
            "INSERT INTO made (a, b, t) SELECT i, i, 'x' || i FROM generate_series(1, 5) i;
             INSERT INTO made_unique (id, a) VALUES (1, 10), (2, 20), (3, 30);
             INSERT INTO always_id (v) VALUES ('a'), ('b'); INSERT INTO default_id (v) VALUES ('a'), ('b');
             INSERT INTO always_full (v) VALUES ('a'), ('b'); INSERT INTO always_id OVERRIDING SYSTEM VALUE VALUES (100, 'c')",
            "UPDATE made SET b = 10, t = NULL WHERE a < 3; UPDATE made SET a = 50 WHERE a = 5;
             UPDATE always_id SET v = v || '!'; UPDATE always_full SET v = 'q'; UPDATE default_id SET id = id + 100",
            "UPDATE made_unique SET a = 40 WHERE id = 1", "UPDATE made_unique SET a = 11 WHERE id = 2", "UPDATE made_unique SET a = 21 WHERE id = 3",
            "DELETE FROM always_id WHERE id = 1; DELETE FROM made WHERE a = 4;
             DELETE FROM always_full WHERE v = 'q' AND n = 1",
            "INSERT INTO always_id OVERRIDING SYSTEM VALUE VALUES (1, 'again'); INSERT INTO default_id (id, v) VALUES (1, 'own')",
        ],
    },
    Case {
        name: "generated columns that are not stored",
        since: 18,
        schema: "
            CREATE TABLE virtual_ (a int PRIMARY KEY, twice int GENERATED ALWAYS AS (a * 2) VIRTUAL, b int);",
        work: &[
            "INSERT INTO virtual_ (a, b) VALUES (1, 1), (2, 2)",
            "UPDATE virtual_ SET a = a + 10; UPDATE virtual_ SET b = twice; DELETE FROM virtual_ WHERE twice = 22",
        ],
    },
    Case {
        name: "columns that were dropped, added with a default, and stored in another order",
        since: 15,
        schema: "
            CREATE TABLE altered (a int, gone text, id int PRIMARY KEY, b text DEFAULT 'd');
            INSERT INTO altered VALUES (0, 'x', -1, 'y'); DELETE FROM altered; ALTER TABLE altered DROP gone;
            ALTER TABLE altered ADD later int DEFAULT 7, ADD last timestamptz DEFAULT '2026-01-01';",
        work: &[
            "INSERT INTO altered (id, a) VALUES (1, 1), (2, 2)", "UPDATE altered SET later = NULL, b = 'c' WHERE id = 1; UPDATE altered SET id = 3 WHERE id = 2",
            "DELETE FROM altered WHERE a = 2",
        ],
    },
    Case {
        name: "what is not replicated is left alone: unlogged and temporary tables, views",
        since: 15,
        schema: "
            CREATE TABLE kept (id int PRIMARY KEY, v int); CREATE UNLOGGED TABLE fleeting (id int PRIMARY KEY);
            CREATE VIEW seen AS SELECT * FROM kept;",
        work: &[
            "CREATE TEMPORARY TABLE mine (id int) ON COMMIT DROP; INSERT INTO mine VALUES (1); INSERT INTO kept SELECT id, 1 FROM mine",
            "INSERT INTO seen VALUES (2, 2); UPDATE seen SET v = 3; DELETE FROM seen WHERE id = 1",
            "INSERT INTO fleeting VALUES (1); TRUNCATE fleeting, kept; INSERT INTO kept VALUES (4, 4)",
        ],
    },
];
