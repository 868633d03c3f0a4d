-- Schema changes travel as logical messages in their own transactions, so that the link makes them
-- at their place among the rows. What a statement was is told here; what becomes of it is decided
-- at the target.
--
-- Event triggers run inside everybody's statements: nothing here may need a right that an ordinary
-- user lacks, and nothing may fail. They fire in the order of their names; the underscore is there
-- to be before triggers of the application, whose own schema changes follow the one that woke them.

-- Anybody may write a logical message. Only one that holds this token is believed at the target,
-- where schema changes are made by a superuser.
CREATE TABLE IF NOT EXISTS mainstay.schema_token (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    token uuid NOT NULL DEFAULT gen_random_uuid()
);
REVOKE ALL ON mainstay.schema_token FROM PUBLIC;
INSERT INTO mainstay.schema_token DEFAULT VALUES ON CONFLICT DO NOTHING;

-- Schema changes of the source that a person has this target leave out.
CREATE TABLE IF NOT EXISTS mainstay.schema_skip (
    link text NOT NULL,
    at pg_lsn NOT NULL,
    reason text NOT NULL,
    decided timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (link, at)
);

-- Who makes the change, and the settings that decide what it means. This function runs as the one
-- who makes it and without settings of its own: only so are they seen. The others do not see them.
CREATE OR REPLACE FUNCTION mainstay.note_schema_context() RETURNS event_trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_catalog.set_config('mainstay.schema_context', pg_catalog.jsonb_build_object(
        'role', CURRENT_USER::pg_catalog.text,
        'settings', pg_catalog.jsonb_build_object(
            'search_path', pg_catalog.current_setting('search_path'),
            'check_function_bodies', pg_catalog.current_setting('check_function_bodies'),
            'default_tablespace', pg_catalog.current_setting('default_tablespace'),
            'default_table_access_method',
                pg_catalog.current_setting('default_table_access_method'),
            'default_toast_compression', pg_catalog.current_setting('default_toast_compression'),
            'standard_conforming_strings',
                pg_catalog.current_setting('standard_conforming_strings'),
            'transform_null_equals', pg_catalog.current_setting('transform_null_equals'),
            'array_nulls', pg_catalog.current_setting('array_nulls'),
            'row_security', pg_catalog.current_setting('row_security'),
            'TimeZone', pg_catalog.current_setting('TimeZone'),
            'DateStyle', pg_catalog.current_setting('DateStyle'),
            'IntervalStyle', pg_catalog.current_setting('IntervalStyle'),
            'extra_float_digits', pg_catalog.current_setting('extra_float_digits'),
            'bytea_output', pg_catalog.current_setting('bytea_output'),
            'xmloption', pg_catalog.current_setting('xmloption'),
            'lc_monetary', pg_catalog.current_setting('lc_monetary'),
            'lc_numeric', pg_catalog.current_setting('lc_numeric'),
            'lc_time', pg_catalog.current_setting('lc_time')))::pg_catalog.text, true);
END
$$;

-- Each site has its own of these; and what is temporary, or what Mainstay made, does not travel.
CREATE OR REPLACE FUNCTION mainstay.schema_object_travels(
    kind text, schema_name text, identity text
) RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT kind NOT LIKE 'publication%' AND kind NOT IN ('subscription', 'event trigger')
       AND coalesce(schema_name, '') NOT IN ('mainstay', 'pg_temp')
       AND coalesce(schema_name, '') NOT LIKE 'pg\_temp\_%'
       AND coalesce(identity, '') !~ '(^|\mon )(mainstay|pg_temp)(\.|$)'
$$;

-- How many statements with this tag this client's string has run so far, this one included. A
-- string of several statements is one "current query", and only this tells them apart.
CREATE OR REPLACE FUNCTION mainstay.schema_nth(tag text, keep boolean) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    name text := 'mainstay.schema_nth_' || regexp_replace(lower(tag), '[^a-z]', '_', 'g');
    stamp text := extract(epoch FROM statement_timestamp())::text
                  || '/' || coalesce(hashtextextended(current_query(), 0), 0)::text;
    before text := coalesce(current_setting(name, true), '');
    nth integer := 1;
