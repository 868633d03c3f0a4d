//! A database as it was at one position of its history.

use super::connect::place;
use super::fault::Fault;
use super::replication::{Replication, SlotLife};
use super::session::Session;
use mainstay_core::estate::PostgresEndpoint;
use mainstay_core::position::Lsn;
use std::time::Duration;

/// A new slot waits for every transaction that is writing. One that lasts longer than this is
/// told to a person instead of being waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Reads the database as of a position, for as long as it is kept.
pub(crate) struct Snapshot {
    /// Exactly the transactions that ended at or before this position are seen.
    pub position: Lsn,
    /// In a transaction that sees them.
    pub session: Session,
}

impl Snapshot {
    /// By a temporary slot: its consistent point is the only place where PostgreSQL says which
    /// position a snapshot belongs to.
    pub async fn take(endpoint: &PostgresEndpoint, what: &str) -> Result<Self, Fault> {
        Self::take_within(PATIENCE, endpoint, what).await
    }

    /// As `take`, for those who cannot wait as long for transactions that are writing.
    pub async fn take_within(
        patience: Duration,
        endpoint: &PostgresEndpoint,
        what: &str,
    ) -> Result<Self, Fault> {
        let name = format!("mainstay_{}", uuid::Uuid::new_v4().simple());
        Self::of_slot(patience, endpoint, what, &name, SlotLife::Temporary).await
    }

    /// The slot holds everything that comes after the snapshot.
    pub async fn of_new_slot(
        endpoint: &PostgresEndpoint,
        what: &str,
        name: &str,
    ) -> Result<Self, Fault> {
        Self::of_slot(PATIENCE, endpoint, what, name, SlotLife::Kept).await
    }

    async fn of_slot(
        patience: Duration,
        endpoint: &PostgresEndpoint,
        what: &str,
        name: &str,
        life: SlotLife,
    ) -> Result<Self, Fault> {
        let mut slots = Replication::connect(endpoint, what).await?;
        let slot = slots.create_slot(name, life);
        let slot = match tokio::time::timeout(patience, slot).await {
            Ok(slot) => slot?,
            Err(_) => {
                end_creation(endpoint, name).await?;
                let (place, seconds) = (place(endpoint), patience.as_secs());
                return Err(Fault::NoSnapshot { place, seconds });
            }
        };
        let session = reading(endpoint, what).await?;
        let sql = format!("SET TRANSACTION SNAPSHOT '{}'", slot.snapshot);
        session.batch("read as of a position", &sql).await?;
        // A temporary slot ends here with its connection; the transaction has the snapshot by now.
        Ok(Self { position: slot.consistent_point, session })
    }
}

/// A server that makes a slot does not notice that nobody waits any more: it would keep the slot,
/// and what that holds back, until all that is writing now has ended.
async fn end_creation(endpoint: &PostgresEndpoint, slot: &str) -> Result<(), Fault> {
    let session = Session::open(endpoint, "snapshot").await?;
    let sql = "SELECT pg_catalog.pg_terminate_backend(active_pid) \
               FROM pg_catalog.pg_replication_slots WHERE slot_name = $1";
    session.rows("end the making of a slot", sql, &[&slot]).await?;
    Ok(())
}

/// A session in a transaction that sees the database as it is at its first query. Time limits of a
/// role or database are not meant for it; PostgreSQL knows `transaction_timeout` since 17.
pub(crate) async fn reading(endpoint: &PostgresEndpoint, what: &str) -> Result<Session, Fault> {
    let session = Session::open(endpoint, what).await?;
    let unlimited = "SET statement_timeout = 0; \
                     SELECT set_config(name, '0', false) FROM pg_catalog.pg_settings \
                     WHERE name = 'transaction_timeout'";
    session.batch("begin to read", unlimited).await?;
    let sql = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    session.batch("begin to read", sql).await?;
    Ok(session)
}
