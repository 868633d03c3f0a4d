//! The engine beside a world that it can change: a file to which programs append lines. What the
//! journal says is never the judge of what was done.

mod another_move;
mod full_disk;
mod kinds;

use super::definition::Defined;
use super::words::{Answer, Heard, Question, Word, Words};
use super::{Skip, engine, pin, steps};
use crate::application::Application;
use crate::disk::{Disk, SimulatedDisk, Work as DiskWork};
use crate::people::{Asker, Proof};
use crate::probes::Probes;
use crate::stores::Postgres;
use crate::types::{Execution, ExecutionKind, ExecutionState, StepState};
use crate::{AgentSpec, Outside, assemble};
use mainstay_core::estate::{
    Application as Spec, CoordinatorPlace, Estate, FailoverMode, Objectives, Site, TlsFiles,
};
use mainstay_core::people::{Force, Role};
use mainstay_core::runbook::{OwnStep, Place, Repoint, Run, RunbookName, Settings, Work};
use mainstay_core::{ApplicationName, Epoch, SiteName};
use mainstay_testkit::wait_for_value;
use mainstay_traffic::control::ControlServer;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::sync::Notify;

/// A disk in memory. The process that uses it dies at one access, before or after that is durable.
#[derive(Default)]
struct Crashing {
    files: Mutex<BTreeMap<PathBuf, Arc<Mutex<Connection>>>>,
    accesses: Mutex<u64>,
    /// So many accesses are still made, and whether the last of them is durable.
    dies: Mutex<Option<(u64, bool)>>,
    died: Notify,
    /// After so many accesses it is full for as many.
    full: Mutex<Option<(u64, u64)>>,
}

