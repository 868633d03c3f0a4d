//! What a link looks at at its source, beside the stream: its clock and end, its sequences.

use super::failure::LinkError;
use super::receive::PUBLICATION;
use super::shared::Shared;
use super::sql::Sql;
use super::{resume, sequences};
use mainstay_core::position::Lsn;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_secs(1);
/// A source whose end does not move for this long is given a record, so that its slot moves too
/// and holds back no history of other databases.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Looks once a second. When it cannot, the lag becomes unknown by itself; the stream goes on. The
/// error is one that must end the stream.
pub(super) async fn observe(shared: &Shared, watcher: Sql) -> LinkError {
    let mut watcher = Some(watcher);
    let mut heartbeat = Heartbeat { end: Lsn::default(), moved: Instant::now() };
    loop {
        let looked = match &watcher {
            Some(sql) => look(shared, sql, &mut heartbeat).await.map(|()| None),
            None => open(shared).await.map(Some),
        };
        match looked {
            Ok(None) => {}
            Ok(Some(sql)) => {
                watcher = Some(sql);
                continue;
            }
            Err(error @ (LinkError::Publication { .. } | LinkError::LargeObjects { .. })) => {
                return error;
            }
            Err(error) => {
                tracing::debug!(link = %shared.spec.name(), %error, "cannot look at the source");
                watcher = None;
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn open(shared: &Shared) -> Result<Sql, LinkError> {
    Sql::open(&shared.spec.source, &format!("watch {}", shared.spec.slot())).await
}

/// A publication that is missing, or is not of everything, leaves changes out without an error.
pub(super) async fn publication(sql: &Sql) -> Result<(), LinkError> {
    const WHOLE: &str = "SELECT FROM pg_publication WHERE pubname = $1 AND puballtables \
                         AND pubinsert AND pubupdate AND pubdelete AND pubtruncate \
                         AND NOT pubviaroot";
    match sql.rows("look at the publication", WHOLE, &[&PUBLICATION]).await?.len() {
        1 => Ok(()),
        _ => Err(LinkError::Publication { place: sql.place().to_owned() }),
    }
}

/// Logical decoding does not see them, so that they would be missing at the target.
pub(super) async fn large_objects(sql: &Sql) -> Result<(), LinkError> {
    const ANY: &str = "SELECT FROM pg_largeobject_metadata LIMIT 1";
    const COUNT: &str = "SELECT count(*) FROM pg_largeobject_metadata";
    if sql.rows("look for large objects", ANY, &[]).await?.is_empty() {
        return Ok(());
    }
    let rows = sql.rows("count the large objects", COUNT, &[]).await?;
    match rows.first().map_or(0, |row| row.get(0)) {
        0 => Ok(()),
        count => Err(LinkError::LargeObjects { place: sql.place().to_owned(), count }),
    }
}

struct Heartbeat {
    end: Lsn,
    moved: Instant,
}

async fn look(shared: &Shared, sql: &Sql, heartbeat: &mut Heartbeat) -> Result<(), LinkError> {
    // The clock first: at that time the history ended at or before what is read next.
    const LOOK: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, \
                        pg_current_wal_flush_lsn()::text";
    const BEAT: &str = "SELECT pg_logical_emit_message(false, 'mainstay', 'heartbeat')";
    let asked = Instant::now();
    let rows = sql.rows("read the source's clock and end", LOOK, &[]).await?;
    let Some(row) = rows.first() else { return Ok(()) };
    let end = resume::parse_lsn(sql, row.get(1))?;
    shared.sample(end, row.get(0), asked);
    publication(sql).await?;
    large_objects(sql).await?;
    let values = sequences::read(sql).await?;
    *shared.sequences.lock().unwrap_or_else(PoisonError::into_inner) = Some(values);
    if end != heartbeat.end {
        *heartbeat = Heartbeat { end, moved: Instant::now() };
    } else if heartbeat.moved.elapsed() >= HEARTBEAT {
        sql.rows("emit a heartbeat", BEAT, &[]).await?;
    }
    Ok(())
}
