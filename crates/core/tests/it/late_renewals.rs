//! φ beside figures that Python's `math.erfc` and mpmath gave for the same samples.

use mainstay_core::Tick;
use mainstay_core::watch::Arrivals;
use std::f64::consts::LOG10_2;
use std::time::Duration;

const LONGEST: Duration = Duration::from_secs(10);
/// So small that the samples' own deviation counts.
const NONE: Duration = Duration::ZERO;

/// Intervals with a mean of 1000 ms and a deviation of 154.1103500742 ms.
fn arrivals() -> (Arrivals, u64) {
    let mut arrivals = Arrivals::default();
    let mut now = 5_000;
    arrivals.arrived(Tick::from_millis(now), LONGEST);
    for interval in [1000, 1200, 800, 1100, 900, 1000, 1300, 700, 1000, 1000, 1050, 950] {
        now += interval;
        arrivals.arrived(Tick::from_millis(now), LONGEST);
    }
    (arrivals, now)
}

fn phi(arrivals: &Arrivals, last: u64, waited: u64, jitter: Duration) -> f64 {
    arrivals.phi(Tick::from_millis(last + waited), jitter).expect("enough arrived")
}

#[test]
fn phi_is_what_others_compute() {
    let (arrivals, last) = arrivals();
    for (waited, expected) in [
        (1000, LOG10_2),
        (1500, 3.230_303_012_509),
        (1800, 6.980_734_927_953),
        (2200, 14.463_308_517_420),
    ] {
        let found = phi(&arrivals, last, waited, NONE);
        assert!((found - expected).abs() < 1e-5, "{waited} ms: {found}");
    }
}

/// A deviation of one second, so that the wait is the number of deviations.
#[test]
fn phi_is_right_for_the_thinnest_tails_and_before_the_mean() {
    let (arrivals, last) = arrivals();
    let second = Duration::from_secs(1);
    for (deviations, expected) in [
        (0, LOG10_2),
        (3, 2.869_699_035_929),
        (20, 88.560_095_343_06),
        (60, 783.907_429_166_111),
        (100, 2_173.871_542_869_035),
    ] {
        let found = phi(&arrivals, last, 1000 + deviations * 1000, second);
        assert!((found - expected).abs() < 1e-4, "{deviations}: {found}");
    }
    let half = Duration::from_millis(500);
    assert!((phi(&arrivals, last, 0, half) - 0.009_994_379_534).abs() < 1e-5);
}

#[test]
fn a_few_renewals_say_nothing_and_a_long_silence_is_no_sample() {
    let mut arrivals = Arrivals::default();
    for second in 0..10 {
        arrivals.arrived(Tick::from_millis(second * 1000), LONGEST);
    }
    assert_eq!(arrivals.phi(Tick::from_millis(9_500), NONE), None);
    let (mut arrivals, last) = self::arrivals();
    let before = phi(&arrivals, last, 1500, NONE);
    arrivals.arrived(Tick::from_millis(last + 60_000), LONGEST);
    let after = phi(&arrivals, last + 60_000, 1500, NONE);
    assert!((before - after).abs() < 1e-9, "{before} {after}");
}
