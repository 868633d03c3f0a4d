//! Packets that come late, each by another while, and still in the order in which they were sent:
//! what queues along a bad line do. The router sends what goes between sites through a device whose
//! other end is here.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tun_rs::{DeviceBuilder, SyncDevice};

/// What the device is called in the router.
pub const DEVICE: &str = "late";
/// Of an Ethernet frame, and of what the sites' devices are set to.
const LARGEST: usize = 1500;
/// Packets on their way from one site to another; more are lost, as in a router.
const MOST: usize = 10_000;

/// A way from one site to another, by the addresses that its packets bear.
type Way = [u8; 8];

/// Ends with this.
pub struct Lateness(tokio::task::JoinHandle<()>);

impl Drop for Lateness {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Delays what the router of this name sends through the device, by at most so much.
pub fn begin(router: &str, most: Duration, seed: u64) -> std::io::Result<Lateness> {
    let device = Arc::new(make(router.to_owned())?);
    let (entered, mut packets) = mpsc::channel(MOST);
    let source = device.clone();
    // It ends with the first packet after the task below has ended, or with the process.
    std::thread::spawn(move || read(&source, &entered));
    let mut line = Line { most, random: StdRng::seed_from_u64(seed), ways: BTreeMap::new() };
    Ok(Lateness(tokio::spawn(async move {
        loop {
            let due = line.next_due();
            tokio::select! {
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
                packet = packets.recv() => match packet {
                    Some(packet) => line.enter(packet, Instant::now()),
                    None => return,
                },
            }
            for packet in line.arrived() {
                // A full queue of the router's: lost, as it would be there.
                let _ = device.send(&packet);
            }
        }
    })))
}

/// A thread may enter another namespace by itself, and stays there: so one is begun for it.
fn make(router: String) -> std::io::Result<SyncDevice> {
    let made = std::thread::spawn(move || {
        let space = std::fs::File::open(format!("/run/netns/{router}"))?;
        nix::sched::setns(space, nix::sched::CloneFlags::CLONE_NEWNET)?;
        DeviceBuilder::new().name(DEVICE).mtu(LARGEST as u16).build_sync()
    });
    made.join().map_err(|_| std::io::Error::other("the thread that makes the device panicked"))?
}

/// Until nobody wants them any more, or the device went with its namespace.
fn read(device: &SyncDevice, entered: &mpsc::Sender<Vec<u8>>) {
    let mut packet = [0; LARGEST];
    while let Ok(length) = device.recv(&mut packet) {
        match entered.try_send(packet[..length].to_vec()) {
            // More than the task can take: lost, as in a router.
            Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => {}
            Err(mpsc::error::TrySendError::Closed(_)) => return,
        }
    }
}

struct Line {
    most: Duration,
    random: StdRng,
    ways: BTreeMap<Way, VecDeque<(Instant, Vec<u8>)>>,
}

impl Line {
    fn enter(&mut self, packet: Vec<u8>, now: Instant) {
        // Source and destination of IPv4 (RFC 791, section 3.1); the sites speak nothing else.
        let Some(way) = packet.get(12..20).and_then(|it| Way::try_from(it).ok()) else { return };
        let queue = self.ways.entry(way).or_default();
        if queue.len() >= MOST {
            return;
        }
        let before = queue.back().map_or(now, |(due, _)| *due);
        let due = before.max(now + self.random.random_range(Duration::ZERO..=self.most));
        queue.push_back((due, packet));
    }

    fn next_due(&self) -> Option<Instant> {
        self.ways.values().filter_map(|queue| queue.front()).map(|(due, _)| *due).min()
    }

    fn arrived(&mut self) -> Vec<Vec<u8>> {
        let now = Instant::now();
        let mut arrived = Vec::new();
        for queue in self.ways.values_mut() {
            while queue.front().is_some_and(|(due, _)| *due <= now) {
                arrived.extend(queue.pop_front().map(|(_, packet)| packet));
            }
        }
        arrived
    }
}
