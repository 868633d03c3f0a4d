//! Values that an update leaves, sets to null, or sets to what they were.

use crate::battery::case::Case;

pub const CASES: &[Case] = &[
    Case {
        name: "neighbouring updates that set different columns, null and back",
        since: 15,
        schema: "
            CREATE TABLE sets (id int PRIMARY KEY, a int, b text, c jsonb, d numeric, e text);
            ALTER TABLE sets ALTER e SET STORAGE EXTERNAL;",
        work: &[
            "INSERT INTO sets SELECT i, i, i, '{}', i, repeat(i::text, 4000) FROM generate_series(1, 6) i",
            "UPDATE sets SET a = NULL WHERE id = 1; UPDATE sets SET b = NULL WHERE id = 1; UPDATE sets SET a = 5 WHERE id = 1",
            "UPDATE sets SET e = NULL WHERE id = 2",
            "UPDATE sets SET a = 6 WHERE id = 2",
            "UPDATE sets SET e = repeat('e', 9000) WHERE id = 2",
            "UPDATE sets SET b = 'x' WHERE id = 2",
            "UPDATE sets SET e = 'short' WHERE id = 2",
            "UPDATE sets SET c = NULL WHERE id = 2",
            "UPDATE sets SET id = 30 WHERE id = 3",
            "UPDATE sets SET b = 'y' WHERE id = 30",
            "UPDATE sets SET id = 3, e = e || '!' WHERE id = 30",
            "UPDATE sets SET d = 1.10 WHERE id = 3",
            "UPDATE sets SET d = 1.1 WHERE id = 3",
            // Two rows trade their keys by way of a third one, each with a large value that no change carries.
            "UPDATE sets SET id = 99 WHERE id = 4; UPDATE sets SET id = 4 WHERE id = 5; UPDATE sets SET id = 5 WHERE id = 99",
            "UPDATE sets SET id = 99 WHERE id = 4",
            "UPDATE sets SET id = 4 WHERE id = 5",
            "UPDATE sets SET id = 5 WHERE id = 99",
            "UPDATE sets SET a = a + 100 WHERE id IN (4, 5)",
            // A row that takes the key of one that just went, with a large value that no change carries.
            "DELETE FROM sets WHERE id = 6; UPDATE sets SET id = 6 WHERE id = 5; UPDATE sets SET a = 1 WHERE id = 6",
            "DELETE FROM sets WHERE id = 4",
            "UPDATE sets SET id = 4 WHERE id = 6",
            "UPDATE sets SET b = 'z' WHERE id = 4",
        ],
    },
    Case {
        name: "values of more than a megabyte",
        since: 15,
        schema: "CREATE TABLE large (id int PRIMARY KEY, t text, b bytea, n int)",
        work: &[
            "INSERT INTO large VALUES (1, repeat('x', 1500000), NULL, 0), (2, NULL, decode(repeat('00ff5c', 400000), 'hex'), 0), (3, repeat(E'\\\\\\n\"', 250000), '', 0)",
            "UPDATE large SET n = 1",
            "UPDATE large SET t = t || 'y', id = id + 10 WHERE id = 1; UPDATE large SET n = 2 WHERE id = 11",
            "DELETE FROM large WHERE id = 2",
        ],
    },
    Case {
        name: "many rows in one transaction, of many shapes of change",
        since: 15,
        schema: "CREATE TABLE bulk (id int PRIMARY KEY, a int, b text, u int UNIQUE); CREATE TABLE bulk_loose (a int, b text); ALTER TABLE bulk_loose REPLICA IDENTITY FULL;",
        work: &[
            "INSERT INTO bulk SELECT i, i, 'b' || i, -i FROM generate_series(1, 3000) i; INSERT INTO bulk_loose SELECT i % 50, 'x' FROM generate_series(1, 500) i",
            "UPDATE bulk SET a = a + 1 WHERE id % 2 = 0; UPDATE bulk SET b = NULL WHERE id % 3 = 0; UPDATE bulk SET u = u - 10000 WHERE id % 5 = 0; DELETE FROM bulk WHERE id % 7 = 0; UPDATE bulk SET id = id + 10000 WHERE id % 11 = 0",
            "UPDATE bulk SET u = NULL WHERE id < 200; UPDATE bulk SET u = id WHERE id < 200; INSERT INTO bulk SELECT i, i, 'again', NULL FROM generate_series(1, 3000) i ON CONFLICT DO NOTHING; DELETE FROM bulk WHERE b = 'again' AND id % 2 = 0",
            "UPDATE bulk_loose SET b = 'y' WHERE a < 5; DELETE FROM bulk_loose WHERE a BETWEEN 10 AND 15",
            "DELETE FROM bulk; INSERT INTO bulk SELECT i, i, 'new', i FROM generate_series(1, 1500) i; UPDATE bulk SET b = 'newer' WHERE id < 700",
        ],
    },
];
