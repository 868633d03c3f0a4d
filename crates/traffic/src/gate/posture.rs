//! What the gate's posture means, as a pure function of (posture, epoch, now).
//!
//! Invariant: nothing reaches this site's upstreams or database unless the newest posture is
//! `Serve` (or `Hold`, for what was already open) and its time has not run out.
//! The one exception: requests that only read, where the configuration gives a site a share of them
//! without its being active.
//! Invariant: the epoch never goes back.

use crate::control::Posture;
use mainstay_core::{Epoch, SiteName, Tick};

/// Where admitted work went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// This site's upstreams and database.
    Local,
    /// The gate of another site.
    Peer(SiteName),
}

/// What to do with a new request or connection of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewWork {
    Go(Route),
    /// Hold it until the posture changes or its own time is over.
    Wait,
}

/// What to do with new work that another site's gate passes on. It is never passed on again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerWork {
    Go,
    Wait,
    Refuse(&'static str),
}

/// What to do with work that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenWork {
    Keep,
    /// Let it end; cut it where that loses nothing.
    Drain,
    Cut,
}

/// The directive was older than what this gate has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stale;

/// The gate's posture and the epoch it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    epoch: Epoch,
    posture: Posture,
}

impl Standing {
    /// A gate that has just started: closed, at the highest epoch it had seen.
    pub fn starting(epoch: Epoch) -> Self {
        let reason = "the gate has just started and waits for its agent".to_owned();
        Self { epoch, posture: Posture::Closed { reason } }
    }

    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub fn apply(&mut self, epoch: Epoch, posture: Posture) -> Result<(), Stale> {
        if epoch < self.epoch {
            return Err(Stale);
        }
        *self = Self { epoch, posture };
        Ok(())
    }

    /// When this posture runs out by itself.
    pub fn until(&self) -> Option<Tick> {
        match self.posture {
            Posture::Serve { until } | Posture::Hold { until } => Some(until),
            Posture::Forward { .. } | Posture::Closed { .. } => None,
        }
    }

    pub fn lapsed(&self, now: Tick) -> bool {
        self.until().is_some_and(|until| now > until)
    }

