//! What comparisons of one store say at this site, which receives its link: the one under way or
//! the last one, what is proved, and when the next is due. Nothing of it outlives the agent: an
//! agent that was killed in the middle knows nothing.

use crate::error::Refused;
use crate::rechecking::Rechecking;
use crate::stores::{Compared, Progress};
use crate::time::unix_micros;
use crate::types::{ApiError, ComparisonState, Equality, EqualityView, ProvedAt, Recheck};
use mainstay_core::{Epoch, LinkPhase, Position, SiteName, StoreName, Tick};
use mainstay_stores::postgres::compare::Rechecked;
use std::cmp::Ordering;
use std::time::Duration;

/// The first comparison follows so long after the link first streams, or sooner where they are
/// made more often.
const FIRST: Duration = Duration::from_secs(5 * 60);
/// One that was not finished is made again after this, or sooner.
const AGAIN: Duration = Duration::from_secs(15 * 60);

/// Invariant: equal is only said while the link has streamed ever since, without a break.
#[derive(Default)]
pub struct Comparing {
    /// The one under way, or the last.
    pub job: Option<Job>,
    equality: Option<Equality>,
    last_equal: Option<ProvedAt>,
    trouble: Option<String>,
    /// The link's, and how often it was interrupted.
    epoch: Epoch,
    streams: bool,
    interruptions: u64,
    next: Option<Tick>,
    /// Of rows that the link changed.
    pub rechecks: Rechecking,
}

impl Comparing {
    /// A new epoch has another history, to which no position of an earlier one belongs.
    pub fn link_began(&mut self, epoch: Epoch) {
        if epoch != self.epoch {
            self.epoch = epoch;
            self.equality = None;
            self.last_equal = None;
            self.rechecks = Rechecking::default();
        }
        self.interrupt("the link began anew");
    }

    pub fn link_is(&mut self, phase: &LinkPhase) {
        let streams = *phase == LinkPhase::Streaming;
        if self.streams && !streams {
            self.interrupt("the link was interrupted");
        }
        self.streams = streams;
        // What differed is copied anew.
        if matches!(phase, LinkPhase::Copying { .. }) {
            self.equality = None;
            self.rechecks.forget_found();
        }
    }

    fn interrupt(&mut self, why: &str) {
        self.interruptions += 1;
        if matches!(self.equality, Some(Equality::Equal(_))) {
            let why = format!("{why} since it was proved");
            self.equality = Some(Equality::Unknown { why });
        }
    }

    pub fn interruptions(&self) -> u64 {
        self.interruptions
    }

    /// Takes in what was found for certain, and how often the link had been interrupted when it
    /// began.
    pub fn proved(&mut self, found: &Compared, interruptions: u64) {
        let position = found.position();
        let at = ProvedAt { position, since: found.since(), micros: unix_micros() };
        if found.is_equal() && self.differs_after(position) {
            self.last_equal = Some(at);
            return;
        }
        self.rechecks.forget_found();
        self.equality = Some(if found.is_equal() {
            self.last_equal = Some(at.clone());
            match interruptions == self.interruptions {
                true => Equality::Equal(at),
                false => {
                    let why = "the link was interrupted while it was proved".to_owned();
                    Equality::Unknown { why }
                }
            }
        } else {
            Equality::Different { at, rows: found.differences(), tables: found.tables() }
        });
    }

    /// A recheck found a difference at a later position, while a comparison was reading.
    fn differs_after(&self, position: Position) -> bool {
        matches!(&self.equality, Some(Equality::Different { at, .. })
            if at.position.partial_cmp(&position) == Some(Ordering::Greater))
    }

    /// Takes in what a recheck found under the link's epoch. One that found nothing proves nothing. A
    /// comparison that found more is not forgotten for it.
    pub fn rechecked(&mut self, made: Option<Recheck>, epoch: Epoch, now: Tick) {
        if epoch != self.epoch {
            return;
        }
        if let Some(Recheck { micros, of }) = &made
            && of.is_different()
            && !self.says_more(of)
        {
            let position = Position::Postgres(of.position);
            let at = ProvedAt { position, since: None, micros: *micros };
            let (rows, tables) = (of.differing_rows, of.differing_tables);
            self.equality = Some(Equality::Different { at, rows, tables });
        }
        self.rechecks.made(made, now);
    }