BEGIN
    IF split_part(before, ' ', 1) = stamp THEN
        nth := coalesce(substring(before FROM ' ([0-9]{1,8})$')::integer, 0) + 1;
    END IF;
    IF keep THEN
        PERFORM set_config(name, stamp || ' ' || nth, false);
    END IF;
    RETURN nth;
END
$$;

-- Writes the message. `stack` is where the event trigger was called from.
CREATE OR REPLACE FUNCTION mainstay.tell_schema_change(
    tag text, stack text, nth integer, facts jsonb
) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- The first line is the event trigger itself.
    callers text := nullif(substring(stack FROM '^[^\n]*\n(.*)$'), '');
    sql_function text := substring(callers FROM '^SQL function "([^\n]*)" statement [0-9]+');
    content jsonb := facts || current_setting('mainstay.schema_context')::jsonb
        || jsonb_build_object('version', 1, 'tag', tag,
                              'token', (SELECT token FROM mainstay.schema_token));
BEGIN
    IF callers IS NULL THEN
        content := content || jsonb_build_object('query', current_query(), 'nth', nth);
    ELSE
        content := content || jsonb_build_object('callers', callers);
    END IF;
    -- The stack names a function in SQL without its schema, and its statement by a number.
    IF sql_function IS NOT NULL THEN
        content := content || jsonb_build_object('bodies',
            (SELECT jsonb_agg(p.prosrc) FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
             WHERE p.proname = sql_function AND l.lanname = 'sql'));
    END IF;
    PERFORM pg_logical_emit_message(true, 'mainstay ddl', content::text);
END
$$;

-- Sessions of Mainstay make Mainstay's own objects, first copies, and what another site told them.
CREATE OR REPLACE FUNCTION mainstay.schema_is_ours() RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT current_setting('application_name') LIKE 'mainstay %'
       AND (SELECT rolsuper FROM pg_roles WHERE rolname = session_user)
$$;

-- Before the statement: those whose rows come before its end.
CREATE OR REPLACE FUNCTION mainstay.capture_schema_start() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET lc_messages = 'C' AS $$
DECLARE
    stack text;
    extension boolean := tg_tag IN ('CREATE EXTENSION', 'ALTER EXTENSION');
BEGIN
    IF mainstay.schema_is_ours()
       OR coalesce(current_setting('mainstay.schema_extension', true), '') <> '' THEN
        RETURN;
    END IF;
    GET DIAGNOSTICS stack = PG_CONTEXT;
    PERFORM mainstay.tell_schema_change(tg_tag, stack, mainstay.schema_nth(tg_tag, false),
        jsonb_build_object('opens', extension));
    IF extension THEN
        PERFORM set_config('mainstay.schema_extension', tg_tag, true);
    END IF;
END
$$;

-- A table is about to be written anew; the reasons are those of the manual's "table_rewrite".
CREATE OR REPLACE FUNCTION mainstay.note_schema_rewrite() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM set_config('mainstay.schema_rewritten',
        coalesce(current_setting('mainstay.schema_rewritten', true), '')
        || pg_event_trigger_table_rewrite_oid() || ':' || pg_event_trigger_table_rewrite_reason()
        || ' ', true);
END
$$;

CREATE OR REPLACE FUNCTION mainstay.capture_schema_drop() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET lc_messages = 'C' AS $$
DECLARE
    stack text;
    travels boolean;
    stays boolean;
BEGIN
    -- What an ALTER drops is told with it; DROP OWNED also takes privileges.
    IF tg_tag NOT LIKE 'DROP %' OR tg_tag = 'DROP OWNED' OR mainstay.schema_is_ours()
       OR coalesce(current_setting('mainstay.schema_extension', true), '') <> '' THEN
        RETURN;
    END IF;
    SELECT bool_or(it.travels), bool_or(NOT it.travels) INTO travels, stays
      FROM (SELECT NOT is_temporary AND mainstay.schema_object_travels(
                       object_type, schema_name, object_identity) AS travels
              FROM pg_event_trigger_dropped_objects() WHERE original) it;
    IF travels THEN
        GET DIAGNOSTICS stack = PG_CONTEXT;
        PERFORM mainstay.tell_schema_change(tg_tag, stack, mainstay.schema_nth(tg_tag, false),
            CASE WHEN stays THEN jsonb_build_object('refusal',
                'it drops what each site has for itself, such as temporary tables, and other '
                'objects at once') ELSE '{}' END);
    END IF;
