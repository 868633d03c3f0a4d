//! What all simulated processes share: the network, the databases, the gates, the clocks. It changes
//! only in events, one after the other in the order of virtual time; processes ask for events, and
//! every way takes at least one [`QUANTUM`]. So what a process does within its quantum cannot
//! concern another before that one's next, and the order in which they have their turns is no
//! matter.

use super::database::Database;
use super::disk::Trouble;
use super::gate::Gate;
use super::oracle::Oracle;
use super::random::Random;
use axum::Router;
use mainstay_agent::agent::Agent;
use mainstay_core::{SiteName, Tick};
use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::{Arguments, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::DuplexStream;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

/// Milliseconds of virtual time.
pub const QUANTUM: u64 = 10;
pub const WITNESS: usize = 2;

pub type Shared = Arc<Mutex<World>>;

pub fn lock(world: &Shared) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Names one run of an agent; number 0 is the site's watchdog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    pub site: usize,
    pub run: u64,
}

/// Where an agent that runs is reached.
#[derive(Clone)]
pub struct Door {
    pub ticket: Ticket,
    pub handle: Handle,
    pub router: Router,
    pub people: Router,
    pub agent: Agent,
}

pub struct Site {
    pub name: SiteName,
    /// Power: without it nothing of the site runs.
    pub up: bool,
    /// The machine's clock: what it showed at the beginning, and how many parts of a million it is
    /// fast.
    offset: u64,
    pub fast: i64,
    /// The clock on the wall, beside the machine's.
    pub wall: i64,
    /// The run of the agent that lives; none while it does not.
    pub living: Option<u64>,
    pub runs: u64,
    pub stopped_until: u64,
    pub door: Option<Door>,
    pub disk: Trouble,
    /// To the site's watchdog: the agent's end of the line, at each start.
    pub lines: Option<mpsc::Sender<DuplexStream>>,
    /// A link's changes are not applied here until then.
    pub stalled_until: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copied {
    Taken,
    BroughtBack,
}

type Event = Box<dyn FnOnce(&mut World) + Send>;

pub struct World {
    pub now: u64,
    pub random: Random,
    events: BTreeMap<(u64, u64), Event>,
    scheduled: u64,
    pub sites: [Site; 3],
    /// By sender and receiver.
    pub cut: [[bool; 3]; 3],
    /// Messages lost, of a thousand.
    pub lossy: u64,
    /// Milliseconds that a message between sites takes at most.
    pub slow: u64,
    pub databases: [Database; 2],
    pub gates: [Gate; 2],
    pub oracle: Oracle,
    /// Answers that never come: who waits for them must not learn that they were dropped.
    lost: Vec<Box<dyn Any + Send>>,
    /// Sites whose agents died, whose power went, and whose agents are to be started.
    pub killed: Vec<usize>,
    pub dark: Vec<usize>,
    pub starts: Vec<usize>,
    /// A copy of the coordinator's record is to be taken, or brought back.
    pub copies: Vec<Copied>,
    pub trace: String,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut site = |name: &str| Site {
            name: SiteName::new(name).expect("a name"),
            up: true,
            offset: 1_000_000 + random.below(1_000_000_000),
            fast: i64::try_from(random.below(40_001)).expect("small") - 20_000,
            wall: 1_790_000_000_000_000
                + i64::try_from(random.below(7_200_000_000)).expect("small"),
            living: None,
            runs: 0,
            stopped_until: 0,
            door: None,
            disk: Trouble::default(),
            lines: None,
            stalled_until: 0,
        };
        let sites = [site("east"), site("west"), site("witness")];
        let mut world = Self {
            now: 0,
            random,
            events: BTreeMap::new(),
            scheduled: 0,
            sites,
            cut: [[false; 3]; 3],
            lossy: 0,
            slow: 60,
            databases: Default::default(),
            gates: Default::default(),
            oracle: Oracle::default(),
            lost: Vec::new(),
            killed: Vec::new(),
            dark: Vec::new(),
            starts: Vec::new(),
            copies: Vec::new(),
            trace: String::new(),
        };
        world.databases.iter_mut().for_each(Database::boot);
        world
    }

