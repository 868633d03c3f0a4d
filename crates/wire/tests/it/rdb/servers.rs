use super::read;
use bytes::Bytes;
use mainstay_testkit::{RedisClient, RedisKind, RedisOptions, RedisServer, Reply};
use mainstay_wire::rdb::{Entry, Event, Format, Rebuild, rebuild};
use std::fs;

fn format_of(kind: RedisKind) -> Format {
    match kind {
        RedisKind::Redis6 => Format::REDIS_6,
        RedisKind::Redis7 => Format::REDIS_7_0,
        RedisKind::Valkey9 => Format::VALKEY_9,
    }
}

fn start(kind: RedisKind) -> RedisServer {
    RedisServer::start(RedisOptions::of(kind))
}

/// A server with every encoding, and its snapshot.
fn source(kind: RedisKind) -> (RedisServer, Vec<u8>) {
    let server = start(kind);
    server.write_every_encoding();
    // What commands cannot make again: an entry that is pending and was deleted.
    server.client().run(&["XACK", "stream:many", "pending", "12-0"]);
    server.client().run(&["SAVE"]);
    let snapshot = fs::read(server.home().join("dump.rdb")).expect("the server saved it");
    (server, snapshot)
}

fn run(client: &mut RedisClient, commands: Vec<Vec<Bytes>>) {
    let commands: Vec<Vec<Vec<u8>>> = commands
        .into_iter()
        .map(|words| words.into_iter().map(|word| word.to_vec()).collect())
        .collect();
    client.pipeline(&commands);
}

fn restore(client: &mut RedisClient, entry: &Entry) {
    let ttl = entry.key.expires_at.unwrap_or(0).to_string();
    let payload = entry.value.payload();
    let words: [&[u8]; 6] =
        [b"RESTORE", &entry.key.name, ttl.as_bytes(), &payload, b"REPLACE", b"ABSTTL"];
    client.run(&words);
}

/// Writes the events to a server as a link would; `as_it_is`: with RESTORE where it is accepted.
fn write(events: Vec<Event>, to: &RedisServer, as_it_is: bool) {
    let format = format_of(to.kind());
    let mut client = to.client();
    let mut large: Option<Rebuild> = None;
    for event in events {
        match event {
            Event::Database(number) => drop(client.run(&["SELECT", &number.to_string()])),
            Event::Function(code) if to.kind() > RedisKind::Redis6 => {
                client.run(&[b"FUNCTION", b"LOAD".as_slice(), &code]);
            }
            Event::Entry(entry) if as_it_is && entry.value.accepted_by(format) => {
                restore(&mut client, &entry);
            }
            Event::Entry(entry) => {
                run(&mut client, rebuild(&entry, format).expect("the target has its like"));
            }
            Event::Large { key, kind } => large = Some(Rebuild::of(key, kind, format)),
            Event::Part(part) => {
                let large = large.as_mut().expect("it began");
                run(&mut client, large.part(part).expect("the target has its like"));
            }
            Event::LargeEnd => run(&mut client, large.take().expect("it began").end()),
            Event::Begin(_) | Event::Aux { .. } | Event::Function(_) | Event::End => {}
        }
    }
}

#[test]
fn every_encoding_arrives_at_a_server_of_its_own_kind_as_it_is_or_in_parts() {
    for kind in RedisKind::ALL {
        let (source, snapshot) = source(kind);
        let wanted = source.dump();
        for (limit, piece, as_it_is) in [
            (1 << 20, 1 << 16, true),
            (1 << 30, 1 << 20, true),
            (2000, 999, true),
            (0, 4096, false),
        ] {
            let events = read(&snapshot, limit, piece).expect("a server wrote it");
            assert_eq!(events.first(), Some(&Event::Begin(format_of(kind))));
            assert_eq!(events.last(), Some(&Event::End));
            let target = start(kind);
            write(events, &target, as_it_is);
            assert_same(&wanted, &target.dump(), &format!("{kind:?}, limit {limit}"));
        }
    }
}

#[test]
fn every_encoding_arrives_at_an_older_and_at_a_newer_server() {
    for (from, to) in [
        (RedisKind::Redis6, RedisKind::Valkey9),
        (RedisKind::Redis7, RedisKind::Redis6),
        (RedisKind::Valkey9, RedisKind::Redis7),
        (RedisKind::Valkey9, RedisKind::Redis6),
    ] {
        let (source, snapshot) = source(from);
        let mut client = source.client();
        let expiring = ["hash:expiring few", "hash:expiring", "hash:expiring large"];
        let snapshot = if from == RedisKind::Valkey9 {
            client.run(&[&["DEL"][..], &expiring].concat());
            client.run(&["SAVE"]);
            fs::read(source.home().join("dump.rdb")).expect("the server saved it")
        } else {
            snapshot
        };
        let events = read(&snapshot, 1 << 20, 1 << 16).expect("a server wrote it");
        let target = start(to);
        write(events, &target, true);
        let oldest = from.min(to);
        let name = format!("{from:?} to {to:?}");
        assert_same(&source.dump_as(oldest), &target.dump_as(oldest), &name);
    }
}

