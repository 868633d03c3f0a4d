//! SET at pipeline 16 from one client, and how late the target is: a value with the time of its
//! write is written all along, and the target is asked for it.

use super::world::{Follower, World, wait};
use super::{Outcome, Sizes};
use mainstay_testkit::RedisServer;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Writes as fast as it goes, or at `rate`. Returns what the target had applied in a second.
pub fn run(follower: Follower, sizes: Sizes, rate: Option<f64>) -> Outcome<f64> {
    let mut world = World::start();
    world.follow(follower)?;
    wait("the follower streams", || world.followed())?;
    let probe = Probe::start(&world.source, &world.target);
    let begin = Instant::now();
    let sets = rate.map_or(sizes.sets, |_| sizes.sets / 10);
    write(&world.source, sets, rate);
    let written = begin.elapsed();
    world.source.client().run(&["SET", "end", "1"]);
    wait("the end is at the target", || world.target.client().run(&["EXISTS", "end"]).int() == 1)?;
    let applied = sets as f64 / begin.elapsed().as_secs_f64();
    let mut late = probe.end();
    late.sort();
    let at = |part: f64| late.get((late.len() as f64 * part) as usize).copied().unwrap_or_default();
    world.same_keys(i64::from(follower == Follower::Link))?;
    let memory = world.memory()?.map_or_else(String::new, |mb| format!(", {mb} MB"));
    println!(
        "  {:<12} {:>9.0} SET/s written, {applied:>9.0} SET/s applied, lag median {:.1} ms, \
         99th percentile {:.1} ms{memory}",
        follower.name(),
        sets as f64 / written.as_secs_f64(),
        at(0.5).as_secs_f64() * 1e3,
        at(0.99).as_secs_f64() * 1e3,
    );
    Ok(applied)
}

fn write(server: &RedisServer, sets: u64, rate: Option<f64>) {
    let mut client = server.client();
    let begin = Instant::now();
    for first in (0..sets).step_by(16) {
        let set = |n: u64| {
            let key = format!("key:{:012}", n.wrapping_mul(0x9E37_79B9) % 1_000_000);
            vec![b"SET".to_vec(), key.into_bytes(), b"xxxxxxxxxxxxxxxx".to_vec()]
        };
        client.pipeline(&(first..first + 16).map(set).collect::<Vec<_>>());
        if let Some(rate) = rate {
            let due = Duration::from_secs_f64(first as f64 / rate);
            std::thread::sleep(due.saturating_sub(begin.elapsed()));
        }
    }
}

struct Probe {
    stop: Arc<AtomicBool>,
    task: std::thread::JoinHandle<Vec<Duration>>,
}

impl Probe {
    /// One value after the other: written, then asked for until it is there.
    fn start(source: &RedisServer, target: &RedisServer) -> Self {
        let (stop, mut source, mut target) =
            (Arc::new(AtomicBool::new(false)), source.client(), target.client());
        let stopped = Arc::clone(&stop);
        let task = std::thread::spawn(move || {
            let mut late = Vec::new();
            for n in 0u64.. {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let value = n.to_string();
                let written = Instant::now();
                source.run(&["SET", "probe", &value]);
                while !matches!(target.run(&["GET", "probe"]),
                    mainstay_testkit::Reply::Text(seen) if seen == value.as_bytes())
                {
                    std::thread::sleep(Duration::from_micros(300));
                }
                late.push(written.elapsed());
                std::thread::sleep(Duration::from_millis(10));
            }
            late
        });
        Self { stop, task }
    }

    fn end(self) -> Vec<Duration> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.join().expect("the probe ends well")
    }
}
