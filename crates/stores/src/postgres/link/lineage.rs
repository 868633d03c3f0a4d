//! Which history a position belongs to: the source's system identifier, its timeline, and where
//! each earlier timeline ended. A server that was promoted or restored goes on under a new
//! timeline; the same number then says something else on each side of where the two parted.

use super::LinkSpec;
use super::failure::LinkError;
use super::resume;
use super::shared::Shared;
use super::sql::Sql;
use crate::postgres::connect::place;
use crate::postgres::replication::{Replication, ReplicationError};
use mainstay_core::position::Lsn;
use std::cmp::Ordering;
use std::sync::PoisonError;

/// A source as it was when a position of it was written down, or as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lineage {
    /// Of the cluster; a standby and a restored backup have the same.
    pub system: String,
    pub timeline: u32,
    /// Earlier timelines, oldest first, each with the position at which it was left. None when
    /// the server has no history file of its timeline any more.
    pub left: Option<Vec<(u32, Lsn)>>,
}

impl Lineage {
    /// Why a target that has reached `reached` of `known` cannot go on from here. Nothing when
    /// everything up to there is part of this history too.
    fn unlike(&self, known: &Self, reached: Lsn) -> Option<String> {
        if self.system != known.system {
            return Some(format!(
                "it is another server: its system identifier is {}, and was {}",
                self.system, known.system
            ));
        }
        let (now, before) = (self.timeline, known.timeline);
        match now.cmp(&before) {
            Ordering::Less => Some(format!("it is on timeline {now}, and was on {before}")),
            Ordering::Equal => match (&self.left, &known.left) {
                (Some(these), Some(those)) if these != those => Some(format!(
                    "it is on another timeline {now} than before, one that parted elsewhere"
                )),
                _ => None,
            },
            Ordering::Greater => match self.where_left(known) {
                Some(at) if at >= reached => None,
                Some(at) => Some(format!(
                    "it went on under timeline {now}, which left timeline {before} at {at}, and \
                     the target has followed timeline {before} up to {reached}"
                )),
                None => Some(format!(
                    "it is on timeline {now}, which does not descend from timeline {before} as \
                     the target has followed it"
                )),
            },
        }
    }

    /// The position up to which this history and `known` are one.
    fn where_left(&self, known: &Self) -> Option<Lsn> {
        let left = self.left.as_ref()?;
        let found = left.iter().position(|(timeline, _)| *timeline == known.timeline)?;
        let same = known.left.as_ref().is_none_or(|before| left[..found] == before[..]);
        same.then(|| left[found].1)
    }

    /// As `mainstay.link` holds it: `1 0/3000148,2 0/5000060`.
    fn written(&self) -> Option<String> {
        let left = self.left.as_ref()?;
        let one = |(timeline, at): &(u32, Lsn)| format!("{timeline} {at}");
        Some(left.iter().map(one).collect::<Vec<_>>().join(","))
    }

    fn read_written(text: &str) -> Option<Vec<(u32, Lsn)>> {
        text.split(',').filter(|one| !one.is_empty()).map(entry).collect()
    }
}

/// A history file has a line for each earlier timeline: its number, where it was left, and why
/// (PostgreSQL source, `timeline.c`).
fn history(file: &str) -> Option<Vec<(u32, Lsn)>> {
    let lines = file.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(entry).collect()
}

