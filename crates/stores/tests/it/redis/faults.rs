//! Lost connections, links and servers: nothing is missing, nothing is applied twice.

use super::world::{Load, World, applied, count, same, streams};
use mainstay_core::{Lag, LinkPhase};
use mainstay_stores::redis::link::{self, LinkSpec};
use mainstay_testkit::{RedisKind, RedisOptions, RedisServer, wait_for};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Not in step with anything.
async fn a_moment(longest: u64) {
    let millis = RandomState::new().hash_one(0) % longest;
    // Time itself is the subject: a fault comes at any moment of the work.
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_killed_at_random_moments_applies_everything_once() {
    kill_again_and_again(8).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn soak_a_link_killed_a_hundred_times_applies_everything_once() {
    kill_again_and_again(100).await;
}

async fn kill_again_and_again(times: usize) {
    for (from, to) in
        [(RedisKind::Redis7, RedisKind::Valkey9), (RedisKind::Valkey9, RedisKind::Redis7)]
    {
        let options = RedisOptions::of(from).set("repl-backlog-size", "256mb");
        let world = World::with(options, RedisOptions::of(to));
        let load = Load::start(&world.source, count);
        for _ in 0..times {
            // Dropped, it ends wherever it is, with transactions on their way.
            drop(world.streaming().await);
            let link = world.streaming().await;
            a_moment(100).await;
            drop(link);
        }
        let link = world.streaming().await;
        assert!(load.end() > 0);
        same(world.both(&link).await, &format!("{from:?}"));
        assert_eq!(world.synchronised().0, 1, "it went on where it was each time");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_lost_again_and_again_under_writes_lose_nothing() {
    let options = RedisOptions::of(RedisKind::Redis7).set("repl-backlog-size", "256mb");
    let world = World::with(options, RedisOptions::of(RedisKind::Redis7));
    let link = world.streaming().await;
    let load = Load::start(&world.source, count);
    for _ in 0..10 {
        world.source.client().run(&["CLIENT", "KILL", "TYPE", "replica"]);
        a_moment(100).await;
        world.target.client().run(&["CLIENT", "KILL", "TYPE", "normal"]);
        a_moment(100).await;
    }
    assert!(load.end() > 0);
    streams(&link).await;
    same(world.both(&link).await, "in the end");
    assert_eq!(world.synchronised().0, 1, "the backlog had all that was needed");
}

/// The backlog of the source is too small for what is written meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_was_away_for_longer_than_the_backlog_is_copied_to_anew() {
    let options = RedisOptions::of(RedisKind::Redis7).set("repl-backlog-size", "16kb");
    let world = World::with(options, RedisOptions::of(RedisKind::Redis7));
    let mut client = world.source.client();
    client.run(&["SET", "gone", "1"]);
    world.streaming().await.stop().await;
    client.run(&["DEL", "gone"]);
    (0..2000).for_each(|n| count(&mut client, n));
    let link = world.streaming().await;
    same(world.both(&link).await, "in the end");
    assert_eq!(world.synchronised().0, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_restarted_is_followed_again() {
    let options = RedisOptions::of(RedisKind::Redis7).durable();
    let mut world = World::with(options, RedisOptions::of(RedisKind::Redis7));
    let link = world.streaming().await;
    for n in 0..3 {
        (0..50).for_each(|n| count(&mut world.source.client(), n));
        // What it acknowledged and had not sent yet comes with the next copy.
        world.source.kill9();
        let gone = async || matches!(link.status().phase, LinkPhase::Disconnected { .. });
        wait_for("the link notices", Duration::from_secs(60), gone).await;
        assert_eq!(link.status().lag, Lag::Unknown);
        let received = link.drain_received(Duration::from_secs(60)).await.expect("all is applied");
        assert_eq!(Some(received), applied(&link), "{n}");
        world.source.start_again();
        streams(&link).await;
        same(world.both(&link).await, &format!("{n}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_restarted_goes_on_where_its_disk_is_and_begins_anew_without_one() {
    for (durable, copies) in [(true, 1), (false, 2)] {
        let options = RedisOptions::of(RedisKind::Redis7);
        let options = if durable { options.durable() } else { options };
        // All that is written meanwhile.
        let source = RedisOptions::of(RedisKind::Redis7).set("repl-backlog-size", "256mb");
        let mut world = World::with(source, options);
        let link = world.streaming().await;
        let load = Load::start(&world.source, count);
        a_moment(200).await;
        world.target.kill9();
        a_moment(200).await;
        world.target.start_again();
        streams(&link).await;
        load.end();
        same(world.both(&link).await, &format!("durable: {durable}"));
        assert_eq!(world.synchronised().0, copies, "durable: {durable}");
    }
}

/// The history gets another name when a replica of the source takes over.
#[tokio::test(flavor = "multi_thread")]
async fn after_the_sources_own_failover_the_link_goes_on_from_the_new_one_without_a_copy() {
    let mut world = World::new(RedisKind::Redis7, RedisKind::Redis7);
    let replica = RedisServer::start(RedisOptions::of(RedisKind::Redis7));
    let port = world.source.port().to_string();
    replica.client().run(&["REPLICAOF", "127.0.0.1", &port]);
    let link = world.streaming().await;
    (0..100).for_each(|n| count(&mut world.source.client(), n));
    let wanted = world.end();
    link.drain_to(wanted, Duration::from_secs(20)).await.expect("all is applied");
    let has_all = async || {
        let info = replica.client().run(&["INFO", "replication"]).text();
        info.contains(&format!("slave_repl_offset:{}", world.end().offset))
    };
    wait_for("the replica has all", Duration::from_secs(60), has_all).await;
    link.stop().await;
    replica.client().run(&["REPLICAOF", "NO", "ONE"]);
    world.source = replica;
    (0..100).for_each(|n| count(&mut world.source.client(), n));
    let link = world.streaming().await;
    assert_eq!(world.synchronised(), (0, 1));
    same(world.both(&link).await, "in the end");
    drop(link);
    // The new name is in the record: another start is a continuation too.
    let link = world.streaming().await;
    assert_eq!(applied(&link).map(|at| at.history), Some(world.end().history));
    assert_eq!(world.synchronised(), (0, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_of_an_older_epoch_applies_nothing_once_a_newer_one_has_begun() {
    let world = World::new(RedisKind::Redis7, RedisKind::Redis7);
    let older = world.streaming().await;
    let load = Load::start(&world.source, count);
    let newer = link::start(LinkSpec { epoch: mainstay_core::Epoch::new(2), ..world.spec() });
    let (code, _) = super::world::stopped(&older).await;
    assert_eq!(code, "MS-RD-110");
    streams(&newer).await;
    load.end();
    same(world.both(&newer).await, "in the end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_stands_still_at_a_position_and_goes_on_after_it() {
    let world = World::new(RedisKind::Redis7, RedisKind::Redis7);
    let link = world.streaming().await;
    let load = Load::start(&world.source, count);
    a_moment(100).await;
    let paused = link.pause(Duration::from_secs(10)).await.expect("it stands still");
    assert!(link.pause(Duration::from_secs(1)).await.is_err(), "only one at a time");
    let [before, after] = [world.target.dump(), world.target.dump()];
    assert_eq!(before, after);
    assert_eq!(paused.at(), applied(&link));
    drop(paused);
    load.end();
    same(world.both(&link).await, "in the end");
    let stopped = link.stop().await;
    assert_eq!(stopped.map(|at| at.offset), Some(world.end().offset));
}
