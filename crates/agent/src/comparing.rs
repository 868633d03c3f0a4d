//! The comparison of one store that is under way at this site, or the last one. Nothing of it
//! outlives the agent: an agent that was killed in the middle knows nothing.

use crate::api::types::{ApiError, ComparisonState};
use crate::error::Refused;
use crate::time::unix_micros;
use mainstay_core::Tick;
use mainstay_stores::postgres::compare::{Comparison, Progress};

pub struct Job {
    pub started_micros: i64,
    progress: Progress,
    /// When reading began, and when the progress was told last.
    began: Option<Tick>,
    told: Tick,
    outcome: Option<Outcome>,
}

enum Outcome {
    Ended { ended_micros: i64, result: Box<Comparison> },
    Failed { ended_micros: i64, error: ApiError },
}

impl Job {
    pub fn begin() -> Self {
        Self {
            started_micros: unix_micros(),
            progress: Progress::default(),
            began: None,
            told: Tick::default(),
            outcome: None,
        }
    }

    pub fn is_running(&self) -> bool {
        self.outcome.is_none()
    }

    pub fn tell(&mut self, progress: &Progress, now: Tick) {
        self.began.get_or_insert(now);
        self.told = now;
        self.progress = progress.clone();
    }

    pub fn end(&mut self, outcome: Result<Comparison, Refused>) {
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

    /// From the pace of the tables that were read. None before the first, and when a table takes
    /// longer than that pace says: nothing is known then.
    fn seconds_left(&self, now: Tick) -> Option<u64> {
        let Progress { bytes, total_bytes, .. } = self.progress;
        let took = self.told.since(self.began?).as_secs_f64();
        if bytes == 0 || took <= 0.0 {
            return None;
        }
        let all = took * total_bytes.saturating_sub(bytes) as f64 / bytes as f64;
        let left = all - now.since(self.told).as_secs_f64();
        (left > 0.0).then_some(left.ceil() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Tick {
        Tick::from_millis(seconds * 1000)
    }

    fn read(bytes: u64) -> Progress {
        Progress { bytes, total_bytes: 400, ..Progress::default() }
    }

    fn left(job: &Job, seconds: u64) -> Option<u64> {
        match job.state(at(seconds)) {
            ComparisonState::Running { seconds_left, .. } => seconds_left,
            _ => None,
        }
    }

    #[test]
    fn the_time_left_follows_the_pace_so_far_and_is_unknown_when_that_is_broken() {
        let mut job = Job::begin();
        assert_eq!(left(&job, 5), None, "nothing is read");
        job.tell(&read(0), at(10));
        assert_eq!(left(&job, 15), None, "no table is done");
        job.tell(&read(100), at(20));
        assert_eq!(left(&job, 20), Some(30));
        assert_eq!(left(&job, 45), Some(5));
        assert_eq!(left(&job, 51), None, "a table takes longer than its size says");
    }
}
