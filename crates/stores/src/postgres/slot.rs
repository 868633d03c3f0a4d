//! Replication slots: what keeps a source's history until the other site has it.

use super::fault::Fault;
use super::session::Session;
use mainstay_core::estate::PostgresEndpoint;
use mainstay_core::position::Lsn;
use std::time::Duration;
use tokio::time::Instant;
use tokio_postgres::Row;
use tokio_postgres::types::PgLsn;

/// A walsender whose client is gone notices it within this time on a machine that is not stuck.
const DEADLINE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotState {
    /// Its reader has durably applied everything up to here.
    pub confirmed_flush: Lsn,
    /// The server's process that reads it now.
    pub active: Option<i32>,
    /// Invalidated: the history it needs is gone.
    pub lost: bool,
}

/// Makes the slot if it is missing and says where it begins: from now on no change after that
/// position is forgotten. Doing it again changes nothing.
pub async fn pin(endpoint: &PostgresEndpoint, slot: &str) -> Result<Lsn, Fault> {
    let session = Session::open(endpoint, "pin").await?;
    if let Some(state) = find_in(&session, slot).await? {
        return usable(&session, slot, state);
    }
    let sql = "SELECT lsn FROM pg_catalog.pg_create_logical_replication_slot($1, 'pgoutput')";
    let lsn: PgLsn = session.row("make a replication slot", sql, &[&slot]).await?.get(0);
    Ok(Lsn(lsn.into()))
}

pub async fn find(endpoint: &PostgresEndpoint, slot: &str) -> Result<Option<SlotState>, Fault> {
    find_in(&Session::open(endpoint, "slot").await?, slot).await
}

/// Drops the slot, ending whoever reads it. True when there was one.
pub async fn drop_slot(endpoint: &PostgresEndpoint, slot: &str) -> Result<bool, Fault> {
    let session = Session::open(endpoint, "drop slot").await?;
    if find_in(&session, slot).await?.is_none() {
        return Ok(false);
    }
    let end = "SELECT pg_catalog.pg_terminate_backend(active_pid) \
               FROM pg_catalog.pg_replication_slots \
               WHERE slot_name = $1 AND active_pid IS NOT NULL";
    session.rows("end the slot's reader", end, &[&slot]).await?;
    wait_idle(&session, slot).await?;
    let sql = "SELECT pg_catalog.pg_drop_replication_slot(slot_name) \
               FROM pg_catalog.pg_replication_slots WHERE slot_name = $1";
    session.rows("drop a replication slot", sql, &[&slot]).await?;
    Ok(true)
}

pub(crate) async fn find_in(session: &Session, slot: &str) -> Result<Option<SlotState>, Fault> {
    let sql = "SELECT plugin::text, database::text, pg_catalog.current_database()::text, \
                      COALESCE(confirmed_flush_lsn, '0/0'), active_pid, wal_status = 'lost' \
               FROM pg_catalog.pg_replication_slots WHERE slot_name = $1";
    match session.maybe_row("read a replication slot", sql, &[&slot]).await? {
        Some(row) => read(session, slot, &row).map(Some),
        None => Ok(None),
    }
}

fn read(session: &Session, slot: &str, row: &Row) -> Result<SlotState, Fault> {
    let foreign = |why: String| Fault::SlotForeign {
        place: session.place().to_owned(),
        slot: slot.to_owned(),
        why,
    };
    let (plugin, database): (Option<String>, Option<String>) = (row.get(0), row.get(1));
    if plugin.as_deref() != Some("pgoutput") {
        return Err(foreign("its plugin is not pgoutput".to_owned()));
    }
    let here: String = row.get(2);
    match database {
        Some(database) if database == here => {}
        other => return Err(foreign(format!("it is of the database {other:?}"))),
    }
    let confirmed: PgLsn = row.get(3);
    Ok(SlotState {
        confirmed_flush: Lsn(confirmed.into()),
        active: row.get(4),
        lost: row.get::<_, Option<bool>>(5).unwrap_or(false),
    })
}

pub(crate) fn usable(session: &Session, slot: &str, state: SlotState) -> Result<Lsn, Fault> {
    if state.lost {
        let place = session.place().to_owned();
        return Err(Fault::SlotLost { place, slot: slot.to_owned() });
    }
    Ok(state.confirmed_flush)
}

/// The slot, found, not lost, and read by nobody.
pub(crate) async fn wait_idle(session: &Session, slot: &str) -> Result<SlotState, Fault> {
    let began = Instant::now();
    loop {
        let (place, slot) = (session.place().to_owned(), slot.to_owned());
        let Some(state) = find_in(session, &slot).await? else {
            return Err(Fault::SlotMissing { place, slot });
        };
        match state.active {
            None => return Ok(state),
            Some(pid) if began.elapsed() > DEADLINE => {
                return Err(Fault::SlotBusy { place, slot, pid });
            }
            Some(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}