fn entry(line: &str) -> Option<(u32, Lsn)> {
    let mut words = line.split_whitespace();
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

/// The source that this connection leads to.
pub(super) async fn read(
    spec: &LinkSpec,
    connection: &mut Replication,
) -> Result<Lineage, LinkError> {
    let not_understood = |what: &str| LinkError::NotUnderstood {
        place: place(&spec.source),
        what: format!("{what} is not as expected"),
    };
    // Columns: systemid, timeline, xlogpos, dbname.
    let rows = connection.simple_query("IDENTIFY_SYSTEM").await?;
    let field = |column: usize| rows.first()?.get(column)?.clone();
    let named = || Some((field(0)?, field(1)?.parse::<u32>().ok()?));
    let (system, timeline) = named().ok_or_else(|| not_understood("its system identifier"))?;
    if timeline == 1 {
        return Ok(Lineage { system, timeline, left: Some(Vec::new()) });
    }
    let left = match connection.simple_query(&format!("TIMELINE_HISTORY {timeline}")).await {
        // Columns: filename, content.
        Ok(rows) => {
            let content = rows.first().and_then(|row| row.get(1)?.as_deref());
            let left = content.and_then(history);
            Some(left.ok_or_else(|| not_understood("the history of its timeline"))?)
        }
        Err(ReplicationError::Refused { sqlstate, .. }) if sqlstate == NO_FILE => None,
        Err(error) => return Err(error.into()),
    };
    Ok(Lineage { system, timeline, left })
}

/// `undefined_file`
const NO_FILE: &str = "58P01";

/// The source's lineage, when everything that this link has of it, applied or in memory, is part
/// of that history.
pub(super) async fn check(
    shared: &Shared,
    connection: &mut Replication,
) -> Result<Lineage, LinkError> {
    let now = read(&shared.spec, connection).await?;
    let reached = shared.queue.tail().max(shared.applied()).unwrap_or_default();
    match known(shared).and_then(|known| now.unlike(&known, reached)) {
        Some(what) => Err(LinkError::SourceParted { place: place(&shared.spec.source), what }),
        None => Ok(now),
    }
}

/// Whether it is in any way another one than that of which the target has rows.
pub(super) async fn is_another(
    shared: &Shared,
    connection: &mut Replication,
) -> Result<bool, LinkError> {
    let now = read(&shared.spec, connection).await?;
    Ok(known(shared).is_some_and(|known| known != now))
}

fn known(shared: &Shared) -> Option<Lineage> {
    shared.lineage.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn know(shared: &Shared, lineage: Option<Lineage>) {
    *shared.lineage.lock().unwrap_or_else(PoisonError::into_inner) = lineage;
}

/// What the target says of the history that its position belongs to: nothing, when that was
/// written before Mainstay kept it, or by other means than a link.
pub(super) async fn recall(shared: &Shared, target: &Sql) -> Result<(), LinkError> {
    const READ: &str = "SELECT source_system, source_timeline, source_history \
                        FROM mainstay.link WHERE name = $1 AND source_timeline IS NOT NULL";
    let rows = target.rows("read the link's timeline", READ, &[&shared.spec.name()]).await?;
    let lineage = rows.first().map(|row| Lineage {
        system: row.get::<_, Option<String>>(0).unwrap_or_default(),
        timeline: u32::try_from(row.get::<_, i64>(1)).unwrap_or_default(),
        left: row.get::<_, Option<&str>>(2).and_then(Lineage::read_written),
    });
    know(shared, lineage);
    Ok(())
}

/// Writes it down at the target, before anything of it is applied there.
pub(super) async fn keep(shared: &Shared, lineage: Lineage) -> Result<(), LinkError> {
    if known(shared).as_ref() == Some(&lineage) {
        return Ok(());
    }
    let target = Sql::open(&shared.spec.target, "timeline").await?;
    keep_by(shared, &target, lineage).await
}

pub(super) async fn keep_by(
    shared: &Shared,
    target: &Sql,
    lineage: Lineage,
) -> Result<(), LinkError> {
    const KEEP: &str = "UPDATE mainstay.link SET source_system = $3, source_timeline = $4, \
                        source_history = $5 WHERE name = $1 AND epoch = $2";
    let spec = &shared.spec;
    let (name, epoch) = (spec.name(), spec.epoch.number() as i64);
    let (timeline, left) = (i64::from(lineage.timeline), lineage.written());
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
        [&name, &epoch, &lineage.system, &timeline, &left];
    let doing = "write down the source's timeline";
    // A change of the timeline is as durable as the position that belongs to it.
    target.batch(doing, "SET synchronous_commit = on").await?;
    if target.execute(doing, KEEP, &values).await? != 1 {
        return Err(resume::overtaken(target, spec, shared.applied().unwrap_or_default()).await);
    }
    tracing::info!(link = %name, system = lineage.system, timeline, "the source's timeline");
    know(shared, Some(lineage));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lineage(timeline: u32, left: &str) -> Lineage {
        Lineage { system: "7".to_owned(), timeline, left: Lineage::read_written(left) }
    }

    fn goes_on(now: &Lineage, known: &Lineage, reached: u64) -> bool {
        now.unlike(known, Lsn(reached)).is_none()
    }

    #[test]
    fn a_link_goes_on_only_in_a_history_that_has_all_that_it_reached() {
        let (first, second) = (lineage(1, ""), lineage(2, "1 0/50"));
        assert!(goes_on(&first, &first, 0x99));
        assert!(goes_on(&second, &first, 0x4F) && goes_on(&second, &first, 0x50));
        assert!(!goes_on(&second, &first, 0x51));
        assert!(goes_on(&second, &second, 0x99));
        // The old primary came back.
        assert!(!goes_on(&first, &second, 0x10));
        // Two standbys were promoted, each of them to timeline 2.
        assert!(!goes_on(&lineage(2, "1 0/60"), &second, 0x10));
        let third = lineage(3, "1 0/50,2 0/80");
        assert!(goes_on(&third, &second, 0x80) && !goes_on(&third, &second, 0x81));
        assert!(goes_on(&third, &first, 0x50) && !goes_on(&third, &first, 0x51));
        // It came of timeline 1 beside timeline 2, or of another timeline 2.
        assert!(!goes_on(&lineage(3, "1 0/50"), &second, 0x10));
        assert!(!goes_on(&lineage(3, "1 0/60,2 0/80"), &second, 0x10));
        assert!(!goes_on(&Lineage { system: "8".to_owned(), ..first.clone() }, &first, 0));
    }

    #[test]
    fn without_a_history_file_only_the_same_timeline_goes_on() {
        let bare = Lineage { left: None, ..lineage(2, "") };
        assert!(goes_on(&bare, &lineage(2, "1 0/50"), 0x99) && goes_on(&bare, &bare, 0x99));
        assert!(!goes_on(&bare, &lineage(1, ""), 0x10));
        assert!(goes_on(&lineage(3, "1 0/50,2 0/80"), &bare, 0x80));
    }

    #[test]
    fn a_history_file_is_read_and_written_down() {
        let file = "1\t0/3000148\tno recovery target specified\n\n# by hand\n2\tA/5000060\twhy\n";
        let left = history(file);
        assert_eq!(left, Some(vec![(1, Lsn(0x300_0148)), (2, Lsn(0xA_0500_0060))]));
        let lineage = Lineage { left: left.clone(), ..lineage(3, "") };
        assert_eq!(lineage.written().as_deref(), Some("1 0/3000148,2 A/5000060"));
        assert_eq!(lineage.written().as_deref().and_then(Lineage::read_written), left);
        assert_eq!(history("not a timeline"), None);
    }
}
