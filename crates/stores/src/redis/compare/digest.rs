//! A value as a digest that is the same for every encoding, order in memory and version.

/// How many items a value has, and the sum of their hashes: no order is needed. What has an order
/// has its place in each item.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Digest {
    items: u64,
    sums: [u64; 4],
}

impl Digest {
    /// One item of several parts.
    pub(super) fn add<'a>(&mut self, parts: impl IntoIterator<Item = &'a [u8]>) {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        self.items += 1;
        let hash = hasher.finalize();
        for (sum, part) in self.sums.iter_mut().zip(hash.as_bytes().as_chunks::<8>().0) {
            *sum = sum.wrapping_add(u64::from_le_bytes(*part));
        }
    }

    /// One item with its place among the others.
    pub(super) fn add_at(&mut self, place: u64, part: &[u8]) {
        self.add([&place.to_le_bytes()[..], part]);
    }

    pub(super) fn items(&self) -> u64 {
        self.items
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(items: &[&[&[u8]]]) -> Digest {
        let mut digest = Digest::default();
        items.iter().for_each(|parts| digest.add(parts.iter().copied()));
        digest
    }

    #[test]
    fn order_does_not_matter_and_all_else_does() {
        assert_eq!(of(&[&[b"a", b"1"], &[b"b", b"2"]]), of(&[&[b"b", b"2"], &[b"a", b"1"]]));
        for other in [
            of(&[&[b"a", b"2"], &[b"b", b"1"]]),
            of(&[&[b"a1"], &[b"b", b"2"]]),
            of(&[&[b"a", b"1"]]),
            of(&[&[b"a", b"1"], &[b"b", b"2"], &[b"b", b"2"]]),
        ] {
            assert_ne!(of(&[&[b"a", b"1"], &[b"b", b"2"]]), other);
        }
    }
}
