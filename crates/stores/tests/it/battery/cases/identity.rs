//! How a row is told from others: replica identities, large values beside them.

use crate::battery::case::Case;

pub const CASES: &[Case] = &[
    Case {
        name: "a small column is updated beside a large one, under each replica identity",
        since: 15,
        schema: "
            CREATE TABLE by_default (id int PRIMARY KEY, n int, big text, note text);
            CREATE TABLE by_full (id int PRIMARY KEY, n int, big text, note text);
            ALTER TABLE by_full REPLICA IDENTITY FULL;
            CREATE TABLE by_row (id int, n int, big text, note text);
            ALTER TABLE by_row REPLICA IDENTITY FULL;
            CREATE TABLE by_index (id int NOT NULL, n int, big text, note text);
            CREATE UNIQUE INDEX by_index_id ON by_index (id);
            ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_id;
            CREATE FUNCTION large(int) RETURNS text LANGUAGE sql AS
                $$SELECT string_agg(md5(($1 * 1000 + i)::text), '') FROM generate_series(1, 320) i$$;",
        work: &[
            "INSERT INTO by_default SELECT i, 0, large(i) FROM generate_series(1, 8) i;
             INSERT INTO by_full SELECT * FROM by_default; INSERT INTO by_row SELECT * FROM by_default;
             INSERT INTO by_index SELECT * FROM by_default",
            "UPDATE by_default SET n = 1; UPDATE by_full SET n = 1; UPDATE by_row SET n = 1;
             UPDATE by_index SET n = 1",
            // The same row three times, the large value changed in between.
            "UPDATE by_default SET n = 2 WHERE id = 1; UPDATE by_default SET big = large(11) WHERE id = 1;
             UPDATE by_default SET n = 3 WHERE id = 1;
             UPDATE by_full SET n = 2 WHERE id = 1; UPDATE by_full SET big = large(11) WHERE id = 1;
             UPDATE by_full SET n = 3 WHERE id = 1;
             UPDATE by_row SET n = 2 WHERE id = 1; UPDATE by_row SET big = large(11) WHERE id = 1;
             UPDATE by_row SET n = 3 WHERE id = 1;
             UPDATE by_index SET n = 2 WHERE id = 1; UPDATE by_index SET big = large(11) WHERE id = 1;
             UPDATE by_index SET n = 3 WHERE id = 1",
            // The key changes and the large value stays.
            "UPDATE by_default SET id = 102, n = 4 WHERE id = 2; UPDATE by_full SET id = 102, n = 4 WHERE id = 2;
             UPDATE by_row SET id = 102, n = 4 WHERE id = 2; UPDATE by_index SET id = 102, n = 4 WHERE id = 2",
            "UPDATE by_default SET id = 202 WHERE id = 102; UPDATE by_full SET id = 202 WHERE id = 102;
             UPDATE by_row SET id = 202 WHERE id = 102; UPDATE by_index SET id = 202 WHERE id = 102",
            // Inserted, updated beside the large value, moved, in one transaction.
            "INSERT INTO by_default VALUES (9, 0, large(9)); UPDATE by_default SET n = 1 WHERE id = 9;
             UPDATE by_default SET id = 10 WHERE id = 9; UPDATE by_default SET n = 2 WHERE id = 10;
             INSERT INTO by_full VALUES (9, 0, large(9)); UPDATE by_full SET n = 1 WHERE id = 9;
             UPDATE by_full SET id = 10 WHERE id = 9; UPDATE by_full SET n = 2 WHERE id = 10;
             INSERT INTO by_row VALUES (9, 0, large(9)); UPDATE by_row SET n = 1 WHERE id = 9;
             UPDATE by_row SET id = 10 WHERE id = 9; UPDATE by_row SET n = 2 WHERE id = 10;
             INSERT INTO by_index VALUES (9, 0, large(9)); UPDATE by_index SET n = 1 WHERE id = 9;
             UPDATE by_index SET id = 10 WHERE id = 9; UPDATE by_index SET n = 2 WHERE id = 10",
            // A row goes, another takes its key with another large value, and is updated beside it.
            "DELETE FROM by_default WHERE id = 3; INSERT INTO by_default VALUES (3, 7, large(33));
             UPDATE by_default SET n = 8 WHERE id = 3;
             DELETE FROM by_full WHERE id = 3; INSERT INTO by_full VALUES (3, 7, large(33));
             UPDATE by_full SET n = 8 WHERE id = 3;
             DELETE FROM by_index WHERE id = 3; INSERT INTO by_index VALUES (3, 7, large(33));
             UPDATE by_index SET n = 8 WHERE id = 3",
            "UPDATE by_default SET big = NULL WHERE id = 4; UPDATE by_full SET big = NULL WHERE id = 4;
             UPDATE by_row SET big = NULL WHERE id = 4; UPDATE by_index SET big = '' WHERE id = 4",
            "UPDATE by_default SET big = large(4) WHERE id = 4; UPDATE by_default SET n = 9, note = 'x' WHERE id = 4;
             UPDATE by_full SET big = large(4) WHERE id = 4; UPDATE by_full SET n = 9, note = 'x' WHERE id = 4;
             UPDATE by_row SET big = large(4) WHERE id = 4; UPDATE by_row SET n = 9, note = 'x' WHERE id = 4;
             UPDATE by_index SET big = large(4) WHERE id = 4; UPDATE by_index SET n = 9, note = 'x' WHERE id = 4",
            "DELETE FROM by_default WHERE id = 5; DELETE FROM by_full WHERE id = 5;
             DELETE FROM by_row WHERE id = 5; DELETE FROM by_index WHERE id = 5",
            // Different sets of columns in neighbouring updates of one row.
            "UPDATE by_default SET n = 20 WHERE id = 6",
            "UPDATE by_default SET note = 'y' WHERE id = 6",
            "UPDATE by_default SET big = large(66) WHERE id = 6",
            "UPDATE by_default SET n = 21, note = NULL WHERE id = 6",
        ],
    },
    Case {
        name: "a key that is itself stored out of line",
        since: 15,
        schema: "
            CREATE TABLE large_key (big text PRIMARY KEY, n int, other text);
            ALTER TABLE large_key ALTER big SET STORAGE EXTERNAL;",
        work: &[
            "INSERT INTO large_key SELECT string_agg(md5((k * 100 + i)::text), ''), k, repeat('z', 3000)
             FROM generate_series(1, 3) k, generate_series(1, 70) i GROUP BY k",
            "UPDATE large_key SET n = n + 10",
            "UPDATE large_key SET big = upper(big) WHERE n = 11",
            "UPDATE large_key SET n = 0 WHERE n = 11; DELETE FROM large_key WHERE n = 12",
        ],
    },
    Case {
        name: "rows without a key, duplicates and nulls among them: one of equal rows changes or goes",
        since: 15,
        schema: "
            CREATE TABLE loose (n numeric, j json, f float8, c char(4), t text, p point);
            ALTER TABLE loose REPLICA IDENTITY FULL;
            CREATE TABLE nulls (a int, b int); ALTER TABLE nulls REPLICA IDENTITY FULL;",
        work: &[
            "INSERT INTO loose VALUES (1.0, '{\"a\": 1}', '-0', 'x', 'a', '(1,2)'), (1.00, '{\"a\":1}', 0, 'x', 'a', '(1,2)'),
             (NULL, NULL, NULL, NULL, NULL, NULL), (NULL, NULL, NULL, NULL, NULL, NULL), (2, '1', 'NaN', 'y', '', NULL),
             (3, '1', 1, 'z', 'd', '(0,0)'), (3, '1', 1, 'z', 'd', '(0,0)'), (3, '1', 1, 'z', 'd', '(0,0)'),
             (NULL, NULL, NULL, NULL, '', NULL)",
            "DELETE FROM loose WHERE f = 0 AND n::text = '1.00'",
            "DELETE FROM loose WHERE ctid = (SELECT min(ctid) FROM loose WHERE t IS NULL)",
            "UPDATE loose SET t = 'e' WHERE ctid = (SELECT min(ctid) FROM loose WHERE n = 3)",
            "UPDATE loose SET t = 'e' WHERE ctid = (SELECT min(ctid) FROM loose WHERE n = 3 AND t = 'd');
             DELETE FROM loose WHERE ctid = (SELECT min(ctid) FROM loose WHERE n = 3 AND t = 'e');
             INSERT INTO loose SELECT * FROM loose WHERE n = 3",
            "UPDATE loose SET c = 'yy', f = 'Infinity' WHERE n = 2",
            "UPDATE loose SET n = 1.000 WHERE n = 1",
            "INSERT INTO nulls VALUES (1, NULL), (1, NULL), (NULL, 1), (NULL, NULL), (1, 1)",
            "UPDATE nulls SET b = 2 WHERE ctid = (SELECT min(ctid) FROM nulls WHERE a = 1 AND b IS NULL)",
            "DELETE FROM nulls WHERE a IS NULL AND b IS NULL; UPDATE nulls SET a = NULL WHERE b = 1",
            "DELETE FROM nulls WHERE ctid = (SELECT min(ctid) FROM nulls WHERE a IS NULL AND b = 1)",
        ],
    },
    Case {
        name: "many equal rows come and go in one transaction and in neighbouring ones",
        since: 15,
        schema: "CREATE TABLE same (v int, t text); ALTER TABLE same REPLICA IDENTITY FULL",
        work: &[
            "INSERT INTO same SELECT 1, 'a' FROM generate_series(1, 20)",
            "DELETE FROM same WHERE ctid IN (SELECT ctid FROM same LIMIT 3);
             INSERT INTO same VALUES (1, 'a'), (1, 'a'); UPDATE same SET v = 2
             WHERE ctid IN (SELECT ctid FROM same LIMIT 5)",
            "UPDATE same SET v = 3 - v",
            "DELETE FROM same WHERE ctid IN (SELECT ctid FROM same WHERE v = 1 LIMIT 2);
             INSERT INTO same VALUES (2, 'a')",
            "INSERT INTO same SELECT * FROM same; DELETE FROM same WHERE ctid IN (SELECT min(ctid) FROM same GROUP BY v)",
        ],
    },
    Case {
        name: "identity full beside a deferrable key, which is none to find rows by",
        since: 15,
        schema: "
            CREATE TABLE later (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, v text);
            ALTER TABLE later REPLICA IDENTITY FULL;
            CREATE TABLE no_identity (id int, v text);",
        work: &[
            "INSERT INTO later VALUES (1, 'a'), (1, 'b'), (3, 'c'); UPDATE later SET id = 2 WHERE v = 'b';
             INSERT INTO no_identity VALUES (1, 'a'), (1, 'a'), (NULL, NULL)",
            "UPDATE later SET id = id + 1; UPDATE later SET v = v || id",
            "INSERT INTO later VALUES (2, 'd'); DELETE FROM later WHERE v = 'a2'",
        ],
    },
    Case {
        name: "a replica identity that is changed under way",
        since: 15,
        schema: "CREATE TABLE changing (id int PRIMARY KEY, other int NOT NULL UNIQUE, v text)",
        work: &[
            "INSERT INTO changing SELECT i, -i, repeat(i::text, 900) FROM generate_series(1, 6) i",
            "UPDATE changing SET v = 'a' WHERE id = 1",
            "ALTER TABLE changing REPLICA IDENTITY USING INDEX changing_other_key",
            "UPDATE changing SET v = 'b', other = 20 WHERE id = 2; DELETE FROM changing WHERE id = 3",
            "ALTER TABLE changing REPLICA IDENTITY FULL",
            "UPDATE changing SET id = 40, other = 40 WHERE id = 4; DELETE FROM changing WHERE id = 5",
            "ALTER TABLE changing REPLICA IDENTITY DEFAULT",
            "UPDATE changing SET id = 60 WHERE id = 6; UPDATE changing SET v = 'c' WHERE id = 60",
        ],
    },
];
