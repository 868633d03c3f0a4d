//! The clock of this machine, as [`Tick`]s.

use mainstay_core::Tick;
use nix::time::{ClockId, clock_gettime};

/// This moment on `CLOCK_BOOTTIME`, which goes on while the machine sleeps: a lease does too.
pub fn now() -> Tick {
    // clock_gettime(2) fails only for a clock that the kernel does not have; boot time has been
    // there since Linux 2.6.39. The far future is the safe answer: every right has lapsed then.
    let Ok(time) = clock_gettime(ClockId::CLOCK_BOOTTIME) else {
        return Tick::from_millis(u64::MAX);
    };
    let seconds = u64::try_from(time.tv_sec()).unwrap_or(u64::MAX);
    let millis = u64::try_from(time.tv_nsec() / 1_000_000).unwrap_or(0);
    Tick::from_millis(seconds.saturating_mul(1000).saturating_add(millis))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_clock_goes_forward_in_milliseconds() {
        let before = now();
        std::thread::sleep(Duration::from_millis(20));
        let passed = now().since(before);
        assert!(passed >= Duration::from_millis(19), "{passed:?}");
        assert!(passed < Duration::from_secs(5), "{passed:?}");
    }
}
