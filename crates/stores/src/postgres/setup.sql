-- What Mainstay keeps in a database that it looks after. Every statement may be run again.

CREATE SCHEMA IF NOT EXISTS mainstay;

-- One row: the fence. `opened_postmaster` names the run of the server in which it was opened, so
-- that an opening does not survive a restart.
CREATE TABLE IF NOT EXISTS mainstay.site (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    epoch bigint NOT NULL,
    open boolean NOT NULL,
    opened_postmaster timestamptz,
    roles text[] NOT NULL
);
-- Nobody is named yet, so nobody is refused: preparing a database disturbs no one who uses it.
INSERT INTO mainstay.site (epoch, open, roles) VALUES (0, false, '{}') ON CONFLICT DO NOTHING;

-- How far each link has applied here; written in the transactions that it applies.
CREATE TABLE IF NOT EXISTS mainstay.link (
    name text PRIMARY KEY,
    epoch bigint NOT NULL,
    position pg_lsn,
    commit_micros bigint
);
-- The history that the position belongs to: the source's system identifier, its timeline, and
-- where it left each earlier one. Looked for first, as `IF NOT EXISTS` alone waits for the link.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'mainstay.link'::regclass
                   AND attname = 'source_history') THEN
        ALTER TABLE mainstay.link ADD COLUMN source_system text,
            ADD COLUMN source_timeline bigint, ADD COLUMN source_history text;
    END IF;
END
$$;

-- A first copy under way: `start` is where the link's slot streams from; `made` when the tables'
-- definitions came from the source, too.
CREATE TABLE IF NOT EXISTS mainstay.copy (
    link text PRIMARY KEY,
    start pg_lsn NOT NULL,
    made boolean NOT NULL
);
-- Its tables. Rows of a table are there as of `at`, all of them, or null: it is still to be copied.
-- The link skips changes to them that are older. `shape` is what its columns were.
CREATE TABLE IF NOT EXISTS mainstay.copied (
    link text NOT NULL,
    table_name text NOT NULL,
    source_oid oid NOT NULL,
    shape text NOT NULL,
    at pg_lsn,
    rows bigint,
    bytes bigint,
    PRIMARY KEY (link, table_name)
);
-- Statements that are run when the rows are there: of kind `key` for one table, of kind `late` for
-- several. Each is deleted in the transaction that runs it.
CREATE TABLE IF NOT EXISTS mainstay.unmade (
    link text NOT NULL,
    number int NOT NULL,
    kind text NOT NULL,
    table_name text NOT NULL,
    statement text NOT NULL,
    PRIMARY KEY (link, number)
);

-- Rows that were taken from the active site as of `until`: the link skips older changes to them.
-- `key` is the array of the values, as text, of `columns`: those that tell the table's rows apart.
-- It can be longer than an index entry may be, hence the digest.
CREATE TABLE IF NOT EXISTS mainstay.put_right (
    link text NOT NULL,
    table_name text NOT NULL,
    columns text[] NOT NULL,
    key jsonb NOT NULL,
    until pg_lsn NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS put_right_key
    ON mainstay.put_right (link, table_name, md5(key::text));
-- Without a primary key its rows could not be deleted in a published table.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_class
               WHERE oid = 'mainstay.put_right'::regclass AND relreplident <> 'f') THEN
        ALTER TABLE mainstay.put_right REPLICA IDENTITY FULL;
    END IF;
END
$$;

-- What the source's sequences were when last seen; the link writes it.
CREATE TABLE IF NOT EXISTS mainstay.sequence (
    link text NOT NULL,
    schema_name text NOT NULL,
    sequence_name text NOT NULL,
    last_value bigint NOT NULL,
    is_called boolean NOT NULL,
    PRIMARY KEY (link, schema_name, sequence_name)
);

-- One row that a probe writes, to know that the database takes a commit.
CREATE TABLE IF NOT EXISTS mainstay.heartbeat (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    beat bigint NOT NULL,
    at timestamptz NOT NULL
);

-- What was decided of salvaged transactions. The one table of this schema that is replicated: a
-- decision is written in the transaction that carries it out, and goes with it to the other site
-- or is lost with it. `system` is the identifier of the cluster that they were salvaged from.
CREATE TABLE IF NOT EXISTS mainstay.decided (
    system text NOT NULL,
    commit_lsn pg_lsn NOT NULL,
    decision text NOT NULL CHECK (decision IN ('replayed', 'rejected')),
    at timestamptz NOT NULL DEFAULT now(),
    reason text NOT NULL DEFAULT '',
    PRIMARY KEY (system, commit_lsn)
);

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_publication WHERE pubname = 'mainstay') THEN
        CREATE PUBLICATION mainstay FOR ALL TABLES;
    END IF;
END
$$;
