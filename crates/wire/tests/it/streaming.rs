//! Transactions in progress and prepared ones: bytes written from the manual's tables.

use bytes::Bytes;
use mainstay_core::position::Lsn;
use mainstay_wire::pgoutput::{
    Begin, Commit, CommitPrepared, DecodeError, Decoded, Decoder, Malformed, Message, OldTuple,
    Prepare, RollbackPrepared, StreamCommit, Value,
};
use proptest::prelude::*;

const Y2K_MICROS: i64 = 946_684_800_000_000;
const START: &[u8] = b"S\x00\x00\x02\xbc\x01";
const STOP: &[u8] = b"E";
const LSNS: [&[u8]; 2] = [b"\0\0\0\0\0\0\x01\0", b"\0\0\0\0\0\0\x02\0"];
const TIMES: [&[u8]; 2] = [b"\0\0\0\0\0\0\0\x05", b"\0\0\0\0\0\0\0\x06"];
const XID: &[u8] = b"\0\0\x02\xbc";

fn joined(parts: &[&[u8]]) -> Bytes {
    Bytes::from(parts.concat())
}

/// A decoder that stands inside a block of transaction 700.
fn streaming() -> Decoder {
    let mut decoder = Decoder::default();
    let start = decoder.decode(Bytes::from_static(START)).unwrap();
    assert_eq!(start.message, Message::StreamStart { xid: 700, first: true });
    decoder
}

fn text(s: &'static str) -> Value {
    Value::Text(Bytes::from_static(s.as_bytes()))
}

fn prepare() -> Prepare {
    Prepare {
        prepare_lsn: Lsn(256),
        end_lsn: Lsn(512),
        prepare_micros: Y2K_MICROS + 5,
        xid: 700,
        gid: "pay".into(),
    }
}

/// Every message that stands between transactions, with the bytes that the manual gives it.
fn between() -> Vec<(Bytes, Message)> {
    let commit = Commit { commit_lsn: Lsn(256), end_lsn: Lsn(512), commit_micros: Y2K_MICROS + 5 };
    let begin = Begin { commit_lsn: Lsn(256), commit_micros: Y2K_MICROS + 5, xid: 700 };
    let committed = CommitPrepared {
        commit_lsn: Lsn(256),
        end_lsn: Lsn(512),
        commit_micros: Y2K_MICROS + 5,
        xid: 700,
        gid: "pay".into(),
    };
    let rolled_back = RollbackPrepared {
        prepare_end_lsn: Lsn(256),
        end_lsn: Lsn(512),
        prepare_micros: Y2K_MICROS + 5,
        rollback_micros: Y2K_MICROS + 6,
        xid: 700,
        gid: "pay".into(),
    };
    let [from, to] = LSNS;
    let [time, later] = TIMES;
    vec![
        (joined(&[b"B", from, time, XID]), Message::Begin(begin)),
        (joined(&[b"C\0", from, to, time]), Message::Commit(commit)),
        (joined(&[START]), Message::StreamStart { xid: 700, first: true }),
        (joined(&[b"S", XID, b"\0"]), Message::StreamStart { xid: 700, first: false }),
        (
            joined(&[b"c", XID, b"\0", from, to, time]),
            Message::StreamCommit(StreamCommit { xid: 700, commit }),
        ),
        (joined(&[b"A", XID, b"\0\0\x02\xbd"]), Message::StreamAbort { xid: 700, subxid: 701 }),
        (joined(&[b"b", from, to, time, XID, b"pay\0"]), Message::BeginPrepare(prepare())),
        (joined(&[b"P\0", from, to, time, XID, b"pay\0"]), Message::Prepare(prepare())),
        (joined(&[b"p\0", from, to, time, XID, b"pay\0"]), Message::StreamPrepare(prepare())),
        (joined(&[b"K\0", from, to, time, XID, b"pay\0"]), Message::CommitPrepared(committed)),
        (
            joined(&[b"r\0", from, to, time, later, XID, b"pay\0"]),
            Message::RollbackPrepared(rolled_back),
        ),
    ]
}

/// Changes as they are outside a block: the letter, and what follows it.
const CHANGES: [(&[u8], &[u8]); 7] = [
    (b"I", b"\0\0\0\x10N\0\x01t\0\0\0\x011"),
    (b"U", b"\0\0\0\x10N\0\x01t\0\0\0\x012"),
    (b"D", b"\0\0\0\x10K\0\x01t\0\0\0\x013"),
    (b"T", b"\0\0\0\x01\0\0\0\0\x10"),
    (b"R", b"\0\0\0\x10public\0t\0d\0\x01\x01id\0\0\0\0\x17\xff\xff\xff\xff"),
    (b"Y", b"\0\0\x40\x00public\0mood\0"),
    (b"M", b"\x01\0\0\0\0\0\0\x01\0note\0\0\0\0\x02hi"),
];

#[test]
fn each_message_between_blocks_reads_as_the_manual_says_and_no_part_of_it_does() {
    for (raw, expected) in between() {
        let decoded = Decoder::default().decode(raw.clone());
        assert_eq!(decoded, Ok(Decoded { subtransaction: None, message: expected }), "{raw:?}");
        for end in 0..raw.len() {
            let cut = Decoder::default().decode(raw.slice(..end));
            assert!(matches!(cut, Err(DecodeError::Malformed { .. })), "{raw:?} {end} {cut:?}");
        }
        let longer = Decoder::default().decode(joined(&[&raw, b"!"]));
        assert!(
            matches!(longer, Err(DecodeError::Malformed { why: Malformed::Trailing(1), .. })),
            "{raw:?} {longer:?}"
        );
    }
}