END
$$;

-- What two sites would fill a new column with differently: `filled` where all old rows have one
-- value, which is sent; `unequal` where each row has its own. Whether a column is new is known at
-- the target, which does not have it yet.
CREATE OR REPLACE FUNCTION mainstay.schema_defaults(relation oid, rewritten boolean) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    facts jsonb;
    rows_there boolean;
BEGIN
    WITH defaults AS (
        SELECT a.attname, a.atttypid, a.atttypmod, a.atthasmissing, a.attmissingval::text AS value,
               t.typcategory,
               a.attidentity <> '' OR coalesce(f.unsteady, false)
                   OR coalesce(e.expression LIKE '%SQLVALUEFUNCTION%', false) AS unsteady
          FROM pg_attribute a
          JOIN pg_type t ON t.oid = a.atttypid
          LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
          -- A column of a domain may have the domain's default.
          CROSS JOIN LATERAL (SELECT coalesce(d.adbin, t.typdefaultbin)::text) e (expression)
          LEFT JOIN LATERAL (
              SELECT bool_or(p.provolatile <> 'i') AS unsteady
                FROM regexp_matches(e.expression, ':(?:op)?funcid ([0-9]+)', 'g') AS m (ids)
                JOIN pg_proc p ON p.oid = m.ids[1]::oid) f ON true
         WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped),
    judged AS (
        SELECT *, unsteady AND (rewritten OR (atthasmissing AND typcategory = 'A')) AS unequal,
               unsteady AND NOT rewritten AND atthasmissing AND typcategory <> 'A' AS filled
          FROM defaults)
    SELECT jsonb_build_object(
               'schema', n.nspname, 'table', c.relname,
               'unequal', coalesce(jsonb_agg(j.attname) FILTER (WHERE j.unequal), '[]'),
               'filled', coalesce(jsonb_agg(jsonb_build_object(
                   'column', j.attname, 'type', format_type(j.atttypid, j.atttypmod),
                   'value', j.value)) FILTER (WHERE j.filled), '[]'))
      INTO facts
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, judged j
     WHERE c.oid = relation AND c.relkind = 'r' AND c.relpersistence = 'p'
       AND (j.unequal OR j.filled)
     GROUP BY n.nspname, c.relname;
    IF facts IS NOT NULL THEN
        EXECUTE format('SELECT EXISTS (SELECT FROM ONLY %s)', relation::regclass) INTO rows_there;
    END IF;
    RETURN CASE WHEN rows_there THEN facts END;
END
$$;

CREATE OR REPLACE FUNCTION mainstay.capture_schema_end() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET lc_messages = 'C' SET row_security = off
SET DateStyle = 'ISO' SET IntervalStyle = 'postgres' SET TimeZone = 'UTC'
SET bytea_output = 'hex' SET extra_float_digits = '3' SET lc_monetary = 'C' AS $$
DECLARE
    stack text;
    nth integer;
    travels boolean;
    rewritten text := coalesce(current_setting('mainstay.schema_rewritten', true), '');
    facts jsonb := '{}';
BEGIN
    GET DIAGNOSTICS stack = PG_CONTEXT;
    -- The counted string is the client's: what functions run inside it has its text in the stack.
    nth := mainstay.schema_nth(tg_tag, strpos(stack, E'\n') = 0);
    IF rewritten <> '' THEN
        PERFORM set_config('mainstay.schema_rewritten', '', true);
    END IF;
    IF mainstay.schema_is_ours() THEN
        RETURN;
    END IF;
    IF tg_tag IN ('CREATE EXTENSION', 'ALTER EXTENSION')
       AND current_setting('mainstay.schema_extension', true) = tg_tag THEN
        PERFORM set_config('mainstay.schema_extension', '', true);
        PERFORM mainstay.tell_schema_change(tg_tag, stack, nth, '{"closes": true}');
        RETURN;
    END IF;
    IF tg_tag IN ('CREATE EXTENSION', 'ALTER EXTENSION', 'CREATE TABLE AS', 'SELECT INTO')
       OR coalesce(current_setting('mainstay.schema_extension', true), '') <> ''
       OR (tg_tag LIKE 'DROP %' AND tg_tag <> 'DROP OWNED') THEN
        RETURN;
    END IF;
    SELECT bool_or(NOT in_extension
                   AND mainstay.schema_object_travels(object_type, schema_name, object_identity))
      INTO travels FROM pg_event_trigger_ddl_commands();
    -- These two name no object.
    IF NOT coalesce(travels, tg_tag IN ('DROP OWNED', 'REASSIGN OWNED')) THEN
        RETURN;
    END IF;
    IF tg_tag IN ('ALTER TABLE', 'ALTER TYPE', 'ALTER DOMAIN') THEN
        facts := mainstay.schema_alter_facts(rewritten);
    END IF;
    PERFORM mainstay.tell_schema_change(tg_tag, stack, nth, facts);