    /// What is known is of more rows, or of a later position.
    fn says_more(&self, of: &Rechecked) -> bool {
        match &self.equality {
            Some(Equality::Different { rows, .. }) => *rows > of.differing_rows,
            Some(Equality::Equal(at)) => at.position >= Position::Postgres(of.position),
            Some(Equality::Unknown { .. }) | None => false,
        }
    }

    /// The job's end, whatever it was, and when the next is due where they are made every so often.
    pub fn ended(&mut self, made: Result<Compared, Refused>, every: Option<Duration>, now: Tick) {
        self.trouble = made.as_ref().err().map(|refused| refused.what.clone());
        let pause = if made.is_ok() { every } else { every.map(|every| every.min(AGAIN)) };
        self.next = pause.map(|pause| now.plus(pause));
        if let Some(job) = &mut self.job {
            job.end(made);
        }
    }

    /// Asked while the link streams.
    pub fn is_due(&mut self, every: Duration, now: Tick) -> bool {
        let next = *self.next.get_or_insert(now.plus(every.min(FIRST)));
        now >= next && !self.job.as_ref().is_some_and(Job::is_running)
    }

    pub fn view(&self, store: &StoreName, from: &SiteName, to: &SiteName) -> EqualityView {
        let never = || Equality::Unknown {
            why: format!("not compared since the link or the agent of {to} began"),
        };
        EqualityView {
            store: store.clone(),
            from: from.clone(),
            to: to.clone(),
            equality: self.equality.clone().unwrap_or_else(never),
            last_equal: self.last_equal.clone(),
            trouble: self.trouble.clone(),
            rechecks: self.rechecks.view(),
        }
    }
}

pub struct Job {
    pub started_micros: i64,
    progress: Option<Progress>,
    /// When reading began, and when the progress was told last.
    began: Option<Tick>,
    told: Tick,
    outcome: Option<Outcome>,
}

enum Outcome {
    Ended { ended_micros: i64, result: Box<Compared> },
    Failed { ended_micros: i64, error: ApiError },
}

impl Job {
    pub fn begin() -> Self {
        Self {
            started_micros: unix_micros(),
            progress: None,
            began: None,
            told: Tick::default(),
            outcome: None,
        }
    }

    pub fn is_running(&self) -> bool {
        self.outcome.is_none()
    }

    pub fn tell(&mut self, progress: Progress, now: Tick) {
        self.began.get_or_insert(now);
        self.told = now;
        self.progress = Some(progress);
    }

    pub fn end(&mut self, outcome: Result<Compared, Refused>) {
        let ended_micros = unix_micros();
        self.outcome = Some(match outcome {
            Ok(result) => Outcome::Ended { ended_micros, result: Box::new(result) },
            Err(why) => Outcome::Failed { ended_micros, error: why.to_api() },
        });
    }

    pub fn state(&self, now: Tick) -> ComparisonState {
        match &self.outcome {
            None => ComparisonState::Running {
                progress: self.progress.clone(),
                seconds_left: self.seconds_left(now),
            },
            Some(Outcome::Ended { ended_micros, result }) => {
                ComparisonState::Ended { ended_micros: *ended_micros, result: result.clone() }
            }
            Some(Outcome::Failed { ended_micros, error }) => {
                ComparisonState::Failed { ended_micros: *ended_micros, error: error.clone() }
            }
        }
    }

