//! A pause: for a while no failover begins by itself.

use crate::{SiteName, Tick};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A person's word, kept in the record of the application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    pub by: String,
    /// Where it was asked for.
    pub site: SiteName,
    pub reason: String,
    /// When it was asked for, by that site's clock: for people.
    pub since_micros: i64,
    /// How much of it was left when the record was written. The active site writes it anew with
    /// every renewal, so that no two clocks need to agree on when it ends.
    pub left: Duration,
}

/// A pause as one agent counts it on its own clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenPause {
    pub pause: Pause,
    pub ends: Tick,
}

impl SeenPause {
    /// Takes in what the record says. Invariant: an agent that goes on never moves the end of one
    /// and the same pause to later.
    pub fn take(before: Option<SeenPause>, pause: Option<&Pause>, now: Tick) -> Option<SeenPause> {
        let pause = pause?.clone();
        let ends = now.plus(pause.left);
        let same = before.filter(|seen| seen.pause.is_same(&pause));
        let ends = same.map_or(ends, |seen| seen.ends.min(ends));
        Some(SeenPause { pause, ends })
    }

    /// The pause with what is left of it now; none when it is over.
    pub fn left(&self, now: Tick) -> Option<Pause> {
        let left = self.ends.since(now);
        (!left.is_zero()).then(|| self.pause.with_left(left))
    }
}

impl Pause {
    /// Whether it is the same word of the same person, however much of it is left.
    pub fn is_same(&self, other: &Pause) -> bool {
        self.with_left(other.left) == *other
    }

    fn with_left(&self, left: Duration) -> Pause {
        Pause { left, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pause(left: u64) -> Pause {
        Pause {
            by: "alice".to_owned(),
            site: SiteName::new("east").unwrap(),
            reason: "new disks".to_owned(),
            since_micros: 0,
            left: Duration::from_secs(left),
        }
    }

    fn at(seconds: u64) -> Tick {
        Tick::from_millis(seconds * 1000)
    }

    #[test]
    fn it_ends_by_the_clock_of_whoever_saw_it_although_nobody_counts_it_down() {
        let seen = SeenPause::take(None, Some(&pause(60)), at(100));
        let again = SeenPause::take(seen, Some(&pause(60)), at(140)).unwrap();
        assert_eq!(again.left(at(140)), Some(pause(20)));
        assert_eq!(again.left(at(160)), None);
    }

    #[test]
    fn the_active_sites_count_ends_it_sooner_and_never_later() {
        let seen = SeenPause::take(None, Some(&pause(60)), at(100));
        let sooner = SeenPause::take(seen, Some(&pause(10)), at(100)).unwrap();
        assert_eq!(sooner.ends, at(110));
        let later = SeenPause::take(Some(sooner), Some(&pause(50)), at(105)).unwrap();
        assert_eq!(later.ends, at(110));
    }

    #[test]
    fn another_pause_counts_anew_and_none_is_none() {
        let seen = SeenPause::take(None, Some(&pause(1)), at(100));
        let longer = Pause { since_micros: 1, ..pause(60) };
        let seen = SeenPause::take(seen, Some(&longer), at(100));
        assert_eq!(seen.as_ref().unwrap().ends, at(160));
        assert_eq!(SeenPause::take(seen, None, at(100)), None);
    }
}
