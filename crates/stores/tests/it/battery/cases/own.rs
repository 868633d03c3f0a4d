//! Cases that stopped a link, or left the sides unlike: each has a link of its own.

use crate::battery::case::Case;

pub const CASES: &[Case] = &[
    Case {
        name: "a key of a composite type",
        since: 15,
        schema: "
            CREATE TYPE pair AS (a numeric, b citext); CREATE TABLE k_pair (k pair PRIMARY KEY, v int);
            CREATE TABLE k_pair_list (k pair[] PRIMARY KEY, v int);",
        work: &[
            "INSERT INTO k_pair VALUES ('(1.0,Ab)', 1), ('(,)', 2); INSERT INTO k_pair_list VALUES ('{\"(1,a)\"}', 1), ('{}', 2)",
            "UPDATE k_pair SET k = '(1.00,aB)' WHERE v = 1; UPDATE k_pair_list SET v = 3",
            "UPDATE k_pair SET v = v + 10; DELETE FROM k_pair WHERE v = 12; DELETE FROM k_pair_list WHERE k = '{}'",
            "DELETE FROM k_pair", "INSERT INTO k_pair VALUES ('(1,AB)', 30)",
        ],
    },
    Case {
        name: "identity columns that are no key keep their value when the key changes, and take a new one",
        since: 15,
        schema: "CREATE TABLE always_other (k text PRIMARY KEY, v text,
                 n int GENERATED ALWAYS AS IDENTITY (START 5 INCREMENT -1 MAXVALUE 5));
                 CREATE TABLE always_key (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text)",
        work: &[
            "INSERT INTO always_other (k, v) VALUES ('x', 'a'), ('y', 'b'), ('z', 'c')",
            "UPDATE always_other SET v = 'z'",
            "UPDATE always_other SET k = k || k WHERE k = 'x'",
            "UPDATE always_other SET n = DEFAULT WHERE k = 'y'",
            "UPDATE always_other SET n = DEFAULT, k = 'zz' WHERE k = 'z'",
            "DELETE FROM always_other WHERE k = 'xx'",
            "INSERT INTO always_key (v) VALUES ('a'), ('b')",
            "UPDATE always_key SET id = DEFAULT WHERE id = 1",
        ],
    },
    Case {
        name: "a table with generated columns and an index as its identity",
        since: 15,
        schema: "CREATE TABLE made_index (a int NOT NULL, g int GENERATED ALWAYS AS (a * 2) STORED, b int);
                 CREATE UNIQUE INDEX made_index_a ON made_index (a);
                 ALTER TABLE made_index REPLICA IDENTITY USING INDEX made_index_a;",
        work: &[
            "INSERT INTO made_index (a, b) VALUES (1, 1), (2, 1), (3, 2)",
            "UPDATE made_index SET b = 9 WHERE a = 1; UPDATE made_index SET a = a + 10 WHERE b = 1",
            "DELETE FROM made_index WHERE b = 2",
        ],
    },
    Case {
        name: "materialized views are as full as at the source",
        since: 15,
        schema: "CREATE TABLE seen (id int PRIMARY KEY); CREATE MATERIALIZED VIEW full_ AS SELECT 1 AS one; \
                 CREATE MATERIALIZED VIEW empty_ AS SELECT id FROM seen WITH NO DATA;",
        work: &["INSERT INTO seen VALUES (1)"],
    },
];

/// PostgreSQL 18 refuses these at the source, and nothing is prepared there (MS-PG-317).
pub const BEFORE_18: &[Case] = &[Case {
    name: "a table with identity full and generated columns can be written to",
    since: 15,
    schema: "CREATE TABLE made_full (a int, g int GENERATED ALWAYS AS (a * 2) STORED, b int);
             ALTER TABLE made_full REPLICA IDENTITY FULL;",
    work: &[
        "INSERT INTO made_full (a, b) VALUES (1, 1), (1, 1), (2, 2)",
        "UPDATE made_full SET b = 9 WHERE ctid = (SELECT min(ctid) FROM made_full)",
        "DELETE FROM made_full WHERE b = 2",
    ],
}];
