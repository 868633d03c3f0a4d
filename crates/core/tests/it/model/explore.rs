//! Breadth first over every state that can be reached, so that a trace to a violation is as short
//! as any. A state is known by 128 bits of its fields; traces are replayed from the first state.

use super::invariants::violated;
use super::moves::{Move, candidates};
use super::step::{Notes, Step, Way};
use super::view::Decider;
use super::world::World;
use mainstay_core::estate::FailoverMode;
use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// What an exhaustive exploration came to.
pub struct Explored {
    pub states: usize,
    pub transitions: usize,
    pub depth: usize,
    pub views: usize,
    /// The invariant that does not hold, and the moves that lead there.
    pub violation: Option<(String, String)>,
    /// It ended before every state was reached: all of them up to the depth were.
    pub bounded: bool,
    pub notes: Notes,
}

impl fmt::Display for Explored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { states, transitions, depth, views, .. } = self;
        let whole = if self.bounded { "bounded" } else { "exhausted" };
        write!(
            f,
            "model: {whole}: {states} states, {transitions} transitions, depth {depth}, {views} \
             views decided; came about: {}",
            self.notes.happened.iter().copied().collect::<Vec<_>>().join(", ")
        )
    }
}

pub struct Explorer {
    pub decider: Decider,
    pub notes: Notes,
    /// How each state was first reached.
    parents: HashMap<u128, (u128, Move), BuildHasherDefault<Taken>>,
    transitions: usize,
    /// No further level of depth is begun beyond so many states.
    most: usize,
    /// A further property of every state, which may play on from it.
    also: fn(&World, &mut Decider) -> Option<&'static str>,
}

impl Explorer {
    pub fn new(mode: FailoverMode) -> Self {
        Self {
            decider: Decider::new(mode),
            notes: Notes::default(),
            parents: HashMap::default(),
            transitions: 0,
            most: usize::MAX,
            also: |_, _| None,
        }
    }

    #[must_use]
    pub fn also(mut self, also: fn(&World, &mut Decider) -> Option<&'static str>) -> Self {
        self.also = also;
        self
    }

    /// Each site can be stopped from outside.
    #[must_use]
    pub fn with_means(mut self) -> Self {
        self.decider.with_means();
        self
    }

    #[must_use]
    pub fn at_most(mut self, most: usize) -> Self {
        self.most = most;
        self
    }

    /// So many steps of time in which nothing fails.
    pub fn settle(&mut self, world: &mut World, steps: usize) {
        let (decider, notes) = (&mut self.decider, &mut self.notes);
        let mut step = Step { world: *world, decider, notes };
        for _ in 0..steps {
            for site in 0..2 {
                step.make_move(Move::Round(site, Way::Prompt));
            }
            step.make_move(Move::Time);
        }
        *world = step.world;
    }

    /// From this state to the end, or to the first violation.
    pub fn explore(mut self, first: World) -> Explored {
        let mut level = vec![first];
        self.parents.insert(key(&first), (key(&first), Move::Time));
        let (mut depth, mut violation): (_, Option<(String, String)>) = (0, None);
        while !level.is_empty() && violation.is_none() && self.parents.len() < self.most {
            let mut next = Vec::new();
            for world in &level {
                if let Some((why, last)) = self.expand(world, &mut next) {
                    violation = Some((why, self.trace(&first, world, last)));
                    break;
                }
            }
            level = next;
            depth += 1;
        }
        let bounded = violation.is_none() && !level.is_empty();
        Explored {
            states: self.parents.len(),
            transitions: self.transitions,
            depth: depth - 1,
            views: self.decider.views(),
            violation,
            bounded,
            notes: self.notes,
        }
    }

    fn expand(&mut self, world: &World, next: &mut Vec<World>) -> Option<(String, Option<Move>)> {
        if let Some(why) = violated(world).or_else(|| (self.also)(world, &mut self.decider)) {
            return Some((why.to_owned(), None));
        }
        if world.coordinator.record.is_some_and(|it| it.epoch > world.budget.epochs) {
            return None;
        }
        let from = key(world);
        for it in candidates(world) {
            let mut step =
                Step { world: *world, decider: &mut self.decider, notes: &mut self.notes };
            if !step.make_move(it) {
                continue;
            }
            let reached = step.world;
            self.transitions += 1;
            if let Some(why) = self.notes.violation.take() {
                return Some((why, Some(it)));
            }
            if let std::collections::hash_map::Entry::Vacant(new) =
                self.parents.entry(key(&reached))
            {
                new.insert((from, it));
                next.push(reached);
            }
        }
        None
    }

    /// The moves that lead to this state, one a line, and what the last one leads to.
    fn trace(&mut self, first: &World, at: &World, last: Option<Move>) -> String {
        let mut moves = Vec::new();
        let mut now = key(at);
        while now != key(first) {
            let (before, it) = self.parents[&now];
            moves.push(it);
            now = before;
        }
        moves.reverse();
        moves.extend(last);
        let mut text = String::new();
        let mut world = *first;
        for it in moves {
            let mut step = Step { world, decider: &mut self.decider, notes: &mut self.notes };
            step.make_move(it);
            world = step.world;
            let _written = writeln!(text, "  {:<28} {}", format!("{it:?}"), shown(&world));
        }
        text
    }
}

/// A state in a line.
pub fn shown(world: &World) -> String {
    let site = |index: usize| {
        let site = &world.sites[index];
        let state = match (site.agent, site.frozen) {
            _ if site.down => "down",
            (None, _) => "agent dead",
            (Some(_), Some(_)) => "stopped",
            (Some(agent), None) => agent.shown.map_or("begins", |state| state.name()),
        };
        let accepts = if world.accepts(index) { ", ACCEPTS" } else { "" };
        let open = if site.database.open { "open" } else { "fenced" };
        format!("[{state}, gate {:?}, {open} {}{accepts}]", site.gate.posture, site.database.epoch)
    };
    let epoch = world.coordinator.record.map_or(0, |record| record.epoch);
    format!("epoch {epoch} {} {}", site(0), site(1))
}

fn key(world: &World) -> u128 {
    let mut hasher = Wide::default();
    world.hash(&mut hasher);
    hasher.0
}

/// Two lanes of multiply and rotate over the fields; 128 bits make a collision among a thousand
/// million states less likely than one in a thousand million million million.
pub struct Wide(u128);

impl Default for Wide {
    fn default() -> Self {
        Self(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)
    }
}

impl Hasher for Wide {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u8(*byte));
    }

    fn write_u8(&mut self, byte: u8) {
        self.write_u64(byte.into());
    }

    fn write_u64(&mut self, word: u64) {
        const ODD: u128 = 0xDA94_2042_E4DD_58B5_2B7E_1516_28AE_D2A7;
        let mixed = (self.0 ^ u128::from(word)).wrapping_mul(ODD);
        self.0 = mixed ^ (mixed >> 67);
    }

    fn write_isize(&mut self, word: isize) {
        self.write_u64(word.cast_unsigned() as u64);
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn finish(&self) -> u64 {
        (self.0 >> 64) as u64
    }
}

/// The keys are mixed already.
#[derive(Default)]
pub struct Taken(u64);

impl Hasher for Taken {
    fn write(&mut self, _: &[u8]) {}

    fn write_u128(&mut self, key: u128) {
        self.0 = (key >> 64) as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
