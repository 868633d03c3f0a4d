//! How fast the clocks of the other agents' machines run beside this one's.

use mainstay_core::watch::{ClockOff, Exchange, Pace, Rate, who_is_off};
use mainstay_core::{SiteName, Tick};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Default)]
pub struct Clocks(Mutex<Measured>);

#[derive(Default)]
struct Measured {
    paces: BTreeMap<SiteName, Pace>,
    off: Option<ClockOff>,
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
        measured.paces.entry(from.clone()).or_default().take(exchange);
        let off = who_is_off(here, &measured.rates());
        let whose = |off: &Option<ClockOff>| off.as_ref().map(|off| off.sites.clone());
        let other = whose(&off) != whose(&measured.off);
        measured.off.clone_from(&off);
        other.then_some(off)
    }

    /// The clock that is off, as far as is known.
    pub fn off(&self) -> Option<ClockOff> {
        self.lock().off.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Measured> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Measured {
    fn rates(&self) -> BTreeMap<SiteName, Rate> {
        let rated = self.paces.iter().filter_map(|(site, pace)| Some((site.clone(), pace.rate()?)));
        rated.collect()
    }
}

/// An answer that names no tick is of an agent of an older version.
pub fn exchange(sent: Tick, theirs: Option<Tick>, received: Tick) -> Option<Exchange> {
    theirs.map(|theirs| Exchange { sent, received, theirs })
}
