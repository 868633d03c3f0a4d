//! What goes wrong, and what people order.

use super::estate::{self, NAMES, TOKEN};
use super::gate;
use super::world::{Copied, QUANTUM, WITNESS, World};
use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::Full;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use mainstay_agent::people::register::Credentials;
use serde_json::json;

/// What a run is put through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Only the way between the two sites is cut.
    CutBetweenSites,
    /// Only the witness is lost, and the coordinator with it.
    WitnessLost,
    /// Only the active site is lost.
    Disaster,
    /// Anything, and the coordinator comes back from an older copy.
    Restored,
    /// Anything.
    Storm,
}

impl Family {
    pub fn of(seed: u64) -> Self {
        match seed % 8 {
            0 => Family::CutBetweenSites,
            1 => Family::WitnessLost,
            2 => Family::Disaster,
            3 => Family::Restored,
            _ => Family::Storm,
        }
    }

    /// A healthy application notices nothing of it.
    pub fn is_calm(self) -> bool {
        matches!(self, Family::CutBetweenSites | Family::WitnessLost)
    }
}

/// The agent of a site dies, and is started again after a while.
pub fn crash(world: &mut World, site: usize) {
    world.kill(site);
    let after = world.random.within(100..4_000);
    restart_in(world, site, after);
}

fn restart_in(world: &mut World, site: usize, after: u64) {
    world.schedule(world.now + after, move |world| world.starts.push(site));
}

/// Power fails at a site, until it is back.
pub fn power_off(world: &mut World, site: usize, length: Option<u64>) {
    if !world.sites[site].up {
        return;
    }
    world.note(format_args!("power fails at {}", NAMES[site]));
    world.kill(site);
    world.sites[site].up = false;
    world.dark.push(site);
    if site != WITNESS {
        world.databases[site].up = false;
        gate::restart(world, site);
    }
    if let Some(length) = length {
        world.schedule(world.now + length, move |world| power_on(world, site));
    }
}

pub fn power_on(world: &mut World, site: usize) {
    if world.sites[site].up {
        return;
    }
    world.note(format_args!("power is back at {}", NAMES[site]));
    world.sites[site].up = true;
    if let Some(database) = world.databases.get_mut(site) {
        database.boot();
    }
    world.starts.push(site);
}

/// One thing after another goes wrong until `end`.
pub fn storm(world: &mut World, end: u64) {
    if world.now >= end {
        return;
    }
    disturb(world);
    let next = world.now + world.random.within(300..4_000);
    world.schedule(next, move |world| storm(world, end));
}

fn disturb(world: &mut World) {
    let site = usize::try_from(world.random.below(2)).expect("small");
    let any = usize::try_from(world.random.below(3)).expect("small");
    match world.random.below(19) {
        0 | 1 => {
            world.note(format_args!("the agent of {} is killed", NAMES[any]));
            crash(world, any);
        }
        2..=4 => {
            let crash = (world.random.below(60), world.random.one_in(2));
            world.sites[any].disk.crash = Some(crash);
        }
        5 | 6 => stop(world, any),
        7 => {
            let length = world.random.within(500..25_000);
            power_off(world, any, Some(length));
        }
        8..=10 => {
            let other = (any + 1 + usize::from(world.random.one_in(2))) % 3;
            let both = world.random.one_in(2);
            let length = world.random.within(500..20_000);
            cut(world, any, other, both, length);
        }
        11 => noise(world),
        12 => database_restart(world, site),
        13 => disk_breaks(world, any),
        14 => {
            let until = world.now + world.random.within(1_000..15_000);
            world.note(format_args!("links stall at {}", NAMES[site]));
            world.sites[site].stalled_until = until;
        }
        15 => {
            let jump = i64::try_from(world.random.below(7_200_000_000)).expect("small");
            world.sites[any].wall += jump - 3_600_000_000;
            world.note(format_args!("the wall clock of {} jumps", NAMES[any]));
        }
        16 => {
            world.note(format_args!("the gate of {} is restarted", NAMES[site]));
            let line = world.gates[site].line.take();
            gate::restart(world, site);
            world.gates[site].reconnect(line);
        }
        17 => order(world, any),
        _ => {
            world.note(format_args!("the agents of both sites are killed"));
            crash(world, 0);
            crash(world, 1);
        }
    }
}

/// The agent's process is stopped, and goes on later with a late clock.
pub fn stop(world: &mut World, site: usize) {
    let until = world.now + world.random.within(200..25_000);
    world.note(format_args!("the agent of {} is stopped until {until}", NAMES[site]));
    world.sites[site].stopped_until = until;
}

