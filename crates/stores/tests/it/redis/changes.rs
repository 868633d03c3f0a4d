//! The command stream: each change that a server replicates has the same effect at the target.

use super::world::{World, same, streams};
use mainstay_core::Lag;
use mainstay_stores::redis::link::{self, LinkSpec};
use mainstay_testkit::{RedisClient, RedisKind, wait_for};
use std::time::Duration;

fn change_everything(client: &mut RedisClient) {
    let mut run = |line: &str| drop(client.run(&line.split(' ').collect::<Vec<_>>()));
    for line in [
        "MSET a 1 b 2 c 3 d 4 e 5",
        "DEL a b",
        "UNLINK c",
        "RENAME d d2",
        "COPY d2 d3 DB 2",
        "SET expires x PX 86400000",
        "PEXPIREAT e 4102444800123",
        "SET kept x EX 100",
        "PERSIST kept",
        "GETDEL e",
        "HSET h f 1 g 2",
        "HINCRBYFLOAT h f 0.1",
        "HDEL h g",
        "SADD s a b c d e f",
        "SPOP s 2",
        "ZADD z 1 a 2 b 3 c",
        "ZPOPMIN z",
        "ZRANGESTORE z2 z 0 -1",
        "LPUSH l 1 2 3 4",
        "RPOPLPUSH l l2",
        "LMOVE l l2 LEFT RIGHT",
        "SORT l2 STORE l3",
        "INCRBYFLOAT float 0.1",
        "SETRANGE r 10 abc",
        "PFADD hll a b c",
        "PFMERGE hll2 hll",
        "GEOADD geo 13.361389 38.115556 Palermo",
        "GEOSEARCHSTORE geo2 geo FROMLONLAT 13 38 BYRADIUS 200 km",
        "BITOP NOT bits r",
        "XADD x 1-1 f v",
        "XADD x 2-1 f v",
        "XGROUP CREATE x g 0",
        "XREADGROUP GROUP g c COUNT 1 STREAMS x >",
        "XACK x g 1-1",
        "XAUTOCLAIM x g c2 0 0",
        "XTRIM x MAXLEN 1",
        "XGROUP DELCONSUMER x g c2",
        "EVAL redis.call('SET','script','1');redis.call('EXPIRE','script',5000) 0",
        "MULTI",
        "SET t1 a",
        "SELECT 5",
        "SET t2 b",
        "SELECT 0",
        "INCR t3",
        "EXEC",
        "SELECT 4",
        "MSET x 1 y 2",
        "SELECT 7",
        "MSET x 3 y 4",
        "SWAPDB 4 7",
        "FLUSHDB",
        "SET z 1",
        "MOVE z 9",
        "SELECT 0",
    ] {
        run(line);
    }
    {
        let code = "#!lua name=lib\nredis.register_function('set', function(k, a) return redis.call('SET', k[1], a[1]) end)";
        client.run(&["FUNCTION", "LOAD", code]);
        client.run(&["FCALL", "set", "1", "called", "yes"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_change_arrives_with_expiry_to_the_millisecond() {
    // Redis 6.2 replicates how long a key still has to live, not until when.
    for kind in [RedisKind::Redis7, RedisKind::Valkey9] {
        let world = World::new(kind, kind);
        let link = world.streaming().await;
        change_everything(&mut world.source.client());
        // What XREADGROUP counts is not replicated, to a server's own replicas neither.
        let both =
            world.both(&link).await.map(|dump| dump.replace("entries-read=1", "entries-read=nil"));
        assert!(both[0].contains("expires string") && both[0].contains("t3"), "{}", both[0]);
        same(both, &format!("{kind:?}"));
        assert_eq!(world.synchronised().0, 1);
        let lag =
            async || matches!(link.status().lag, Lag::Known(lag) if lag < Duration::from_secs(1));
        wait_for("the lag is known", Duration::from_secs(60), lag).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn flushes_and_swaps_leave_mainstays_own_keys_where_they_are() {
    let world = World::new(RedisKind::Redis7, RedisKind::Redis7);
    world.target.client().run(&["SET", "mainstay:site", "kept"]);
    let link = world.streaming().await;
    let mut client = world.source.client();
    for line in [
        "SET a 1",
        "SET mainstay:site theirs",
        "SWAPDB 0 3",
        "SET b 2",
        "FLUSHDB",
        "SET c 3",
        "SWAPDB 3 0",
        "SELECT 2",
        "SET d 4",
        "FLUSHALL",
        "SELECT 0",
        "SET e 5",
        "SWAPDB 0 1",
        "SELECT 6",
        "SET f 6",
    ] {
        client.run(&line.split(' ').collect::<Vec<_>>());
        let [source, target] = world.both(&link).await;
        let apart = |dump: String| {
            dump.lines().filter(|it| !it.contains("mainstay:")).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(apart(source), apart(target), "after {line}");
        assert_eq!(world.target.client().run(&["GET", "mainstay:site"]).text(), "kept", "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn excluded_keys_are_left_out_of_the_copy_and_of_changes() {
    let world = World::new(RedisKind::Redis7, RedisKind::Redis7);
    let mut client = world.source.client();
    client.run(&["MSET", "in", "1", "tmp:a", "2", "old:x", "3"]);
    let exclude = vec!["tmp:*".to_owned(), "o?d:[x-z]".to_owned()];
    let link = link::start(LinkSpec { exclude, ..world.spec() });
    streams(&link).await;
    for line in [
        "SET tmp:b 1",
        "MSET in2 1 tmp:c 2",
        "DEL in tmp:a",
        "MULTI",
        "SET in3 1",
        "SET tmp:d 1",
        "EXEC",
        "SET in4 1",
        "RENAME in4 tmp:e",
        "LPUSH tmp:l 1",
        "RENAME tmp:l tmp:l2",
    ] {
        client.run(&line.split(' ').collect::<Vec<_>>());
    }
    let [_, target] = world.both(&link).await;
    assert_eq!(target, "0 in2 string -1 \"1\"\n0 in3 string -1 \"1\"\n");

    client.run(&["RENAME", "tmp:e", "in5"]);
    let (code, reason) = super::world::stopped(&link).await;
    assert_eq!(code, "MS-RD-213", "{reason}");
    assert!(reason.contains("RENAME") && reason.contains("tmp:e"), "{reason}");
}

/// Writes of 60 MB pass through a link that holds a few.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_larger_than_the_links_memory_goes_through_also_in_a_transaction() {
    let world = World::new(RedisKind::Redis7, RedisKind::Valkey9);
    let link = world.streaming().await;
    let large = vec![b'x'; 20_000_000];
    let mut client = world.source.client();
    client.run(&[&b"SET"[..], b"one", &large]);
    client.run(&["MULTI"]);
    client.run(&[&b"SET"[..], b"two", &large]);
    client.run(&[&b"RPUSH"[..], b"three", &large[..12_000_000], b"", &large[..8_000_000]]);
    client.run(&["INCR", "count"]);
    client.run(&["EXEC"]);
    client.run(&["INCR", "count"]);
    same(world.both(&link).await, "in the end");
    assert_eq!(world.target.client().run(&["GET", "count"]).int(), 2);
}
