//! How far the first copy is, for those who watch.

use super::super::shared::Shared;
use mainstay_core::LinkPhase;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often those who watch are told, however fast the pieces come.
const TELL: Duration = Duration::from_millis(200);
/// A speed that was measured for less than this says little.
const MEASURED: Duration = Duration::from_secs(2);

pub(super) struct Progress<'a> {
    shared: &'a Shared,
    counts: Mutex<Counts>,
}

#[derive(Clone)]
struct Counts {
    tables_done: u32,
    tables: u32,
    rows: u64,
    bytes: u64,
    /// Of `bytes`, those that an earlier attempt had copied.
    before: u64,
    total_bytes: u64,
    keys_done: u32,
    keys: u32,
    begun: Instant,
    told: Instant,
}

/// What there is to do, and what an earlier attempt has done.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Extent {
    pub tables_done: u32,
    pub tables: u32,
    pub rows: u64,
    pub bytes: u64,
    pub total_bytes: u64,
    pub keys: u32,
}

impl<'a> Progress<'a> {
    pub fn begin(shared: &'a Shared, extent: Extent) -> Self {
        let begun = Instant::now();
        let Extent { tables_done, tables, rows, bytes, total_bytes, keys } = extent;
        let total_bytes = total_bytes.max(bytes);
        let counts = Counts {
            tables_done,
            tables,
            rows,
            bytes,
            before: bytes,
            total_bytes,
            keys_done: 0,
            keys,
            begun,
            told: begun,
        };
        let progress = Self { shared, counts: Mutex::new(counts) };
        progress.tell();
        progress
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes of a piece were sent to the target.
    pub fn moved(&self, bytes: u64) {
        let mut counts = self.lock();
        counts.bytes = (counts.bytes + bytes).min(counts.total_bytes);
        let due = counts.told.elapsed() >= TELL;
        drop(counts);
        if due {
            self.tell();
        }
    }

    /// A piece is at the target, committed.
    pub fn piece(&self, rows: u64) {
        self.lock().rows += rows;
    }

    pub fn table(&self) {
        self.lock().tables_done += 1;
        self.tell();
    }

    pub fn key(&self) {
        self.lock().keys_done += 1;
        self.tell();
    }

    pub fn tell(&self) {
        let mut counts = self.lock();
        counts.told = Instant::now();
        let phase = counts.phase();
        drop(counts);
        self.shared.copying(Some(phase));
    }
}

impl Counts {
    fn phase(&self) -> LinkPhase {
        LinkPhase::Copying {
            tables_done: self.tables_done,
            tables: self.tables,
            rows: self.rows,
            bytes: self.bytes,
            total_bytes: self.total_bytes,
            keys_done: self.keys_done,
            keys: self.keys,
            seconds_left: seconds_left(
                self.bytes - self.before,
                self.total_bytes - self.bytes,
                self.begun.elapsed(),
            ),
        }
    }
}

/// Of the rows; how long the keys take is not known. None until a speed is known.
fn seconds_left(copied: u64, left: u64, within: Duration) -> Option<u64> {
    if copied == 0 || left == 0 || within < MEASURED {
        return None;
    }
    let left = left as f64 / copied as f64 * within.as_secs_f64();
    Some(left.ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_unknown_until_it_was_measured() {
        let seconds = Duration::from_secs;
        assert_eq!(seconds_left(0, 100, seconds(9)), None);
        assert_eq!(seconds_left(50, 100, seconds(1)), None);
        assert_eq!(seconds_left(50, 100, seconds(10)), Some(20));
        assert_eq!(seconds_left(100, 0, seconds(10)), None);
    }
}
