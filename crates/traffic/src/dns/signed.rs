//! Signatures as they came with an answer: by which keys, and over which time they hold. Whether
//! they are right is for resolvers to say.

use hickory_proto::dnssec::rdata::RRSIG;
use std::collections::BTreeSet;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// By the tags that the zone's keys have (RFC 4034, appendix B).
    pub keys: BTreeSet<u16>,
    /// Seconds since 1970: all signatures hold from then.
    pub from: i64,
    /// And until then.
    pub until: i64,
    /// They did when the answer came.
    pub held: bool,
}

impl Signed {
    /// Of all the sets of records in an answer, each with its signatures. None where one has none.
    pub(super) fn of(sets: &[Vec<RRSIG>], now: u64) -> Option<Self> {
        let now = now.cast_signed();
        let input = |signature: &RRSIG| signature.input().clone();
        let inputs: Vec<_> = sets.iter().flatten().map(input).collect();
        let tags = |set: &Vec<RRSIG>| set.iter().map(|it| it.input().key_tag).collect();
        let common = |one: BTreeSet<u16>, other: BTreeSet<u16>| &one & &other;
        let keys: BTreeSet<u16> = sets.iter().map(tags).reduce(common)?;
        let from = inputs.iter().map(|it| near(now, it.sig_inception.get())).max()?;
        let until = inputs.iter().map(|it| near(now, it.sig_expiration.get())).min()?;
        let held = (from..=until).contains(&now);
        (!keys.is_empty()).then_some(Self { keys, from, until, held })
    }

    /// As far as people care: the time goes on by itself.
    pub fn same_as(&self, other: &Self) -> bool {
        self.keys == other.keys && self.held == other.held
    }
}

/// Signatures count seconds in 32 bits: the moment next to now that they may mean (RFC 1982).
fn near(now: i64, serial: u32) -> i64 {
    let low = (now & i64::from(u32::MAX)) as u32;
    now + i64::from(serial.wrapping_sub(low).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::near;

    #[test]
    fn times_go_round_and_mean_the_nearest_moment() {
        assert_eq!(near(1_800_000_000, 1_800_003_600), 1_800_003_600);
        assert_eq!(near(1_800_000_000, 1_799_996_400), 1_799_996_400);
        let round = 1_i64 << 32;
        assert_eq!(near(round - 10, 50), round + 50);
        assert_eq!(near(round + 10, u32::MAX), round - 1);
    }
}