#[test]
fn a_change_inside_a_block_names_its_subtransaction_and_is_otherwise_the_same() {
    for (tag, body) in CHANGES {
        let plain = Decoder::default().decode(joined(&[tag, body])).unwrap();
        assert_eq!(plain.subtransaction, None);
        let raw = joined(&[tag, b"\0\0\x02\xbd", body]);
        let inside = streaming().decode(raw.clone()).unwrap();
        assert_eq!(inside, Decoded { subtransaction: Some(701), message: plain.message });
        for end in 0..raw.len() {
            let cut = streaming().decode(raw.slice(..end));
            assert!(matches!(cut, Err(DecodeError::Malformed { .. })), "{raw:?} {end} {cut:?}");
        }
    }
}

#[test]
fn two_interleaved_transactions_keep_their_changes_apart() {
    let mut decoder = Decoder::default();
    let mut seen = Vec::new();
    for raw in [
        b"S\0\0\0\x07\x01".as_slice(),
        b"I\0\0\0\x07\0\0\0\x10N\0\x01t\0\0\0\x011",
        b"D\0\0\0\x08\0\0\0\x10K\0\x01t\0\0\0\x012",
        STOP,
        b"S\0\0\0\x09\x01",
        b"I\0\0\0\x09\0\0\0\x10N\0\x01n",
        STOP,
        b"A\0\0\0\x07\0\0\0\x08",
        // Not streamed: no number.
        b"I\0\0\0\x10N\0\x01n",
    ] {
        let decoded = decoder.decode(Bytes::from_static(raw)).unwrap();
        seen.push((decoded.subtransaction, decoded.message));
    }
    let insert = |value| Message::Insert { relation: 16, new: vec![value] };
    let delete = Message::Delete { relation: 16, old: OldTuple::Key(vec![text("2")]) };
    let expected = [
        (None, Message::StreamStart { xid: 7, first: true }),
        (Some(7), insert(text("1"))),
        (Some(8), delete),
        (None, Message::StreamStop),
        (None, Message::StreamStart { xid: 9, first: true }),
        (Some(9), insert(Value::Null)),
        (None, Message::StreamStop),
        (None, Message::StreamAbort { xid: 7, subxid: 8 }),
        (None, insert(Value::Null)),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn an_origin_stands_anywhere_and_never_carries_a_number() {
    let raw = joined(&[b"O", LSNS[0], b"home\0"]);
    let expected = Message::Origin { lsn: Lsn(256), name: "home".into() };
    for mut decoder in [Decoder::default(), streaming()] {
        let decoded = decoder.decode(raw.clone());
        assert_eq!(decoded, Ok(Decoded { subtransaction: None, message: expected.clone() }));
    }
}

#[test]
fn what_stands_in_the_wrong_place_is_an_error() {
    for (raw, message) in between() {
        let inside = streaming().decode(raw);
        assert!(matches!(inside, Err(DecodeError::OutOfPlace { .. })), "{message:?} {inside:?}");
    }
    let outside = Decoder::default().decode(Bytes::from_static(STOP));
    assert_eq!(outside, Err(DecodeError::OutOfPlace { message: "Stream Stop" }));
}

#[test]
fn a_flag_that_nobody_knows_is_an_error() {
    let [from, to] = LSNS;
    let [time, later] = TIMES;
    for raw in [
        joined(&[b"S", XID, b"\x02"]),
        joined(&[b"c", XID, b"\x01", from, to, time]),
        joined(&[b"P\x01", from, to, time, XID, b"pay\0"]),
        joined(&[b"p\x01", from, to, time, XID, b"pay\0"]),
        joined(&[b"K\x01", from, to, time, XID, b"pay\0"]),
        joined(&[b"r\x01", from, to, time, later, XID, b"pay\0"]),
    ] {
        let decoded = Decoder::default().decode(raw.clone());
        assert!(matches!(decoded, Err(DecodeError::UnknownPart { .. })), "{raw:?} {decoded:?}");
    }
}

fn begins_known() -> impl Strategy<Value = Vec<u8>> {
    let small = prop_oneof![any::<u8>(), 0u8..4, prop::sample::select(&b"NKOntubdfi"[..])];
    let rest = proptest::collection::vec(small, 0..80);
    (prop::sample::select(&b"BCORYIUDTMSEcAbPKrp"[..]), rest).prop_map(|(tag, rest)| {
        let mut raw = vec![tag];
        raw.extend(rest);
        raw
    })
}

proptest! {
    /// Whole streams of damaged messages, also after some that could be read.
    #[test]
    fn a_stream_of_arbitrary_messages_never_panics(
        raws in proptest::collection::vec(
            prop_oneof![begins_known(), Just(START.to_vec()), Just(STOP.to_vec())], 0..40)
    ) {
        let mut decoder = Decoder::default();
        for raw in raws {
            let _ = decoder.decode(Bytes::from(raw));
        }
    }

    #[test]
    fn numbers_of_transactions_read_back(xid in any::<u32>(), subxid in any::<u32>()) {
        let mut decoder = Decoder::default();
        let start = joined(&[b"S", &xid.to_be_bytes(), b"\x01"]);
        let message = Message::StreamStart { xid, first: true };
        prop_assert_eq!(decoder.decode(start), Ok(Decoded { subtransaction: None, message }));
        let change = joined(&[b"I", &subxid.to_be_bytes(), CHANGES[0].1]);
        prop_assert_eq!(decoder.decode(change).unwrap().subtransaction, Some(subxid));
    }
}
