//! The age of the oldest change that the target has not applied, on the source's own clock.

use mainstay_core::Lag;
use mainstay_core::position::Lsn;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Without word from the source for this long, the lag is unknown.
pub(super) const SILENCE: Duration = Duration::from_secs(3);
/// Samples of the source's end that are kept while the target is behind them.
const MOST_SAMPLES: usize = 512;

/// A message that waited in a buffer shows an old time. One that is older than expected by more
/// than this means that the source's clock was set back.
const CLOCK_SET_BACK: i64 = 60_000_000;

/// The source's clock as it was at an instant here.
#[derive(Debug, Clone, Copy)]
struct Clock {
    micros: i64,
    at: Instant,
}

impl Clock {
    fn now(self, now: Instant) -> i64 {
        let elapsed = now.saturating_duration_since(self.at).as_micros();
        self.micros.saturating_add(i64::try_from(elapsed).unwrap_or(i64::MAX))
    }
}

/// At `micros` on the source's clock, its history ended at or before `end`.
#[derive(Debug, Clone, Copy)]
struct Sample {
    end: Lsn,
    micros: i64,
    /// When it was asked for here, which was before that.
    asked: Instant,
}

/// What is known of the source's time and end. Instants come in as arguments.
#[derive(Debug, Default)]
pub(super) struct LagMeter {
    clock: Option<Clock>,
    heard: Option<Instant>,
    sampled: Option<Instant>,
    samples: VecDeque<Sample>,
    /// Clock of the newest sample that is wholly applied.
    covered_micros: Option<i64>,
    /// When the newest sample that is wholly applied was asked for.
    complete: Option<Instant>,
}

impl LagMeter {
    /// Nothing is known any more: the connection was lost.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// The stream brought a message that was sent at `micros` on the source's clock.
    pub fn hear(&mut self, micros: i64, now: Instant) {
        self.heard = Some(now);
        self.tell_time(micros, now);
    }

    fn tell_time(&mut self, micros: i64, now: Instant) {
        let late = self.clock.map_or(0, |clock| clock.now(now).saturating_sub(micros));
        if late <= 0 || late > CLOCK_SET_BACK || self.clock.is_none() {
            self.clock = Some(Clock { micros, at: now });
        }
    }

    pub fn sample(&mut self, end: Lsn, micros: i64, asked: Instant, now: Instant) {
        self.sampled = Some(now);
        self.tell_time(micros, now);
        if self.samples.len() >= MOST_SAMPLES {
            // Coarser, for the older ones first; the bound that they give only grows.
            let mut keep = false;
            self.samples.retain(|_| {
                keep = !keep;
                keep
            });
        }
        self.samples.push_back(Sample { end, micros, asked });
    }

    pub fn source_end(&self) -> Option<Lsn> {
        self.samples.back().map(|sample| sample.end)
    }

    /// As of when the target has all that the source had. No clock of the source's counts: what ends
    /// at or before the end that was answered was there when it was asked for.
    pub fn complete(&mut self, covered: Option<Lsn>) -> Option<Instant> {
        self.drop_covered(covered?);
        self.complete
    }

    /// `covered`: everything that ends there or before is applied. `oldest`: commit time of the
    /// oldest transaction that has come and is not.
    pub fn lag(&mut self, now: Instant, covered: Option<Lsn>, oldest: Option<i64>) -> Lag {
        let (Some(clock), Some(heard), Some(sampled), Some(covered)) =
            (self.clock, self.heard, self.sampled, covered)
        else {
            return Lag::Unknown;
        };
        let silent = |since: Instant| now.saturating_duration_since(since) > SILENCE;
        // With a transaction waiting, its age is the answer, also while nothing is read from the
        // stream because the queue is full. Without one, only a keepalive tells that none is to come.
        if silent(sampled) || (oldest.is_none() && silent(heard)) {
            return Lag::Unknown;
        }
        self.drop_covered(covered);
        let age = |micros: i64| micros_to_age(clock.now(now).saturating_sub(micros));
        match oldest {
            // Transactions come in the order of their commits: all older ones are applied.
            Some(micros) => Lag::Known(age(micros)),
            None if !self.has_uncovered(covered) => Lag::Known(Duration::ZERO),
            // What is behind the source's end may be as old as the last time nothing was.
            None => self.covered_micros.map_or(Lag::Unknown, |since| Lag::Known(age(since))),
        }
    }

    fn has_uncovered(&self, covered: Lsn) -> bool {
        self.samples.back().is_some_and(|sample| sample.end > covered)
    }

