//! Any bytes give events or an error, and the same ones however they arrive.

use super::read;
use mainstay_wire::rdb::{Event, Part, RdbError, Reader};
use proptest::prelude::*;

fn magic() -> impl Strategy<Value = &'static [u8]> {
    prop::sample::select(vec![&b"REDIS0009"[..], b"REDIS0012", b"VALKEY080"])
}

/// A key with a value of random bytes, which often begins as one should.
fn record() -> impl Strategy<Value = Vec<u8>> {
    let body = prop::collection::vec(prop_oneof![0..8_u8, any::<u8>()], 0..60);
    (0..30_u8, body).prop_map(|(kind, body)| [&[kind, 1, b'k'][..], &body].concat())
}

/// What was said, without where one part ends and the next begins.
fn joined(events: Vec<Event>) -> Vec<Event> {
    let mut joined: Vec<Event> = Vec::new();
    for event in events {
        match (joined.last_mut(), event) {
            (Some(Event::Part(Part::Text(all))), Event::Part(Part::Text(more))) => {
                *all = [&all[..], &more].concat().into();
            }
            (_, event) => joined.push(event),
        }
    }
    joined
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_bytes_give_events_or_an_error_however_they_arrive(
        magic in magic(),
        records in prop::collection::vec(record(), 0..4),
        limit in prop::sample::select(vec![0_usize, 10, 1 << 20]),
    ) {
        let bytes = [magic, &records.concat()].concat();
        let whole = read(&bytes, limit, bytes.len()).map(joined);
        let by_byte = read(&bytes, limit, 1).map(joined);
        // The end of a long string can be damaged after a begin that was given.
        prop_assert_eq!(whole, by_byte);
    }

    #[test]
    fn a_part_of_what_is_read_in_parts_is_never_left_out(
        magic in magic(),
        records in prop::collection::vec(record(), 1..4),
    ) {
        let bytes = [magic, &records.concat()].concat();
        let count = |limit| read(&bytes, limit, 7).map(|events| {
            events.iter().filter(|it| matches!(it, Event::Entry(_) | Event::LargeEnd)).count()
        });
        // Read whole, a damaged inside is left for the server to judge.
        if let Ok(in_parts) = count(0) {
            prop_assert_eq!(count(1 << 20), Ok(in_parts));
        }
    }
}

#[test]
fn an_error_is_final() {
    let mut reader = Reader::new(100);
    reader.feed(b"REDIS0009\x08");
    assert!(reader.next_event().is_ok());
    for _ in 0..2 {
        assert_eq!(reader.next_event(), Err(RdbError::UnknownType(8)));
        reader.feed(b"\xff\0\0\0\0\0\0\0\0");
    }
}

#[test]
fn what_follows_a_snapshot_is_left() {
    let mut reader = Reader::new(100);
    reader.feed(b"REDIS0009\xff\0\0\0\0\0\0\0\0*1\r\n");
    let events: Vec<_> = std::iter::from_fn(|| reader.next_event().expect("it is whole")).collect();
    assert_eq!(events.last(), Some(&Event::End));
    assert!(reader.has_ended());
    assert_eq!(reader.rest(), &b"*1\r\n"[..]);
}