#[test]
fn a_hash_whose_fields_expire_is_refused_for_a_target_without_that() {
    let (_source, snapshot) = source(RedisKind::Valkey9);
    let refused = read(&snapshot, 1 << 20, 1 << 16)
        .expect("a server wrote it")
        .into_iter()
        .filter_map(|event| match event {
            Event::Entry(entry) => rebuild(&entry, Format::REDIS_7_0).err(),
            _ => None,
        });
    let refused: Vec<String> = refused.map(|why| why.to_string()).collect();
    assert_eq!(refused.len(), 3, "{refused:?}");
    assert!(refused.iter().all(|why| why.contains("hash:expiring")), "{refused:?}");
}

/// A few keys of each type, one in each encoding that a short value can have.
pub(super) fn small_snapshot(kind: RedisKind) -> Vec<u8> {
    let server = start(kind);
    let mut client = server.client();
    client.run(&["SET", "string", &"compressed".repeat(20), "PXAT", "4102444800123"]);
    client.run(&["RPUSH", "list", "a", "1", "-70000"]);
    client.run(&["SADD", "integers", "1", "2", "3"]);
    client.run(&["SADD", "set", "a", "b"]);
    client.run(&["ZADD", "zset", "1.5", "a", "inf", "b"]);
    client.run(&["HSET", "hash", "field", "value"]);
    client.run(&["XADD", "stream", "1-1", "field", "value"]);
    client.run(&["XADD", "stream", "2-1", "field", "other"]);
    client.run(&["XGROUP", "CREATE", "stream", "group", "0"]);
    client.run(&["XREADGROUP", "GROUP", "group", "me", "STREAMS", "stream", ">"]);
    if kind > RedisKind::Redis6 {
        let code = "#!lua name=lib\nredis.register_function('f', function() return 1 end)";
        client.run(&["FUNCTION", "LOAD", code]);
    }
    if kind == RedisKind::Valkey9 {
        client.run(&["HSET", "expiring", "field", "value", "other", "value"]);
        client.run(&["HPEXPIREAT", "expiring", "4102444800123", "FIELDS", "1", "field"]);
    }
    let packed = match kind {
        RedisKind::Redis6 => "hash-max-ziplist-entries",
        _ => "hash-max-listpack-entries",
    };
    client.run(&["CONFIG", "SET", packed, "0"]);
    client.run(&["HSET", "table", "field", "value"]);
    client.run(&["SAVE"]);
    fs::read(server.home().join("dump.rdb")).expect("the server saved it")
}

#[test]
fn a_flipped_bit_anywhere_in_a_snapshot_is_an_error() {
    let snapshot = small_snapshot(RedisKind::Redis7);
    assert!(read(&snapshot, 1 << 20, 1000).is_ok_and(|it| it.contains(&Event::End)));
    // All but the checksum, which without a bit can be the zero that stands for none.
    for at in 0..snapshot.len() - 8 {
        for bit in 0..8 {
            let mut damaged = snapshot.clone();
            damaged[at] ^= 1 << bit;
            let events = read(&damaged, 1 << 20, 1000);
            let ended = events.is_ok_and(|events| events.contains(&Event::End));
            assert!(!ended, "byte {at}, bit {bit}");
        }
    }
}

/// The text of both would be megabytes: only the first line that differs is shown.
fn assert_same(wanted: &str, found: &str, what: &str) {
    let short = |line: Option<&str>| line.map(|line| line.chars().take(300).collect::<String>());
    let (mut wanted, mut found) = (wanted.lines(), found.lines());
    loop {
        let (a, b) = (wanted.next(), found.next());
        assert!(a == b, "{what}: {:?} is {:?}", short(a), short(b));
        if a.is_none() {
            return;
        }
    }
}

#[test]
fn the_idle_time_and_the_frequency_of_a_key_are_told() {
    let server = start(RedisKind::Redis7);
    let mut client = server.client();
    client.run(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lfu"]);
    client.run(&["SET", "key", "value"]);
    let Reply::Int(frequency) = client.run(&["OBJECT", "FREQ", "key"]) else { panic!("a number") };
    client.run(&["SAVE"]);
    let snapshot = fs::read(server.home().join("dump.rdb")).expect("the server saved it");
    let events = read(&snapshot, 1 << 20, 7).expect("a server wrote it");
    let key = events.iter().find_map(|event| match event {
        Event::Entry(entry) => Some(entry.key.clone()),
        _ => None,
    });
    let told = key.expect("there is one").frequency;
    assert_eq!(told.map(i64::from), Some(frequency));
}
