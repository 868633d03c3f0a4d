//! What the writers' logs say, and nothing else: who accepted what, and when.

use super::writer::Line;
use crate::clients::log::{Moment, Tail};
use crate::network::spaces::place_at;
use std::path::Path;

/// A write that was acknowledged.
#[derive(Debug, Clone)]
pub struct Accepted {
    pub id: String,
    /// The site whose database has it.
    pub by: &'static str,
    pub sent_us: i64,
    pub at_us: i64,
    /// On the wall clock: when the database wrote it, and when the client knew.
    pub written_wall_us: i64,
    pub at_wall_us: i64,
}

#[derive(Debug, Default)]
pub struct Record {
    /// In the order in which they were acknowledged.
    pub accepted: Vec<Accepted>,
    pub refused: Vec<Line>,
}

impl Record {
    pub fn read(folder: &Path) -> std::io::Result<Self> {
        let mut lines: Vec<Line> = Vec::new();
        Tail::new(folder.to_owned()).read_new(&mut lines)?;
        let mut record = Self::default();
        for line in lines {
            let by = line.by.as_deref().and_then(place_at);
            match by.zip(line.written_us) {
                Some((by, written_wall_us)) => record.accepted.push(Accepted {
                    by,
                    id: line.id,
                    sent_us: line.sent.mono_us,
                    at_us: line.at.mono_us,
                    written_wall_us,
                    at_wall_us: line.at.wall_us,
                }),
                None => record.refused.push(line),
            }
        }
        record.accepted.sort_by_key(|it| it.at_us);
        Ok(record)
    }

    pub fn by<'a>(&'a self, site: &'a str) -> impl DoubleEndedIterator<Item = &'a Accepted> {
        self.accepted.iter().filter(move |it| it.by == site)
    }

    /// The first write that was sent after that moment and accepted by the site.
    pub fn first_by<'a>(&'a self, site: &'a str, after: Moment) -> Option<&'a Accepted> {
        self.by(site).find(|it| it.sent_us >= after.mono_us)
    }

    /// How often another site than before accepted the next write.
    pub fn moves(&self) -> usize {
        self.accepted.windows(2).filter(|two| two[0].by != two[1].by).count()
    }

    /// For how long both sites can have been writable when one took over from the other, at most:
    /// from when the new one's database wrote its first row, until the last write that the old one
    /// accepted was acknowledged.
    pub fn overlap_us(&self, old: &str, new: &str) -> i64 {
        let last = self.by(old).next_back().map(|it| it.at_wall_us);
        let first = self.by(new).map(|it| it.written_wall_us).min();
        last.zip(first).map_or(0, |(last, first)| (last - first).max(0))
    }

    /// The longest time without an acknowledged write after that moment, over both sites.
    pub fn longest_gap_us(&self, after: Moment) -> i64 {
        let times = self.accepted.iter().map(|it| it.at_us).filter(|at| *at >= after.mono_us);
        let times: Vec<i64> = times.collect();
        times.windows(2).map(|two| two[1] - two[0]).max().unwrap_or(0)
    }
}
