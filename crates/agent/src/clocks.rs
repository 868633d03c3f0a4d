//! How fast the clocks of the other agents' machines run beside this one's.

use mainstay_core::watch::{ClockOff, Exchange, Pace, Rate, who_is_off};
use mainstay_core::{SiteName, Tick};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

#[derive(Default)]
pub struct Clocks(Mutex<Measured>);

/// How long the rate of a machine that is silent stands. By then a lease that was counted by it is
/// over, however slow it ran, and a site that is lost must be followed.
const STANDS: Duration = Duration::from_secs(120);

#[derive(Default)]
struct Measured {
    /// With when the last answer came.
    paces: BTreeMap<SiteName, (Tick, Pace)>,
    told: Option<ClockOff>,
}

impl Clocks {
    /// Takes in one exchange with another agent. The outer option is some when another clock is
    /// off than was, or none is any more.
    pub fn take(
        &self,
        here: &SiteName,
        from: &SiteName,
        exchange: Exchange,
    ) -> Option<Option<ClockOff>> {
        let mut measured = self.lock();
        let (heard, pace) = measured.paces.entry(from.clone()).or_default();
        *heard = exchange.received;
        pace.take(exchange);
        let off = who_is_off(here, &measured.rates(exchange.received));
        let whose = |off: &Option<ClockOff>| off.as_ref().map(|off| off.sites.clone());
        let other = whose(&off) != whose(&measured.told);
        measured.told.clone_from(&off);
        other.then_some(off)
    }

    /// The clock that is off, as far as is known.
    pub fn off(&self, here: &SiteName, now: Tick) -> Option<ClockOff> {
        who_is_off(here, &self.lock().rates(now))
    }

    fn lock(&self) -> MutexGuard<'_, Measured> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Measured {
    fn rates(&self, now: Tick) -> BTreeMap<SiteName, Rate> {
        let heard = self.paces.iter().filter(|(_, (heard, _))| now.since(*heard) <= STANDS);
        heard.filter_map(|(site, (_, pace))| Some((site.clone(), pace.rate()?))).collect()
    }
}

/// An answer that names no tick is of an agent of an older version.
pub fn exchange(sent: Tick, theirs: Option<Tick>, received: Tick) -> Option<Exchange> {
    theirs.map(|theirs| Exchange { sent, received, theirs })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// East's clock runs a tenth too fast, as west sees it, and then east is lost.
    #[test]
    fn the_clock_of_a_lost_site_holds_back_for_two_minutes_and_not_for_ever() {
        let (east, west) = (SiteName::new("east").unwrap(), SiteName::new("west").unwrap());
        let clocks = Clocks::default();
        let at = Tick::from_millis;
        let mut told = Vec::new();
        for second in 1..=90 {
            let (sent, received) = (at(second * 1000), at(second * 1000 + 10));
            let exchange = Exchange { sent, received, theirs: at(second * 1100) };
            told.extend(clocks.take(&west, &east, exchange));
        }
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(clocks.off(&west, at(90_000 + 119_000)).is_some());
        assert_eq!(clocks.off(&west, at(90_000 + 121_000)), None);
    }
}
