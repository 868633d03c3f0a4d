//! How fast another machine's clock runs beside this one's. Nothing is said of what a clock shows:
//! only ticks that passed there are compared with ticks that passed here.

use crate::{SiteName, Tick};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

/// Shorter windows leave too much to the time that messages take.
const WINDOW: Duration = Duration::from_secs(60);
/// One exchange is kept for each stretch of this length: that with the shortest way.
const STRETCH: Duration = Duration::from_secs(10);
const KEPT: usize = 13;
/// What the lease allows for (`Lease::runs_out_at`).
const MARGIN: f64 = 0.02;

/// One question and its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exchange {
    pub sent: Tick,
    pub received: Tick,
    /// What the other machine's clock showed in between.
    pub theirs: Tick,
}

/// How many ticks pass there while one passes here: surely between these two.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    pub low: f64,
    pub high: f64,
}

impl Exchange {
    fn way(&self) -> Duration {
        self.received.since(self.sent)
    }
}

impl Rate {
    /// Their clock is surely further from this one than the lease allows for.
    pub fn is_off(self) -> bool {
        self.low > 1.0 + MARGIN || self.high < 1.0 - MARGIN
    }

    /// The first clock beside the second, when both were measured by a third.
    fn beside(self, other: Rate) -> Rate {
        Rate { low: self.low / other.high, high: self.high / other.low }
    }

    /// How much faster, in thousandths.
    fn permille(self) -> i32 {
        (((self.low + self.high) / 2.0 - 1.0) * 1000.0).round() as i32
    }
}

/// Exchanges with one other machine.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pace {
    /// With when their stretch began.
    kept: VecDeque<(Tick, Exchange)>,
    rate: Option<Rate>,
}

impl Pace {
    pub fn take(&mut self, exchange: Exchange) {
        let last = self.kept.back_mut();
        if last.as_ref().is_some_and(|(_, last)| exchange.theirs < last.theirs) {
            // That machine began anew, and its clock with it.
            *self = Self::default();
        }
        match self.kept.back_mut() {
            Some((began, last)) if exchange.received.since(*began) < STRETCH => {
                if exchange.way() <= last.way() {
                    *last = exchange;
                }
            }
            _ => self.kept.push_back((exchange.received, exchange)),
        }
        if self.kept.len() > KEPT {
            self.kept.pop_front();
        }
        self.rate = self.measured().or(self.rate);
    }

    /// The last rate that was measured exactly enough.
    pub fn rate(&self) -> Option<Rate> {
        self.rate
    }

    fn measured(&self) -> Option<Rate> {
        let (_, newest) = self.kept.back()?;
        let rates = self.kept.iter().filter_map(|(_, older)| between(older, newest));
        let exactest = rates.min_by(|a, b| (a.high - a.low).total_cmp(&(b.high - b.low)))?;
        (exactest.high - exactest.low <= MARGIN / 2.0).then_some(exactest)
    }
}

/// Their clock was read somewhere between question and answer: so the time that passed here is
/// between the shortest and the longest that the two exchanges leave room for.
fn between(older: &Exchange, newer: &Exchange) -> Option<Rate> {
    let shortest = newer.sent.since(older.received);
    let longest = newer.received.since(older.sent);
    let theirs = newer.theirs.since(older.theirs).as_secs_f64();
    (shortest >= WINDOW).then(|| Rate {
        low: theirs / longest.as_secs_f64(),
        high: theirs / shortest.as_secs_f64(),
    })
}

/// A clock that runs too fast or too slow for the lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockOff {
    /// Whose it is; one of them, when there are several.
    pub sites: Vec<SiteName>,
    /// How much faster than the others it runs, in thousandths; slower, when negative.
    pub permille: i32,
}

impl fmt::Display for ClockOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sites: Vec<&str> = self.sites.iter().map(SiteName::as_str).collect();
        let whose = sites.join(" or of ");
        let percent = f64::from(self.permille.abs()) / 10.0;
        match (sites.len(), self.permille < 0) {
            (1, false) => write!(f, "the clock of {whose} runs {percent:.1} % too fast"),
            (1, true) => write!(f, "the clock of {whose} runs {percent:.1} % too slow"),
            _ => write!(f, "the clock of {whose} is off: they differ by {percent:.1} %"),
        }
    }
}

/// Whose clock is off, by the rates of all others beside this site's own. The majority is right:
/// where one other agrees with this site, whoever does not is off; where none does and they agree
/// with each other, this site is.
pub fn who_is_off(here: &SiteName, rates: &BTreeMap<SiteName, Rate>) -> Option<ClockOff> {
    let (off, agree): (Vec<_>, Vec<_>) = rates.iter().partition(|(_, rate)| rate.is_off());
    let (worst, rate) = off.iter().max_by_key(|(_, rate)| rate.permille().abs())?;
    if !agree.is_empty() {
        return Some(ClockOff { sites: vec![(*worst).clone()], permille: rate.permille() });
    }
    let others_agree = off.len() > 1
        && off.iter().all(|(_, one)| off.iter().all(|(_, other)| !one.beside(**other).is_off()));
    if others_agree {
        let own = Rate { low: 1.0 / rate.high, high: 1.0 / rate.low };
        return Some(ClockOff { sites: vec![here.clone()], permille: own.permille() });
    }
    let sites = std::iter::once(here).chain(off.iter().map(|(site, _)| *site));
    Some(ClockOff { sites: sites.cloned().collect(), permille: rate.permille() })
}
