//! Redis and Valkey servers of tests.

use mainstay_testkit::{RedisKind, RedisOptions, RedisServer, Reply};

#[test]
fn a_durable_server_has_its_keys_after_a_kill() {
    for kind in RedisKind::ALL {
        let mut server = RedisServer::start(RedisOptions::of(kind).durable().password("secret"));
        server.client().run(&["SET", "key", "value"]);
        let before = server.dump();
        server.kill9();
        server.start_again();
        assert_eq!(server.dump(), before, "{kind:?}");
        assert!(before.contains("0 key string -1 \"value\""), "{before}");
    }
}

#[test]
fn a_user_of_the_acl_file_logs_in_and_its_client_speaks_over_tcp() {
    let options = RedisOptions::of(RedisKind::Valkey9).user("app on >word ~app:* +@all");
    let server = RedisServer::start(options);
    let mut client = server.client();
    client.run(&["AUTH", "app", "word"]);
    assert!(matches!(client.ask(&["GET", "other"]), Reply::Error(why) if why.contains("NOPERM")));
    let output = server.cli().args(["SET", "key", "by redis-cli"]).output().expect("it starts");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "OK\n");
}

/// The oracle tells apart what a change of one byte, one score or one expiry makes.
#[test]
fn two_servers_dump_the_same_only_when_they_hold_the_same() {
    let [one, other] = [RedisKind::Redis6, RedisKind::Valkey9]
        .map(|kind| RedisServer::start(RedisOptions::of(kind)));
    let dumps = || [&one, &other].map(|server| server.dump_as(RedisKind::Redis6));
    let both = |words: &[&str]| [&one, &other].iter().for_each(|it| drop(it.client().run(words)));
    both(&["ZADD", "z", "1", "a", "2", "b"]);
    both(&["HSET", "h", "a", "1", "b", "2"]);
    both(&["SET", "s", "value", "PXAT", "4102444800123"]);
    both(&["XADD", "x", "1-1", "f", "v"]);
    both(&["XGROUP", "CREATE", "x", "g", "0"]);
    let [first, second] = dumps();
    assert_eq!(first, second);
    for change in [
        &["ZADD", "z", "3", "a"][..],
        &["HSET", "h", "b", "3"],
        &["PEXPIREAT", "s", "4102444800124"],
        &["XREADGROUP", "GROUP", "g", "c", "STREAMS", "x", ">"],
    ] {
        other.client().run(change);
        let [first, second] = dumps();
        assert_ne!(first, second, "{change:?}");
        one.client().run(change);
        if change[0] != "XREADGROUP" {
            let [first, second] = dumps();
            assert_eq!(first, second, "{change:?}");
        }
    }
}

#[test]
fn every_encoding_can_be_written_and_survives_a_restart() {
    for kind in RedisKind::ALL {
        let mut server = RedisServer::start(RedisOptions::of(kind).set("save", "3600 1"));
        server.write_every_encoding();
        let before = server.dump();
        server.restart();
        // Without its assertion's usual print, which would be megabytes.
        assert!(server.dump() == before, "{kind:?}");
        assert!(before.lines().count() > 80, "{kind:?}: {} keys", before.lines().count());
    }
}
