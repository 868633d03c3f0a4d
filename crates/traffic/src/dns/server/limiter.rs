//! How many answers one network gets over UDP: whoever asks in somebody else's name would have us
//! send to them.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// Answers a second to one network. A resolver for a million people asks for less: it keeps an
/// answer for its TTL.
pub const MOST: u64 = 1000;
/// Bytes of an answer that counts as one.
const USUAL: usize = 512;
/// Networks that share a place share what they get; who they are cannot be foreseen from outside.
const PLACES: usize = 1 << 14;

/// One for all sockets of an address: who asks chooses which of them takes it.
#[derive(Debug)]
pub struct Limiter {
    hasher: RandomState,
    began: Instant,
    /// The second in the upper half, and how many answers in it.
    places: Vec<AtomicU64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowed {
    Answer,
    /// An answer that is no longer than the question and sends an honest client to TCP.
    Short,
    Nothing,
}

impl Limiter {
    pub fn new() -> Self {
        let places = std::iter::repeat_with(AtomicU64::default).take(PLACES).collect();
        Self { hasher: RandomState::new(), began: Instant::now(), places }
    }

    pub fn take(&self, to: IpAddr, now: Instant) -> Allowed {
        // Nobody elsewhere can ask in this machine's name.
        if to.is_loopback() {
            return Allowed::Answer;
        }
        let count = self.count(to, now, 1);
        match (count <= MOST, count.is_multiple_of(2)) {
            (true, _) => Allowed::Answer,
            (false, true) => Allowed::Short,
            (false, false) => Allowed::Nothing,
        }
    }

    /// A long answer, as signatures make them, counts as several of the usual size: what is sent to
    /// a network stays the same.
    pub fn weigh(&self, to: IpAddr, now: Instant, length: usize) {
        let more = length.saturating_sub(1) / USUAL;
        if more > 0 && !to.is_loopback() {
            self.count(to, now, more as u64);
        }
    }

    /// How many it is now in this second, with these.
    fn count(&self, to: IpAddr, now: Instant, more: u64) -> u64 {
        let second = now.saturating_duration_since(self.began).as_secs() + 1;
        let place = usize::try_from(self.hasher.hash_one(network(to))).unwrap_or(0) % PLACES;
        let next = |old: u64| if old >> 32 == second { old + more } else { second << 32 | more };
        let old = self.places[place].fetch_update(Relaxed, Relaxed, |old| Some(next(old)));
        next(old.unwrap_or_else(|same| same)) & u64::from(u32::MAX)
    }
}

/// What one who asks in other people's names can choose freely within: /24, and /56 of IPv6.
fn network(of: IpAddr) -> u64 {
    match of {
        IpAddr::V4(v4) => u64::from(v4.to_bits() >> 8),
        IpAddr::V6(v6) => u64::try_from(v6.to_bits() >> 72).unwrap_or(u64::MAX) | 1 << 63,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_network_gets_its_share_of_each_second_and_then_every_second_answer_short() {
        let limiter = Limiter::new();
        let now = Instant::now();
        let ask =
            |limiter: &Limiter, last: u8, now| limiter.take(IpAddr::from([192, 0, 2, last]), now);
        for host in 0..MOST {
            assert_eq!(ask(&limiter, (host % 250) as u8, now), Allowed::Answer);
        }
        let over: Vec<_> = (0..4).map(|host| ask(&limiter, host, now)).collect();
        use Allowed::{Nothing, Short};
        assert_eq!(over, [Nothing, Short, Nothing, Short]);
        let long = Limiter::new();
        assert_eq!(ask(&long, 1, now), Allowed::Answer);
        // Within the usual size is what `take` counted; 500 times that counts for 499 more.
        long.weigh(IpAddr::from([192, 0, 2, 1]), now, USUAL);
        (0..2).for_each(|_| long.weigh(IpAddr::from([192, 0, 2, 1]), now, 500 * USUAL));
        assert_eq!(ask(&long, 1, now), Allowed::Answer);
        assert_eq!(ask(&long, 1, now), Allowed::Nothing);
        let later = now + Duration::from_secs(2);
        assert_eq!(ask(&limiter, 1, later), Allowed::Answer);
    }
}