pub fn cut(world: &mut World, from: usize, to: usize, both: bool, length: u64) {
    let names = (NAMES[from], NAMES[to]);
    world.note(format_args!("cut from {} to {}, both ways: {both}", names.0, names.1));
    set_cut(world, from, to, both, true);
    world.schedule(world.now + length, move |world| set_cut(world, from, to, both, false));
}

fn set_cut(world: &mut World, from: usize, to: usize, both: bool, cut: bool) {
    world.cut[from][to] = cut;
    if both {
        world.cut[to][from] = cut;
    }
}

fn noise(world: &mut World) {
    (world.lossy, world.slow) = (world.random.below(300), world.random.within(60..1_500));
    let (lossy, slow) = (world.lossy, world.slow);
    world.note(format_args!("{lossy} of 1000 messages are lost, others take up to {slow} ms"));
    let end = world.now + world.random.within(1_000..10_000);
    world.schedule(end, |world| (world.lossy, world.slow) = (0, 60));
}

fn database_restart(world: &mut World, site: usize) {
    if !world.databases[site].up {
        return;
    }
    world.note(format_args!("the database of {} goes down", NAMES[site]));
    world.databases[site].up = false;
    let length = match world.random.one_in(3) {
        true => world.random.within(5_000..20_000),
        false => world.random.within(100..3_000),
    };
    world.schedule(world.now + length, move |world| {
        if world.sites[site].up && !world.databases[site].up {
            world.databases[site].boot();
        }
    });
}

fn disk_breaks(world: &mut World, site: usize) {
    world.note(format_args!("the disk of {} is full", NAMES[site]));
    world.sites[site].disk.broken = true;
    let end = world.now + world.random.within(1_000..12_000);
    world.schedule(end, move |world| world.sites[site].disk.broken = false);
}

/// A person types something at a site.
pub fn order(world: &mut World, site: usize) {
    let (path, body) = match world.random.below(5) {
        0 | 1 => ("/v1/switchover", json!({"reason": "a test"})),
        2 => ("/v1/failover", json!({"reason": "a test", "accept_loss_s": 2.0})),
        3 => ("/v1/pause", json!({"reason": "a test", "for_s": 8})),
        _ => ("/v1/resume", json!({})),
    };
    world.note(format_args!("a person types {path} at {}", NAMES[site]));
    let Some(door) = world.sites[site].door.clone() else { return };
    door.handle.clone().spawn(async move {
        let mut request = Request::new(Full::new(Bytes::from(body.to_string())));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = path.parse().expect("a path");
        let json = http::HeaderValue::from_static("application/json");
        request.headers_mut().insert(header::CONTENT_TYPE, json);
        let token = http::HeaderValue::from_str(&format!("Bearer {TOKEN}")).expect("a token");
        request.headers_mut().insert(header::AUTHORIZATION, token);
        request.extensions_mut().insert(Credentials::Network(None));
        // What came of it is seen in the world.
        drop(TowerToHyperService::new(door.people.clone()).call(request).await);
    });
}

/// A person keeps a copy of the coordinator's record and brings it back later, as the manual says:
/// the witness is off meanwhile, for longer than any right lasts.
pub fn restore(world: &mut World) {
    let taken = world.random.within(0..10_000);
    world.schedule(world.now + taken, |world| {
        world.note(format_args!("the record is copied"));
        world.copies.push(Copied::Taken);
    });
    let off = taken + world.random.within(1_000..15_000);
    world.schedule(world.now + off, |world| power_off(world, WITNESS, Some(estate::RESTORE)));
    world.schedule(world.now + off + estate::RESTORE - 100, |world| {
        world.note(format_args!("an older copy of the record is brought back"));
        world.oracle.restored = true;
        world.copies.push(Copied::BroughtBack);
    });
}

/// The faults end: everything that was broken works again, and what was down is started.
pub fn heal(world: &mut World) {
    world.note(format_args!("the faults end"));
    world.cut = [[false; 3]; 3];
    (world.lossy, world.slow) = (0, 60);
    for site in 0..3 {
        world.sites[site].disk = Default::default();
        world.sites[site].stalled_until = 0;
        world.sites[site].stopped_until = world.sites[site].stopped_until.min(world.now + QUANTUM);
        power_on(world, site);
        if let Some(database) = world.databases.get_mut(site)
            && !database.up
        {
            database.boot();
        }
    }
}
