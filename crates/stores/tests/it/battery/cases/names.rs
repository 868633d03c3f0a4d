//! Names: of schemas, tables, columns and types, as nobody should write them.

use crate::battery::case::Case;

pub const CASES: &[Case] = &[
    Case {
        name: "names with quotes, spaces, capitals, Unicode and reserved words",
        since: 15,
        schema: r#"
            CREATE SCHEMA "case_ Odd ""schema"".x"; CREATE SCHEMA "case_ŞEMA 😀"; CREATE SCHEMA "case_select";
            CREATE TYPE "case_ Odd ""schema"".x"."Type ""T""" AS ENUM ('a', 'B b', 'c''d');
            CREATE DOMAIN "case_select"."table" AS text CHECK (VALUE <> 'no');
            CREATE TABLE "case_ Odd ""schema"".x"."My ""Table"".y" (
                "Id" int, "id" int, """" text, "a b" "case_ Odd ""schema"".x"."Type ""T""", "$1" text, "é😀" text,
                "SELECT" "case_select"."table", "ctid.x" int, "%s\n" int, "{0}" int, PRIMARY KEY ("id", "Id"));
            CREATE TABLE "case_ŞEMA 😀"."tablo ç" ("kolon ö" int PRIMARY KEY, "Değer" text);
            CREATE TABLE "case_select"."where" ("from" int PRIMARY KEY, "order" text, "user" "case_select"."table"[], "excluded" int, "new" int, "old" int);
            CREATE TABLE "case_select"."unnest" ("source" int PRIMARY KEY, "target" int, "t" int, "s" int, "k" int, "v" int, "ordinality" int, "ctid_" int, "c1" int);
            CREATE TABLE "case_select"."full row" ("t" text, "where" text); ALTER TABLE "case_select"."full row" REPLICA IDENTITY FULL;
            CREATE TABLE "case_select"."a_table_of_sixty_three_bytes_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" (
                "a_column_of_sixty_three_bytes_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" int PRIMARY KEY,
                "a_column_of_sixty_three_bytes_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxy" int);"#,
        work: &[
            r#"INSERT INTO "case_ Odd ""schema"".x"."My ""Table"".y" SELECT i, -i, '"', 'B b', '$2', 'x', 'y', i, i, i FROM generate_series(1, 5) i;
               INSERT INTO "case_ŞEMA 😀"."tablo ç" VALUES (1, 'a'), (2, NULL); INSERT INTO "case_select"."where" VALUES (1, 'a', '{x,NULL}', 1, 2, 3), (2, NULL, NULL, NULL, NULL, NULL);
               INSERT INTO "case_select"."unnest" SELECT i, i, i, i, i, i, i, i, i FROM generate_series(1, 5) i;
               INSERT INTO "case_select"."full row" VALUES ('a', 'b'), ('a', 'b'), (NULL, 'c');
               INSERT INTO "case_select"."a_table_of_sixty_three_bytes_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" VALUES (1, 1), (2, 2)"#,
            r#"UPDATE "case_ Odd ""schema"".x"."My ""Table"".y" SET """" = NULL, "a b" = 'c''d', "$1" = '$1', "é😀" = "é😀" || '''' WHERE "Id" < 3;
               UPDATE "case_ŞEMA 😀"."tablo ç" SET "kolon ö" = 3 WHERE "kolon ö" = 1; UPDATE "case_select"."where" SET "from" = 9, "order" = 'z', "excluded" = 5, "new" = "old", "old" = "new" WHERE "from" = 1;
               UPDATE "case_select"."unnest" SET "target" = 0, "t" = "s" + 1, "ordinality" = 7; UPDATE "case_select"."full row" SET "where" = 'd' WHERE "t" IS NULL;
               UPDATE "case_select"."a_table_of_sixty_three_bytes_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
               SET "a_column_of_sixty_three_bytes_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxy" = 5"#,
            r#"DELETE FROM "case_ Odd ""schema"".x"."My ""Table"".y" WHERE "Id" = 3; DELETE FROM "case_ŞEMA 😀"."tablo ç" WHERE "kolon ö" = 2;
               DELETE FROM "case_select"."where" WHERE "from" = 2; DELETE FROM "case_select"."unnest" WHERE "source" = 2;
               DELETE FROM "case_select"."full row" WHERE ctid = (SELECT min(ctid) FROM "case_select"."full row");
               TRUNCATE "case_select"."a_table_of_sixty_three_bytes_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx""#,
        ],
    },
    Case {
        name: "one name in several schemas, a type and a table among them, and names of the catalogue",
        since: 15,
        schema: "
            CREATE SCHEMA case_one; CREATE SCHEMA case_two;
            CREATE TYPE case_one.kind AS ENUM ('a', 'b'); CREATE TYPE case_two.kind AS ENUM ('b', 'a');
            CREATE TABLE case_one.t (id int PRIMARY KEY, k case_one.kind); CREATE TABLE case_two.t (id int PRIMARY KEY, k case_two.kind);
            CREATE TABLE case_one.pg_class (id int PRIMARY KEY, v text); CREATE TABLE case_two.text (id int PRIMARY KEY, v text);
            CREATE TYPE case_two.int4 AS (a text, b text); CREATE TABLE case_two.shadow (id int PRIMARY KEY, v case_two.int4, w pg_catalog.int4);
            CREATE FUNCTION case_two.never(anyelement, anyelement) RETURNS bool LANGUAGE sql AS 'SELECT false';
            CREATE OPERATOR case_two.= (FUNCTION = case_two.never, LEFTARG = anyelement, RIGHTARG = anyelement);
            CREATE TABLE case_two.mainstay (id int PRIMARY KEY, link text);",
        work: &[
            "INSERT INTO case_one.t VALUES (1, 'a'), (2, 'b'); INSERT INTO case_two.t VALUES (1, 'b'), (2, 'a');
             INSERT INTO case_one.pg_class VALUES (1, 'x'); INSERT INTO case_two.text VALUES (1, 'y'); INSERT INTO case_two.shadow VALUES (1, '(x,y)', 1);
             INSERT INTO case_two.mainstay VALUES (1, 'a')",
            "UPDATE case_one.t SET k = 'a'; UPDATE case_two.t SET k = 'b'; UPDATE case_two.shadow SET v = '(,)', w = 2; UPDATE case_two.mainstay SET link = 'b'",
            "DELETE FROM case_one.t WHERE id = 1; TRUNCATE case_two.t; UPDATE case_one.pg_class SET v = 'z'; DELETE FROM case_two.text",
        ],
    },
];
