//! A link that stands still where it is told to, and one that copies everything again.

use super::world::{LONG, World, streams};
use mainstay_stores::redis::link;
use mainstay_stores::redis::reached;
use mainstay_testkit::{RedisKind, Reply, wait_for};

#[tokio::test]
async fn a_link_stands_still_exactly_where_it_is_told_to_and_goes_on_when_it_is_let_go() {
    for kind in [RedisKind::Redis6, RedisKind::Redis7, RedisKind::Valkey9] {
        let world = World::new(kind, kind);
        let (mut source, mut target) = (world.source.client(), world.target.client());
        source.run(&["SET", "counter", "0"]);
        let link = world.streaming().await;
        for round in 1..=20_i64 {
            link.drain_to(world.end(), LONG).await.expect("it follows");
            let mut paused = link.pause(LONG).await.expect("it stands still");
            source.run(&["SET", "before", &round.to_string()]);
            let wanted = source.run(&["INCR", "counter"]);
            let at = world.end();
            source.run(&["INCR", "counter"]);
            source.run(&["DEL", "before"]);
            assert_eq!(target.run(&["EXISTS", "before"]).int(), 0, "nothing before it is told to");
            paused.advance_to(at, LONG).await.expect("it gets there");
            assert!(paused.still_stands());
            assert_eq!(paused.at(), Some(at));
            let there = target.run(&["GET", "counter"]).text();
            assert_eq!(
                there,
                wanted.int().to_string(),
                "{kind:?}: all up to it, and nothing later"
            );
            assert_eq!(target.run(&["GET", "before"]), Reply::Text(round.to_string().into()));
            drop(paused);
        }
        wait_for("it goes on", LONG, async || target.run(&["GET", "counter"]).text() == "40").await;
        link.stop().await;
    }
}

#[tokio::test]
async fn a_link_whose_record_was_forgotten_copies_everything_again() {
    let world = World::new(RedisKind::Redis7, RedisKind::Redis7);
    world.source.client().run(&["MSET", "one", "1", "two", "2"]);
    world.streaming().await.stop().await;
    let mut target = world.target.client();
    target.run(&["MSET", "one", "spoilt", "three", "3"]);
    reached::forget(&world.spec()).await.expect("the target answers");
    let link = link::start(link::LinkSpec { replace: true, ..world.spec() });
    streams(&link).await;
    assert_eq!(target.run(&["GET", "one"]).text(), "1");
    assert_eq!(target.run(&["EXISTS", "three"]).int(), 0);
    link.stop().await;
}