    /// From the pace of what was read. None before the first, and when a part takes
    /// longer than that pace says: nothing is known then.
    fn seconds_left(&self, now: Tick) -> Option<u64> {
        let (done, total) = self.progress.as_ref()?.parts();
        let took = self.told.since(self.began?).as_secs_f64();
        if done == 0 || took <= 0.0 {
            return None;
        }
        let all = took * total.saturating_sub(done) as f64 / done as f64;
        let left = all - now.since(self.told).as_secs_f64();
        (left > 0.0).then_some(left.ceil() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_core::position::Lsn;
    use mainstay_stores::postgres::compare::{self, Comparison, TableComparison};

    fn at(seconds: u64) -> Tick {
        Tick::from_millis(seconds * 1000)
    }

    fn read(bytes: u64) -> Progress {
        let progress = compare::Progress::default();
        Progress::Postgres(compare::Progress { bytes, total_bytes: 400, ..progress })
    }

    fn left(job: &Job, seconds: u64) -> Option<u64> {
        match job.state(at(seconds)) {
            ComparisonState::Running { seconds_left, .. } => seconds_left,
            _ => None,
        }
    }

    fn found(equal: bool) -> Compared {
        let table =
            TableComparison { differences: u64::from(!equal), ..TableComparison::default() };
        Compared::Postgres(Comparison {
            position: Lsn(7),
            equal,
            tables: vec![table],
            sequences: Vec::new(),
            notes: Vec::new(),
            bytes: 0,
            seconds: 0.0,
        })
    }

    fn at_position(position: u64) -> Compared {
        match found(true) {
            Compared::Postgres(found) => {
                Compared::Postgres(Comparison { position: Lsn(position), ..found })
            }
            other => other,
        }
    }

    fn pg(lsn: u64) -> Position {
        Position::Postgres(Lsn(lsn))
    }

    fn streaming() -> Comparing {
        let mut it = Comparing::default();
        it.link_began(Epoch::new(1));
        it.link_is(&LinkPhase::Starting);
        it.link_is(&LinkPhase::Streaming);
        it
    }

    fn word(it: &Comparing) -> &'static str {
        let [east, west] = ["east", "west"].map(|name| SiteName::new(name).unwrap());
        match it.view(&StoreName::new("db").unwrap(), &east, &west).equality {
            Equality::Unknown { .. } => "unknown",
            Equality::Equal(_) => "equal",
            Equality::Different { .. } => "different",
        }
    }

    fn prove(it: &mut Comparing, equal: bool) {
        let interruptions = it.interruptions();
        it.proved(&found(equal), interruptions);
    }

    #[test]
    fn equal_is_unknown_again_when_the_link_breaks_and_different_stays_until_it_is_copied() {
        let mut it = streaming();
        assert_eq!(word(&it), "unknown");
        prove(&mut it, true);
        assert_eq!(word(&it), "equal");
        it.link_is(&LinkPhase::Streaming);
        assert_eq!(word(&it), "equal");
        it.link_is(&LinkPhase::Disconnected { reason: String::new() });
        it.link_is(&LinkPhase::Streaming);
        assert_eq!(word(&it), "unknown");
        assert_eq!(it.last_equal.as_ref().unwrap().position, pg(7), "it was, at that position");
        prove(&mut it, false);
        it.link_began(Epoch::new(1));
        assert_eq!(word(&it), "different");
        let copying = LinkPhase::Copying {
            tables_done: 0,
            tables: 1,
            rows: 0,
            bytes: 0,
            total_bytes: 0,
            keys_done: 0,
            keys: 0,
            seconds_left: None,
        };
        it.link_is(&copying);
        assert_eq!(word(&it), "unknown");
        prove(&mut it, true);
        it.link_began(Epoch::new(2));
        assert_eq!((word(&it), it.last_equal.clone()), ("unknown", None), "another history");
    }

    fn recheck(position: u64, differing_rows: u64) -> Option<Recheck> {
        let of = Rechecked {
            position: Lsn(position),
            changes: 9,
            rows: 9,
            unread: 0,
            differing_rows,
            differing_tables: u64::from(differing_rows > 0),
            differing: Vec::new(),
            stood_ms: 0,
        };
        Some(Recheck { micros: 0, of })
    }

    fn differs(it: &Comparing) -> Option<(u64, Position)> {
        match &it.equality {
            Some(Equality::Different { at, rows, .. }) => Some((*rows, at.position)),
            _ => None,
        }
    }

    #[test]
    fn a_recheck_says_what_differs_and_never_that_all_is_equal() {
        let (mut it, first) = (streaming(), Epoch::new(1));
        it.rechecked(recheck(1, 0), first, at(1));
        assert_eq!(word(&it), "unknown");
        prove(&mut it, true);
        it.rechecked(recheck(8, 0), first, at(2));
        it.rechecked(None, first, at(3));
        assert_eq!((word(&it), it.rechecks.view().last), ("equal", recheck(8, 0)));
        it.rechecked(recheck(9, 2), first, at(4));
        assert_eq!(differs(&it), Some((2, pg(9))));
        it.rechecked(recheck(10, 0), first, at(5));
        it.rechecked(recheck(11, 1), first, at(6));
        assert_eq!(differs(&it), Some((2, pg(9))), "neither mends what was found");
        assert_eq!(it.rechecks.view().found, recheck(11, 1));
    }

    #[test]
    fn a_comparison_answers_a_recheck_only_at_a_later_position() {
        let (mut it, first) = (streaming(), Epoch::new(1));
        let prove = |it: &mut Comparing, position| {
            let interruptions = it.interruptions();
            it.proved(&at_position(position), interruptions);
        };
        it.rechecked(recheck(9, 2), first, at(1));
        prove(&mut it, 8);
        assert_eq!(differs(&it), Some((2, pg(9))), "it had read before the row was spoilt");
        assert_eq!(it.last_equal.as_ref().unwrap().position, pg(8));
        prove(&mut it, 10);
        assert_eq!((word(&it), it.rechecks.view().found), ("equal", None));
        it.rechecked(recheck(9, 2), first, at(2));
        assert_eq!(differs(&it), None, "it was so, and is equal by now");
    }

    #[test]
    fn a_recheck_of_an_earlier_history_says_nothing_of_this_one() {
        let mut it = streaming();
        it.rechecked(recheck(5, 1), Epoch::new(1), at(1));
        it.link_began(Epoch::new(2));
        assert_eq!((word(&it), it.rechecks.view().last), ("unknown", None));
        it.rechecked(recheck(6, 1), Epoch::new(1), at(2));
        assert_eq!((word(&it), it.rechecks.view().last), ("unknown", None));
    }

    #[test]
    fn a_link_that_broke_while_it_was_compared_is_not_equal_now() {
        let mut it = streaming();
        let before = it.interruptions();
        it.link_is(&LinkPhase::Disconnected { reason: String::new() });
        it.link_is(&LinkPhase::Streaming);
        it.proved(&found(true), before);
        assert_eq!(word(&it), "unknown");
        assert!(it.last_equal.is_some());
    }

    #[test]
    fn the_next_comparison_is_due_after_its_time_and_sooner_after_one_that_failed() {
        let (mut it, day) = (streaming(), Duration::from_secs(86_400));
        assert!(!it.is_due(day, at(10)));
        assert!(
            !it.is_due(day, at(309)) && it.is_due(day, at(310)),
            "five minutes after it streams"
        );
        it.job = Some(Job::begin());
        assert!(!it.is_due(day, at(400)), "one is under way");
        it.ended(Err(Refused::new("MS-AGENT-014", "why", "advice")), Some(day), at(400));
        assert_eq!(it.trouble.as_deref(), Some("why"));
        assert!(!it.is_due(day, at(1299)) && it.is_due(day, at(1300)), "a quarter of an hour");
        it.ended(Ok(found(true)), Some(day), at(2000));
        assert_eq!(it.trouble, None);
        assert!(!it.is_due(day, at(88_399)) && it.is_due(day, at(88_400)));
    }

    #[test]
    fn the_time_left_follows_the_pace_so_far_and_is_unknown_when_that_is_broken() {
        let mut job = Job::begin();
        assert_eq!(left(&job, 5), None, "nothing is read");
        job.tell(read(0), at(10));
        assert_eq!(left(&job, 15), None, "no table is done");
        job.tell(read(100), at(20));
        assert_eq!(left(&job, 20), Some(30));
        assert_eq!(left(&job, 45), Some(5));
        assert_eq!(left(&job, 51), None, "a table takes longer than its size says");
    }
}
