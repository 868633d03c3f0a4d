//! A reader at the target: every snapshot that it takes is a state that the source had.

use crate::link_world::World;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio_postgres::Client;

/// Each transaction adds a line and moves money. The lock on the one row of `count` puts the
/// transactions into one order, so that the lines of a state that the source had are 1 to `n`.
pub const SCHEMA: &str = "
    CREATE TABLE count (one int PRIMARY KEY, n bigint NOT NULL); INSERT INTO count VALUES (1, 0);
    CREATE TABLE line (n bigint PRIMARY KEY, at timestamptz DEFAULT clock_timestamp());
    CREATE TABLE account (id int PRIMARY KEY, balance bigint NOT NULL);
    INSERT INTO account SELECT i, 1000 FROM generate_series(0, 9) i;
    CREATE TABLE moved (n bigint, amount int); ALTER TABLE moved REPLICA IDENTITY FULL;";

pub const STEP: &str = "
    WITH c AS (UPDATE count SET n = n + 1 RETURNING n),
         l AS (INSERT INTO line SELECT n FROM c),
         m AS (INSERT INTO moved SELECT n, n % 7 FROM c),
         a AS (UPDATE account SET balance = balance - (SELECT n % 7 FROM c)
               WHERE id = (SELECT n % 10 FROM c))
    UPDATE account SET balance = balance + (SELECT n % 7 FROM c) WHERE id = (SELECT (n + 3) % 10 FROM c);";

/// The number of lines, and false where the state is none that the source had.
const LOOK: &str = "
    SELECT c.n, c.n = l.lines AND c.n = l.last AND c.n = m.lines AND s.total = 10000
    FROM (SELECT coalesce(max(n), 0) AS n FROM public.count) c,
         (SELECT count(*) AS lines, coalesce(max(n), 0) AS last FROM public.line) l,
         (SELECT count(*) AS lines FROM public.moved) m,
         (SELECT sum(balance) AS total FROM public.account) s";

pub struct Reader {
    stop: Arc<AtomicBool>,
    states: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
}

impl Reader {
    /// The first copy has ended: before, the target has no state to look at.
    pub async fn start(world: &World) -> Self {
        let client = world.target.server.client(&world.name).await;
        let stop = Arc::new(AtomicBool::new(false));
        let states = Arc::new(AtomicU64::new(0));
        let task = tokio::spawn(look(client, Arc::clone(&stop), Arc::clone(&states)));
        Self { stop, states, task }
    }

    /// How many different states it saw until now.
    pub fn states(&self) -> u64 {
        assert!(!self.task.is_finished(), "the reader ended by itself");
        self.states.load(Ordering::Relaxed)
    }

    /// How many different states it saw.
    pub async fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
        self.states.load(Ordering::Relaxed)
    }
}

async fn look(client: Client, stop: Arc<AtomicBool>, states: Arc<AtomicU64>) {
    let mut last = 0;
    while !stop.load(Ordering::Relaxed) {
        let row = client.query_one(LOOK, &[]).await.unwrap();
        let (n, whole): (i64, Option<bool>) = (row.get(0), row.get(1));
        assert_eq!(whole, Some(true), "the target showed a state that the source never had: {n}");
        assert!(n >= last, "the target went back from {last} to {n}");
        states.fetch_add(u64::from(n > last), Ordering::Relaxed);
        last = n;
    }
}
