//! What the source keeps for the link's slot. It is looked at as long as there is a link, also
//! while it copies, stands still or has stopped: just then history is held back.

use super::failure::LinkError;
use super::shared::Shared;
use super::sql::Sql;
use mainstay_core::Retained;
use std::time::Duration;

const EVERY: Duration = Duration::from_secs(1);
/// After it could not be looked at.
const LATER: Duration = Duration::from_secs(5);
/// Without an answer for this long nothing is known any more.
const PATIENCE: Duration = Duration::from_secs(10);

/// A slot lets go of history only where the server wrote down which transactions were open. It
/// does so now and then, and with a checkpoint, which then drops what the slot has not let go of
/// yet: also when everything was applied just before. PostgreSQL 15 has no such function.
const MOVE_ON: &str = "DO $$ BEGIN \
    IF to_regproc('pg_catalog.pg_log_standby_snapshot') IS NOT NULL THEN \
        PERFORM pg_catalog.pg_log_standby_snapshot(); \
    END IF; END $$";

/// Never ends by itself.
pub(super) async fn watch(shared: &Shared) {
    let mut session = None;
    loop {
        let looked = tokio::time::timeout(PATIENCE, look(shared, &mut session)).await;
        let wait = match looked {
            Ok(Ok(retained)) => {
                shared.retained(retained);
                EVERY
            }
            Ok(Err(error)) => {
                tracing::debug!(link = %shared.spec.name(), %error, "cannot look at the slot");
                LATER
            }
            Err(_) => LATER,
        };
        if wait == LATER {
            session = None;
            shared.retained(None);
        }
        tokio::time::sleep(wait).await;
    }
}

/// None while there is no slot, or it has lost what it kept.
async fn look(shared: &Shared, session: &mut Option<Sql>) -> Result<Option<Retained>, LinkError> {
    // `wal_keep_size` raises the bound (PostgreSQL source, `pg_get_replication_slots`).
    const LOOK: &str = "\
        SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::int8, safe_wal_size, \
               CASE WHEN safe_wal_size IS NOT NULL THEN \
                   greatest(pg_size_bytes(current_setting('max_slot_wal_keep_size')), \
                            pg_size_bytes(current_setting('wal_keep_size'))) END, \
               wal_status = 'unreserved' \
        FROM pg_replication_slots \
        WHERE slot_name = $1 AND restart_lsn IS NOT NULL AND wal_status <> 'lost'";
    let slot = shared.spec.slot();
    let sql = match session {
        Some(sql) => sql,
        None => session.insert(Sql::open(&shared.spec.source, &format!("retained {slot}")).await?),
    };
    let rows = sql.rows("look at what the slot keeps", LOOK, &[&slot]).await?;
    let bytes = |number: i64| u64::try_from(number).unwrap_or_default();
    let retained = rows.first().map(|row| Retained {
        bytes: bytes(row.get(0)),
        left: row.get::<_, Option<i64>>(1).map(bytes),
        bound: row.get::<_, Option<i64>>(2).map(bytes),
        unreserved: row.get(3),
    });
    if retained.is_some_and(|retained| retained.is_scarce()) {
        sql.batch("let the slot move on", MOVE_ON).await?;
    }
    Ok(retained)
}
