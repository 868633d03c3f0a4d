//! Comparison of two Redis servers: what a test changed is what is found, and nothing else.

use super::world::World;
use mainstay_core::position::ReplicationOffset;
use mainstay_stores::redis::compare::{self, Answer, Comparison, Follows, Kind};
use mainstay_testkit::{RedisKind, RedisOptions, RedisServer, wait_for};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(30);

fn server(kind: RedisKind) -> RedisServer {
    RedisServer::start(RedisOptions::of(kind))
}

async fn compare(source: &RedisServer, target: &RedisServer, link: &impl Follows) -> Comparison {
    let ends = (&source.endpoint(), &target.endpoint());
    compare::run(ends, &[], link, &mut ()).await.expect("both servers answer")
}

/// What differs, as `database key kind what`.
fn found(comparison: &Comparison) -> Vec<String> {
    let shown = comparison
        .differing
        .iter()
        .map(|it| format!("{} {} {:?} {}", it.database, it.key, it.kind, it.what));
    let mut shown: Vec<String> = shown.collect();
    shown.sort();
    shown
}

#[tokio::test]
async fn what_a_link_brought_is_equal_for_every_encoding_and_version() {
    for (from, to) in [
        (RedisKind::Redis6, RedisKind::Redis7),
        (RedisKind::Redis7, RedisKind::Valkey9),
        (RedisKind::Valkey9, RedisKind::Valkey9),
    ] {
        let world = World::new(from, to);
        world.source.write_every_encoding();
        let link = world.streaming().await;
        let comparison = compare(&world.source, &world.target, &link.follower()).await;
        assert_eq!(found(&comparison), Vec::<String>::new(), "{from:?} to {to:?}");
        assert_eq!(comparison.answer, Answer::Equal, "{from:?} to {to:?}");
        assert!(comparison.keys_source >= 80, "{comparison:?}");
        assert_eq!(comparison.keys_source, comparison.keys_target);
        link.stop().await;
    }
}

#[tokio::test]
async fn the_smallest_change_of_any_type_is_found_and_nothing_else() {
    let (source, target) = (server(RedisKind::Valkey9), server(RedisKind::Valkey9));
    source.write_every_encoding();
    target.write_every_encoding();
    // Times of delivery differ, which nobody compares; nothing else does.
    let before = compare(&source, &target, &()).await;
    assert_eq!((before.answer, before.changing), (Answer::Equal, vec![]));
    let changes: &[(&[&str], &str)] = &[
        (&["SETRANGE", "str:large", "1100000", "xyz"], "0 str:large Different its value"),
        (&["SET", "str:empty", " "], "0 str:empty Different its value"),
        (&["LSET", "list:large", "11000", "x"], "0 list:large Different its value"),
        (
            &["LMOVE", "list:items", "list:items", "LEFT", "RIGHT"],
            "0 list:items Different its value",
        ),
        (&["SREM", "set:large", "a member of a large set 17"], "0 set:large Different its value"),
        (
            &["ZADD", "zset:large", "0.14285714285714288", "member 1"],
            "0 zset:large Different its value",
        ),
        (&["HSET", "hash:large", "field 7", "value 8"], "0 hash:large Different its value"),
        (
            &["HPEXPIREAT", "hash:expiring", "4102444800124", "FIELDS", "1", "field 3"],
            "0 hash:expiring Different its value",
        ),
        (&["XACK", "stream:large", "group", "17-0"], "0 stream:large Different its value"),
        (
            &["PEXPIREAT", "expires:string", "4102444800124"],
            "0 expires:string Different when it expires",
        ),
        (&["PERSIST", "expires:list"], "0 expires:list Different when it expires"),
        (&["DEL", "hash:few"], "0 hash:few Missing only one side has it"),
        (&["SET", "new", "key"], "0 new Extra only one side has it"),
        (&["SET", "mainstay:own", "key"], ""),
        (&["RENAME", "set:few", "zset:few"], "0 set:few Missing only one side has it"),
        (&["FUNCTION", "DELETE", "second"], "0 second Missing a library of functions"),
    ];
    let mut wanted = vec!["0 zset:few Extra only one side has it".to_owned()];
    let mut client = target.client();
    for (change, what) in changes {
        client.ask(change);
        wanted.extend((!what.is_empty()).then(|| (*what).to_owned()));
    }
    client.run(&["SELECT", "3"]);
    client.run(&["DEL", "only in 3"]);
    wanted.push("3 only in 3 Missing only one side has it".to_owned());
    wanted.sort();
    let comparison = compare(&source, &target, &()).await;
    assert_eq!(found(&comparison), wanted);
    assert_eq!((comparison.answer, comparison.differences), (Answer::Different, 17));
}

