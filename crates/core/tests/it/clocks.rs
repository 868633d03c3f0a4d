//! Clocks that run too fast or too slow are found by ticks alone, and by the majority.

use crate::random::Random;
use crate::simulation::seeds;
use crate::world::name;
use mainstay_core::watch::{ClockOff, Exchange, Pace, Rate, who_is_off};
use mainstay_core::{SiteName, Tick};
use std::collections::BTreeMap;

/// What a clock shows at a true time, in milliseconds: where it began, and its rate in millionths.
#[derive(Clone, Copy)]
struct Clock(u64, u64);

impl Clock {
    fn at(self, millis: u64) -> Tick {
        Tick::from_millis(self.0 + millis * self.1 / 1_000_000)
    }
}

/// Asks twice a second for so long; each way takes up to so many milliseconds.
fn measure(mine: Clock, theirs: Clock, seconds: u64, way: u64, random: &mut Random) -> Pace {
    let mut pace = Pace::default();
    for second in 0..seconds * 2 {
        let sent = 1_000 + second * 500;
        let there = sent + random.below(way);
        let back = there + random.below(way);
        let exchange =
            Exchange { sent: mine.at(sent), received: mine.at(back), theirs: theirs.at(there) };
        pace.take(exchange);
    }
    pace
}

#[test]
fn the_true_rate_is_always_between_the_bounds_and_the_bounds_are_close() {
    for seed in seeds(200) {
        let mut random = Random::new(seed);
        let mine = Clock(random.below(1_000_000), 900_000 + random.below(200_000));
        let theirs = Clock(random.below(1_000_000), 900_000 + random.below(200_000));
        let rate = measure(mine, theirs, 90, 150, &mut random).rate().expect("long enough");
        let truth = theirs.1 as f64 / mine.1 as f64;
        assert!(rate.low - 1e-4 <= truth && truth <= rate.high + 1e-4, "seed {seed}: {rate:?}");
        assert!(rate.high - rate.low <= 0.01, "seed {seed}: {rate:?}");
    }
}

#[test]
fn a_clock_within_the_margin_is_never_called_off_and_one_beyond_it_is() {
    for seed in seeds(100) {
        let mut random = Random::new(seed);
        let mine = Clock(7, 1_000_000);
        let within = Clock(0, 981_000 + random.below(38_000));
        assert!(!measure(mine, within, 120, 300, &mut random).rate().is_some_and(Rate::is_off));
        for beyond in [965_000, 1_035_000] {
            let rate = measure(mine, Clock(0, beyond), 120, 150, &mut random).rate();
            assert!(rate.is_some_and(Rate::is_off), "seed {seed}: {rate:?}");
        }
    }
}

#[test]
fn nothing_is_said_within_a_minute_nor_when_answers_take_too_long() {
    let mut random = Random::new(1);
    let (mine, theirs) = (Clock(0, 1_000_000), Clock(0, 1_200_000));
    assert_eq!(measure(mine, theirs, 59, 50, &mut random).rate(), None);
    let mut slow = Pace::default();
    for second in 0..200 {
        let (sent, received) = (mine.at(second * 4_000), mine.at(second * 4_000 + 3_900));
        slow.take(Exchange { sent, received, theirs: theirs.at(second * 4_000) });
        assert_eq!(slow.rate(), None, "second {second}");
    }
}

#[test]
fn a_machine_that_began_anew_is_measured_anew() {
    let mut random = Random::new(1);
    let mine = Clock(0, 1_000_000);
    let mut pace = measure(mine, Clock(1_000_000_000, 1_100_000), 90, 50, &mut random);
    assert!(pace.rate().is_some_and(Rate::is_off));
    let (sent, received) = (mine.at(100_000), mine.at(100_020));
    pace.take(Exchange { sent, received, theirs: Tick::from_millis(3) });
    assert_eq!(pace.rate(), None);
}

/// What the site `here` concludes when the clocks of all three run at these rates.
fn concluded(here: usize, rates: [u64; 3]) -> Option<ClockOff> {
    let mut random = Random::new(5);
    let mut measured = BTreeMap::new();
    for other in (0..3).filter(|other| *other != here) {
        let (mine, theirs) = (Clock(11, rates[here]), Clock(500, rates[other]));
        let pace = measure(mine, theirs, 120, 100, &mut random);
        measured.insert(name(other), pace.rate().expect("long enough"));
    }
    who_is_off(&name(here), &measured)
}

fn sites(off: Option<ClockOff>) -> Vec<SiteName> {
    off.map(|off| off.sites).unwrap_or_default()
}

#[test]
fn all_three_agents_name_the_one_whose_clock_is_off() {
    for wrong in 0..3 {
        for (rate, permille) in [(1_050_000, 50), (950_000, -50)] {
            let mut rates = [1_000_000; 3];
            rates[wrong] = rate;
            for here in 0..3 {
                let off = concluded(here, rates).expect("one is off");
                assert_eq!(off.sites, [name(wrong)], "from {here}");
                assert!((off.permille - permille).abs() <= 5, "{off:?} from {here}");
            }
        }
    }
}

#[test]
fn with_two_agents_or_three_different_clocks_nobody_is_named_alone() {
    let three = concluded(0, [1_000_000, 1_060_000, 940_000]);
    assert_eq!(sites(three), [name(0), name(1), name(2)]);
    let rates = BTreeMap::from([(name(1), Rate { low: 1.05, high: 1.06 })]);
    assert_eq!(sites(who_is_off(&name(0), &rates)), [name(0), name(1)]);
    assert_eq!(concluded(0, [1_000_000, 1_010_000, 995_000]), None);
}

/// What the three say in words.
#[test]
fn it_is_told_in_words() {
    let off = |sites: &[usize], permille| ClockOff {
        sites: sites.iter().map(|site| name(*site)).collect(),
        permille,
    };
    assert_eq!(off(&[0], 51).to_string(), "the clock of east runs 5.1 % too fast");
    assert_eq!(off(&[1], -30).to_string(), "the clock of west runs 3.0 % too slow");
    let two = off(&[0, 1], -30).to_string();
    assert_eq!(two, "the clock of east or of west is off: they differ by 3.0 %");
}
