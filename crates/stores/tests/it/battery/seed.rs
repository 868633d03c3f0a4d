//! Chance that can be played again.

use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};

/// From `MAINSTAY_SEED`, or new. It is printed, for a test that fails.
pub fn seed() -> u64 {
    let named = std::env::var("MAINSTAY_SEED").ok();
    let seed = named.map_or_else(
        || u64::from(rand::rng().next_u32()),
        |text| text.parse().expect("MAINSTAY_SEED is a number"),
    );
    println!("MAINSTAY_SEED={seed}");
    seed
}

/// One stream of numbers of many that one seed gives.
pub fn chance(seed: u64, stream: u64) -> StdRng {
    StdRng::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(stream))
}