/// Writes all the time: counters, a key that comes and goes, and a hash that is rewritten.
fn load(source: &RedisServer, stop: &Arc<AtomicBool>) -> std::thread::JoinHandle<u64> {
    let (mut client, stop) = (source.client(), Arc::clone(stop));
    std::thread::spawn(move || {
        let mut count = 0_u64;
        while !stop.load(Ordering::Relaxed) {
            count += 1;
            let (key, value) = (format!("counter {}", count % 500), count.to_string());
            client.run(&["INCR", &key]);
            client.run(&["SET", "comes and goes", &value]);
            client.run(&["HSET", "hash", &format!("field {}", count % 50), &value]);
            client.run(&["DEL", "comes and goes"]);
            client.run(&["RPUSH", "list", &value]);
            client.run(&["SET", &format!("short {}", count % 50), "x", "PX", "3"]);
        }
        count
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn under_load_there_is_no_false_alarm_and_one_changed_key_among_many_is_found() {
    let world = World::new(RedisKind::Redis7, RedisKind::Redis7);
    let World { source, target } = &world;
    let mut client = source.client();
    for n in 0..3000 {
        client.run(&["SET", &format!("still {n}"), &n.to_string()]);
    }
    let link = world.streaming().await;
    let stop = Arc::new(AtomicBool::new(false));
    let writer = load(source, &stop);
    for _ in 0..5 {
        let comparison = compare(source, target, &link.follower()).await;
        assert_eq!(found(&comparison), Vec::<String>::new());
        assert_ne!(comparison.answer, Answer::Different);
        assert!(comparison.to > comparison.from, "{comparison:?}");
    }
    target.client().run(&["SET", "still 1234", "1235"]);
    let comparison = compare(source, target, &link.follower()).await;
    stop.store(true, Ordering::Relaxed);
    assert!(writer.join().expect("the writer ends") > 100);
    assert_eq!(found(&comparison), ["0 still 1234 Different its value"]);
    link.stop().await;
}

/// Each of these is written thousands of times a second, so that no look finds it unchanged.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_changes_all_the_time_is_equal_or_different_for_certain() {
    for kinds in [
        (RedisKind::Redis6, RedisKind::Redis7),
        (RedisKind::Redis7, RedisKind::Redis7),
        (RedisKind::Valkey9, RedisKind::Valkey9),
    ] {
        let world = World::new(kinds.0, kinds.1);
        let World { source, target } = &world;
        let link = world.streaming().await;
        let stop = Arc::new(AtomicBool::new(false));
        let (mut client, stopped) = (source.client(), Arc::clone(&stop));
        let writer = std::thread::spawn(move || {
            let words = |words: &[&str]| words.iter().map(|it| it.as_bytes().to_vec()).collect();
            let mut count = 0_u64;
            while !stopped.load(Ordering::Relaxed) {
                count += 1;
                let (value, field) = (count.to_string(), format!("field {}", count % 20));
                client.pipeline(&[
                    words(&["INCR", "counter"]),
                    words(&["HSET", "hash", &field, &value]),
                    words(&["SET", "expiring", &value, "PX", "60000"]),
                    words(&["ZINCRBY", "ranks", "0.1", &field]),
                    words(&["RPUSH", "list", &value]),
                    words(&["LTRIM", "list", "-50", "-1"]),
                ]);
            }
        });
        let ready = ["counter", "hash", "expiring", "ranks", "list"];
        wait_for("all keys are there", LONG, async || {
            ready.iter().all(|key| target.client().run(&["EXISTS", key]).int() == 1)
        })
        .await;
        for _ in 0..3 {
            let comparison = compare(source, target, &link.follower()).await;
            assert_eq!(comparison.changing, Vec::<String>::new(), "{kinds:?}");
            assert_eq!(found(&comparison), Vec::<String>::new(), "{kinds:?}");
            assert!(comparison.equal, "{kinds:?}: {comparison:?}");
        }
        target.client().run(&["HSET", "hash", "only here", "x"]);
        target.client().run(&["ZADD", "ranks", "-1", "only here"]);
        let comparison = compare(source, target, &link.follower()).await;
        assert_eq!(
            found(&comparison),
            ["0 hash Different its value", "0 ranks Different its value"],
            "{kinds:?}"
        );
        stop.store(true, Ordering::Relaxed);
        writer.join().expect("the writer ends");
        link.stop().await;
    }
}

#[tokio::test]
async fn a_key_that_was_given_less_time_and_is_gone_is_a_difference() {
    let (source, target) = (server(RedisKind::Redis7), server(RedisKind::Redis7));
    source.client().run(&["SET", "longer here", "x", "PX", "60000"]);
    target.client().run(&["SET", "longer here", "x", "PX", "1"]);
    wait_for("it is gone", LONG, async || {
        target.client().run(&["EXISTS", "longer here"]).int() == 0
    })
    .await;
    let comparison = compare(&source, &target, &()).await;
    assert_eq!(found(&comparison), ["0 longer here Missing only one side has it"]);
}

/// Redis 6.2 tells its replicas how long a key has, as it was told: every replica's time is later.
#[tokio::test]
async fn before_redis_7_only_whether_a_key_expires_is_compared() {
    let (source, target) = (server(RedisKind::Redis6), server(RedisKind::Redis7));
    for (server, later) in [(&source, "60000"), (&target, "61000")] {
        server.client().run(&["SET", "for a minute", "x", "PX", later]);
        server.client().run(&["MSET", "for ever", "x", "not for ever", "x"]);
    }
    target.client().run(&["PEXPIRE", "not for ever", "60000"]);
    source.client().run(&["SET", "gone too soon", "x", "PX", "60000"]);
    let comparison = compare(&source, &target, &()).await;
    let wanted = [
        "0 gone too soon Missing only one side has it",
        "0 not for ever Different when it expires",
    ];
    assert_eq!(found(&comparison), wanted);
}

#[tokio::test]
async fn a_link_that_was_ended_follows_nothing_more() {
    let world = World::new(RedisKind::Redis7, RedisKind::Redis7);
    world.source.client().run(&["SET", "key", "value"]);
    let link = world.streaming().await;
    let follower = link.follower();
    link.stop().await;
    let ends = (&world.source.endpoint(), &world.target.endpoint());
    let answer = compare::run(ends, &[], &follower, &mut ()).await;
    let why = answer.expect_err("nobody knows what the source has since").to_string();
    assert!(why.contains("the link was ended"), "{why}");
}

#[tokio::test]
async fn nothing_is_equal_or_different_when_the_link_does_not_bring_what_the_source_has() {
    struct Broken;
    impl Follows for Broken {
        type Held = ();
        async fn hold(&self) -> Result<(), String> {
            Err("the link has stopped".to_owned())
        }
        async fn reach(&self, _: ReplicationOffset) -> Result<(), String> {
            Err("the link has stopped".to_owned())
        }
    }
    let (source, target) = (server(RedisKind::Redis7), server(RedisKind::Redis7));
    source.client().run(&["SET", "key", "value"]);
    let ends = (&source.endpoint(), &target.endpoint());
    let answer = compare::run(ends, &[], &Broken, &mut ()).await;
    assert_eq!(answer.err().map(|why| why.code()), Some("MS-RD-150"));
}

#[tokio::test]
async fn a_server_that_goes_away_in_between_is_an_error() {
    let (source, mut target) = (server(RedisKind::Redis7), server(RedisKind::Redis7));
    let ends = (source.endpoint(), target.endpoint());
    target.kill9();
    let answer = compare::run((&ends.0, &ends.1), &[], &(), &mut ()).await;
    assert_eq!(answer.err().map(|why| why.code()), Some("MS-RD-100"));
}

#[tokio::test]
async fn excluded_keys_are_not_compared() {
    let (source, target) = (server(RedisKind::Redis7), server(RedisKind::Redis7));
    source.client().run(&["MSET", "tmp:1", "a", "kept", "b"]);
    target.client().run(&["MSET", "tmp:2", "a", "kept", "c"]);
    let ends = (&source.endpoint(), &target.endpoint());
    let exclude = ["tmp:*".to_owned()];
    let comparison = compare::run(ends, &exclude, &(), &mut ()).await.expect("both answer");
    assert_eq!(found(&comparison), ["0 kept Different its value"]);
    assert_eq!(comparison.differing[0].kind, Kind::Different);
}

/// Half of the keys differ: all are counted, and only some are listed.
#[tokio::test]
async fn many_differences_are_counted_and_listed_in_part() {
    let (source, target) = (server(RedisKind::Redis7), server(RedisKind::Redis7));
    for (server, value) in [(&source, "a"), (&target, "b")] {
        let set = |n: u32| {
            let value = if n.is_multiple_of(2) { "same" } else { value };
            ["SET", &format!("key {n}"), value].map(|word| word.as_bytes().to_vec()).to_vec()
        };
        server.client().pipeline(&(0..4000).map(set).collect::<Vec<_>>());
    }
    let comparison = compare(&source, &target, &()).await;
    assert_eq!((comparison.differences, comparison.differing.len()), (2000, 100));
}
