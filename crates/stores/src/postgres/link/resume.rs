//! Where a link goes on: what the target says of its position, and the source of its slot.

use super::LinkSpec;
use super::failure::LinkError;
use super::sql::Sql;
use mainstay_core::Epoch;
use mainstay_core::position::Lsn;

/// What the target knows of the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AtTarget {
    Nothing,
    /// A first copy began and did not end.
    Copying,
    Position {
        at: Lsn,
        commit_micros: Option<i64>,
    },
}

/// The link's slot as the source has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slot {
    pub confirmed: Lsn,
    pub active_pid: Option<i32>,
    /// Why it cannot be used any more.
    pub lost: Option<String>,
}

/// Makes this session the only one that applies, under this link's epoch. Its commit is durable,
/// and with it the position that it found.
pub(super) async fn claim(sql: &Sql, spec: &LinkSpec) -> Result<AtTarget, LinkError> {
    const READ: &str = "SELECT epoch, position::text, commit_micros FROM mainstay.link \
                        WHERE name = $1";
    const CLAIM: &str = "UPDATE mainstay.link SET epoch = $2 WHERE name = $1 AND epoch <= $2";
    let name = spec.name();
    let ours = spec.epoch.number() as i64;
    let rows = sql.rows("read the link's position", READ, &[&name]).await?;
    let Some(row) = rows.first() else { return Ok(AtTarget::Nothing) };
    let seen: i64 = row.get(0);
    let claimed = seen <= ours
        && sql.execute("claim the link's position", CLAIM, &[&name, &ours]).await? == 1;
    if !claimed {
        return Err(stale(sql, spec, seen));
    }
    let Some(at) = row.get::<_, Option<&str>>(1) else { return Ok(AtTarget::Copying) };
    let at = parse_lsn(sql, at)?;
    Ok(AtTarget::Position { at, commit_micros: row.get(2) })
}

/// Ends sessions of this link that an earlier connection left behind: they could hold locks for as
/// long as the network takes to notice. Their work is safe either way, as the position guards it.
pub(super) async fn end_older_sessions(sql: &Sql, spec: &LinkSpec) -> Result<(), LinkError> {
    const END: &str = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity \
                       WHERE application_name = left($1, 63) AND pid <> pg_backend_pid() \
                       AND datname = current_database()";
    let application = format!("mainstay {}", spec.apply_session());
    sql.rows("end older sessions of the link", END, &[&application]).await?;
    Ok(())
}

/// Why the position could not be moved from `expected`: a newer epoch, or another session.
pub(super) async fn overtaken(sql: &Sql, spec: &LinkSpec, expected: Lsn) -> LinkError {
    const READ: &str = "SELECT epoch FROM mainstay.link WHERE name = $1";
    match sql.rows("read the link's epoch", READ, &[&spec.name()]).await {
        Err(error) => error,
        Ok(rows) => match rows.first().map(|row| row.get::<_, i64>(0)) {
            Some(seen) if seen != spec.epoch.number() as i64 => stale(sql, spec, seen),
            _ => LinkError::Overtaken { place: sql.place().to_owned(), expected },
        },
    }
}

fn stale(sql: &Sql, spec: &LinkSpec, seen: i64) -> LinkError {
    let seen = Epoch::new(u64::try_from(seen).unwrap_or(0));
    LinkError::StaleEpoch { place: sql.place().to_owned(), ours: spec.epoch, seen }
}

pub(super) fn parse_lsn(sql: &Sql, text: &str) -> Result<Lsn, LinkError> {
    text.parse().map_err(|_| LinkError::NotUnderstood {
        place: sql.place().to_owned(),
        what: format!("{text:?} is not a position"),
    })
}

pub(super) async fn find_slot(sql: &Sql, name: &str) -> Result<Option<Slot>, LinkError> {
    const FIND: &str = "SELECT coalesce(confirmed_flush_lsn, '0/0')::text, active_pid, \
                        CASE WHEN wal_status = 'lost' \
                             THEN coalesce(to_jsonb(s) ->> 'invalidation_reason', 'wal_removed') \
                        END \
                        FROM pg_replication_slots s WHERE slot_name = $1";
    let rows = sql.rows("look for the replication slot", FIND, &[&name]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let confirmed = parse_lsn(sql, row.get(0))?;
    Ok(Some(Slot { confirmed, active_pid: row.get(1), lost: row.get(2) }))
}

pub(super) async fn source_end(sql: &Sql) -> Result<Lsn, LinkError> {
    const END: &str = "SELECT pg_current_wal_flush_lsn()::text";
    let rows = sql.rows("read the end of the source's history", END, &[]).await?;
    parse_lsn(sql, rows.first().map_or("", |row| row.get(0)))
}

/// Whether a target at `position` can go on from this slot. Everything the target confirmed is
/// durable there, so a slot that was confirmed further means that the target was set back.
pub(super) fn check(
    place: &str,
    slot_name: &str,
    slot: Option<&Slot>,
    position: Lsn,
    source_end: Lsn,
) -> Result<(), LinkError> {
    let (place, slot_name) = (place.to_owned(), slot_name.to_owned());
    match slot {
        None => Err(LinkError::SlotMissing { place, slot: slot_name, position }),
        Some(Slot { lost: Some(why), .. }) => {
            Err(LinkError::SlotLost { place, slot: slot_name, why: why.clone() })
        }
        Some(Slot { confirmed, .. }) if *confirmed > position => {
            Err(LinkError::TargetRewound { place, position, confirmed: *confirmed })
        }
        Some(_) if position > source_end => {
            Err(LinkError::SourceRewound { place, end: source_end, position })
        }
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::failure::Verdict;
    use super::*;

    fn verdict(slot: Option<Slot>, position: u64, end: u64) -> Option<Verdict> {
        check("p", "s", slot.as_ref(), Lsn(position), Lsn(end)).err().map(|e| e.verdict())
    }

    #[test]
    fn a_link_goes_on_only_from_a_slot_that_holds_all_it_needs() {
        let slot = |confirmed, lost: Option<&str>| {
            let lost = lost.map(str::to_owned);
            Some(Slot { confirmed: Lsn(confirmed), active_pid: None, lost })
        };
        assert_eq!(verdict(slot(5, None), 5, 9), None);
        assert_eq!(verdict(slot(4, None), 5, 5), None);
        assert_eq!(verdict(None, 5, 9), Some(Verdict::Stop("MS-PG-120")));
        assert_eq!(verdict(slot(5, Some("wal_removed")), 5, 9), Some(Verdict::Stop("MS-PG-121")));
        assert_eq!(verdict(slot(6, None), 5, 9), Some(Verdict::Stop("MS-PG-203")));
        assert_eq!(verdict(slot(5, None), 9, 8), Some(Verdict::Stop("MS-PG-204")));
    }
}
