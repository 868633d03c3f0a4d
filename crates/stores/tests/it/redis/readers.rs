//! Users that only read. What a reader can do is tried by a client of the tests' own, logged in as
//! that reader.

use super::world::{LONG, World, streams};
use mainstay_core::estate::RedisStore;
use mainstay_stores::redis::{check, link, readers};
use mainstay_testkit::{RedisClient, RedisKind, RedisOptions, RedisServer, Reply, wait_for};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// As the guide says; 6.2 knows no parts of commands.
const RULES: &str = "-@all +@read +@connection +@transaction -@admin -@dangerous -pfcount";
/// Each is more than reading.
const ATTEMPTS: [&[&str]; 14] = [
    &["SET", "k", "changed"],
    &["DEL", "k"],
    &["EXPIRE", "k", "1"],
    &["GETDEL", "k"],
    &["SORT", "l", "STORE", "k"],
    &["FLUSHALL"],
    &["SWAPDB", "0", "1"],
    &["EVAL", "return redis.call('SET', 'k', 'changed')", "0"],
    &["SCRIPT", "FLUSH"],
    &["CONFIG", "SET", "lua-time-limit", "5000"],
    &["ACL", "SETUSER", "reader", "allcommands"],
    &["CLIENT", "KILL", "USER", "app"],
    &["PUBLISH", "orders", "pay"],
    &["PFCOUNT", "hll"],
];

fn names() -> Vec<String> {
    vec!["reader".to_owned()]
}

fn options(kind: RedisKind, rules: &str) -> RedisOptions {
    let reader = format!("reader off >word ~* &* {rules}");
    RedisOptions::of(kind).password("secret").durable().user(&reader)
}

/// A connection of the reader; none when it is not let in.
fn reader(server: &RedisServer) -> Option<RedisClient> {
    let mut client = RedisClient::connect(&server.socket());
    match client.try_run(&["AUTH", "reader", "word"]) {
        Some(Reply::Text(_)) => Some(client),
        _ => None,
    }
}

fn run(server: &RedisServer) -> String {
    let info = server.client().run(&["INFO", "server"]).text();
    info.lines().find_map(|line| line.strip_prefix("run_id:")).expect("it is told").to_owned()
}

async fn keep(server: &RedisServer, open: bool, complete_in: Option<&str>) -> (bool, Vec<String>) {
    let kept = readers::keep(&server.endpoint(), &names(), open, complete_in).await.unwrap();
    (kept.let_in, kept.unfit.into_iter().map(|it| it.why).collect())
}

/// What the reader was able to do of what it must not.
fn done(server: &RedisServer) -> Vec<&'static str> {
    let mut admin = server.client();
    let mut done = Vec::new();
    for attempt in ATTEMPTS {
        admin.run(&["SET", "k", "v"]);
        let mut client = reader(server).expect("it is let in");
        let told = client.ask(attempt);
        if !matches!(&told, Reply::Error(why) if why.starts_with("NOPERM")) {
            done.push(attempt[0]);
        }
    }
    done
}

#[tokio::test]
async fn a_user_that_is_told_to_only_read_can_do_no_more_on_any_kind_of_server() {
    for kind in RedisKind::ALL {
        let server = RedisServer::start(options(kind, RULES));
        let endpoint = server.endpoint();
        server.client().run(&["PFADD", "hll", "a"]);
        assert_eq!(keep(&server, true, None).await, (true, vec![]), "{kind:?}");
        assert_eq!(done(&server), [""; 0], "{kind:?}");
        let mut client = reader(&server).expect("it is let in");
        assert_eq!(client.run(&["GET", "k"]), Reply::Text(b"v".into()), "{kind:?}");
        let found = check::findings("cache", &store(&endpoint)).await;
        let told = |it: &mainstay_core::Finding| it.what.contains("reader");
        assert!(!found.iter().any(told), "{kind:?}: {found:?}");
    }
}

fn store(endpoint: &mainstay_core::estate::RedisEndpoint) -> RedisStore {
    let east = "east".to_owned().try_into().expect("a name");
    RedisStore {
        users: vec![],
        readers: names(),
        max_lag: Duration::from_secs(5),
        exclude: vec![],
        compare_every: None,
        endpoints: [(east, endpoint.clone())].into(),
    }
}

#[tokio::test]
async fn each_right_that_is_more_is_told_and_whoever_has_it_is_shut_out_of_a_server_that_is_not_open()
 {
    for kind in RedisKind::ALL {
        let server = RedisServer::start(options(kind, RULES));
        let mut admin = server.client();
        keep(&server, true, None).await;
        for more in ["+set", "+@write", "+eval", "+publish", "+pfcount", "+@admin", "+@all"] {
            admin.run(&["ACL", "SETUSER", "reader", more]);
            let mut client = reader(&server).expect("an open server leaves it alone");
            let (_, told) = keep(&server, true, None).await;
            assert!(!told.is_empty(), "{kind:?} {more}");
            assert!(!done(&server).is_empty(), "{kind:?} {more}: it can do nothing more");
            // Among the attempts were to remove every key, and to be given every right.
            let (_, told) = keep(&server, true, None).await;
            assert_eq!(keep(&server, false, None).await, (true, told), "{kind:?} {more}");
            assert!(reader(&server).is_none(), "{kind:?} {more}: it is let in");
            assert_eq!(client.try_run(&["PING"]), None, "{kind:?} {more}: it was not cut");
            let found = check::findings("cache", &store(&server.endpoint())).await;
            assert!(found.iter().any(|it| it.code == "MS-RD-120"), "{kind:?} {more}: {found:?}");
            let rules: Vec<_> = RULES.split(' ').collect();
            admin.run(&[&["ACL", "SETUSER", "reader"], rules.as_slice()].concat());
            assert_eq!(keep(&server, false, None).await, (true, vec![]), "{kind:?} {more}");
            assert!(reader(&server).is_some(), "{kind:?} {more}: it is kept out");
        }
    }
}