    pub fn name(&self, site: usize) -> &SiteName {
        &self.sites[site].name
    }

    pub fn site(&self, name: &SiteName) -> usize {
        self.sites.iter().position(|site| site.name == *name).expect("a site")
    }

    /// What a machine's clock shows at an instant of virtual time.
    pub fn clock(&self, site: usize, at: u64) -> u64 {
        let site = &self.sites[site];
        let gained = i64::try_from(at).unwrap_or(i64::MAX) * site.fast / 1_000_000;
        (site.offset + at).saturating_add_signed(gained)
    }

    pub fn tick(&self, site: usize) -> Tick {
        Tick::from_millis(self.clock(site, self.now))
    }

    pub fn micros(&self, site: usize) -> i64 {
        let clock = i64::try_from(self.clock(site, self.now) * 1000).unwrap_or(i64::MAX);
        clock + self.sites[site].wall
    }

    /// One line of the run, for whoever reads it and for comparing two runs of one seed.
    pub fn note(&mut self, what: Arguments<'_>) {
        let now = self.now;
        writeln!(self.trace, "{now:>7} {what}").expect("memory");
    }

    pub fn schedule(&mut self, at: u64, event: impl FnOnce(&mut World) + Send + 'static) {
        self.scheduled += 1;
        self.events.insert((at.max(self.now), self.scheduled), Box::new(event));
    }

    /// Everything that happens before `end`, in order; the rules are checked after each.
    pub fn run_until(&mut self, end: u64) {
        while let Some(next) = self.events.first_entry() {
            let at = next.key().0;
            if at >= end {
                break;
            }
            let event = next.remove();
            self.now = at;
            event(self);
            super::oracle::check(self);
        }
        self.now = end;
    }

    pub fn alive(&self, of: Ticket) -> bool {
        let site = &self.sites[of.site];
        site.up && (of.run == 0 || site.living == Some(of.run))
    }

    /// The agent of a site is dead from this instant on; its runtime is dropped at the next turn.
    pub fn kill(&mut self, site: usize) {
        if self.sites[site].living.take().is_some() {
            self.sites[site].door = None;
            self.killed.push(site);
        }
        if let Some(gate) = self.gates.get_mut(site) {
            gate.line = None;
        }
    }

    fn passes(&mut self, from: usize, to: usize) -> bool {
        let whole = self.sites[from].up && self.sites[to].up && !self.cut[from][to];
        let near = from == to;
        whole && (near || self.lossy == 0 || self.random.below(1000) >= self.lossy)
    }

    fn way(&mut self, from: usize, to: usize) -> u64 {
        let most = if from == to { 6 } else { self.slow };
        self.now + QUANTUM + self.random.below(most)
    }

    /// Has something happen at another site, when the message gets there; `arrived` is false when
    /// it never does.
    pub fn send(
        &mut self,
        from: Ticket,
        to: usize,
        there: impl FnOnce(&mut World, bool) + Send + 'static,
    ) {
        if !self.alive(from) || !self.passes(from.site, to) {
            there(self, false);
            return;
        }
        let at = self.way(from.site, to);
        self.schedule(at, move |world| {
            let arrived = world.sites[to].up;
            there(world, arrived);
        });
    }

    pub fn reply<T: Send + 'static>(
        &mut self,
        from: usize,
        to: Ticket,
        answer: oneshot::Sender<T>,
        with: T,
    ) {
        if !self.passes(from, to.site) {
            self.lose(answer);
            return;
        }
        let at = self.way(from, to.site);
        self.schedule(at, move |world| match world.alive(to) {
            // Whoever asked may have given up.
            true => drop(answer.send(with)),
            false => world.lose(answer),
        });
    }

    pub fn lose<T: Send + 'static>(&mut self, answer: oneshot::Sender<T>) {
        self.lost.push(Box::new(answer));
    }
}
