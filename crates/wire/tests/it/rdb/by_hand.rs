//! What no server of today writes, or none that is at hand: bytes made as the format says.

use super::read;
use mainstay_testkit::{RedisKind, RedisOptions, RedisServer};
use mainstay_wire::rdb::{Event, Format, RdbError, rebuild};

/// A snapshot without a checksum, as `rdbchecksum no` writes it.
fn snapshot(magic: &[u8], records: &[&[u8]]) -> Vec<u8> {
    [magic, &records.concat(), &[0xff], &[0; 8]].concat()
}

/// The commands that make key `k` of a value in this encoding.
fn commands(magic: &[u8], kind: u8, body: &[u8], target: Format) -> Vec<Vec<String>> {
    let bytes = snapshot(magic, &[&[kind, 1, b'k'], body]);
    let events = read(&bytes, 1 << 20, 3).expect("it is as the format says");
    let [Event::Begin(_), Event::Entry(entry), Event::End] = &events[..] else {
        panic!("{events:?}")
    };
    let commands = rebuild(entry, target).expect("the target has its like");
    let text = |word: &bytes::Bytes| String::from_utf8_lossy(word).into_owned();
    commands.iter().map(|words| words.iter().map(text).collect()).collect()
}

/// Encodings that old servers wrote: the payload of each is given to a real server, which says what
/// is in it; commands made of it say the same at another.
#[test]
fn old_encodings_are_understood_as_a_server_understands_them() {
    let ziplist: &[u8] = &[
        25, // the string's length
        25, 0, 0, 0, 18, 0, 0, 0, 4, 0, // bytes, offset of the last, count
        0, 1, b'a', // the length of what is before, "a"
        3, 0xf3, // 2
        2, 0xfe, 0x85, // -123
        3, 4, b'l', b'o', b'n', b'g', // "long"
    ];
    let ziplist = &[ziplist, &[0xff]].concat();
    let zipmap: &[u8] = &[13, 2, 1, b'a', 2, 1, b'x', b'y', 0, 1, b'b', 1, 0, b'z', 0xff];
    let cases: [(u8, &[u8]); 6] = [
        (1, &[2, 1, b'a', 0xc0, 0xf6]),
        (2, &[2, 1, b'a', 0xc1, 0x10, 0x27]),
        (3, &[4, 1, b'a', 3, b'1', b'.', b'5', 1, b'b', 254, 1, b'c', 255, 1, b'd', 2, b'-', b'7']),
        (4, &[1, 1, b'a', 0xc2, 1, 0, 0, 0x80]),
        (9, &[&[14], &zipmap[1..]].concat()),
        (10, ziplist),
    ];
    let servers = [RedisKind::Redis6, RedisKind::Redis7, RedisKind::Valkey9];
    let servers = servers.map(|kind| RedisServer::start(RedisOptions::of(kind)));
    for (kind, body) in cases {
        let bytes = snapshot(b"REDIS0009", &[&[kind, 1, b'k'], body]);
        let events = read(&bytes, 1 << 20, 1).expect("it is as the format says");
        let [_, Event::Entry(entry), _] = &events[..] else { panic!("{events:?}") };
        for server in &servers {
            let mut client = server.client();
            client.run(&[&b"RESTORE"[..], b"k", b"0", &entry.value.payload(), b"REPLACE"]);
            let wanted = server.dump();
            for words in commands(b"REDIS0009", kind, body, Format::REDIS_6) {
                client.run(&words);
            }
            assert_eq!(server.dump(), wanted, "type {kind} at {:?}", server.kind());
        }
    }
}

