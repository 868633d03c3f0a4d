//! Snapshots of real servers, damaged in any way, give events or an error, and the same ones however
//! they arrive. All that is in them is read in parts too, and made commands of.

use super::read;
use super::servers::small_snapshot;
use mainstay_testkit::RedisKind;
use mainstay_wire::rdb::{Event, Format, RdbError, Rebuild, rebuild};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestRunner;
use std::sync::OnceLock;

#[derive(Debug, Clone)]
enum Damage {
    Byte(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, Index),
    Repeat(Index, Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let byte = prop_oneof![0..8_u8, 250..=255_u8, any::<u8>()];
    prop_oneof![
        6 => (any::<Index>(), byte).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        1 => (any::<Index>(), prop::collection::vec(any::<u8>(), 1..9))
            .prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(at, to)| Damage::Remove(at, to)),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(at, to)| Damage::Repeat(at, to)),
    ]
}

fn damaged(snapshot: &[u8], damages: &[Damage]) -> Vec<u8> {
    let mut bytes = snapshot.to_vec();
    for damage in damages {
        // Ranges of at most forty bytes, so that most of it stays.
        let range = |at: &Index, to: &Index| {
            let at = at.index(bytes.len());
            at..(at + to.index(40)).min(bytes.len())
        };
        match damage {
            Damage::Byte(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Damage::Insert(at, more) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, more.iter().copied());
            }
            Damage::Remove(at, to) => drop(bytes.drain(range(at, to))),
            Damage::Repeat(at, to) => {
                let range = range(at, to);
                let (end, more) = (range.end, bytes[range].to_vec());
                bytes.splice(end..end, more);
            }
        }
        if bytes.is_empty() {
            bytes.push(0);
        }
    }
    bytes
}

/// How many events a reader gives, and what commands they come to: neither may panic. Into how many
/// parts a value is cut depends on how it arrives.
fn use_all(bytes: &[u8], limit: usize, piece: usize) -> Result<usize, RdbError> {
    let events = read(bytes, limit, piece)?;
    let mut large = None;
    for event in &events {
        match event.clone() {
            Event::Entry(entry) => {
                // The inside of a value that came whole may be damaged.
                drop(rebuild(&entry, Format::VALKEY_9));
                assert!(entry.value.payload().len() > entry.value.size());
            }
            Event::Large { key, kind } => large = Some(Rebuild::of(key, kind, Format::VALKEY_9)),
            Event::Part(part) => {
                let large = large.as_mut().expect("a large value began");
                large.part(part).expect("Valkey has all of it");
            }
            Event::LargeEnd => drop(large.take().expect("a large value began").end()),
            _ => {}
        }
    }
    Ok(events.iter().filter(|event| !matches!(event, Event::Part(_))).count())
}

fn snapshots() -> &'static [Vec<u8>] {
    static SNAPSHOTS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    SNAPSHOTS.get_or_init(|| RedisKind::ALL.map(small_snapshot).to_vec())
}

fn play(cases: u32) {
    let mut runner = TestRunner::new(ProptestConfig::with_cases(cases));
    let damages = prop::collection::vec(damage(), 1..4);
    let outcome = runner.run(&(0..3_usize, damages), |(which, damages)| {
        let bytes = damaged(&snapshots()[which], &damages);
        for limit in [0, 30, 1 << 20] {
            let whole = use_all(&bytes, limit, bytes.len());
            prop_assert_eq!(whole, use_all(&bytes, limit, 1));
        }
        Ok(())
    });
    outcome.unwrap_or_else(|why| panic!("{why}"));
}

#[test]
fn damaged_snapshots_give_events_or_an_error_however_they_arrive() {
    play(500);
}

#[test]
fn soak_damaged_snapshots_give_events_or_an_error_however_they_arrive() {
    play(300_000);
}