#[tokio::test]
async fn rules_beside_the_rules_count_too() {
    for kind in [RedisKind::Redis7, RedisKind::Valkey9] {
        let server = RedisServer::start(options(kind, RULES));
        server.client().run(&["ACL", "SETUSER", "reader", "(+set ~tmp:*)"]);
        let (_, told) = keep(&server, true, None).await;
        assert_eq!(told, ["may write (set)"], "{kind:?}");
    }
}

#[tokio::test]
async fn a_server_that_was_started_anew_lets_no_reader_in_before_its_link_was_complete() {
    for kind in RedisKind::ALL {
        let mut server = RedisServer::start(options(kind, RULES));
        let first = run(&server);
        assert!(!keep(&server, false, None).await.0 && reader(&server).is_none());
        assert!(keep(&server, false, Some(&first)).await.0 && reader(&server).is_some());
        assert!(keep(&server, false, None).await.0, "by an agent that was started anew");
        server.kill9();
        server.start_again();
        assert!(reader(&server).is_none(), "{kind:?}: at rest");
        assert!(!keep(&server, false, Some(&first)).await.0, "{kind:?}: of the run before");
        assert!(reader(&server).is_none(), "{kind:?}");
        assert!(keep(&server, false, Some(&run(&server))).await.0);
        assert!(reader(&server).is_some(), "{kind:?}");
    }
}

#[tokio::test]
async fn a_reader_that_is_on_at_rest_is_told_and_switched_off_until_its_link_was_complete() {
    let line = format!("reader on >word ~* &* {RULES}");
    let options = RedisOptions::of(RedisKind::Redis7).password("secret").user(&line);
    let server = RedisServer::start(options);
    let found = check::findings("cache", &store(&server.endpoint())).await;
    assert!(found.iter().any(|it| it.code == "MS-RD-121"), "{found:?}");
    assert!(!keep(&server, false, None).await.0 && reader(&server).is_none());
}

/// Also when the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Readers of a target see every key that was there, also while all of it is copied anew.
#[tokio::test(flavor = "multi_thread")]
async fn no_reader_sees_a_target_that_is_being_copied_to() {
    for kind in RedisKind::ALL {
        let durable = RedisOptions::of(kind).durable();
        let mut world = World::with(durable, options(kind, RULES));
        let write = |server: &RedisServer, n: u64| {
            let mut client = server.client();
            let pairs = (0..20_000).flat_map(|key| [format!("key:{key}"), n.to_string()]);
            client.run(&[vec!["MSET".to_owned()], pairs.collect()].concat());
        };
        write(&world.source, 1);
        let link = link::start(link::LinkSpec { readers: names(), ..world.spec() });
        streams(&link).await;
        let (socket, stop) = (world.target.socket(), AtomicBool::new(false));
        let reading = || {
            let mut reads = 0_u64;
            while !stop.load(Ordering::SeqCst) {
                let mut client = RedisClient::connect(&socket);
                let known = client.try_run(&["AUTH", "reader", "word"]);
                if !matches!(known, Some(Reply::Text(_))) {
                    continue;
                }
                while let Some(told) = client.try_run(&["GET", "key:19999"]) {
                    assert!(matches!(told, Reply::Text(_)), "{kind:?} after {reads}: {told:?}");
                    reads += 1;
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                }
            }
            reads
        };
        let complete = link.completeness();
        let endpoint = world.target.endpoint();
        let keeping = async {
            // As an agent does that knows nothing of the copy, only far more often.
            let mut known = None;
            loop {
                known = complete().map(|it| it.run).or(known);
                readers::keep(&endpoint, &names(), false, known.as_deref()).await.unwrap();
            }
        };
        let moved = async {
            wait_for("readers come in", LONG, async || reader(&world.target).is_some()).await;
            for n in 2..5 {
                let before = world.end().history;
                world.source.restart();
                write(&world.source, n);
                wait_for("it is copied anew", LONG, async || {
                    let seen = reader(&world.target);
                    let seen = seen.and_then(|mut it| it.try_run(&["GET", "key:19999"]));
                    world.end().history != before && seen == Some(Reply::Text(n.to_string().into()))
                })
                .await;
            }
        };
        std::thread::scope(|scope| {
            let read = scope.spawn(reading);
            let stopping = Stop(&stop);
            let both = async {
                tokio::select! {
                    () = moved => {}
                    () = keeping => {}
                }
            };
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(both));
            drop(stopping);
            assert!(read.join().expect("each read was good") > 0, "{kind:?}");
        });
    }
}

/// What was acknowledged before the moment that a link tells is at its target.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_before_a_target_is_complete_is_there() {
    for kind in RedisKind::ALL {
        let world = World::new(kind, kind);
        let link = world.streaming().await;
        let complete = link.completeness();
        let (mut source, mut target) = (world.source.client(), world.target.client());
        let (mut acknowledged, mut moments) = (Vec::new(), 0);
        for n in 1..3_000_u64 {
            source.run(&["SET", "n", &n.to_string()]);
            acknowledged.push(Instant::now());
            let Some(known) = complete() else { continue };
            moments += 1;
            let due = acknowledged.iter().filter(|at| **at < known.at).count() as u64;
            let there = match target.run(&["GET", "n"]) {
                Reply::Nil => 0,
                told => told.int().unsigned_abs(),
            };
            assert!(there >= due, "{kind:?}: {there}, and {due} was due");
            assert_eq!(known.run, run(&world.target));
        }
        assert!(moments > 0, "{kind:?}: it never told a moment");
    }
}
