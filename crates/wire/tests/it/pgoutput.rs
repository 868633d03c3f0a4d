//! The decoder answers every input; the expected bytes are written from the manual's tables.

use bytes::{BufMut, Bytes, BytesMut};
use mainstay_core::position::Lsn;
use mainstay_wire::pgoutput::{
    Begin, Column, DecodeError, Identity, Malformed, Message, OldTuple, Relation, StatusUpdate,
    StreamMessage, Truncate, Value, decode, decode_stream,
};
use proptest::prelude::*;

const Y2K_MICROS: i64 = 946_684_800_000_000;

fn bytes(parts: &[&[u8]]) -> Bytes {
    Bytes::from(parts.concat())
}

#[test]
fn begin_carries_the_commit_position_and_unix_time() {
    let raw = bytes(&[b"B", &7u64.to_be_bytes(), &5i64.to_be_bytes(), &9u32.to_be_bytes()]);
    let begin = Begin { commit_lsn: Lsn(7), commit_micros: Y2K_MICROS + 5, xid: 9 };
    assert_eq!(decode(raw), Ok(Message::Begin(begin)));
}

#[test]
fn a_relation_names_its_columns_and_key() {
    let raw = bytes(&[
        b"R\x00\x00\x00\x10\x00t\x00i\x00\x02",
        b"\x01id\x00\x00\x00\x00\x17\xff\xff\xff\xff",
        b"\x00note\x00\x00\x00\x00\x19\xff\xff\xff\xff",
    ]);
    let column = |key, name: &str, type_id| Column {
        key,
        name: name.to_owned(),
        type_id,
        type_modifier: -1,
    };
    let expected = Relation {
        id: 16,
        schema: "pg_catalog".to_owned(),
        name: "t".to_owned(),
        identity: Identity::Index,
        columns: vec![column(true, "id", 23), column(false, "note", 25)],
    };
    assert_eq!(decode(raw), Ok(Message::Relation(expected)));
}

#[test]
fn an_update_tells_null_unchanged_and_text_apart() {
    let raw = bytes(&[
        b"U\x00\x00\x00\x10",
        b"K\x00\x03t\x00\x00\x00\x011nn",
        b"N\x00\x03t\x00\x00\x00\x012un",
    ]);
    let text = |s: &'static str| Value::Text(Bytes::from_static(s.as_bytes()));
    let expected = Message::Update {
        relation: 16,
        old: Some(OldTuple::Key(vec![text("1"), Value::Null, Value::Null])),
        new: vec![text("2"), Value::UnchangedToast, Value::Null],
    };
    assert_eq!(decode(raw), Ok(expected));
}

#[test]
fn a_truncate_carries_its_options() {
    let raw = bytes(&[b"T\x00\x00\x00\x02\x03\x00\x00\x00\x10\x00\x00\x00\x11"]);
    let expected = Truncate { cascade: true, restart_identity: true, relations: vec![16, 17] };
    assert_eq!(decode(raw), Ok(Message::Truncate(expected)));
}

#[test]
fn what_is_not_known_is_an_error() {
    // Messages that protocol version 1 does not have, an unknown flag, an unknown kind of value, bytes past the end.
    for raw in [&b"S\x00"[..], b"b", b"P", b"\xff", b"x"] {
        assert!(matches!(decode(bytes(&[raw])), Err(DecodeError::UnknownMessage(_))), "{raw:?}");
    }
    for raw in [
        &b"C\x01"[..],
        b"T\x00\x00\x00\x00\x04",
        b"I\x00\x00\x00\x01N\x00\x01z",
        b"R\0\0\0\0a\0b\0x",
    ] {
        let decoded = decode(bytes(&[raw]));
        assert!(matches!(decoded, Err(DecodeError::UnknownPart { .. })), "{raw:?} {decoded:?}");
    }
    let trailing = decode(bytes(&[b"T\x00\x00\x00\x00\x00!"]));
    assert_eq!(
        trailing,
        Err(DecodeError::Malformed { message: "Truncate", why: Malformed::Trailing(1) })
    );
}

#[test]
fn a_length_beyond_the_message_is_refused_without_reserving_it() {
    let raw = bytes(&[b"I\x00\x00\x00\x01N\x00\x01t\xff\xff\xff\xff"]);
    assert!(matches!(decode(raw), Err(DecodeError::Malformed { .. })));
    let raw = bytes(&[b"T\xff\xff\xff\xff\x00"]);
    assert!(matches!(decode(raw), Err(DecodeError::Malformed { .. })));
}

#[test]
fn a_keepalive_and_a_status_update_are_as_the_manual_says() {
    let raw = bytes(&[b"k", &7u64.to_be_bytes(), &5i64.to_be_bytes(), b"\x01"]);
    let expected =
        StreamMessage::Keepalive { end: Lsn(7), clock_micros: Y2K_MICROS + 5, reply: true };
    assert_eq!(decode_stream(raw), Ok(expected));
    let update = StatusUpdate {
        written: Lsn(3),
        flushed: Lsn(2),
        applied: Lsn(1),
        clock_micros: Y2K_MICROS,
        reply: true,
    };
    let expected = bytes(&[
        b"r",
        &3u64.to_be_bytes(),
        &2u64.to_be_bytes(),
        &1u64.to_be_bytes(),
        &0i64.to_be_bytes(),
        b"\x01",
    ]);
    assert_eq!(update.encode(), expected);
}

fn encode_value(out: &mut BytesMut, value: &Value) {
    match value {
        Value::Null => out.put_u8(b'n'),
        Value::UnchangedToast => out.put_u8(b'u'),
        Value::Text(bytes) => {
            out.put_u8(b't');
            out.put_u32(bytes.len() as u32);
            out.put_slice(bytes);
        }
        Value::Binary(bytes) => {
            out.put_u8(b'b');
            out.put_u32(bytes.len() as u32);
            out.put_slice(bytes);
        }
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let blob = || proptest::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from);
    prop_oneof![
        Just(Value::Null),
        Just(Value::UnchangedToast),
        blob().prop_map(Value::Text),
        blob().prop_map(Value::Binary),
    ]
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(raw in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(Bytes::from(raw.clone()));
        let _ = decode_stream(Bytes::from(raw));
    }

    /// Random bytes rarely pass the first byte: begin with a known one and small numbers.
    #[test]
    fn bytes_after_a_known_tag_never_panic(
        tag in prop::sample::select(&b"BCORYIUDTMwk"[..]),
        rest in proptest::collection::vec(
            prop_oneof![any::<u8>(), 0u8..4, prop::sample::select(&b"NKOntubdfi"[..])], 0..200),
    ) {
        let mut raw = vec![tag];
        raw.extend(rest);
        let _ = decode(Bytes::from(raw.clone()));
        let _ = decode_stream(Bytes::from(raw));
    }

    #[test]
    fn a_row_reads_back_as_it_was_written(
        relation in any::<u32>(),
        row in proptest::collection::vec(any_value(), 0..20),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut out = BytesMut::new();
        out.put_u8(b'I');
        out.put_u32(relation);
        out.put_u8(b'N');
        out.put_u16(row.len() as u16);
        row.iter().for_each(|value| encode_value(&mut out, value));
        let whole = out.freeze();
        // Every proper prefix is an error, never a shorter row.
        let prefix = whole.slice(0..cut.index(whole.len()));
        prop_assert!(decode(prefix).is_err());
        prop_assert_eq!(decode(whole), Ok(Message::Insert { relation, new: row }));
    }
}
