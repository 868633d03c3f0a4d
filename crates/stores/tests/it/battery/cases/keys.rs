//! Keys that move: chains, swaps, rotations, unique values that change hands, foreign keys.

use crate::battery::case::Case;

pub const CASES: &[Case] = &[
    Case {
        name: "two primary keys swapped in one statement",
        since: 15,
        schema: "
            CREATE TABLE swap (id int PRIMARY KEY DEFERRABLE, v text);
            ALTER TABLE swap REPLICA IDENTITY FULL;
            CREATE TABLE swap_index (id int NOT NULL, tag int PRIMARY KEY, v text,
                                     UNIQUE (id) DEFERRABLE);",
        work: &[
            "INSERT INTO swap VALUES (1, 'a'), (2, 'b'), (3, 'c');
             INSERT INTO swap_index VALUES (1, 1, 'a'), (2, 2, 'b'), (3, 3, 'c')",
            "UPDATE swap SET id = 3 - id WHERE id < 3; UPDATE swap_index SET id = 3 - id WHERE id < 3",
            "UPDATE swap SET id = id % 3 + 1; UPDATE swap_index SET id = id % 3 + 1",
            "UPDATE swap SET id = id + 1; UPDATE swap_index SET id = id + 1",
            "UPDATE swap SET id = id - 1; UPDATE swap SET id = 4 - id; UPDATE swap_index SET id = 9 - id",
        ],
    },
    Case {
        name: "keys that follow each other in chains and rings",
        since: 15,
        schema: "CREATE TABLE chain (id int PRIMARY KEY, v text)",
        work: &[
            "INSERT INTO chain VALUES (1, 'a'), (2, 'b'), (3, 'c')",
            "UPDATE chain SET id = 10 WHERE id = 3; UPDATE chain SET id = 3 WHERE id = 2; UPDATE chain SET id = 2 WHERE id = 1;
             UPDATE chain SET id = 1 WHERE id = 10",
            "UPDATE chain SET id = 10 WHERE id = 1",
            "UPDATE chain SET id = 1 WHERE id = 2",
            "UPDATE chain SET id = 2 WHERE id = 3",
            "UPDATE chain SET id = 3, v = v || '!' WHERE id = 10",
            "UPDATE chain SET id = id + 100; UPDATE chain SET id = id - 100",
            "UPDATE chain SET id = 4 WHERE id = 1; INSERT INTO chain VALUES (1, 'new'); DELETE FROM chain WHERE id = 4;
             UPDATE chain SET id = 4 WHERE id = 1; INSERT INTO chain VALUES (1, 'newer')",
            "DELETE FROM chain WHERE id = 1",
            "UPDATE chain SET id = 1 WHERE id = 4",
            "INSERT INTO chain VALUES (4, 'again')",
            "DELETE FROM chain WHERE id = 4; DELETE FROM chain WHERE id = 1",
            "INSERT INTO chain VALUES (4, 'four'), (1, 'one')",
        ],
    },
    Case {
        name: "unique values that move between rows, in one and in neighbouring transactions",
        since: 15,
        schema: "
            CREATE TABLE held (id int PRIMARY KEY, u text UNIQUE, w text, UNIQUE (w) DEFERRABLE INITIALLY DEFERRED);
            CREATE UNIQUE INDEX held_lower ON held (lower(u)) WHERE id < 100;",
        work: &[
            "INSERT INTO held VALUES (1, 'a', 'x'), (2, 'b', 'y'), (3, 'c', 'z')",
            "UPDATE held SET u = NULL WHERE id = 1",
            "UPDATE held SET u = 'a' WHERE id = 2",
            "UPDATE held SET u = 'b' WHERE id = 3",
            "UPDATE held SET u = 'c' WHERE id = 1",
            "UPDATE held SET u = 't' WHERE id = 1; UPDATE held SET u = 'c' WHERE id = 2; UPDATE held SET u = 'a' WHERE id = 3;
             UPDATE held SET u = 'b' WHERE id = 1",
            "UPDATE held SET w = CASE w WHEN 'x' THEN 'y' WHEN 'y' THEN 'z' ELSE 'x' END",
            "UPDATE held SET w = 'y' WHERE id = 1; UPDATE held SET w = 'q' WHERE id = 2; UPDATE held SET w = 'x' WHERE id = 3;
             UPDATE held SET w = 'z' WHERE id = 2; UPDATE held SET w = id::text",
            // The row that held the value goes, and another takes it.
            "DELETE FROM held WHERE id = 1",
            "INSERT INTO held VALUES (4, 'b', '1')",
            "UPDATE held SET u = 'd' WHERE id = 4; INSERT INTO held VALUES (1, 'b', 'n')",
            "DELETE FROM held WHERE id = 1; UPDATE held SET u = 'b' WHERE id = 4",
            "UPDATE held SET u = 'B' WHERE id = 4; UPDATE held SET u = 'b' WHERE id = 4",
            "DELETE FROM held WHERE id = 2; UPDATE held SET id = 2 WHERE id = 3; INSERT INTO held VALUES (3, 'c', 'm')",
        ],
    },
    Case {
        name: "exclusion constraints: ranges that give room to each other",
        since: 15,
        schema: "
            CREATE TABLE booking (id int PRIMARY KEY, room int, during int4range,
                EXCLUDE USING gist (room WITH =, during WITH &&));
            CREATE TABLE booking_later (id int PRIMARY KEY, room int, during int4range,
                EXCLUDE USING gist (room WITH =, during WITH &&) DEFERRABLE INITIALLY DEFERRED);",
        work: &[
            "INSERT INTO booking VALUES (1, 1, '[1,5)'), (2, 1, '[5,9)'), (3, 2, '[1,9)');
             INSERT INTO booking_later SELECT * FROM booking",
            "UPDATE booking SET during = '[1,3)' WHERE id = 1",
            "UPDATE booking SET during = '[3,9)' WHERE id = 2",
            "DELETE FROM booking WHERE id = 1; UPDATE booking SET during = '[2,9)' WHERE id = 2;
             INSERT INTO booking VALUES (1, 1, '[0,2)')",
            "UPDATE booking_later SET during = CASE id WHEN 1 THEN '[5,9)'::int4range ELSE '[1,5)' END WHERE room = 1",
            "UPDATE booking SET room = 3 WHERE id = 3",
            "UPDATE booking SET room = 2 WHERE id = 2",
            "UPDATE booking SET during = '[0,9)' WHERE id = 1",
        ],
    },
    Case {
        name: "unique keys that hold nulls apart and together",
        since: 15,
        schema: "
            CREATE TABLE apart (id int PRIMARY KEY, a int, b int, UNIQUE (a, b));
            CREATE TABLE one_null (id int PRIMARY KEY, a int, UNIQUE NULLS NOT DISTINCT (a));",
        work: &[
            "INSERT INTO apart VALUES (1, NULL, 1), (2, NULL, 1), (3, 1, NULL), (4, 1, NULL), (5, 1, 1);
             INSERT INTO one_null VALUES (1, NULL), (2, 2)",
            "UPDATE one_null SET a = 1 WHERE id = 1",
            "UPDATE one_null SET a = NULL WHERE id = 2",
            "DELETE FROM one_null WHERE id = 2; INSERT INTO one_null VALUES (3, NULL)",
            "UPDATE apart SET a = 2 WHERE id = 5; UPDATE apart SET b = 1 WHERE id = 3",
            "DELETE FROM apart WHERE id = 3; UPDATE apart SET b = 1 WHERE id = 4",
        ],
    },
    Case {
        name: "foreign keys: deferred chains, rows that refer to themselves, cascades that do not fire twice",
        since: 15,
        schema: "
            CREATE TABLE self (id int PRIMARY KEY, up int REFERENCES self DEFERRABLE INITIALLY DEFERRED);
            CREATE TABLE self_now (id int PRIMARY KEY, up int REFERENCES self_now ON DELETE SET NULL ON UPDATE CASCADE);
            CREATE TABLE grand (id int PRIMARY KEY);
            CREATE TABLE parent (id int PRIMARY KEY, g int NOT NULL REFERENCES grand ON DELETE CASCADE ON UPDATE CASCADE);
            CREATE TABLE child (id int PRIMARY KEY, p int REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE, n int DEFAULT 0);
            CREATE TABLE orphan (p int REFERENCES parent ON DELETE CASCADE); ALTER TABLE orphan REPLICA IDENTITY FULL;
            CREATE TABLE ring_a (id int PRIMARY KEY, b int NOT NULL);
            CREATE TABLE ring_b (id int PRIMARY KEY, a int NOT NULL REFERENCES ring_a DEFERRABLE INITIALLY DEFERRED);
            ALTER TABLE ring_a ADD FOREIGN KEY (b) REFERENCES ring_b DEFERRABLE INITIALLY DEFERRED;",
        work: &[
            "INSERT INTO self VALUES (2, 1), (1, 3), (3, NULL); INSERT INTO self_now VALUES (1, NULL), (2, 1), (3, 2), (4, 4);
             INSERT INTO grand VALUES (1), (2); INSERT INTO parent VALUES (1, 1), (2, 2), (3, 1);
             INSERT INTO child VALUES (1, 1), (2, 2), (3, 1), (4, 3); INSERT INTO orphan VALUES (1), (1), (2), (3);
             INSERT INTO ring_a VALUES (1, 1); INSERT INTO ring_b VALUES (1, 1)",
            "UPDATE self SET id = id + 10 WHERE id = 1; UPDATE self SET up = 11 WHERE id = 2; DELETE FROM self WHERE id = 3;
             UPDATE self SET up = 11 WHERE id = 11",
            "UPDATE self_now SET id = 20 WHERE id = 2; DELETE FROM self_now WHERE id = 1",
            "UPDATE child SET n = n + 1; UPDATE grand SET id = 20 WHERE id = 2",
            "DELETE FROM grand WHERE id = 1",
            "INSERT INTO grand VALUES (1); INSERT INTO parent VALUES (1, 1); INSERT INTO child VALUES (1, 1); INSERT INTO orphan VALUES (1)",
            "DELETE FROM ring_a; DELETE FROM ring_b; INSERT INTO ring_b VALUES (5, 6); INSERT INTO ring_a VALUES (6, 5)",
            "DELETE FROM self_now WHERE id = 4; DELETE FROM grand",
        ],
    },
    Case {
        name: "keys of many columns, of which one changes",
        since: 15,
        schema: "
            CREATE TABLE two (a int, b text, v int, PRIMARY KEY (b, a));
            CREATE TABLE wide (v int, a int, b date, c text, d uuid, e numeric, PRIMARY KEY (e, d, c, b, a));
            CREATE TABLE included (id int, v text, PRIMARY KEY (id) INCLUDE (v));",
        work: &[
            "INSERT INTO two VALUES (1, 'x', 1), (2, 'y', 2), (1, 'y', 3), (12, '', 4), (1, '2', 5);
             INSERT INTO wide SELECT i, i, '2026-01-01', 'c', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', i FROM generate_series(1, 5) i;
             INSERT INTO included VALUES (1, 'a'), (2, 'b')",
            "UPDATE two SET a = a + 1, b = b || '!', v = v + 1",
            "UPDATE wide SET b = b + 1 WHERE v < 3; UPDATE wide SET v = 9 WHERE a = 1;
             UPDATE wide SET e = 5.00 WHERE e = 5; DELETE FROM wide WHERE a = 2; UPDATE included SET v = 'c' WHERE id = 1",
            "UPDATE included SET id = 3 WHERE id = 1; DELETE FROM included WHERE id = 2; UPDATE wide SET v = 55 WHERE e = 5",
        ],
    },
    Case {
        name: "keys that are equal and not the same: numbers, letters, zeros, domains, arrays, documents",
        since: 15,
        schema: "
            CREATE TABLE k_numeric (k numeric PRIMARY KEY, v int); CREATE TABLE k_citext (k citext PRIMARY KEY, v int);
            CREATE TABLE k_float (k float8 PRIMARY KEY, v int); CREATE TABLE k_char (k char(6) PRIMARY KEY, v int);
            CREATE TABLE k_interval (k interval PRIMARY KEY, v int); CREATE TABLE k_jsonb (k jsonb PRIMARY KEY, v int);
            CREATE TABLE k_array (k numeric[] PRIMARY KEY, v int); CREATE DOMAIN amount AS numeric;
            CREATE TABLE k_domain (k amount PRIMARY KEY, v int); CREATE TABLE k_tz (k timetz PRIMARY KEY, v int);
            CREATE TABLE k_range (k numrange PRIMARY KEY, v int); CREATE TABLE k_two (a numeric, b citext, v int, PRIMARY KEY (a, b));",
        work: &[
            "INSERT INTO k_numeric VALUES (1.0, 1), (2, 2), ('NaN', 3), ('Infinity', 4), (0.0, 5);
             INSERT INTO k_citext VALUES ('Ab', 1), ('cd', 2); INSERT INTO k_float VALUES ('-0', 1), ('NaN', 2), ('-Infinity', 3), (1e300, 4);
             INSERT INTO k_char VALUES ('a', 1), ('b  ', 2); INSERT INTO k_interval VALUES ('1 day', 1), ('1 mon', 2);
             INSERT INTO k_jsonb VALUES ('{\"a\": 1.0}', 1), ('[1]', 2), ('null', 3); INSERT INTO k_array VALUES ('{1.0,NULL}', 1), ('{}', 2);
             INSERT INTO k_domain VALUES (1.0, 1);
             INSERT INTO k_tz VALUES ('12:00+01', 1); INSERT INTO k_range VALUES ('[1.0,2)', 1), ('empty', 2); INSERT INTO k_two VALUES (1.0, 'A', 1)",
            // To a value that is equal and not the same.
            "UPDATE k_numeric SET k = 1.00 WHERE k = 1; UPDATE k_citext SET k = 'aB' WHERE k = 'ab'; UPDATE k_float SET k = 0 WHERE k = 0;
             UPDATE k_interval SET k = '24 hours' WHERE k = '1 day'; UPDATE k_jsonb SET k = '{\"a\": 1.00}' WHERE v = 1;
             UPDATE k_array SET k = '{1.00,NULL}' WHERE v = 1; UPDATE k_domain SET k = 1.00;
             UPDATE k_range SET k = '[1.00,2)' WHERE v = 1; UPDATE k_two SET a = 1.00, b = 'a'",
            "UPDATE k_numeric SET v = v + 10 WHERE k = 1; UPDATE k_citext SET v = 11 WHERE k = 'AB'; UPDATE k_float SET v = v + 10;
             UPDATE k_interval SET v = v + 10; UPDATE k_jsonb SET v = v + 10; UPDATE k_array SET v = v + 10; UPDATE k_domain SET v = 11; UPDATE k_char SET v = v + 10; UPDATE k_tz SET v = 11; UPDATE k_range SET v = v + 10; UPDATE k_two SET v = 11",
            // The row goes, and another comes whose key is equal and not the same.
            "DELETE FROM k_numeric WHERE k = 1; INSERT INTO k_numeric VALUES (1, 20); DELETE FROM k_citext WHERE k = 'ab';
             INSERT INTO k_citext VALUES ('AB', 20); DELETE FROM k_float WHERE k = 0; INSERT INTO k_float VALUES ('-0', 20);
             DELETE FROM k_interval WHERE v = 11; INSERT INTO k_interval VALUES ('1 day', 20); DELETE FROM k_two; INSERT INTO k_two VALUES (1, 'A', 20)",
            "DELETE FROM k_numeric WHERE k = 1",
            "INSERT INTO k_numeric VALUES (1.000, 30)",
            "DELETE FROM k_citext WHERE k = 'ab'",
            "INSERT INTO k_citext VALUES ('ab', 30)",
            "UPDATE k_citext SET k = 'AB', v = 31 WHERE k = 'ab'",
            "DELETE FROM k_float WHERE k = 0; DELETE FROM k_array WHERE v = 11; DELETE FROM k_jsonb WHERE v = 11; DELETE FROM k_domain",
            "INSERT INTO k_float VALUES (0, 30); INSERT INTO k_array VALUES ('{1,NULL}', 30); INSERT INTO k_jsonb VALUES ('{\"a\": 1}', 30);
             INSERT INTO k_domain VALUES (1, 30); DELETE FROM k_float WHERE k = 'NaN'",
            // Two different ways to write one key in one transaction: the row that is found must be the same.
            "INSERT INTO k_numeric VALUES (7.0, 0); UPDATE k_numeric SET k = 7.00 WHERE k = 7; UPDATE k_numeric SET v = 1 WHERE k = 7;
             UPDATE k_numeric SET k = 7.000, v = 2 WHERE k = 7; DELETE FROM k_numeric WHERE k = 7; INSERT INTO k_numeric VALUES (7, 3)",
        ],
    },
    Case {
        name: "keys of text, dates, bytes, uuids, enums, with values that look alike",
        since: 15,
        schema: "
            CREATE TYPE mood AS ENUM ('calm', 'cross', 'a,b', '\"');
            CREATE TABLE k_text (k text PRIMARY KEY, v int); CREATE TABLE k_time (k timestamptz PRIMARY KEY, v int);
            CREATE TABLE k_uuid (k uuid PRIMARY KEY, v int); CREATE TABLE k_enum (k mood PRIMARY KEY, v int);
            CREATE TABLE k_bytes (k bytea PRIMARY KEY, v int); CREATE TABLE k_texts (a text, b text, v int, PRIMARY KEY (a, b));
            CREATE TABLE k_bool (k bool PRIMARY KEY, v int); CREATE TABLE k_inet (k inet PRIMARY KEY, v int);
            CREATE TABLE k_list (k text[] PRIMARY KEY, v int); CREATE TABLE k_date (k date PRIMARY KEY, v int);
            CREATE TABLE k_bit (k varbit PRIMARY KEY, v int); CREATE TABLE k_oid (k oid PRIMARY KEY, v int); CREATE TABLE k_name (k name PRIMARY KEY, v int);",
        work: &[
            "INSERT INTO k_text SELECT unnest(ARRAY['', ' ', 'NULL', E'\\\\N', E'\\t', E'\\n', '\"', '''', '{}', ',', '{a,b}', 'a', 'A', 'é', E'e\\u0301', '😀', E'\\\\', 'null']), 0;
             INSERT INTO k_time VALUES ('infinity', 0), ('-infinity', 0), ('1850-01-01 00:00:00.000001+00', 0), ('0044-03-15 12:00+00 BC', 0), ('2026-03-29 01:30+00', 0);
             INSERT INTO k_uuid VALUES ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 0), ('00000000-0000-0000-0000-000000000000', 0);
             INSERT INTO k_enum VALUES ('calm', 0), ('cross', 0), ('a,b', 0), ('\"', 0); INSERT INTO k_bytes VALUES ('', 0), ('\\x00', 0), ('\\x5c', 0), ('\\x5c78', 0);
             INSERT INTO k_texts VALUES ('a,b', 'c', 0), ('a', 'b,c', 0), ('', 'ab', 0), ('ab', '', 0), (E'a\\t', 'b', 0), ('a', E'\\tb', 0), ('a\"', 'b', 0), ('a', '\"b', 0);
             INSERT INTO k_bool VALUES (true, 0), (false, 0); INSERT INTO k_inet VALUES ('10.0.0.1', 0), ('10.0.0.0/8', 0), ('::1', 0), ('10.0.0.1/8', 0);
             INSERT INTO k_list VALUES ('{}', 0), ('{NULL}', 0), ('{\"NULL\"}', 0), ('{a,b}', 0), ('{\"a,b\"}', 0), ('{{a},{b}}', 0), ('[0:1]={a,b}', 0), ('{\"\"}', 0), (E'{\"\\\\\\\\\"}', 0);
             INSERT INTO k_date VALUES ('infinity', 0), ('-infinity', 0), ('0001-01-01 BC', 0), ('5874897-12-31', 0);
             INSERT INTO k_bit VALUES (B'', 0), (B'0', 0), (B'00', 0); INSERT INTO k_oid VALUES (0, 0), (4294967295, 0); INSERT INTO k_name VALUES ('', 0), ('a b', 0)",
            "UPDATE k_text SET v = v + 1; UPDATE k_time SET v = v + 1; UPDATE k_uuid SET v = v + 1; UPDATE k_enum SET v = v + 1; UPDATE k_bytes SET v = v + 1;
             UPDATE k_texts SET v = v + length(a); UPDATE k_bool SET v = 1 WHERE k; UPDATE k_inet SET v = v + 1; UPDATE k_list SET v = v + 1; UPDATE k_date SET v = v + 1;
             UPDATE k_bit SET v = length(k); UPDATE k_oid SET v = 1; UPDATE k_name SET v = length(k)",
            "UPDATE k_text SET k = k || '!' WHERE k <> 'a'; UPDATE k_time SET k = k + '1 us' WHERE isfinite(k); UPDATE k_texts SET a = b || '>', b = '<' || a;
             DELETE FROM k_inet WHERE k = '10.0.0.1'; DELETE FROM k_list WHERE k = '{NULL}'; UPDATE k_list SET k = k || ARRAY['x'] WHERE k = '{\"NULL\"}'",
            "DELETE FROM k_text WHERE k ~ '[aA]'; DELETE FROM k_time; DELETE FROM k_enum WHERE k = 'a,b'; DELETE FROM k_bytes WHERE k = '\\x5c'; DELETE FROM k_texts WHERE a = '';
             DELETE FROM k_bool WHERE NOT k; DELETE FROM k_date WHERE k = 'infinity'; DELETE FROM k_bit WHERE k = B'0'; DELETE FROM k_oid WHERE k = 0; DELETE FROM k_name WHERE k = ''",
        ],
    },
];
