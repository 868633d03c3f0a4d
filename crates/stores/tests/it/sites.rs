//! Two sites with the same small bank, for tests of what happens between them.

use mainstay_core::estate::PostgresEndpoint;
use mainstay_core::position::Lsn;
use mainstay_stores::postgres::setup;
use mainstay_testkit::{Options, Postgres};
use tokio_postgres::Client;

pub const SCHEMA: &str = "
    CREATE TYPE mood AS ENUM ('calm', 'cross');
    CREATE TABLE account (id bigint PRIMARY KEY, owner text NOT NULL UNIQUE, balance numeric NOT NULL);
    CREATE TABLE transfer (
        id uuid PRIMARY KEY,
        number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
        account bigint NOT NULL REFERENCES account,
        amount numeric NOT NULL,
        cents bigint GENERATED ALWAYS AS (amount * 100) STORED,
        note jsonb, proof bytea, mood mood, at timestamptz NOT NULL DEFAULT now());
    CREATE TABLE audit (at bigserial PRIMARY KEY, what text);
    CREATE TABLE pair (a text, b int, big text, PRIMARY KEY (b, a));
    ALTER TABLE pair ALTER big SET STORAGE EXTERNAL;
    CREATE TABLE whole (id int PRIMARY KEY, v text);
    ALTER TABLE whole REPLICA IDENTITY FULL;
    CREATE TABLE loose (v text);
    ALTER TABLE loose REPLICA IDENTITY FULL;
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN INSERT INTO audit (what) VALUES (NEW.id::text); RETURN NEW; END$$;
    CREATE TRIGGER noted AFTER INSERT ON transfer FOR EACH ROW EXECUTE FUNCTION note();
    INSERT INTO account SELECT i, 'owner ' || i, 100 FROM generate_series(1, 50) i;
    INSERT INTO pair SELECT chr(96 + i), i, repeat('x', 9000) FROM generate_series(1, 9) i;
    INSERT INTO whole SELECT i, 'v' || i FROM generate_series(1, 9) i;";

pub struct Site {
    pub server: Postgres,
    pub client: Client,
    pub endpoint: PostgresEndpoint,
}

impl Site {
    /// A prepared database `bank`, empty but for what `schema` makes.
    pub async fn start(schema: &str) -> Self {
        let server = Postgres::start(Options::default().fsync(false));
        // Each login costs thousands of rounds otherwise, and tests make many.
        let admin = server.client("postgres").await;
        let password = "SET scram_iterations = 1; ALTER ROLE mainstay PASSWORD \
                        'a password of tests only'";
        admin.batch_execute(password).await.unwrap();
        let client = server.create_database("bank").await;
        // The user's own schema, which comes first otherwise, has its name: `mainstay`.
        client.batch_execute("SET search_path = public").await.unwrap();
        client.batch_execute(schema).await.unwrap();
        let endpoint = server.endpoint("bank");
        setup::prepare(&endpoint).await.unwrap();
        Self { server, client, endpoint }
    }

    pub async fn run(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap_or_else(|e| panic!("{sql}: {e:?}"));
    }

    /// The end of history, at a record's end.
    pub async fn position(&self) -> Lsn {
        let sql = "SELECT pg_current_wal_insert_lsn()::text";
        self.text(sql).await.parse().unwrap()
    }

    pub async fn text(&self, sql: &str) -> String {
        let row = self.client.query_one(sql, &[]).await;
        row.unwrap_or_else(|e| panic!("{sql}: {e:?}")).get(0)
    }
}
