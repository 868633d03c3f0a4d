//! What happens beside the rows: triggers, rules, row security, savepoints, truncates.

use crate::battery::case::Case;

pub const CASES: &[Case] = &[
    Case {
        name: "triggers fire once: before, after, for each statement, deferred",
        since: 15,
        schema: "
            CREATE TABLE fires (id int PRIMARY KEY, v int); CREATE TABLE fired (id serial PRIMARY KEY, what text);
            CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
                INSERT INTO fired (what) VALUES (TG_NAME || TG_OP);
                IF TG_WHEN = 'BEFORE' AND TG_OP <> 'DELETE' THEN NEW.v := coalesce(NEW.v, 0) + 1; END IF;
                RETURN coalesce(NEW, OLD); END$$;
            ALTER FUNCTION fire() SET search_path FROM CURRENT;
            CREATE TRIGGER b BEFORE INSERT OR UPDATE OR DELETE ON fires FOR EACH ROW EXECUTE FUNCTION fire();
            CREATE TRIGGER a AFTER INSERT OR UPDATE OR DELETE ON fires FOR EACH ROW EXECUTE FUNCTION fire();
            CREATE TRIGGER s AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON fires FOR EACH STATEMENT EXECUTE FUNCTION fire();
            CREATE CONSTRAINT TRIGGER d AFTER INSERT ON fires DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fire();
            CREATE TABLE ruled (id int PRIMARY KEY); CREATE RULE r AS ON INSERT TO ruled DO ALSO INSERT INTO fired (what) VALUES ('rule');",
        work: &[
            "INSERT INTO fires SELECT generate_series(1, 10)", "UPDATE fires SET id = id + 100 WHERE id < 4; DELETE FROM fires WHERE id = 5",
            "INSERT INTO ruled VALUES (1)", "INSERT INTO fires VALUES (5, 1) ON CONFLICT DO NOTHING; INSERT INTO fires VALUES (5, 1) ON CONFLICT (id) DO UPDATE SET v = 50",
            "TRUNCATE fires; INSERT INTO fires VALUES (1, 1)",
        ],
    },
    Case {
        name: "row security, checks and defaults are the source's concern",
        since: 15,
        schema: "
            CREATE TABLE secured (id int PRIMARY KEY, owner text DEFAULT 'me', n int CHECK (n > 0));
            ALTER TABLE secured ENABLE ROW LEVEL SECURITY; ALTER TABLE secured FORCE ROW LEVEL SECURITY;
            CREATE POLICY nobody ON secured USING (false) WITH CHECK (false);
            CREATE TABLE strict (id int PRIMARY KEY, n int); ",
        work: &[
            "INSERT INTO secured VALUES (1, DEFAULT, 1), (2, NULL, NULL)", "UPDATE secured SET n = 2; DELETE FROM secured WHERE id = 1",
        ],
    },
    Case {
        name: "savepoints that were rolled back leave nothing, also of large transactions",
        since: 15,
        schema: "CREATE TABLE saved (id int PRIMARY KEY, v text)",
        work: &[
            "INSERT INTO saved VALUES (1); SAVEPOINT s; INSERT INTO saved VALUES (2); ROLLBACK TO s; INSERT INTO saved VALUES (3)",
            "SAVEPOINT a; INSERT INTO saved VALUES (4); SAVEPOINT b; UPDATE saved SET v = 'no'; ROLLBACK TO b; SAVEPOINT c;
             DELETE FROM saved WHERE id = 1; RELEASE c; ROLLBACK TO a; UPDATE saved SET v = 'yes' WHERE id = 1",
            "SAVEPOINT s; INSERT INTO saved SELECT i, repeat('x', 500) FROM generate_series(100, 1500) i; ROLLBACK TO s;
             INSERT INTO saved SELECT i, repeat('y', 500) FROM generate_series(100, 1500) i; SAVEPOINT t;
             UPDATE saved SET v = 'z' WHERE id > 200; SAVEPOINT u; DELETE FROM saved WHERE id > 300; ROLLBACK TO t;
             SAVEPOINT w; UPDATE saved SET id = id + 10000 WHERE id > 1000; RELEASE w; DELETE FROM saved WHERE id BETWEEN 400 AND 600",
            "SAVEPOINT s; TRUNCATE saved; INSERT INTO saved VALUES (1, 'never'); ROLLBACK TO s; UPDATE saved SET v = 'still' WHERE id = 100",
            "SAVEPOINT s; INSERT INTO saved SELECT i, repeat('x', 500) FROM generate_series(20000, 21000) i; ROLLBACK TO s",
            "!BEGIN; INSERT INTO saved SELECT i, repeat('x', 500) FROM generate_series(20000, 21000) i; ROLLBACK",
            "!DO $$BEGIN FOR i IN 30000..30050 LOOP BEGIN INSERT INTO saved VALUES (i, repeat('s', 400)); IF i % 3 = 0 THEN RAISE EXCEPTION 'no'; END IF;
              EXCEPTION WHEN raise_exception THEN NULL; END; END LOOP; END$$",
        ],
    },
    Case {
        name: "truncates: alone, together, cascading, with sequences, between changes of the same rows",
        since: 15,
        schema: "
            CREATE TABLE trunc_a (id serial PRIMARY KEY, v int); CREATE TABLE trunc_b (id int PRIMARY KEY, a int REFERENCES trunc_a);
            CREATE TABLE trunc_c (id int PRIMARY KEY, v text); CREATE TABLE trunc_d (v int); ALTER TABLE trunc_d REPLICA IDENTITY FULL;
            CREATE TABLE trunc_e (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, b int REFERENCES trunc_b ON DELETE CASCADE);",
        work: &[
            "INSERT INTO trunc_a (v) VALUES (1), (2); INSERT INTO trunc_b VALUES (1, 1); INSERT INTO trunc_c VALUES (1); INSERT INTO trunc_d VALUES (1), (1); INSERT INTO trunc_e (b) VALUES (1)",
            "TRUNCATE trunc_a RESTART IDENTITY CASCADE; INSERT INTO trunc_a (v) VALUES (3); INSERT INTO trunc_e (b) VALUES (NULL)",
            "TRUNCATE trunc_c, trunc_b, trunc_d, trunc_e; INSERT INTO trunc_c VALUES (7); INSERT INTO trunc_d VALUES (1)",
            "INSERT INTO trunc_c VALUES (8); UPDATE trunc_c SET v = 'x'; TRUNCATE trunc_c; INSERT INTO trunc_c VALUES (8, 'after'); TRUNCATE trunc_c; INSERT INTO trunc_c VALUES (7, 'twice')",
            "UPDATE trunc_c SET v = 'z'", "TRUNCATE trunc_c", "INSERT INTO trunc_c VALUES (7, 'new')", "UPDATE trunc_c SET id = 9 WHERE id = 7", "TRUNCATE trunc_c CONTINUE IDENTITY", "INSERT INTO trunc_c VALUES (9, 'last')",
            "DELETE FROM trunc_d; TRUNCATE trunc_d; INSERT INTO trunc_d VALUES (2), (2)",
        ],
    },
    Case {
        name: "one row: inserted, changed and deleted in every neighbourhood",
        since: 15,
        schema: "CREATE TABLE brief (id int PRIMARY KEY, v text, u int UNIQUE)",
        work: &[
            "INSERT INTO brief VALUES (1, 'a', 1); UPDATE brief SET v = 'b'; DELETE FROM brief", "INSERT INTO brief VALUES (1, 'c', 1); DELETE FROM brief; INSERT INTO brief VALUES (1, 'd', 2)",
            "DELETE FROM brief; INSERT INTO brief VALUES (1, 'd', 2)", "DELETE FROM brief; INSERT INTO brief VALUES (1, 'e', 1); DELETE FROM brief; INSERT INTO brief VALUES (1, 'f', 1); UPDATE brief SET v = 'g'",
            "DELETE FROM brief", "INSERT INTO brief VALUES (1, NULL, 1)", "UPDATE brief SET v = NULL", "UPDATE brief SET id = 2", "INSERT INTO brief VALUES (1, 'h', 2)", "DELETE FROM brief WHERE id = 2",
            "UPDATE brief SET id = 2, u = 1", "UPDATE brief SET id = 1; INSERT INTO brief VALUES (2, 'x', 2); DELETE FROM brief WHERE id = 1",
        ],
    },
    Case {
        name: "transactions that change nothing, messages of applications, many tables in turn",
        since: 15,
        schema: "CREATE TABLE turn_a (id int PRIMARY KEY, v int); CREATE TABLE turn_b (id int PRIMARY KEY, v int); CREATE TABLE turn_c (id int PRIMARY KEY, v int);",
        work: &[
            "SELECT 1", "UPDATE turn_a SET v = 1 WHERE false", "SELECT pg_logical_emit_message(true, 'other', 'a message for somebody else')",
            "!SELECT pg_logical_emit_message(false, 'other', 'another one')", "INSERT INTO turn_a VALUES (1, 0); DELETE FROM turn_a",
            "!DO $$BEGIN FOR i IN 1..200 LOOP INSERT INTO turn_a VALUES (i, 0); INSERT INTO turn_b VALUES (i, 0); UPDATE turn_a SET v = i WHERE id = i;
              INSERT INTO turn_c SELECT id, v FROM turn_b WHERE id = i; UPDATE turn_b SET v = v + 1 WHERE id <= 3; IF i % 5 = 0 THEN COMMIT; END IF; END LOOP; END$$",
            "UPDATE turn_a SET v = v; UPDATE turn_b SET id = id; MERGE INTO turn_c USING turn_a ON turn_a.id = turn_c.id WHEN MATCHED AND turn_a.id % 2 = 0 THEN DELETE WHEN MATCHED THEN UPDATE SET v = 1",
        ],
    },
];
