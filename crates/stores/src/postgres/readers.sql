-- What each of the roles $1 may do that one which only reads must not: by itself, as PUBLIC, or as a
-- role that it is a member of, whether it inherits its rights or has to SET ROLE for them.
WITH be AS (
    SELECT r.rolname::text AS reader, m.*
    FROM pg_catalog.pg_roles r
    JOIN pg_catalog.pg_roles m
        ON m.oid = r.oid OR (NOT r.rolsuper AND pg_catalog.pg_has_role(r.oid, m.oid, 'MEMBER'))
    WHERE r.rolname = ANY ($1::text[])
), place AS (
    SELECT oid, nspname::text AS name, nspowner FROM pg_catalog.pg_namespace
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
), relation AS (
    SELECT c.oid, c.relkind, c.relowner,
           pg_catalog.quote_ident(p.name) || '.' || pg_catalog.quote_ident(c.relname) AS name
    FROM pg_catalog.pg_class c JOIN place p ON p.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
), found AS (
    SELECT reader, rolname, 'is ' || a.name AS what,
           pg_catalog.format('ALTER ROLE %I NO%s', rolname, a.name) AS mend
    FROM be CROSS JOIN LATERAL (VALUES
        ('SUPERUSER', rolsuper), ('CREATEDB', rolcreatedb), ('CREATEROLE', rolcreaterole),
        ('REPLICATION', rolreplication), ('BYPASSRLS', rolbypassrls)) a (name, has)
    WHERE a.has
    UNION ALL
    SELECT reader, rolname, 'may act as the server', pg_catalog.format('REVOKE %I FROM %I', rolname, reader)
    FROM be WHERE rolname IN ('pg_write_all_data', 'pg_execute_server_program',
                              'pg_write_server_files', 'pg_create_subscription')
    UNION ALL
    SELECT reader, rolname, 'owns ' || name,
           pg_catalog.format('ALTER TABLE %s OWNER TO another role', name)
    FROM be JOIN relation ON relowner = be.oid
    UNION ALL
    SELECT reader, rolname, 'may change ' || name,
           pg_catalog.format('REVOKE INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER ON %s FROM whom it is granted to', name)
    FROM be JOIN relation ON relkind <> 'S' AND relowner <> be.oid
         AND (pg_catalog.has_table_privilege(be.oid, relation.oid,
                  'INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER')
              OR pg_catalog.has_any_column_privilege(be.oid, relation.oid, 'INSERT, UPDATE'))
    WHERE NOT rolsuper
    UNION ALL
    SELECT reader, rolname, 'may take numbers of ' || name,
           pg_catalog.format('REVOKE USAGE, UPDATE ON SEQUENCE %s FROM whom it is granted to', name)
    FROM be JOIN relation ON relkind = 'S' AND relowner <> be.oid
         AND pg_catalog.has_sequence_privilege(be.oid, relation.oid, 'USAGE, UPDATE')
    WHERE NOT rolsuper
    UNION ALL
    SELECT reader, rolname, 'may create in schema ' || name,
           pg_catalog.format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC, or whom it is granted to', name)
    FROM be JOIN place ON nspowner = be.oid
         OR pg_catalog.has_schema_privilege(be.oid, place.oid, 'CREATE')
    WHERE NOT rolsuper
    UNION ALL
    SELECT reader, rolname, 'may create schemas',
           pg_catalog.format('REVOKE CREATE ON DATABASE %I FROM whom it is granted to', pg_catalog.current_database())
    FROM be
    WHERE NOT rolsuper
          AND pg_catalog.has_database_privilege(be.oid, pg_catalog.current_database(), 'CREATE')
)
SELECT reader, rolname::text, what, mend FROM found ORDER BY 1, 2, 3 LIMIT 100
