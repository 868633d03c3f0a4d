//! One run: its processes have their turns, quantum after quantum, until all is well again or
//! something is not.

use super::disk::{Disk, Files};
use super::estate::{self, NAMES};
use super::faults::{self, Family};
use super::gate;
use super::network::{Looks, Way};
use super::oracle;
use super::process::Process;
use super::stores::Stores;
use super::world::{Copied, Door, QUANTUM, Shared, Ticket, WITNESS, World, lock};
use mainstay_agent::agent::Agent;
use mainstay_agent::disk::Disk as AgentDisk;
use mainstay_agent::peer::Peer;
use mainstay_agent::probes::Probes;
use mainstay_agent::{AgentSpec, Outside, api, watchdog};
use mainstay_core::{ApplicationName, Epoch, Record};
use mainstay_traffic::control::ControlServer;
use rusqlite::OptionalExtension;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Faults begin when the sites have found each other.
const CALM: u64 = 8_000;
const FAULTS: u64 = 45_000;
/// How long it may take, after the last fault, until all is well.
const HEALING: u64 = 120_000;

/// What came of a run.
pub struct Outcome {
    pub trace: String,
    pub broken: Option<String>,
    /// Of the active site.
    pub moves: u64,
    /// Acknowledged.
    pub writes: u64,
}

struct Run {
    world: Shared,
    agents: [Option<Process>; 3],
    watchdogs: [Option<Process>; 2],
    files: [Files; 3],
    folder: TempDir,
    application: ApplicationName,
    /// The record that the oracle saw last, as it was written.
    seen: Option<String>,
}

pub fn run(seed: u64) -> Outcome {
    let family = Family::of(seed);
    let mut world = World::new(seed);
    world.note(format_args!("seed {seed}, {family:?}"));
    world.oracle.cool_down = u64::try_from(estate::COOL_DOWN.as_millis()).expect("small");
    let mut run = Run {
        world: Arc::new(Mutex::new(world)),
        agents: Default::default(),
        watchdogs: Default::default(),
        files: Default::default(),
        folder: memory_folder(),
        application: estate::application(),
        seen: None,
    };
    run.begin(family);
    run.until(FAULTS);
    if family.is_calm() && !run.is_broken() {
        oracle::unnoticed(&mut lock(&run.world));
    }
    if !run.is_broken() {
        run.heal(family);
    }
    run.end()
}

/// Salvage is the one thing that is kept in files of its own.
fn memory_folder() -> TempDir {
    let memory = std::path::Path::new("/dev/shm");
    let folder = match memory.is_dir() {
        true => tempfile::tempdir_in(memory),
        false => tempfile::tempdir(),
    };
    folder.expect("a folder")
}

impl Run {
    fn begin(&self, family: Family) {
        let mut world = lock(&self.world);
        for site in 0..3 {
            let at = world.random.below(2_000);
            world.schedule(at, move |world| world.starts.push(site));
        }
        for site in 0..2 {
            world.schedule(1_000, move |world| super::clients::through_the_gate(world, site));
            world.schedule(1_000, move |world| super::clients::past_the_gate(world, site));
        }
        world.schedule(CALM, move |world| super::clients::begin(world, family, FAULTS));
    }

    fn is_broken(&self) -> bool {
        lock(&self.world).oracle.broken.is_some()
    }

    fn until(&mut self, end: u64) {
        while lock(&self.world).now < end && !self.is_broken() {
            self.turn();
        }
    }

    /// One quantum: what happens between the processes, then each of them.
    fn turn(&mut self) {
        let end = {
            let mut world = lock(&self.world);
            let end = world.now + QUANTUM;
            world.run_until(end);
            end
        };
        self.end_and_start();
        gate::listen(&mut lock(&self.world), &self.application);
        for site in 0..3 {
            self.step(site, end);
        }
        if end.is_multiple_of(100) {
            self.look_at_the_record();
            if lock(&self.world).oracle.restored {
                self.look_at_the_memories();
            }
        }
    }

    fn step(&mut self, site: usize, end: u64) {
        let (clock, usual, wall, stopped) = {
            let world = lock(&self.world);
            let usual = world.clock(site, end) - world.clock(site, end - QUANTUM);
            let stopped = world.sites[site].stopped_until > end;
            (world.clock(site, end), usual, world.sites[site].wall, stopped)
        };
        if let Some(Some(watchdog)) = self.watchdogs.get_mut(site) {
            watchdog.step(clock, usual, wall);
        }
        if let Some(agent) = &mut self.agents[site]
            && !stopped
        {
            agent.step(clock, usual, wall);
        }
    }

    /// Their tasks end outside of the lock, which some of them take when they end.
    fn end_and_start(&mut self) {
        let (killed, dark, starts) = {
            let mut world = lock(&self.world);
            let world = &mut *world;
            let take = |list: &mut Vec<usize>| std::mem::take(list);
            (take(&mut world.killed), take(&mut world.dark), take(&mut world.starts))
        };
        self.copy();
        for site in killed {
            drop(self.agents[site].take());
        }
        for site in dark.into_iter().filter(|site| *site != WITNESS) {
            drop(self.watchdogs[site].take());
        }
        for site in starts {
            let up = {
                let world = lock(&self.world);
                world.sites[site].up && world.sites[site].living.is_none()
            };
            if up {
                self.start(site);
            }
        }
    }