    /// The name of what the gate does now.
    pub fn name(&self, now: Tick) -> &'static str {
        if self.lapsed(now) { "closed" } else { self.posture.name() }
    }

    /// Why nothing passes, for people.
    pub fn why_not(&self, now: Tick) -> String {
        match &self.posture {
            posture if self.lapsed(now) => {
                format!("the right to {} ran out and was not renewed", posture.name())
            }
            Posture::Closed { reason } => reason.clone(),
            Posture::Hold { .. } => "a switch is under way".to_owned(),
            Posture::Forward { to } => format!("site {to} does not take the work"),
            Posture::Serve { .. } => "the work was held too long".to_owned(),
        }
    }

    pub fn serves(&self, now: Tick) -> bool {
        matches!(self.posture, Posture::Serve { .. }) && !self.lapsed(now)
    }

    pub fn new_work(&self, now: Tick) -> NewWork {
        match &self.posture {
            _ if self.lapsed(now) => NewWork::Wait,
            Posture::Serve { .. } => NewWork::Go(Route::Local),
            Posture::Forward { to } => NewWork::Go(Route::Peer(to.clone())),
            Posture::Hold { .. } | Posture::Closed { .. } => NewWork::Wait,
        }
    }

    pub fn peer_work(&self, epoch: Epoch, now: Tick) -> PeerWork {
        match self.posture {
            _ if epoch != self.epoch => PeerWork::Refuse("this site is at another epoch"),
            _ if self.lapsed(now) => PeerWork::Refuse("this site's right to serve ran out"),
            Posture::Serve { .. } => PeerWork::Go,
            Posture::Hold { .. } => PeerWork::Wait,
            Posture::Forward { .. } => PeerWork::Refuse("this site is not active either"),
            Posture::Closed { .. } => PeerWork::Refuse("this site is closed"),
        }
    }

    /// Whether sites that are not active may answer what only reads.
    fn shares_reads(&self, now: Tick) -> bool {
        self.open_read(now) == OpenWork::Keep
    }

    /// What to do with what only reads and is under way at a site that need not be active.
    pub fn open_read(&self, now: Tick) -> OpenWork {
        match self.posture {
            _ if self.lapsed(now) => OpenWork::Cut,
            Posture::Serve { .. } | Posture::Forward { .. } => OpenWork::Keep,
            Posture::Hold { .. } => OpenWork::Drain,
            Posture::Closed { .. } => OpenWork::Cut,
        }
    }

    /// The site that is active; none while that is not said.
    pub fn active<'a>(&'a self, here: &'a SiteName) -> Option<&'a SiteName> {
        match &self.posture {
            Posture::Serve { .. } => Some(here),
            Posture::Forward { to } => Some(to),
            Posture::Hold { .. } | Posture::Closed { .. } => None,
        }
    }

    /// The way of a request that only reads to `site`, which has a share of them. None where all
    /// work goes anyway, or where none may go.
    pub fn read(&self, here: &SiteName, site: &SiteName, now: Tick) -> Option<Route> {
        let active = self.active(here)?;
        let route = if site == here { Route::Local } else { Route::Peer(site.clone()) };
        (site != active && self.shares_reads(now)).then_some(route)
    }

    pub fn peer_read(&self, epoch: Epoch, now: Tick) -> Result<(), &'static str> {
        match self.shares_reads(now) {
            _ if epoch != self.epoch => Err("this site is at another epoch"),
            true => Ok(()),
            false => Err("this site answers nothing now"),
        }
    }

    pub fn open_work(&self, route: &Route, now: Tick) -> OpenWork {
        match (&self.posture, route) {
            _ if self.lapsed(now) => OpenWork::Cut,
            (Posture::Serve { .. }, Route::Local) => OpenWork::Keep,
            (Posture::Forward { to }, Route::Peer(peer)) if to == peer => OpenWork::Keep,
            (Posture::Hold { .. }, _) => OpenWork::Drain,
            _ => OpenWork::Cut,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tick(millis: u64) -> Tick {
        Tick::from_millis(millis)
    }

    #[test]
    fn what_only_reads_goes_elsewhere_in_steady_times_only() {
        let (east, until) = (SiteName::new("east").unwrap(), tick(100));
        let standing = |posture| Standing { epoch: Epoch::new(2), posture };
        let serve = standing(Posture::Serve { until });
        assert_eq!(serve.read(&east, &west(), tick(100)), Some(Route::Peer(west())));
        assert_eq!(serve.read(&east, &east, tick(100)), None);
        assert_eq!(serve.read(&east, &west(), tick(101)), None, "lapsed");
        let forward = standing(Posture::Forward { to: west() });
        assert_eq!(forward.read(&east, &east, tick(0)), Some(Route::Local));
        assert_eq!(forward.read(&east, &west(), tick(0)), None);
        assert!(forward.peer_read(Epoch::new(2), tick(0)).is_ok());
        for other in [1, 3] {
            assert!(forward.peer_read(Epoch::new(other), tick(0)).is_err());
        }
        let closed = Posture::Closed { reason: String::new() };
        for posture in [Posture::Hold { until }, closed] {
            let standing = standing(posture);
            assert_eq!(standing.read(&east, &west(), tick(0)), None);
            assert!(standing.peer_read(Epoch::new(2), tick(0)).is_err());
        }
    }

    fn west() -> SiteName {
        SiteName::new("west").unwrap()
    }

    fn at(epoch: u64, posture: Posture) -> Standing {
        let mut standing = Standing::starting(Epoch::new(1));
        standing.apply(Epoch::new(epoch), posture).unwrap();
        standing
    }

    fn postures() -> [Posture; 4] {
        [
            Posture::Serve { until: tick(100) },
            Posture::Forward { to: west() },
            Posture::Hold { until: tick(100) },
            Posture::Closed { reason: "test".to_owned() },
        ]
    }

    #[test]
    fn only_serve_within_its_time_lets_new_work_in_here() {
        for posture in postures() {
            let serves = matches!(posture, Posture::Serve { .. });
            let standing = at(2, posture);
            assert_eq!(standing.new_work(tick(100)) == NewWork::Go(Route::Local), serves);
            assert_ne!(standing.new_work(tick(101)), NewWork::Go(Route::Local));
            assert_eq!(standing.peer_work(Epoch::new(2), tick(100)) == PeerWork::Go, serves);
            assert_ne!(standing.peer_work(Epoch::new(2), tick(101)), PeerWork::Go);
        }
    }

    #[test]
    fn a_gate_starts_closed() {
        let standing = Standing::starting(Epoch::new(7));
        assert_eq!(standing.new_work(tick(0)), NewWork::Wait);
        assert_eq!(standing.name(tick(0)), "closed");
        assert_eq!(standing.open_work(&Route::Local, tick(0)), OpenWork::Cut);
    }

    #[test]
    fn an_older_epoch_changes_nothing() {
        let mut standing = at(5, Posture::Hold { until: tick(100) });
        let before = standing.clone();
        assert_eq!(standing.apply(Epoch::new(4), Posture::Serve { until: tick(999) }), Err(Stale));
        assert_eq!(standing, before);
    }

    #[test]
    fn a_peer_is_served_at_exactly_the_same_epoch_and_never_passed_on() {
        for posture in postures() {
            let standing = at(5, posture);
            for other in [4, 6] {
                let verdict = standing.peer_work(Epoch::new(other), tick(50));
                assert!(matches!(verdict, PeerWork::Refuse(_)));
            }
        }
        let forward = at(5, Posture::Forward { to: west() });
        assert!(matches!(forward.peer_work(Epoch::new(5), tick(50)), PeerWork::Refuse(_)));
        let hold = at(5, Posture::Hold { until: tick(100) });
        assert_eq!(hold.peer_work(Epoch::new(5), tick(50)), PeerWork::Wait);
    }

    #[test]
    fn open_work_ends_as_soon_as_the_posture_is_not_for_it() {
        let (local, peer) = (Route::Local, Route::Peer(west()));
        let [serve, forward, hold, closed] = postures().map(|posture| at(2, posture));
        let elsewhere = at(2, Posture::Forward { to: SiteName::new("south").unwrap() });
        assert_eq!(serve.open_work(&local, tick(100)), OpenWork::Keep);
        assert_eq!(serve.open_work(&local, tick(101)), OpenWork::Cut);
        assert_eq!(serve.open_work(&peer, tick(100)), OpenWork::Cut);
        assert_eq!(forward.open_work(&peer, tick(999)), OpenWork::Keep);
        assert_eq!(forward.open_work(&local, tick(0)), OpenWork::Cut);
        assert_eq!(elsewhere.open_work(&peer, tick(0)), OpenWork::Cut);
        assert_eq!(hold.open_work(&local, tick(100)), OpenWork::Drain);
        assert_eq!(hold.open_work(&local, tick(101)), OpenWork::Cut);
        assert_eq!(closed.open_work(&local, tick(0)), OpenWork::Cut);
    }
}
