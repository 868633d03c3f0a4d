//! The age of the oldest change that the target has not applied, on this machine's own clock: the
//! source is asked for its end again and again, and what was its end then is as old as the question.

use mainstay_core::Lag;
use mainstay_core::position::ReplicationOffset;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Without an answer of the source for this long, the lag is unknown.
const SILENCE: Duration = Duration::from_secs(3);
/// Samples that are kept while the target is behind them.
const MOST_SAMPLES: usize = 512;

/// What the source asked at `at` answered with, at the earliest: its end was there or before.
#[derive(Debug, Clone, Copy)]
struct Sample {
    end: ReplicationOffset,
    at: Instant,
}

#[derive(Debug, Default)]
pub(super) struct LagMeter {
    samples: VecDeque<Sample>,
    newest: Option<Sample>,
    /// When the newest sample that is wholly applied was taken.
    covered: Option<Instant>,
}

impl LagMeter {
    /// Nothing is known any more: the connection was lost.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// `asked`: just before the question. All that was written before it ends at `end` or earlier.
    pub fn sample(&mut self, end: ReplicationOffset, asked: Instant) {
        if self.samples.len() >= MOST_SAMPLES {
            // Coarser; the bound that they give only grows.
            let mut keep = false;
            self.samples.retain(|_| {
                keep = !keep;
                keep
            });
        }
        let sample = Sample { end, at: asked };
        self.newest = Some(sample);
        self.samples.push_back(sample);
    }

    pub fn lag(&mut self, now: Instant, applied: Option<ReplicationOffset>) -> Lag {
        let (Some(newest), Some(applied)) = (self.newest, applied) else { return Lag::Unknown };
        if now.saturating_duration_since(newest.at) > SILENCE {
            return Lag::Unknown;
        }
        self.drop_covered(applied);
        if applied >= newest.end {
            return Lag::Known(Duration::ZERO);
        }
        self.covered.map_or(Lag::Unknown, |at| Lag::Known(now.saturating_duration_since(at)))
    }

    /// As of when the target has all that the source had: what ends at or before the end that was
    /// answered was there when it was asked for.
    pub fn complete(&mut self, applied: Option<ReplicationOffset>) -> Option<Instant> {
        self.drop_covered(applied?);
        self.covered
    }

    fn drop_covered(&mut self, applied: ReplicationOffset) {
        while let Some(sample) = self.samples.front()
            && applied >= sample.end
        {
            self.covered = Some(sample.at);
            self.samples.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: u64) -> ReplicationOffset {
        ReplicationOffset { history: "a".repeat(40).parse().expect("an ID"), offset }
    }

    #[test]
    fn what_was_not_applied_is_as_old_as_the_last_time_nothing_was_missing() {
        let (mut meter, start) = (LagMeter::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(meter.lag(start, Some(at(5))), Lag::Unknown);
        meter.sample(at(5), start);
        assert_eq!(meter.lag(after(1), Some(at(5))), Lag::Known(Duration::ZERO));
        meter.sample(at(9), after(2));
        assert_eq!(meter.lag(after(2), Some(at(5))), Lag::Known(Duration::from_secs(2)));
        assert_eq!(meter.lag(after(2), Some(at(9))), Lag::Known(Duration::ZERO));
    }

    #[test]
    fn without_the_source_or_in_another_history_the_lag_is_unknown() {
        let (mut meter, start) = (LagMeter::default(), Instant::now());
        meter.sample(at(5), start);
        assert_eq!(meter.lag(start + Duration::from_millis(3_001), Some(at(5))), Lag::Unknown);
        let other =
            ReplicationOffset { history: "b".repeat(40).parse().expect("an ID"), offset: 7 };
        assert_eq!(meter.lag(start, Some(other)), Lag::Unknown);
        assert_eq!(meter.lag(start, None), Lag::Unknown);
        meter.sample(at(5), start);
        meter.forget();
        assert_eq!(meter.lag(start, Some(at(5))), Lag::Unknown);
    }

    #[test]
    fn a_target_is_complete_as_of_the_last_question_whose_answer_it_has_reached() {
        let (mut meter, start) = (LagMeter::default(), Instant::now());
        let asked = start + Duration::from_secs(1);
        assert_eq!(meter.complete(Some(at(9))), None, "nothing was asked");
        meter.sample(at(5), start);
        meter.sample(at(9), asked);
        assert_eq!(meter.complete(None), None);
        assert_eq!(meter.complete(Some(at(4))), None);
        assert_eq!(meter.complete(Some(at(8))), Some(start));
        assert_eq!(meter.complete(Some(at(9))), Some(asked));
        meter.forget();
        assert_eq!(meter.complete(Some(at(9))), None);
    }

    #[test]
    fn a_long_delay_keeps_few_samples() {
        let (mut meter, start) = (LagMeter::default(), Instant::now());
        (0..10_000).for_each(|offset| meter.sample(at(offset), start));
        assert!(meter.samples.len() <= MOST_SAMPLES);
    }
}