    /// What a person does with the coordinator's file.
    fn copy(&mut self) {
        for copied in std::mem::take(&mut lock(&self.world).copies) {
            let path = self.state(WITNESS).join("coordinator.db");
            let Some(file) = self.files[WITNESS].lock().expect("files").get(&path).cloned() else {
                continue;
            };
            let file = file.lock().expect("a file");
            let sql = match copied {
                Copied::Taken => "CREATE TABLE copy AS SELECT * FROM record",
                Copied::BroughtBack => "DELETE FROM record; INSERT INTO record SELECT * FROM copy",
            };
            file.execute_batch(sql).expect("a copy");
        }
    }

    fn start(&mut self, site: usize) {
        let mut world = lock(&self.world);
        let machine = world.clock(site, world.now);
        if site != WITNESS && self.watchdogs[site].is_none() {
            let (lines, watched) = mpsc::channel(16);
            world.sites[site].lines = Some(lines);
            let process = Process::new(machine);
            let stores = self.stores(Ticket { site, run: 0 });
            process.handle().spawn(watch(estate::estate(site), stores, watched));
            self.watchdogs[site] = Some(process);
        }
        world.sites[site].runs += 1;
        let ticket = Ticket { site, run: world.sites[site].runs };
        world.sites[site].living = Some(ticket.run);
        world.note(format_args!("the agent of {} starts", NAMES[site]));
        drop(world);
        let process = Process::new(machine);
        let (spec, outside) = (self.spec(site), self.outside(ticket));
        process.handle().spawn(live(self.world.clone(), ticket, spec, outside, process.handle()));
        self.agents[site] = Some(process);
    }

    fn stores(&self, from: Ticket) -> Stores {
        Stores { world: self.world.clone(), from }
    }

    fn spec(&self, site: usize) -> AgentSpec {
        AgentSpec {
            estate: estate::estate(site),
            state: self.state(site),
            tools: PathBuf::new(),
            metrics: None,
        }
    }

    fn state(&self, site: usize) -> PathBuf {
        self.folder.path().join(estate::NAMES[site])
    }

    fn outside(&self, ticket: Ticket) -> Outside {
        let world = self.world.clone();
        let others = (0..3).filter(|site| *site != ticket.site);
        let peers = others.map(|to| {
            let way = Arc::new(Way { world: world.clone(), from: ticket, to });
            let name = lock(&world).name(to).clone();
            let address = name.to_string();
            (name.clone(), Arc::new(Peer::simulated(name, address, way)))
        });
        let files = self.files[ticket.site].clone();
        let disk = Disk { world: world.clone(), ticket, files };
        Outside {
            disk: AgentDisk::Simulated(Arc::new(disk)),
            peers: peers.collect(),
            gate: ControlServer::without_socket(),
            stores: Arc::new(self.stores(ticket)),
            probes: Probes::Simulated(Arc::new(Looks { world: world.clone(), from: ticket })),
        }
    }

    /// The record as it is written in the coordinator's file.
    fn written(&self) -> Option<String> {
        let path = self.state(WITNESS).join("coordinator.db");
        let file = self.files[WITNESS].lock().expect("files").get(&path).cloned()?;
        let connection = file.lock().expect("a file");
        let read = connection
            .prepare_cached("SELECT body FROM record")
            .and_then(|mut read| read.query_row([], |row| row.get(0)).optional());
        read.expect("a readable record")
    }

    fn record(&self) -> Option<Record> {
        self.written().map(|body| serde_json::from_str(&body).expect("a record"))
    }

    fn look_at_the_record(&mut self) {
        let written = self.written();
        if written == self.seen {
            return;
        }
        self.seen = written;
        if let Some(record) = self.record() {
            oracle::agreed(&mut lock(&self.world), &record);
        }
    }

    fn look_at_the_memories(&self) {
        for site in 0..2 {
            let path = self.state(site).join("state.db");
            let Some(file) = self.files[site].lock().expect("files").get(&path).cloned() else {
                continue;
            };
            let connection = file.lock().expect("a file");
            let kept: Option<i64> = connection
                .prepare_cached(
                    "SELECT json_extract(body, '$.highest') FROM document WHERE kind = 'epochs'",
                )
                .and_then(|mut read| read.query_row([], |row| row.get(0)).optional())
                .expect("a readable memory");
            if let Some(newest) = kept.and_then(|kept| u64::try_from(kept).ok()) {
                oracle::remembers(&mut lock(&self.world), site, Epoch::new(newest));
            }
        }
    }

