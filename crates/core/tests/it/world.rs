//! Two data sites, a witness that keeps the coordinator, and a network between them, in steps of
//! 50 ms. The decision is the shipped one; everything around it is a few lines that are plainly
//! right: messages take time or get lost, agents crash or pause, gates go on by themselves.

use crate::random::Random;
use mainstay_core::decision::{
    Action, Decision, Facts, LinkFacts, Promise, Renewal, Rules, SeenRecord, WayBack, decide,
    may_promise,
};
use mainstay_core::estate::FailoverMode;
use mainstay_core::lease::Lease;
use mainstay_core::pause::{Pause, SeenPause};
use mainstay_core::record::Cause;
use mainstay_core::verdict::Evidence;
use mainstay_core::{Epoch, Posture, Record, SiteName, StoreName, Tick, Verdict};
use std::time::Duration;

pub const STEP: u64 = 50;

/// Site 0 is east, the home; site 1 is west; site 2 is the witness with the coordinator.
pub const WITNESS: usize = 2;

pub fn name(site: usize) -> SiteName {
    SiteName::new(["east", "west", "witness", "north"][site]).expect("a name")
}

fn store() -> StoreName {
    StoreName::new("db").expect("a name")
}

/// One message on its way to the coordinator and back.
struct Swap {
    site: usize,
    expected: u64,
    next: Record,
    /// Ticks of the sender's clock and true times.
    sent: Tick,
    arrives: u64,
    returns: u64,
    /// Set when it has arrived: whether the change was made.
    outcome: Option<bool>,
    renewal: bool,
}

pub struct Site {
    pub facts: Facts,
    pub version: u64,
    pub up: bool,
    pub paused_until: u64,
    /// This site's clock runs at `rate` parts in a thousand of true time.
    pub rate: u64,
    /// The gate is a process of its own: it keeps the last posture while the agent is away.
    pub gate: Option<Posture>,
    pub decided: Option<Decision>,
    promoting_until: Option<u64>,
}

