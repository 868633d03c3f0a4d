//! Mainstay's link beside Redis's own replication and a copy by SCAN, on the same two servers in
//! one run: `make bench-redis`. It measures and judges no figure; but each work ends with a count
//! of keys on both sides, and a difference ends the run.

mod child;
mod copy;
mod stream;
mod world;

use world::Follower;

/// What a step of the benchmark gives; the first error ends the run.
type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How much is done: all of it, or a tenth (`--quick`: does it run, not how fast).
#[derive(Clone, Copy)]
struct Sizes {
    keys: u64,
    sets: u64,
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let sizes = match words[..] {
        ["link", source, target] => return child::run(source.parse()?, target.parse()?),
        [] => Sizes { keys: 2_000_000, sets: 3_000_000 },
        ["--quick"] => Sizes { keys: 200_000, sets: 300_000 },
        _ => return Err("type --quick, or nothing".into()),
    };
    println!("first copy of {} keys", sizes.keys);
    copy::run(Follower::Replica, sizes)?;
    copy::run(Follower::Link, sizes)?;
    copy::by_scan(sizes)?;
    println!("stream of {} SET at pipeline 16, and at a tenth of the replica's rate", sizes.sets);
    let rate = stream::run(Follower::Replica, sizes, None)?;
    stream::run(Follower::Link, sizes, None)?;
    for follower in [Follower::Replica, Follower::Link] {
        stream::run(follower, sizes, Some(rate / 10.0))?;
    }
    Ok(())
}