    fn heal(&mut self, family: Family) {
        faults::heal(&mut lock(&self.world));
        if family == Family::Restored {
            // What follows is for a person; only that nothing unsafe happens is judged.
            return self.until(FAULTS + 30_000);
        }
        let end = FAULTS + HEALING;
        while !self.is_broken() {
            self.turn();
            let now = lock(&self.world).now;
            if now.is_multiple_of(500)
                && let Some(active) = self.settled()
            {
                let salvaged = self.salvaged(active);
                let bound = u64::try_from(estate::LOSS_BOUND.as_millis()).expect("small");
                oracle::settle(&mut lock(&self.world), active, &salvaged, bound);
                return;
            }
            if now >= end {
                let mut world = lock(&self.world);
                world.note(format_args!("BROKEN: not well in time"));
                for line in told(&world) {
                    world.note(format_args!("{line}"));
                }
                world.oracle.broken = Some(format!("not well {HEALING} ms after the last fault"));
            }
        }
    }

    /// The active site, when both gates lead to it and the other site has all that it has.
    fn settled(&self) -> Option<usize> {
        let record = self.record()?;
        let mut world = lock(&self.world);
        let active = world.site(&record.active);
        let leads = (0..2).all(|site| world.leads_to(site) == Some(active));
        let well = leads && world.databases[active].is_open() && record.handover.is_none();
        world.oracle.quiet = well;
        let same = world.databases[0].data == world.databases[1].data;
        (well && same).then_some(active)
    }

    /// Transactions that are in a salvage which the active site keeps.
    fn salvaged(&self, active: usize) -> BTreeSet<u64> {
        let mut found = BTreeSet::new();
        let Ok(files) = std::fs::read_dir(self.state(active).join("salvage")) else { return found };
        for file in files {
            let path = file.expect("an entry").path();
            if path.extension().is_some_and(|kind| kind == "jsonl") {
                let text = std::fs::read_to_string(path).expect("a salvage");
                found.extend(text.lines().map(|line| line.parse::<u64>().expect("a number")));
            }
        }
        found
    }

    fn end(mut self) -> Outcome {
        self.agents = Default::default();
        self.watchdogs = Default::default();
        let mut world = lock(&self.world);
        // Doors hold what holds the world.
        world.sites.iter_mut().for_each(|site| site.door = None);
        Outcome {
            trace: std::mem::take(&mut world.trace),
            broken: world.oracle.broken.take(),
            moves: u64::try_from(world.oracle.agreed.len()).unwrap_or(0).saturating_sub(1),
            writes: u64::try_from(world.oracle.acknowledged.len()).unwrap_or(0),
        }
    }
}

/// What every agent that runs would tell a person.
fn told(world: &World) -> Vec<String> {
    let agents = world.sites.iter().filter_map(|site| Some(&site.door.as_ref()?.agent));
    let tell = |agent: &Agent| {
        let status = api::status::status(&agent.context, &agent.applications);
        let problems = status.applications.into_iter().flat_map(|it| it.problems);
        problems.map(|it| format!("{} says: {}", status.here, it.what)).collect::<Vec<_>>()
    };
    agents.flat_map(tell).collect()
}

/// An agent's life.
async fn live(
    world: Shared,
    ticket: Ticket,
    spec: AgentSpec,
    outside: Outside,
    handle: tokio::runtime::Handle,
) {
    let line = outside.gate.gates_end(&estate::application());
    let agent = match mainstay_agent::assemble(&spec, outside).await {
        Ok(agent) => agent,
        Err(why) => {
            let mut world = lock(&world);
            world.note(format_args!("{} does not start: {why}", NAMES[ticket.site]));
            return faults::crash(&mut world, ticket.site);
        }
    };
    let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
    let router = api::peers::router(agent.clone());
    let people = api::people::router(agent.clone());
    {
        let mut world = lock(&world);
        if !world.alive(ticket) {
            return;
        }
        let door = Door { ticket, handle, router, people, agent: agent.clone() };
        world.sites[ticket.site].door = Some(door);
        if let Some(gate) = world.gates.get_mut(ticket.site) {
            gate.reconnect(Some(line));
        }
        if let Some(lines) = &world.sites[ticket.site].lines {
            let (ours, theirs) = tokio::io::duplex(1 << 16);
            let (reader, writer) = tokio::io::split(ours);
            let agent = agent.clone();
            tokio::spawn(async move { watchdog::line::converse(reader, writer, &agent).await });
            drop(lines.try_send(theirs));
        }
    }
    mainstay_agent::start(&agent, &tasks, &shutdown);
    std::future::pending::<()>().await;
}

/// A watchdog's life.
async fn watch(
    estate: mainstay_core::estate::Estate,
    stores: Stores,
    mut lines: mpsc::Receiver<tokio::io::DuplexStream>,
) {
    let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
    let stores: Arc<dyn mainstay_agent::stores::Stores> = Arc::new(stores);
    let end = watchdog::start(&estate, &stores, &tasks, &shutdown);
    while let Some(line) = lines.recv().await {
        let (reader, writer) = tokio::io::split(line);
        end.converse(reader, writer).await;
    }
}
