//! The first copy of small keys: by a follower, and by SCAN, DUMP and RESTORE.

use super::world::{Follower, World, wait};
use super::{Outcome, Sizes};
use mainstay_testkit::Reply;
use std::time::Instant;

fn filled(sizes: Sizes) -> World {
    let world = World::start();
    world.source.client().run(&["DEBUG", "POPULATE", &sizes.keys.to_string(), "key", "16"]);
    world
}

pub fn run(follower: Follower, sizes: Sizes) -> Outcome<()> {
    let mut world = filled(sizes);
    let begin = Instant::now();
    world.follow(follower)?;
    wait("the copy is there", || world.followed())?;
    let took = begin.elapsed();
    world.same_keys(i64::from(follower == Follower::Link))?;
    let memory = world.memory()?.map_or_else(String::new, |mb| format!(", {mb} MB"));
    let rate = sizes.keys as f64 / took.as_secs_f64();
    println!("  {:<12} {rate:>9.0} keys/s{memory}", follower.name());
    Ok(())
}

/// As scripts that copy a cache do it, with a thousand keys at once.
pub fn by_scan(sizes: Sizes) -> Outcome<()> {
    let world = filled(sizes);
    let (mut source, mut target) = (world.source.client(), world.target.client());
    let begin = Instant::now();
    let mut cursor = "0".to_owned();
    loop {
        let page = source.run(&["SCAN", &cursor, "COUNT", "1000"]);
        let [next, keys] = page.list() else { return Err("SCAN answers with two parts".into()) };
        let keys: Vec<Vec<u8>> = keys.list().iter().map(Reply::bytes).collect();
        let ask = |key: &Vec<u8>| {
            [vec![b"DUMP".to_vec(), key.clone()], vec![b"PTTL".to_vec(), key.clone()]]
        };
        let answers = source.pipeline(&keys.iter().flat_map(ask).collect::<Vec<_>>());
        let restores: Vec<Vec<Vec<u8>>> = keys
            .iter()
            .zip(answers.chunks(2))
            .map(|(key, answer)| {
                let left = answer[1].int().max(0).to_string().into_bytes();
                vec![b"RESTORE".to_vec(), key.clone(), left, answer[0].bytes(), b"REPLACE".to_vec()]
            })
            .collect();
        target.pipeline(&restores);
        cursor = next.text();
        if cursor == "0" {
            break;
        }
    }
    let rate = sizes.keys as f64 / begin.elapsed().as_secs_f64();
    world.same_keys(0)?;
    println!("  {:<12} {rate:>9.0} keys/s", "SCAN copy");
    Ok(())
}
