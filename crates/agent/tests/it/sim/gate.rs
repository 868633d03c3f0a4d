//! The gates of the sites, by the shipped rules of their postures, and what goes through them.

use super::database::Tx;
use super::world::World;
use mainstay_core::{ApplicationName, Epoch};
use mainstay_traffic::control::{Directive, Report};
use mainstay_traffic::gate::posture::{NewWork, PeerWork, Route, Standing};
use mainstay_traffic::probe::FailureKind;
use tokio::sync::watch;

pub struct Gate {
    pub standing: Standing,
    seq: u64,
    /// The line to the agent that lives.
    pub line: Option<Line>,
    reported: u64,
    ignored: u64,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            standing: Standing::starting(Epoch::default()),
            seq: 0,
            line: None,
            reported: 0,
            ignored: 0,
        }
    }
}

pub type Line = (watch::Receiver<Option<Directive>>, watch::Sender<Option<Report>>);

impl Gate {
    /// A new connection to the agent, which tells at once what it told last.
    pub fn reconnect(&mut self, line: Option<Line>) {
        self.line = line.map(|(mut directives, reports)| {
            directives.mark_changed();
            (directives, reports)
        });
    }
}

/// A gate says what it does at least so often.
const REPORT: u64 = 500;

/// Every gate takes in what its agent told it.
pub fn listen(world: &mut World, application: &ApplicationName) {
    for site in 0..2 {
        let (now, tick) = (world.now, world.tick(site));
        let gate = &mut world.gates[site];
        let Some((directives, reports)) = &mut gate.line else { continue };
        let told = directives.has_changed().unwrap_or(false);
        let directive = told.then(|| directives.borrow_and_update().clone()).flatten();
        if !told && now < gate.reported + REPORT {
            continue;
        }
        gate.reported = now;
        let mut said = None;
        if let Some(directive) = directive {
            gate.seq = directive.seq;
            said = Some((directive.epoch, directive.posture.clone()));
            if gate.standing.apply(directive.epoch, directive.posture).is_err() {
                gate.ignored += 1;
            }
        }
        let serves = gate.standing.serves(tick);
        reports.send_replace(Some(Report {
            seq: gate.seq,
            application: application.clone(),
            epoch: gate.standing.epoch(),
            posture_name: gate.standing.name(tick).to_owned(),
            lapsed: gate.standing.lapsed(tick),
            http_in_flight: 0,
            http_held: 0,
            connections: 0,
            in_transaction: 0,
            cut: 0,
            served: 0,
            ignored: gate.ignored,
            drained: !serves,
            readers_here: 0,
            readers_away: 0,
            minute: Default::default(),
        }));
        if let Some((epoch, posture)) = said {
            let name = world.name(site).clone();
            world.note(format_args!("gate of {name}: epoch {epoch} {posture:?}"));
        }
    }
}

/// A site that is on restarts its gate, which keeps only its epoch.
pub fn restart(world: &mut World, site: usize) {
    let epoch = world.gates[site].standing.epoch();
    world.gates[site] = Gate { standing: Standing::starting(epoch), ..Gate::default() };
}

impl World {
    /// Where a client at this site gets to; none where it is held or refused.
    pub fn leads_to(&self, site: usize) -> Option<usize> {
        if !self.sites[site].up {
            return None;
        }
        match self.gates[site].standing.new_work(self.tick(site)) {
            NewWork::Go(Route::Local) => Some(site),
            NewWork::Go(Route::Peer(peer)) => {
                let to = self.site(&peer);
                let there = !self.cut[site][to] && !self.cut[to][site] && self.sites[to].up;
                let epoch = self.gates[site].standing.epoch();
                let work = self.gates[to].standing.peer_work(epoch, self.tick(to));
                (there && work == PeerWork::Go).then_some(to)
            }
            NewWork::Wait => None,
        }
    }

    /// What a look through the gate of a site finds; none where the application answers.
    pub fn health(&self, site: usize) -> Option<FailureKind> {
        match self.leads_to(site) {
            Some(to) if self.databases[to].is_open() => None,
            _ => Some(FailureKind::Status(503)),
        }
    }

    /// A client's transaction; true when it is acknowledged.
    pub fn write(&mut self, tx: Tx, site: usize) -> bool {
        let micros = self.micros(site);
        let database = &mut self.databases[site];
        if !self.sites[site].up || !database.is_open() {
            return false;
        }
        database.commit(tx, micros);
        true
    }
}
