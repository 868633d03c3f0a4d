//! Health that comes and goes is no ground for a failover: damped as routes are (RFC 2439).

use crate::{Tick, Verdict};
use std::time::Duration;

/// Of each loss of health. The unit is arbitrary; this one is that of every router.
const PENALTY: f64 = 1000.0;
/// Above it nothing begins by itself: a third loss within about a half-life. One blip before a real
/// loss, as dying machines have it, still leads to a failover.
const SUPPRESS: f64 = 2000.0;
/// Below it everything is as before: one loss, and a little peace.
const REUSE: f64 = 750.0;
/// Routers take a quarter of an hour. Here the cool-down guards what comes after a failover, so
/// that this may forgive sooner.
const HALF_LIFE: Duration = Duration::from_secs(300);
/// However often it was lost, after four half-lives of peace it is forgiven.
const CEILING: f64 = REUSE * 16.0;

/// What one vantage has seen of the active site's health coming and going.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Damping {
    penalty: f64,
    /// When the penalty was that.
    at: Tick,
    suppressed: bool,
    healthy: bool,
}

impl Damping {
    /// Takes in a verdict. One that is unknown says nothing: what was known before still counts.
    pub fn take(&mut self, verdict: Verdict, now: Tick) {
        match verdict {
            Verdict::Healthy => self.healthy = true,
            Verdict::Unhealthy | Verdict::Unreachable if self.healthy => {
                self.healthy = false;
                self.penalise(now);
            }
            _ => {}
        }
    }

    fn penalise(&mut self, now: Tick) {
        let penalty = (self.penalty(now) + PENALTY).min(CEILING);
        self.suppressed = self.suppressed(now).is_some() || penalty > SUPPRESS;
        (self.penalty, self.at) = (penalty, now);
    }

    /// Another site is active: it has its own health, and the application its own history.
    #[must_use]
    pub fn of_another_site(self) -> Self {
        Self { healthy: false, ..self }
    }

    pub fn penalty(&self, now: Tick) -> f64 {
        let half_lives = now.since(self.at).as_secs_f64() / HALF_LIFE.as_secs_f64();
        self.penalty * (-half_lives).exp2()
    }

    /// How long nothing begins by itself yet, if health stays as it is now.
    pub fn suppressed(&self, now: Tick) -> Option<Duration> {
        let half_lives = (self.penalty(now) / REUSE).log2();
        (self.suppressed && half_lives > 0.0).then(|| HALF_LIFE.mul_f64(half_lives))
    }
}