END
$$;

-- What must be known of altered tables beyond the statement.
CREATE OR REPLACE FUNCTION mainstay.schema_alter_facts(rewritten text) RETURNS jsonb
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    WITH RECURSIVE altered AS (
        SELECT objid AS oid FROM pg_event_trigger_ddl_commands()
         WHERE classid = 'pg_class'::regclass AND object_type = 'table'
        UNION
        SELECT i.inhrelid FROM altered JOIN pg_inherits i ON i.inhparent = altered.oid),
    anew AS (
        SELECT split_part(one, ':', 1)::oid AS oid, split_part(one, ':', 2)::integer AS reason
          FROM regexp_split_to_table(trim(rewritten), ' ') AS one WHERE one <> ''),
    tables AS (
        SELECT coalesce(altered.oid, anew.oid) AS oid, coalesce(bit_or(anew.reason), 0) AS reason
          FROM altered FULL JOIN anew ON anew.oid = altered.oid GROUP BY 1)
    SELECT jsonb_strip_nulls(jsonb_build_object(
        'retyped', bool_or(t.reason & 4 <> 0),
        'refusal', max(CASE WHEN t.reason & 1 <> 0 AND c.relpersistence = 'p' THEN
            'the rows that ' || c.oid::regclass || ' had while it was unlogged were not '
            'replicated' END),
        'defaults', jsonb_agg(d.defaults) FILTER (WHERE d.defaults IS NOT NULL)))
      FROM tables t JOIN pg_class c ON c.oid = t.oid,
           LATERAL (SELECT mainstay.schema_defaults(t.oid, t.reason & 2 <> 0) AS defaults) d
$$;

-- Only the event triggers call them, and they as their owner.
REVOKE ALL ON FUNCTION mainstay.tell_schema_change(text, text, integer, jsonb),
    mainstay.schema_nth(text, boolean), mainstay.schema_is_ours(),
    mainstay.schema_object_travels(text, text, text), mainstay.schema_defaults(oid, boolean),
    mainstay.schema_alter_facts(text) FROM PUBLIC;

DO $$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN VALUES
        ('_mainstay_context_start', 'ddl_command_start', 'note_schema_context'),
        ('_mainstay_schema_start', 'ddl_command_start', 'capture_schema_start'),
        ('_mainstay_schema_rewrite', 'table_rewrite', 'note_schema_rewrite'),
        ('_mainstay_context_drop', 'sql_drop', 'note_schema_context'),
        ('_mainstay_schema_drop', 'sql_drop', 'capture_schema_drop'),
        ('_mainstay_context_end', 'ddl_command_end', 'note_schema_context'),
        ('_mainstay_schema_end', 'ddl_command_end', 'capture_schema_end')
    LOOP
        IF NOT EXISTS (SELECT FROM pg_event_trigger WHERE evtname = wanted.column1) THEN
            EXECUTE format('CREATE EVENT TRIGGER %I ON %s %s EXECUTE FUNCTION mainstay.%I()',
                wanted.column1, wanted.column2,
                CASE WHEN wanted.column2 = 'ddl_command_start' THEN
                    'WHEN TAG IN (''CREATE TABLE AS'', ''SELECT INTO'', ''CREATE EXTENSION'', '
                    '''ALTER EXTENSION'')' END,
                wanted.column3);
        END IF;
        -- Also in sessions that load data with session_replication_role = replica.
        IF EXISTS (SELECT FROM pg_event_trigger
                   WHERE evtname = wanted.column1 AND evtenabled <> 'A') THEN
            EXECUTE format('ALTER EVENT TRIGGER %I ENABLE ALWAYS', wanted.column1);
        END IF;
    END LOOP;
END
$$;