pub struct World {
    pub now: u64,
    pub random: Random,
    pub rules: Rules,
    pub sites: Vec<Site>,
    pub version: u64,
    pub record: Option<Record>,
    pub coordinator_up: bool,
    /// Which pairs cannot reach each other.
    pub cut: [[bool; 3]; 3],
    /// What a site that was active and is not any more lacks.
    pub way: Option<WayBack>,
    /// The application does not answer at the active site, and its stores take no write.
    pub sick: bool,
    /// A site's view of the active one's health coming and going counts.
    pub damped: bool,
    swaps: Vec<Swap>,
    pub history: Vec<(Epoch, SiteName)>,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let rules = Rules {
            lease: Lease::new(Duration::from_secs(10)),
            mode: FailoverMode::Automatic,
            rpo: Duration::from_secs(5),
            cool_down: Duration::from_secs(20),
            witnesses: [name(WITNESS)].into(),
            data_sites: [name(0), name(1)].into(),
            stores: [store()].into(),
            fenced_from_outside: Default::default(),
            fence_after: Duration::from_secs(3),
        };
        let sites = (0..2)
            .map(|site| Site {
                facts: fresh(site, Tick::default()),
                version: 0,
                up: true,
                paused_until: 0,
                rate: 990 + random.below(21),
                gate: None,
                decided: None,
                promoting_until: None,
            })
            .collect();
        Self {
            now: 1_000,
            random,
            rules,
            sites,
            version: 0,
            record: None,
            coordinator_up: true,
            cut: [[false; 3]; 3],
            way: None,
            sick: false,
            damped: true,
            swaps: Vec::new(),
            history: Vec::new(),
        }
    }

    pub fn clock(&self, site: usize) -> Tick {
        Tick::from_millis(self.now * self.sites[site].rate / 1000)
    }

    pub fn reaches(&self, a: usize, b: usize) -> bool {
        a == b || !self.cut[a][b]
    }

    pub fn reaches_coordinator(&self, site: usize) -> bool {
        self.coordinator_up && self.reaches(site, WITNESS)
    }

    /// Whether this site's gate lets a write through at this instant.
    pub fn serves(&self, site: usize) -> bool {
        let until = match &self.sites[site].gate {
            Some(Posture::Serve { until }) => *until,
            _ => return false,
        };
        self.clock(site) < until
    }

    pub fn crash(&mut self, site: usize) {
        self.sites[site].up = false;
    }

    /// A person pauses automatic failover, at whichever site.
    pub fn pause(&mut self, left: Duration) {
        let Some(record) = &self.record else { return };
        let (by, reason) = ("alice".to_owned(), "new disks".to_owned());
        let since_micros = i64::try_from(self.now).expect("a time");
        let pause = Pause { by, site: name(1), reason, since_micros, left };
        self.record = Some(record.with_pause(Some(pause)));
        self.version += 1;
    }

    /// An agent that begins anew remembers only what it had made durable.
    pub fn restart(&mut self, site: usize) {
        let clock = self.clock(site);
        let it = &mut self.sites[site];
        if it.up {
            return;
        }
        let mut facts = fresh(site, clock);
        facts.highest = it.facts.highest;
        facts.promoted = it.facts.promoted;
        facts.claiming = it.facts.claiming.clone();
        it.facts = facts;
        it.version = 0;
        it.up = true;
        it.promoting_until = None;
    }

    pub fn step(&mut self) {
        self.now += STEP;
        self.deliver();
        for site in 0..2 {
            if self.sites[site].up && self.now >= self.sites[site].paused_until {
                self.observe(site);
                self.act(site);
            }
        }
    }

    fn deliver(&mut self) {
        let mut swaps = std::mem::take(&mut self.swaps);
        for swap in &mut swaps {
            if swap.outcome.is_none() && self.now >= swap.arrives {
                swap.outcome = Some(self.coordinator_takes(swap));
            }
        }
        let now = self.now;
        let (back, under_way): (Vec<Swap>, Vec<Swap>) =
            swaps.into_iter().partition(|swap| now >= swap.returns);
        self.swaps = under_way;
        for swap in back {
            self.answered(&swap);
        }
    }

    fn coordinator_takes(&mut self, swap: &Swap) -> bool {
        let allowed = match &self.record {
            None => true,
            Some(current) => current.allows(&swap.next).is_ok(),
        };
        if swap.expected != self.version || !allowed || !self.reaches_coordinator(swap.site) {
            return false;
        }
        if self.record.as_ref().is_none_or(|record| record.epoch != swap.next.epoch) {
            self.history.push((swap.next.epoch, swap.next.active.clone()));
        }
        self.version += 1;
        self.record = Some(swap.next.clone());
        true
    }

    /// The answer is back, unless it got lost or the agent is not there to hear it.
    fn answered(&mut self, swap: &Swap) {
        let heard = self.reaches_coordinator(swap.site) && self.sites[swap.site].up;
        let site = &mut self.sites[swap.site];
        if heard && swap.renewal && swap.outcome == Some(true) {
            let renewal = Renewal { epoch: swap.next.epoch, sent: swap.sent };
            let newer = site.facts.renewal.is_none_or(|before| before.sent < swap.sent);
            if newer {
                site.facts.renewal = Some(renewal);
            }
        }
    }

    fn observe(&mut self, site: usize) {
        let clock = self.clock(site);
        if self.reaches_coordinator(site) {
            self.read_record(site, clock);
        }
        for vantage in [site, WITNESS] {
            if self.reaches(site, vantage) {
                let about =
                    self.sites[site].facts.record.as_ref().map(|it| it.record.active.clone());
                let Some(about) = about else { continue };
                let active = usize::from(about == name(1));
                let answers = self.serves(active) && self.reaches(vantage, active) && !self.sick;
                let verdict = if answers { Verdict::Healthy } else { Verdict::Unreachable };
                let evidence = Evidence { verdict, gathered: clock, why: String::new() };
                self.sites[site].facts.evidence.insert(name(vantage), evidence);
                if vantage == site && self.damped {
                    self.sites[site].facts.health.take(verdict, clock);
                }
            }
        }
        let other = 1 - site;
        let flows = self.reaches(site, other);
        let link = self.sites[site].facts.links.entry(store()).or_insert(LinkFacts {
            sound: true,
            received: None,
            complete_until: Some(clock),
            advanced: None,
        });
        if flows {
            link.complete_until = Some(clock);
        }
        let was_active = self.sites[site].facts.promoted > Epoch::default();
        self.sites[site].facts.returning = self.way.filter(|_| was_active);
        let active = self.sites[site].facts.record.as_ref().map(|seen| &seen.record.active);
        if !self.sick || active != Some(&name(site)) {
            self.sites[site].facts.writable = Some(clock);
        }
    }

    fn read_record(&mut self, site: usize, clock: Tick) {
        self.sites[site].version = self.version;
        let facts = &mut self.sites[site].facts;
        facts.coordinator_empty = self.record.is_none();
        let Some(record) = self.record.clone() else { return };
        let before = facts.record.take();
        if record.epoch > facts.highest {
            facts.highest = record.epoch;
            facts.epoch_seen = clock;
            facts.health = facts.health.of_another_site();
        }
        facts.epoch_is_failover = record.cause == Cause::Automatic;
        facts.pause = SeenPause::take(facts.pause.take(), record.pause.as_deref(), clock);
        let same = before.filter(|seen| seen.record.differs_at_most_in_pause(&record));
        let changed = same.map_or(clock, |seen| seen.changed);
        facts.record = Some(SeenRecord { record, changed, read: clock });
    }

    fn act(&mut self, site: usize) {
        let clock = self.clock(site);
        let decision = decide(&self.rules, &self.sites[site].facts, clock);
        if let Some(posture) = &decision.posture {
            self.sites[site].gate = Some(posture.clone());
        }
        if let mainstay_core::decision::Databases::Open(epoch) = decision.databases {
            self.sites[site].facts.open = Some(epoch);
        }
        for action in &decision.actions {
            self.carry_out(site, action, clock);
        }
        self.sites[site].decided = Some(decision);
        self.finish_promotion(site);
    }

    fn carry_out(&mut self, site: usize, action: &Action, clock: Tick) {
        match action {
            Action::Found => self.send(site, Record::first(name(site)), clock, false),
            Action::Renew => {
                let seen = self.sites[site].facts.record.clone();
                let Some(seen) = seen else { return };
                let pause = self.sites[site].facts.pause.as_ref().and_then(|it| it.left(clock));
                let next = seen.record.renewed(Default::default()).with_pause(pause);
                self.send(site, next, clock, true);
            }
            Action::AskPromises => self.ask_promise(site, clock),
            Action::Claim { from, .. } => {
                self.sites[site].facts.claiming = Some(from.clone());
                self.send(site, from.claimed_by(&name(site), Cause::Automatic), clock, false);
            }
            Action::Promote => {
                let due = self.now + 200 + self.random.below(1_000);
                self.sites[site].promoting_until.get_or_insert(due);
            }
            Action::TakeBack | Action::FenceOutside { .. } => {}
        }
    }

    /// One change of the record under way for each site, as in the agent.
    fn send(&mut self, site: usize, next: Record, sent: Tick, renewal: bool) {
        if self.swaps.iter().any(|swap| swap.site == site && swap.renewal == renewal) {
            return;
        }
        let there = self.random.below(400);
        let back = self.random.below(400);
        self.swaps.push(Swap {
            site,
            expected: self.sites[site].version,
            next,
            sent,
            arrives: self.now + there,
            returns: self.now + there + back,
            outcome: None,
            renewal,
        });
    }

    fn ask_promise(&mut self, site: usize, sent: Tick) {
        let other = 1 - site;
        let awake = self.sites[other].up && self.now >= self.sites[other].paused_until;
        if !self.reaches(site, other) || !awake {
            return;
        }
        let Some(epoch) = self.sites[site].facts.record.as_ref().map(|it| it.record.epoch) else {
            return;
        };
        let clock = self.clock(other);
        if may_promise(&self.sites[other].facts, &name(site), epoch) {
            self.sites[other].facts.promised = Some(clock);
            self.sites[site].facts.promises.insert(name(other), Promise { epoch, sent });
        }
    }

    fn finish_promotion(&mut self, site: usize) {
        let now = self.now;
        let it = &mut self.sites[site];
        if it.promoting_until.is_some_and(|due| now >= due) {
            it.promoting_until = None;
            if let Some(seen) =
                it.facts.record.as_ref().filter(|s| s.record.active == it.facts.here)
            {
                it.facts.promoted = seen.record.epoch;
            }
        }
    }
}

fn fresh(site: usize, started: Tick) -> Facts {
    let mut facts = Facts::new(name(site), started);
    facts.is_home = site == 0;
    facts
}
