//! Runs with random faults, and runs with one fault.

use crate::world::{STEP, WITNESS, World};

/// Seeds of a run: `MAINSTAY_SEED=7 cargo nextest run -p mainstay-core` replays one,
/// `MAINSTAY_SEEDS` sets how many. Both are read when the test is compiled.
pub fn seeds(default: u64) -> std::ops::Range<u64> {
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<u64>().ok());
    match number(option_env!("MAINSTAY_SEED")) {
        Some(seed) => seed..seed + 1,
        None => 0..number(option_env!("MAINSTAY_SEEDS")).unwrap_or(default),
    }
}

/// One random fault, or the end of one.
pub fn disturb(world: &mut World) {
    let site = usize::from(world.random.one_in(2));
    match world.random.below(8) {
        0 => world.crash(site),
        1 | 2 => world.restart(site),
        3 => world.sites[site].paused_until = world.now + world.random.below(30_000),
        4 => world.coordinator_up = !world.coordinator_up,
        _ => {
            let (a, b) = [(0, 1), (0, WITNESS), (1, WITNESS)][world.random.below(3) as usize];
            let cut = !world.cut[a][b];
            world.cut[a][b] = cut;
            world.cut[b][a] = cut;
        }
    }
}

pub fn heal(world: &mut World) {
    world.cut = [[false; 3]; 3];
    world.coordinator_up = true;
    for site in 0..2 {
        world.sites[site].paused_until = 0;
        world.restart(site);
    }
}

pub fn run_for(world: &mut World, millis: u64, mut check: impl FnMut(&World)) {
    for _ in 0..millis / STEP {
        world.step();
        check(world);
    }
}