    /// The newest covered sample stays, as the source's end.
    fn drop_covered(&mut self, covered: Lsn) {
        while let Some(sample) = self.samples.front()
            && sample.end <= covered
        {
            self.covered_micros = Some(sample.micros);
            self.complete = Some(sample.asked);
            if self.samples.len() == 1 {
                return;
            }
            self.samples.pop_front();
        }
    }
}

fn micros_to_age(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    fn known(seconds: f64) -> Lag {
        Lag::Known(Duration::from_secs_f64(seconds))
    }

    #[test]
    fn an_idle_link_has_no_lag_and_a_silent_one_has_an_unknown_lag() {
        let mut meter = LagMeter::default();
        let start = Instant::now();
        assert_eq!(meter.lag(start, Some(Lsn(5)), None), Lag::Unknown);
        meter.hear(100 * SECOND, start);
        meter.sample(Lsn(5), 100 * SECOND, start, start);
        let later = start + Duration::from_secs(2);
        assert_eq!(meter.lag(later, Some(Lsn(5)), None), known(0.0));
        let silent = start + Duration::from_millis(3_001);
        assert_eq!(meter.lag(silent, Some(Lsn(5)), None), Lag::Unknown);
    }

    #[test]
    fn the_oldest_transaction_received_and_not_applied_ages_on_the_sources_clock() {
        let mut meter = LagMeter::default();
        let start = Instant::now();
        meter.hear(100 * SECOND, start);
        meter.sample(Lsn(5), 100 * SECOND, start, start);
        let later = start + Duration::from_secs(1);
        assert_eq!(meter.lag(later, Some(Lsn(5)), Some(98 * SECOND)), known(3.0));
    }

    #[test]
    fn while_the_queue_is_full_the_age_of_what_waits_in_it_stays_known() {
        let mut meter = LagMeter::default();
        let start = Instant::now();
        meter.hear(100 * SECOND, start);
        let later = start + Duration::from_secs(20);
        meter.sample(Lsn(9), 120 * SECOND, later, later);
        assert_eq!(meter.lag(later, Some(Lsn(5)), Some(101 * SECOND)), known(19.0));
        assert_eq!(meter.lag(later, Some(Lsn(5)), None), Lag::Unknown);
        let silent = later + Duration::from_millis(3_001);
        assert_eq!(meter.lag(silent, Some(Lsn(5)), Some(101 * SECOND)), Lag::Unknown);
    }

    #[test]
    fn what_was_not_received_counts_from_when_all_was_last_applied() {
        let mut meter = LagMeter::default();
        let start = Instant::now();
        meter.hear(100 * SECOND, start);
        meter.sample(Lsn(5), 100 * SECOND, start, start);
        assert_eq!(meter.lag(start, Some(Lsn(5)), None), known(0.0));
        let later = start + Duration::from_secs(10);
        meter.hear(110 * SECOND, later);
        meter.sample(Lsn(9), 110 * SECOND, later, later);
        assert_eq!(meter.lag(later, Some(Lsn(5)), None), known(10.0));
        assert_eq!(meter.lag(later, Some(Lsn(9)), None), known(0.0));
    }

    #[test]
    fn a_target_is_complete_as_of_when_what_it_has_applied_was_asked_for() {
        let mut meter = LagMeter::default();
        let asked = Instant::now();
        let (later, answered) = (asked + Duration::from_secs(1), asked + Duration::from_secs(9));
        assert_eq!(meter.complete(Some(Lsn(9))), None);
        meter.sample(Lsn(5), 100 * SECOND, asked, answered);
        meter.sample(Lsn(7), 101 * SECOND, later, answered);
        assert_eq!(meter.complete(Some(Lsn(4))), None);
        assert_eq!(meter.complete(Some(Lsn(6))), Some(asked));
        assert_eq!(meter.complete(Some(Lsn(7))), Some(later));
        assert_eq!(meter.complete(Some(Lsn(99))), Some(later), "no more was asked for");
    }

    #[test]
    fn a_long_delay_keeps_few_samples() {
        let mut meter = LagMeter::default();
        let start = Instant::now();
        for second in 0..10_000 {
            meter.hear(second * SECOND, start);
            meter.sample(Lsn(second as u64 + 1), second * SECOND, start, start);
        }
        assert!(meter.samples.len() <= MOST_SAMPLES);
        assert_eq!(meter.source_end(), Some(Lsn(10_000)));
    }
}
