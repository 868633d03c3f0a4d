//! What a link must not go on over: it stops and says so, and the target stays as it was.

use super::world::{World, same, stopped, theirs};
use mainstay_core::Secret;
use mainstay_stores::redis::link::{self, LinkSpec};
use mainstay_testkit::{RedisKind, RedisOptions};

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_the_target_refuses_stops_the_link_also_after_its_restart() {
    let world = World::new(RedisKind::Redis7, RedisKind::Redis7);
    let link = world.streaming().await;
    world.target.client().run(&["SET", "key", "somebody else's"]);
    let mut client = world.source.client();
    client.run(&["INCR", "count"]);
    client.run(&["LPUSH", "key", "1"]);
    let (code, reason) = stopped(&link).await;
    assert_eq!(code, "MS-RD-209");
    assert!(reason.contains("WRONGTYPE"), "{reason}");
    drop(link);
    client.run(&["INCR", "count"]);
    assert_eq!(stopped(&link::start(world.spec())).await.0, "MS-RD-209");
    assert_eq!(world.target.client().run(&["GET", "count"]).int(), 1, "nothing after it");

    // As its page says: emptied, the target is copied to anew.
    world.target.client().run(&["FLUSHALL"]);
    let link = world.streaming().await;
    same(world.both(&link).await, "in the end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_comes_back_empty_does_not_empty_the_target() {
    let mut world = World::new(RedisKind::Redis7, RedisKind::Redis7);
    let link = world.streaming().await;
    world.source.client().run(&["SET", "key", "kept"]);
    let [source, before] = world.both(&link).await;
    assert_eq!(source, before);
    world.source.kill9();
    world.source.start_again();
    assert_eq!(stopped(&link).await.0, "MS-RD-204");
    assert_eq!(theirs(&world.target.dump()), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_blocks_replication_is_told_apart_from_one_that_is_down() {
    let options = RedisOptions::of(RedisKind::Redis7).user("mainstay on >word ~* &* +@all -psync");
    let world = World::with(options, RedisOptions::of(RedisKind::Redis7));
    let mut spec = world.spec();
    spec.source.user = Some("mainstay".to_owned());
    spec.source.password = Some(Secret::new("word"));
    let (code, reason) = stopped(&link::start(spec)).await;
    assert_eq!(code, "MS-RD-212", "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_the_older_target_cannot_hold_is_refused_with_the_reason() {
    let world = World::new(RedisKind::Valkey9, RedisKind::Redis7);
    let mut client = world.source.client();
    client.run(&["HSET", "plain", "f", "v"]);
    client.run(&["HSETEX", "hash", "EX", "1000", "FIELDS", "1", "f", "v"]);
    let (code, reason) = stopped(&link::start(world.spec())).await;
    assert_eq!(code, "MS-RD-211", "{reason}");
    assert!(reason.contains("hash"), "{reason}");
    client.run(&["DEL", "hash"]);
    let link = world.streaming().await;
    same(world.both(&link).await, "in the end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_has_seen_a_newer_epoch_is_left_alone() {
    let world = World::new(RedisKind::Redis7, RedisKind::Redis7);
    let newer = link::start(LinkSpec { epoch: mainstay_core::Epoch::new(3), ..world.spec() });
    super::world::streams(&newer).await;
    newer.stop().await;
    let before = world.target.dump();
    world.source.client().run(&["SET", "key", "late"]);
    assert_eq!(stopped(&link::start(world.spec())).await.0, "MS-RD-110");
    assert_eq!(world.target.dump(), before);
}