/// Redis 7.4 is not among the servers of the tests; the bytes are as its `rdb.c` writes them.
#[test]
fn hashes_of_redis_7_4_whose_fields_expire_are_rebuilt_with_their_times() {
    let first = 4_102_444_800_000_u64;
    let metadata = [
        &first.to_le_bytes()[..],
        &[2],
        // One millisecond after the first is 2; 0 is never.
        &[2, 1, b'a', 1, b'x'],
        &[0, 1, b'b', 1, b'y'],
    ];
    let wanted = vec![
        vec!["DEL", "k"],
        vec!["HSET", "k", "a", "x", "b", "y"],
        vec!["HPEXPIREAT", "k", "4102444800001", "FIELDS", "1", "a"],
    ];
    assert_eq!(commands(b"REDIS0012", 24, &metadata.concat(), Format::REDIS_7_4), wanted);
    let mut listpack = vec![0, 0, 0, 0, 6, 0];
    for element in [&[0x81, b'a', 2][..], &[0x81, b'x', 2]] {
        listpack.extend(element);
    }
    listpack.push(0xf4);
    listpack.extend((first + 1).to_le_bytes());
    listpack.push(9);
    for element in [&[0x81, b'b', 2][..], &[0x81, b'y', 2], &[0, 1], &[0xff]] {
        listpack.extend(element);
    }
    let length = u8::try_from(listpack.len()).expect("it is short");
    listpack[0] = length;
    let body = [&first.to_le_bytes()[..], &[length], &listpack].concat();
    assert_eq!(commands(b"REDIS0012", 25, &body, Format::VALKEY_9), wanted);
}

#[test]
fn what_cannot_be_replicated_is_refused_by_its_name() {
    // "ReJSON-RL" in six bits a letter, and a version.
    let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let code = |letter: char| letters.find(letter).expect("it is one of them") as u64;
    let id = "ReJSON-RL".chars().fold(0, |id, letter| id << 6 | code(letter)) << 10 | 3;
    let id = [&[0x81][..], &id.to_be_bytes()].concat();
    let module = RdbError::Module("ReJSON-RL".to_owned());
    let cases: [(&[u8], &[u8], RdbError); 8] = [
        (b"REDIS0010", &[&[7, 1, b'k'], &id[..]].concat(), module.clone()),
        (b"REDIS0010", &[&[6, 1, b'k'], &id[..]].concat(), module.clone()),
        (b"REDIS0010", &[&[247], &id[..]].concat(), module),
        (b"REDIS0010", &[8, 1, b'k'], RdbError::UnknownType(8)),
        (b"REDIS0012", &[26, 1, b'k'], RdbError::UnknownType(26)),
        (b"VALKEY080", &[24, 1, b'k'], RdbError::UnknownType(24)),
        (b"REDIS0013", &[], RdbError::UnknownVersion("REDIS0013".to_owned())),
        (b"VALKEY081", &[], RdbError::UnknownVersion("VALKEY081".to_owned())),
    ];
    for (magic, record, wanted) in cases {
        assert_eq!(read(&snapshot(magic, &[record]), 1 << 20, 4).err(), Some(wanted));
    }
    for record in [243, 246] {
        let found = read(&snapshot(b"VALKEY080", &[&[record, 0]]), 1 << 20, 4);
        assert!(matches!(found, Err(RdbError::Refused(_))), "{found:?}");
    }
}

/// A length that nothing follows reserves nothing, and one over Redis's own limit is an error.
#[test]
fn a_length_that_lies_is_not_believed() {
    let long = [&[0, 1, b'k', 0x81][..], &(u64::MAX / 2).to_be_bytes()].concat();
    let found = read(&[&b"REDIS0009"[..], &long].concat(), 1 << 20, 64);
    assert_eq!(found, Err(RdbError::TooLong(u64::MAX / 2)));
    for kind in [1, 2, 4, 5, 14, 15] {
        let many = [&[kind, 1, b'k', 0x81][..], &u64::MAX.to_be_bytes()].concat();
        let found = read(&[&b"REDIS0009"[..], &many].concat(), 1 << 20, 64);
        assert!(found.is_ok_and(|events| events.len() == 1), "type {kind}");
    }
}
