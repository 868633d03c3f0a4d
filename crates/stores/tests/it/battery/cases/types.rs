//! Types: each built-in one and its array, and those that a database makes.

use crate::battery::case::Case;

pub const CASES: &[Case] = &[
    Case {
        name: "numbers, dates and times at their ends",
        since: 15,
        schema: "
            CREATE TABLE numbers (id int PRIMARY KEY, i2 int2, i4 int4, i8 int8, f4 float4, f8 float8, n numeric, n2 numeric(12,3), n3 numeric(5,-2), m money, o oid, x xid8,
                i2s int2[], i4s int4[], i8s int8[], f4s float4[], f8s float8[], ns numeric[], ms money[], os oid[], v2 int2vector, vo oidvector);
            CREATE TABLE times (id int PRIMARY KEY, d date, t time, tz timetz, ts timestamp, tsz timestamptz, iv interval, ts3 timestamp(3), iv2 interval(2), ivy interval year to month,
                ds date[], tss timestamp[], tszs timestamptz[], ivs interval[], ts_ time[], tzs timetz[]);",
        work: &[
            "INSERT INTO numbers (id, i2, i4, i8, f4, f8, n, n2, n3, m, o, x) VALUES
             (1, -32768, -2147483648, -9223372036854775808, 'NaN', 'NaN', 'NaN', 'NaN', 'NaN', '-92233720368547758.08', 0, '0'),
             (2, 32767, 2147483647, 9223372036854775807, 'Infinity', '-Infinity', 'Infinity', 123456789.123, -99900, '92233720368547758.07', 4294967295, '18446744073709551615'),
             (3, 0, 0, 0, '-0', '-0', '-Infinity', 0.000, 0, 0, 1, '1'), (4, 1, 1, 1, 1e-45, 5e-324, 0.0000, 1, 1, 1, 1, '1'),
             (5, 1, 1, 1, 3.4028235e38, 1.7976931348623157e308, 10::numeric ^ 1000 + 0.5, NULL, NULL, NULL, NULL, NULL), (6, 1, 1, 1, 0.1, 0.1::float8 + 0.2, 1e-1000, 1, 12345, 1, 1, '1');
             UPDATE numbers SET i2s = ARRAY[i2, NULL], i4s = ARRAY[[i4, 1], [NULL, 2]], i8s = ARRAY[i8], f4s = ARRAY[f4, '-0', NULL], f8s = ARRAY[f8, 'NaN', '-Infinity'], ns = ARRAY[n, 1.0, 1.00, NULL],
             ms = ARRAY[m], os = ARRAY[o], v2 = '1 2 3', vo = '1 2'",
            "INSERT INTO times VALUES (1, 'infinity', '24:00', '24:00+15:59', 'infinity', '-infinity', '178000000 years', 'infinity', '1.239', '1 year'),
             (2, '4713-01-01 BC', '00:00', '00:00-15:59', '4713-01-01 BC', '4713-01-01 00:00:00+00 BC', '-178000000 years 11 mons', '2026-01-01 00:00:00.9996', '-1.239', '-1 mon'),
             (3, '5874897-12-31', '23:59:59.999999', '12:34:56.789+05:30', '294276-12-31 23:59:59.999999', '1850-06-15 12:00:00.123456+00', '1 mon -1 day 00:00:00.000001', NULL, NULL, NULL),
             (4, '1582-10-10', '12:00', '12:00:00.5-00:00:30', '1899-12-31 23:59:59.9', '0001-01-01 00:00+00 BC', '-00:00:00.000001', '1900-01-01', '0', '0'), (5, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
             UPDATE times SET ds = ARRAY[d, NULL], tss = ARRAY[ts, NULL, '-infinity'], tszs = ARRAY[tsz], ivs = ARRAY[iv, '1 day'], ts_ = ARRAY[t], tzs = ARRAY[tz, NULL]",
            "UPDATE numbers SET n = n2, f8 = -f8, f4 = NULL WHERE id < 4; UPDATE times SET tsz = ts, d = NULL WHERE id IN (1, 2); DELETE FROM numbers WHERE id = 5; DELETE FROM times WHERE id = 3",
            "UPDATE numbers SET n = 1.10 WHERE id = 1; UPDATE numbers SET n = 1.100, f8 = 0 WHERE id = 1; UPDATE numbers SET f8 = '-0', ns = '{}' WHERE id = 1",
        ],
    },
    Case {
        name: "texts and bytes: every plane, controls, empty and null, what COPY and arrays escape",
        since: 15,
        schema: "
            CREATE TABLE texts (id int PRIMARY KEY, t text, v varchar(20), c char(8), ch \"char\", n name, b bytea, ts text[], vs varchar(9)[], cs char(3)[], bs bytea[], chs \"char\"[], nn text NOT NULL DEFAULT '');
            CREATE TABLE texts_full (t text, b bytea, ts text[]); ALTER TABLE texts_full REPLICA IDENTITY FULL;",
        work: &[
            r#"INSERT INTO texts (id, t, v, c, ch, n, b) VALUES (1, '', '', '', '', '', ''), (2, NULL, NULL, NULL, NULL, NULL, NULL), (3, 'NULL', 'null', '\N', 'N', 'NULL', '\x4e554c4c'),
               (4, E'\\N', E'\\', E'\t', '\', E'\n', '\x00'), (5, E'\t\n\r\b\f\v\x01\x1f\x7f', E'a\tb', E'a\n', '\377', 'é', '\xff00fe'), (6, E'\\.', E'\\.', '.', '.', '.', '\x5c2e'),
               (7, '{}', '{a,b}', '"', '"', '"', '\x22'), (8, $$a'b''c"d""e$f$1$$, '$1', '%s', '%', '?', '\x25'), (9, ' lead and trail ', '  ', 'a  ', ' ', ' a', '\x20'),
               (10, E'\u00e9\u0301\u200b\ufeff\u202e', E'\U0001F600', E'\u00e9', 'x', E'\u00fc', '\x');
               INSERT INTO texts (id, t) SELECT 100 + p, (SELECT string_agg(chr(p * 65536 + i), '') FROM generate_series(32, 65533, 331) i WHERE NOT (p = 0 AND i BETWEEN 55296 AND 57343)) FROM generate_series(0, 16) p;
               INSERT INTO texts (id, t, b) SELECT 200, string_agg(chr(i), ''), (SELECT decode(string_agg(lpad(to_hex(j), 2, '0'), ''), 'hex') FROM generate_series(0, 255) j) FROM generate_series(1, 127) i;
               UPDATE texts SET ts = ARRAY[t, NULL, 'NULL', '', '"', E'\\', '{', '}', ',', ' a ', E'\n'], vs = ARRAY[left(v, 9), NULL], cs = ARRAY['a', '', 'abc'], bs = ARRAY[b, '\x', NULL], chs = ARRAY[ch, NULL];
               INSERT INTO texts_full SELECT t, b, ts FROM texts; INSERT INTO texts_full SELECT t, b, ts FROM texts WHERE id < 5"#,
            r#"UPDATE texts SET t = v, v = left(t, 20) WHERE id <= 10; UPDATE texts_full SET t = t || E'\\' WHERE t = '' OR t = 'NULL'; UPDATE texts_full SET b = NULL WHERE ctid = (SELECT min(ctid) FROM texts_full WHERE t IS NULL)"#,
            r#"UPDATE texts SET ts = '{}' WHERE id = 1; UPDATE texts SET ts = '{{a,b},{c,NULL}}' WHERE id = 2; UPDATE texts SET ts = '[-1:0]={x,y}' WHERE id = 3; UPDATE texts SET t = '' WHERE id = 4; UPDATE texts SET t = NULL WHERE id = 4; UPDATE texts SET v = '' WHERE id = 5;
               DELETE FROM texts_full WHERE t ~ '^[\t{]' OR t = ''; DELETE FROM texts_full WHERE ctid = (SELECT min(ctid) FROM texts_full WHERE t IS NULL); DELETE FROM texts WHERE id IN (7, 116)"#,
        ],
    },
    Case {
        name: "documents, networks, bits, shapes, searches, identifiers",
        since: 15,
        schema: "
            CREATE TABLE other (id int PRIMARY KEY, j json, jb jsonb, x xml, u uuid, ip inet, ci cidr, ma macaddr, ma8 macaddr8, bi bit(5), vb varbit, pt point, ln line, ls lseg, bx box, pa path, po polygon, cr circle,
                tv tsvector, tq tsquery, ls_n pg_lsn, sn pg_snapshot, jp jsonpath, rc regclass, rt regtype, rp regproc, ro regoperator, ti tid, bo bool,
                js json[], jbs jsonb[], xs xml[], us uuid[], ips inet[], pts point[], bxs box[], tvs tsvector[], lsns pg_lsn[], bos bool[], bis bit(2)[], mas macaddr[], pos polygon[]);
            CREATE TABLE other_full (LIKE other); ALTER TABLE other_full REPLICA IDENTITY FULL;",
        work: &[
            r#"INSERT INTO other (id, j, jb, x, u, ip, ci, ma, ma8, bi, vb, pt, ln, ls, bx, pa, po, cr, tv, tq, ls_n, sn, jp, rc, rt, rp, ro, ti, bo) VALUES
               (1, '{ "z":1,  "z":2, "a": [1, null, "\u00e9"] }', '{"z": 1.10, "a": [1, null, "\u00e9\t"], "": {}}', '<a b="c">d &amp; e<!-- f --></a>', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '10.1.2.3/8', '10.0.0.0/8',
                '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05', B'10101', B'1010', '(1,2)', '{1,2,3}', '[(1,2),(3,4)]', '(3,4),(1,2)', '[(0,0),(1,1)]', '((0,0),(1,1),(1,0))', '<(1,2),3>',
                '''a b'':1A,2 c:3B ''d''''e'':4', '''a b'' & !c:*A <-> ''d''''e''', '16/B374D848', '10:20:10,14,15', '$.a[*] ? (@ > 1)', 'pg_class', 'int4[]', 'now', '+(int4,int4)', '(1,2)', true),
               (2, 'null', 'null', '', '00000000-0000-0000-0000-000000000000', '::ffff:1.2.3.4', '::/0', '00:00:00:00:00:00', '00:00:00:00:00:00:00:00', B'00000', B'', '(NaN,-Infinity)', '{0,1,-0}', '[(0,0),(0,0)]', '(0,0),(0,0)',
                '((0,0),(1,1))', '((1,1))', '<(0,0),0>', '', '', '0/0', '1:1:', '$', '-', '-', '-', '0', '(0,0)', false), (3, '1e400', '1e400', 'text only', NULL, '1.2.3.4', '1.2.3.4/32', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
               UPDATE other SET js = ARRAY[j, '"{,}\""', NULL], jbs = ARRAY[jb, '"{,}\""'], xs = ARRAY[x], us = ARRAY[u, NULL], ips = ARRAY[ip], pts = ARRAY[pt, '(1,1)'], bxs = ARRAY[bx, bx], tvs = ARRAY[tv], lsns = ARRAY[ls_n], bos = ARRAY[bo, NULL], bis = ARRAY[B'01'], mas = ARRAY[ma], pos = ARRAY[po];
               INSERT INTO other_full SELECT * FROM other; INSERT INTO other_full SELECT * FROM other WHERE id = 1"#,
            r#"UPDATE other SET jb = jsonb_set(jb, '{b}', '"x"') WHERE id = 1; UPDATE other SET j = '{"z":1}', x = '<b/>', tv = tv || 'more', pa = NULL WHERE id = 1; UPDATE other_full SET bo = NOT bo WHERE ctid = (SELECT min(ctid) FROM other_full WHERE id = 1)"#,
            r#"UPDATE other_full SET ip = '1.1.1.1' WHERE id = 2; DELETE FROM other_full WHERE ctid = (SELECT max(ctid) FROM other_full WHERE id = 1); DELETE FROM other WHERE id = 3; DELETE FROM other_full WHERE id = 3"#,
        ],
    },
    Case {
        name: "types that a database makes: enums, domains, composites, ranges, and arrays of them, within each other",
        since: 15,
        schema: "
            CREATE TYPE mood AS ENUM ('calm', 'cross', 'a,b', 'a\"b', '', '{}', 'NULL'); CREATE DOMAIN positive AS int CHECK (VALUE > 0); CREATE DOMAIN more AS positive CHECK (VALUE < 1000); CREATE DOMAIN short AS varchar(5);
            CREATE DOMAIN list AS int[] CHECK (array_length(VALUE, 1) < 9); CREATE DOMAIN must AS text DEFAULT 'd' NOT NULL; CREATE TYPE pair AS (a int, b text); CREATE DOMAIN good_pair AS pair CHECK ((VALUE).a IS NULL OR (VALUE).a < 100);
            CREATE TYPE nest AS (p pair, ps pair[], m mood, d short, r int4range, j jsonb, n numeric); CREATE TYPE empty AS (); CREATE TYPE float_range AS RANGE (subtype = float8, subtype_diff = float8mi);
            CREATE TYPE mood_range AS RANGE (subtype = mood); CREATE TYPE text_range AS RANGE (subtype = text, collation = \"C\");
            CREATE TABLE made_types (id int PRIMARY KEY, m mood, ms mood[], p positive, q more, qs positive[], l list, sh short, mu must, pr pair, prs pair[], gp good_pair, gps good_pair[], ne nest, nes nest[], em empty,
                fr float_range, fm float_multirange, mr mood_range, mrs mood_range[], tr text_range, tm text_multirange, ir int4range, im int8multirange, nr numrange, tsr tstzrange, dr daterange, irs int4range[], ims int4multirange[], ls list[]);
            CREATE TABLE made_full (LIKE made_types); ALTER TABLE made_full REPLICA IDENTITY FULL;
            CREATE TABLE row_of (id int PRIMARY KEY, whole made_full, wholes made_full[]);",
        work: &[
            r#"INSERT INTO made_types (id, m, ms, p, q, qs, l, sh, mu, pr, prs, gp, gps, ne, nes, em, fr, fm, mr, mrs, tr, tm, ir, im, nr, tsr, dr, irs, ims, ls) VALUES
               (1, 'cross', '{calm,NULL,"a,b","a\"b","","{}","NULL"}', 1, 2, '{1,NULL}', '{1,2}', 'abc', 'x', '(1,"a,b")', '{"(2,)",NULL,"(,\"\\\"(\")"}', '(1,x)', '{"(2,)"}',
                ROW('(1,"x""y")', ARRAY['(2,"{,}")'::pair, NULL], 'a"b', 'short', '[1,5)', '{"k": "v,\"w"}', 1.10)::nest, ARRAY[ROW(NULL, '{}', 'NULL', '', 'empty', NULL, 'NaN')::nest, NULL], '()',
                '[-Infinity,1.5)', '{[1,2),[3.5,)}', '[calm,cross]', '{"[calm,cross]",empty}', '["a,b","c\"d"]', '{["a","b"),("c,","d"]}', '[1,5)', '{[1,2),[4,9)}', '(1.0,2.00]', '[-infinity,infinity]', '[2026-01-01,)', '{"[1,2)",empty}', '{"{[1,2)}","{}"}', '{"{1,2}"}'),
               (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'y', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
               (3, '', '{}', 999, 999, '{}', '{}', '', '', '(,)', '{}', '(,"")', '{}', '(,,,,,,)', '{}', NULL, 'empty', '{}', 'empty', '{}', 'empty', '{}', '(,)', '{(,)}', '(,)', 'empty', 'empty', '{}', '{}', '{}');
               INSERT INTO made_full SELECT * FROM made_types; INSERT INTO made_full SELECT * FROM made_types WHERE id <> 2; INSERT INTO row_of SELECT id, f, ARRAY[f, NULL] FROM made_full f WHERE ctid IN (SELECT min(ctid) FROM made_full GROUP BY id)"#,
            r#"UPDATE made_types SET m = 'calm', prs = prs || '(7,"\\")'::pair, ne.m = 'cross', fr = NULL WHERE id = 1; UPDATE made_types SET pr.b = 'only' WHERE id = 2; UPDATE made_full SET sh = 'z' WHERE ctid = (SELECT min(ctid) FROM made_full WHERE id = 1);
               UPDATE made_full SET mu = 'zz' WHERE id = 2; UPDATE row_of SET whole = NULL WHERE id = 2"#,
            "DELETE FROM made_full WHERE ctid = (SELECT max(ctid) FROM made_full WHERE id = 3); DELETE FROM made_full WHERE ctid = (SELECT max(ctid) FROM made_full WHERE id = 1); DELETE FROM made_types WHERE id = 3; DELETE FROM row_of WHERE id = 1",
        ],
    },
    Case {
        name: "types of extensions",
        since: 15,
        schema: "
            CREATE TABLE extended (id int PRIMARY KEY, h hstore, c citext, l ltree, lq lquery, cu cube, s seg, i isbn13, q query_int, hs hstore[], cs citext[], ls ltree[], cus cube[]);
            CREATE TABLE extended_full (h hstore, c citext, l ltree, cu cube); ALTER TABLE extended_full REPLICA IDENTITY FULL; CREATE TABLE by_ltree (k ltree PRIMARY KEY, v int); CREATE TABLE by_hstore (k hstore PRIMARY KEY, v int);
            CREATE TABLE by_cube (k cube PRIMARY KEY, v int);",
        work: &[
            r#"INSERT INTO extended (id, h, c, l, lq, cu, s, i, q) VALUES (1, 'a=>1, "b c"=>NULL, "q\""=>"\\"', 'MiXed', 'Top.Science', 'Top.*{1,2}.A|B', '(1,2),(3,4)', '1.0 .. 2.50', '978-0-393-04002-9', '1&(2|!3)'), (2, '', '', '', NULL, '(0)', '<5', NULL, NULL); INSERT INTO extended (id) VALUES (3);
               UPDATE extended SET hs = ARRAY[h, NULL], cs = ARRAY[c, 'A,b'], ls = ARRAY[l], cus = ARRAY[cu];
               INSERT INTO extended_full SELECT h, c, l, cu FROM extended; INSERT INTO extended_full VALUES ('a=>1', 'mixed'), ('a=>1', 'MIXED'); INSERT INTO by_ltree VALUES ('a.b', 1), ('a', 2), ('', 3); INSERT INTO by_hstore VALUES ('a=>1,b=>2', 1), ('', 2); INSERT INTO by_cube VALUES ('(1,2)', 1), ('(1,2),(1,2)', 2) ON CONFLICT DO NOTHING"#,
            "UPDATE extended SET h = h || 'z=>9', c = 'mIXED' WHERE id = 1; UPDATE extended_full SET l = 'x' WHERE c::text = 'MIXED'; UPDATE by_ltree SET v = 9 WHERE k = 'a.b'; UPDATE by_ltree SET k = 'a.c' WHERE k = 'a'; UPDATE by_hstore SET v = 9; UPDATE by_cube SET v = 9",
            "DELETE FROM extended WHERE id = 2; DELETE FROM extended_full WHERE c::text = 'mixed'; DELETE FROM by_ltree WHERE k = ''; DELETE FROM by_hstore WHERE k = ''; UPDATE by_cube SET k = '(5)'; UPDATE extended SET h = NULL",
        ],
    },
];