impl Crashing {
    async fn may_die(&self, after: bool) {
        let dies = {
            let mut dies = self.dies.lock().unwrap();
            match &mut *dies {
                Some((left, wanted)) if *wanted == after => {
                    *left = left.saturating_sub(1);
                    *left == 0
                }
                _ => false,
            }
        };
        if dies {
            self.died.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

impl Crashing {
    fn takes(&self) -> rusqlite::Result<()> {
        match &mut *self.full.lock().unwrap() {
            Some((0, refusals @ 1..)) => {
                *refusals -= 1;
                let full = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL);
                Err(rusqlite::Error::SqliteFailure(full, Some("the disk is full".to_owned())))
            }
            Some((left, _)) => {
                *left = left.saturating_sub(1);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Whether it was full and has room again.
    fn has_room_again(&self) -> bool {
        self.full.lock().unwrap().is_none_or(|(_, refusals)| refusals == 0)
    }
}

impl SimulatedDisk for Crashing {
    fn open(&self, path: &Path) -> rusqlite::Result<Arc<Mutex<Connection>>> {
        let mut files = self.files.lock().unwrap();
        if let Some(file) = files.get(path) {
            return Ok(file.clone());
        }
        let file = Arc::new(Mutex::new(Connection::open_in_memory()?));
        files.insert(path.to_owned(), file.clone());
        Ok(file)
    }

    fn before<'a>(&'a self, _: &'a Path) -> DiskWork<'a, rusqlite::Result<()>> {
        Box::pin(async {
            self.may_die(false).await;
            self.takes()
        })
    }

    fn after<'a>(&'a self, _: &'a Path) -> DiskWork<'a, ()> {
        Box::pin(async {
            *self.accesses.lock().unwrap() += 1;
            self.may_die(true).await;
        })
    }
}

const PATIENCE: Duration = Duration::from_secs(30);

fn site(name: &str) -> SiteName {
    SiteName::new(name).unwrap()
}

fn settings() -> Settings {
    Settings {
        group: None,
        to: None,
        needs: Vec::new(),
        timeout: Duration::from_secs(20),
        tries: 2,
        pause: Duration::from_millis(1),
        optional: false,
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn after(anchor: &str, name: &str, work: Work) -> OwnStep {
    let place = Place::After(anchor.to_owned());
    let (name, settings, environment) = (name.to_owned(), settings(), BTreeMap::new());
    OwnStep { place, name, work, settings, environment }
}

/// A world: a file, and programs that append their effect's key to it.
struct World {
    folder: TempDir,
    disk: Arc<Crashing>,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("effects"), "").unwrap();
        Self { folder, disk: Arc::default() }
    }

    fn file(&self) -> String {
        self.folder.path().join("effects").display().to_string()
    }

    fn appends(&self, probed: bool) -> Run {
        let file = self.file();
        let append = ["/bin/sh", "-c", "echo \"$1\" >> \"$0\"", &file, "{key}"];
        let probe = ["/bin/grep", "-qx", "{key}", &file];
        let undo = ["/bin/sh", "-c", "echo \"undo $1\" >> \"$0\"", &file, "{key}"];
        let probe = if probed { words(&probe) } else { Vec::new() };
        Run { command: words(&append), probe, undo: words(&undo), repeatable: false }
    }

    fn effects(&self) -> Vec<String> {
        let text = fs::read_to_string(self.file()).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    fn estate(&self, own: &[OwnStep]) -> Estate {
        let bank = ApplicationName::new("bank").unwrap();
        let spec = Spec {
            name: bank.clone(),
            home: site("west"),
            failover: FailoverMode::Manual,
            force: Force::One,
            approvals_expire: Duration::from_secs(60),
            objectives: Objectives { rto: Duration::from_secs(60), rpo: Duration::from_secs(1) },
            lease: Duration::from_secs(10),
            cool_down: Duration::from_secs(60),
            fencing: BTreeMap::new(),
            fence_after: Duration::from_secs(3),
            stores: BTreeMap::new(),
            gates: BTreeMap::new(),
            runbooks: [RunbookName::Failover, RunbookName::Switchover]
                .map(|name| (name, own.to_vec()))
                .into(),
            names: BTreeMap::new(),
            probes: BTreeMap::new(),
        };
        let place = Site { witness: false, agent: String::new(), people: None };
        let none = PathBuf::new;
        Estate {
            here: site("east"),
            sites: [(site("east"), place.clone()), (site("west"), place)].into(),
            coordinator: CoordinatorPlace::Embedded { site: site("east") },
            tls: TlsFiles { authority: none(), certificate: none(), key: none() },
            dns: BTreeMap::new(),
            people: None,
            applications: [(bank, spec)].into(),
            alerts: BTreeMap::new(),
        }
    }

    async fn wakes(&self, own: &[OwnStep], disk: Disk) -> Arc<Application> {
        let spec = AgentSpec {
            estate: self.estate(own),
            state: self.folder.path().to_owned(),
            tools: PathBuf::new(),
            metrics: None,
        };
        let outside = Outside {
            disk,
            peers: BTreeMap::new(),
            gate: ControlServer::without_socket(),
            stores: Arc::new(Postgres),
            probes: Probes::Real,
        };
        let agent = assemble(&spec, outside).await.unwrap();
        agent.applications.values().next().unwrap().clone()
    }

    fn disk(&self) -> Disk {
        Disk::Simulated(self.disk.clone())
    }
}

/// An execution of only a person's own steps: the built-in ones have a world of their own.
fn own_only(application: &Application, kind: ExecutionKind) -> Execution {
    let id = "bank-2-test".to_owned();
    let mut execution = super::new(application, id, kind, Epoch::new(2), Some(site("west")), "ana");
    let pinned = execution.runbook.as_mut().unwrap();
    pinned.steps.retain(|step| matches!(step, Defined::Own(_)));
    let names: Vec<String> = pinned.steps.iter().map(|step| step.name().to_owned()).collect();
    execution.steps.retain(|step| names.contains(&step.name));
    execution
}

fn claimed(application: &Application) {
    application.learn(|known| known.facts.highest = Epoch::new(2));
}

fn person(name: &str, role: Role) -> Asker {
    Asker { name: name.to_owned(), role, by: Proof::Token }
}

fn state_of(application: &Application) -> Option<ExecutionState> {
    application.known().execution.as_ref().map(|it| it.state)
}

/// Until the execution is ended, or asks.
async fn settles(application: &Application) -> Execution {
    let settled = async || {
        let now = application.known().execution.clone();
        now.filter(|it| it.state != ExecutionState::Running)
    };
    wait_for_value("the execution ends or asks", PATIENCE, settled).await
}

fn steps_of_the_world(world: &World) -> Vec<OwnStep> {
    let grouped = |name: &str| {
        let mut step = after("verify", name, Work::Run(world.appends(true)));
        step.settings.group = Some("both".to_owned());
        step
    };
    let file = world.folder.path().join("app.env").display().to_string();
    let variables = BTreeMap::from([("SITE".to_owned(), "{to}".to_owned())]);
    vec![
        after("verify", "first", Work::Run(world.appends(true))),
        grouped("left"),
        grouped("right"),
        after("verify", "blind", Work::Run(world.appends(false))),
        after("verify", "point", Work::Repoint(Repoint { file, variables, reload: Vec::new() })),
    ]
}

/// One life of the agent: it takes its execution up, or begins it. None when it died.
async fn live(world: &World, own: &[OwnStep]) -> Option<(Arc<Application>, Execution)> {
    let life = async {
        let application = world.wakes(own, world.disk()).await;
        claimed(&application);
        let execution = application.known().execution.clone();
        let execution =
            execution.unwrap_or_else(|| own_only(&application, ExecutionKind::Failover));
        if execution.state != ExecutionState::Succeeded {
            let work = application.clone();
            // Dropped, as all of a process is, with the runtime's task set of this life.
            let conducting = async move { engine::conduct(&work, execution).await };
            tokio::select! {
                () = conducting => {}
                asks = asks(&application) => return (application, asks),
            }
        }
        let ended = application.known().execution.clone().unwrap();
        (application, ended)
    };
    tokio::select! {
        biased;
        () = world.disk.died.notified() => None,
        ended = life => Some(ended),
    }
}

/// Until the execution asks a person: only what has no probe is asked.
async fn asks(application: &Application) -> Execution {
    let asking = async || {
        let now = application.known().execution.clone();
        now.filter(|it| !it.questions.is_empty())
    };
    let now = wait_for_value("the execution asks", PATIENCE, asking).await;
    let Question { step, answers, .. } = &now.questions[0];
    assert_eq!(step, "blind", "{now:?}");
    assert!(answers.contains(&Answer::Retry) && answers.contains(&Answer::Skip));
    now
}

#[tokio::test]
async fn an_agent_that_dies_at_any_write_goes_on_or_asks_and_makes_no_effect_twice() {
    let (mut deaths, mut asked, mut slowest) = (0, 0, Duration::ZERO);
    let mut die_at = 1;
    'writes: loop {
        for durable in [false, true] {
            let world = World::new();
            let own = steps_of_the_world(&world);
            // What is read when the agent starts is no write of the execution.
            drop(world.wakes(&own, world.disk()).await);
            let reads = *world.disk.accesses.lock().unwrap();
            *world.disk.dies.lock().unwrap() = Some((die_at + reads, durable));
            if live(&world, &own).await.is_some() {
                break 'writes;
            }
            deaths += 1;
            *world.disk.dies.lock().unwrap() = None;
            let began = Instant::now();
            let (application, now) = live(&world, &own).await.expect("it lives");
            slowest = slowest.max(began.elapsed());
            if now.state == ExecutionState::Stuck {
                asked += 1;
                let key = "bank-2-test/blind/2".to_owned();
                let made = world.effects().contains(&key);
                let answer = if made { Answer::Skip } else { Answer::Retry };
                say(&application, &now, answer);
                engine::conduct(&application, now).await;
            }
            assert_eq!(state_of(&application), Some(ExecutionState::Succeeded));
            let once = ["blind", "first", "left", "right"].map(|it| format!("bank-2-test/{it}/2"));
            assert_eq!(world.effects(), once, "died at {die_at}, durable: {durable}");
            let written = fs::read_to_string(world.folder.path().join("app.env")).unwrap();
            assert_eq!(written, "MAINSTAY_EPOCH=2\nSITE=east\n");
        }
        die_at += 1;
    }
    println!("{deaths} deaths, {asked} questions, slowest to go on: {slowest:?}");
    assert!(deaths > 40 && asked > 0, "{deaths} {asked}");
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
}

fn say(application: &Application, execution: &Execution, answer: Answer) {
    let step = execution.questions[0].step.clone();
    let (by, reason) = (person("ben", Role::Approver), "looked".to_owned());
    application.words.give(Word { execution: execution.id.clone(), step, answer, by, reason });
}

#[tokio::test]
async fn with_a_newer_epoch_a_step_is_left_and_the_next_is_not_made() {
    let world = World::new();
    let wait = Work::Wait { span: Duration::from_secs(600) };
    let own =
        [after("verify", "long", wait), after("long", "then", Work::Run(world.appends(true)))];
    let application = world.wakes(&own, world.disk()).await;
    claimed(&application);
    let execution = own_only(&application, ExecutionKind::Failover);
    let work = application.clone();
    let conducting = tokio::spawn(async move { engine::conduct(&work, execution).await });
    let waits = |it: &Execution| it.steps.iter().any(|step| step.state == StepState::Intent);
    let began = async || application.known().execution.clone().filter(waits);
    wait_for_value("the step begins", PATIENCE, began).await;
    application.learn(|known| known.facts.highest = Epoch::new(3));
    conducting.await.unwrap();
    let ended = application.known().execution.clone().unwrap();
    assert_eq!(ended.state, ExecutionState::Aborted);
    assert!(ended.facts["reason"].as_str().unwrap().contains("a newer epoch"), "{ended:?}");
    assert_eq!(world.effects(), [""; 0]);
}

#[tokio::test]
async fn a_switchover_that_is_given_up_takes_back_what_it_did_the_last_first() {
    let world = World::new();
    let file = world.folder.path().join("app.env");
    fs::write(&file, "SITE=west\n").unwrap();
    let mut own = steps_of_the_world(&world);
    own.retain(|step| step.name == "first" || step.name == "point");
    let fails = Run {
        command: words(&["/bin/false"]),
        probe: Vec::new(),
        undo: Vec::new(),
        repeatable: true,
    };
    own.push(after("verify", "fails", Work::Run(fails)));
    let application = world.wakes(&own, world.disk()).await;
    application.learn(|known| known.facts.highest = Epoch::new(1));
    let execution = own_only(&application, ExecutionKind::Switchover);
    engine::conduct(&application, execution).await;
    let ended = settles(&application).await;
    assert_eq!(ended.state, ExecutionState::Aborted);
    let undone = ended.steps.iter().filter(|step| step.state == StepState::Undone).count();
    assert_eq!(undone, 2, "{:?}", ended.steps);
    assert_eq!(world.effects(), ["bank-2-test/first/2", "undo bank-2-test/first/2"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "SITE=west\n");
}

/// The figure is the median, since the disk of a busy machine has moments of its own. A machine with
/// more to do than its cores can says nothing of the engine: this is `make soak ARGS=engine`.
#[tokio::test]
async fn soak_the_engine_costs_less_than_fifty_milliseconds_a_step() {
    let world = World::new();
    let nothing = || Work::Wait { span: Duration::ZERO };
    let own: Vec<OwnStep> =
        (0..60).map(|number| after("verify", &format!("step-{number}"), nothing())).collect();
    let application = world.wakes(&own, Disk::Real).await;
    claimed(&application);
    let execution = own_only(&application, ExecutionKind::Failover);
    engine::conduct(&application, execution).await;
    let ended = settles(&application).await;
    assert_eq!(ended.state, ExecutionState::Succeeded);
    let begins: Vec<i64> = ended.steps.iter().map(|step| step.started_micros.unwrap()).collect();
    let mut each: Vec<i64> = begins.windows(2).map(|pair| pair[1] - pair[0]).collect();
    each.sort_unstable();
    let median = each[each.len() / 2];
    println!("from one step to the next: median {median} us, slowest {} us", each[each.len() - 1]);
    assert!(median < 50_000, "{median} us");
}

#[tokio::test]
async fn a_persons_steps_stand_where_they_were_put_and_a_failback_has_those_of_a_switchover() {
    let world = World::new();
    let step = |name: &str, place: Place| OwnStep {
        place,
        ..after("verify", name, Work::Wait { span: Duration::ZERO })
    };
    let at = |anchor: &str| anchor.to_owned();
    let own = [
        step("a", Place::After(at("promote"))),
        step("b", Place::After(at("promote"))),
        step("c", Place::Before(at("promote"))),
        step("d", Place::Instead(at("verify"))),
        step("e", Place::After(at("d"))),
    ];
    let estate = world.estate(&own);
    let spec = estate.applications.values().next().unwrap();
    let names = |name| -> Vec<String> {
        steps(spec, name).iter().map(|step| step.name().to_owned()).collect()
    };
    let failover = ["fence", "drain", "pin", "c", "promote", "a", "b", "route", "d", "e"];
    assert_eq!(names(RunbookName::Failover), failover);
    assert_eq!(names(RunbookName::Failback), names(RunbookName::Switchover));
    let changed = world.estate(&own[..3]);
    let other = changed.applications.values().next().unwrap();
    let hash = |spec| pin(spec, RunbookName::Failover).hash;
    assert_eq!(hash(spec), hash(spec));
    assert_ne!(hash(spec), hash(other), "another runbook, another hash");
}

#[tokio::test]
async fn a_fence_is_left_out_by_two_people_only_and_nobody_approves_their_own() {
    let world = World::new();
    let application = world.wakes(&[], world.disk()).await;
    let mut execution = own_only(&application, ExecutionKind::Failover);
    let question = |step: &str, answers| Question { step: step.into(), what: "?".into(), answers };
    execution.questions = vec![
        question("fence", vec![Answer::Retry, Answer::Skip]),
        question("ask", vec![Answer::Resume]),
    ];
    let words = Words::default();
    let word = |step: &str, answer, name: &str, role| Word {
        execution: execution.id.clone(),
        step: step.to_owned(),
        answer,
        by: person(name, role),
        reason: "so".to_owned(),
    };
    let skip = |name: &str, role| {
        words.judge(&word("fence", Answer::Skip, name, role), Skip::Two, &execution)
    };
    assert_eq!(skip("ana", Role::Admin), Ok(Heard::OneOfTwo));
    assert_eq!(skip("ana", Role::Admin), Ok(Heard::OneOfTwo), "the same person is not two");
    assert_eq!(skip("cem", Role::Operator).unwrap_err().code, "MS-PEOPLE-003");
    assert_eq!(skip("ben", Role::Approver), Ok(Heard::Taken));
    let resume = |name: &str, role| {
        words.judge(&word("ask", Answer::Resume, name, role), Skip::Anybody, &execution)
    };
    assert_eq!(resume("ana", Role::Admin).unwrap_err().code, "MS-PEOPLE-004");
    assert_eq!(resume("cem", Role::Operator).unwrap_err().code, "MS-PEOPLE-003");
    assert_eq!(resume("ben", Role::Approver), Ok(Heard::Taken));
    let wrong =
        words.judge(&word("ask", Answer::Skip, "ben", Role::Admin), Skip::Anybody, &execution);
    assert_eq!(wrong.unwrap_err().code, "MS-RUN-002");
}

/// A step that others need, and that a person left out, takes them with it.
#[tokio::test]
async fn what_needs_a_step_that_failed_is_left_out_too() {
    let world = World::new();
    let fails = Run {
        command: words(&["/bin/false"]),
        probe: Vec::new(),
        undo: Vec::new(),
        repeatable: true,
    };
    let mut own = vec![
        after("verify", "fails", Work::Run(fails)),
        after("fails", "then", Work::Run(world.appends(true))),
        after("then", "apart", Work::Run(world.appends(true))),
    ];
    own[0].settings.optional = true;
    own[1].settings.needs = vec!["fails".to_owned()];
    own[2].settings.to = Some(site("east"));
    let application = world.wakes(&own, world.disk()).await;
    claimed(&application);
    let execution = own_only(&application, ExecutionKind::Failover);
    engine::conduct(&application, execution).await;
    let states: Vec<StepState> =
        settles(&application).await.steps.iter().map(|step| step.state).collect();
    assert_eq!(states, [StepState::Failed, StepState::Skipped, StepState::Done]);
    assert_eq!(world.effects(), ["bank-2-test/apart/2"]);
}
