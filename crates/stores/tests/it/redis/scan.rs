//! Scan mode, on sources that do not let Mainstay replicate.

use mainstay_core::{ApplicationName, Epoch, SiteName, StoreName};
use mainstay_stores::redis::link::LinkSpec;
use mainstay_stores::redis::scan::{Reason, ScanLink, ScanPhase, needed, start};
use mainstay_testkit::{RedisKind, RedisOptions, RedisServer, wait_for};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(200);
const NEVER: Duration = Duration::from_secs(3600);

/// As managed servers are.
fn blocked(kind: RedisKind) -> RedisOptions {
    RedisOptions::of(kind).set("rename-command PSYNC", "\"\"").set("rename-command SYNC", "\"\"")
}

fn spec(source: &RedisServer, target: &RedisServer, epoch: u64) -> LinkSpec {
    LinkSpec {
        application: ApplicationName::try_from("bank".to_owned()).expect("a name"),
        store: StoreName::try_from("cache".to_owned()).expect("a name"),
        from: SiteName::try_from("west".to_owned()).expect("a name"),
        to: SiteName::try_from("east".to_owned()).expect("a name"),
        source: source.endpoint(),
        target: target.endpoint(),
        epoch: Epoch::new(epoch),
        exclude: vec!["tmp:*".to_owned()],
        readers: vec![],
        replace: true,
    }
}

/// A sweep that began after this was asked has ended.
async fn whole_sweep(link: &ScanLink) {
    let before = link.status().sweeps;
    wait_for("two sweeps end", LONG, async || {
        let status = link.status();
        assert!(!matches!(status.phase, ScanPhase::Stopped { .. }), "{status:?}");
        status.sweeps >= before + 2
    })
    .await;
}

/// What a server holds but for Mainstay's own keys.
fn held(server: &RedisServer, oldest: RedisKind) -> Vec<String> {
    let dump = server.dump_as(oldest);
    dump.lines().filter(|line| !line.contains(" mainstay:")).map(str::to_owned).collect()
}

fn assert_same(source: &RedisServer, target: &RedisServer) {
    let oldest = source.kind().min(target.kind());
    let (here, there) = (held(source, oldest), held(target, oldest));
    let short = |line: Option<&String>| line.map(|line| line.chars().take(200).collect::<String>());
    let differing = here.iter().zip(&there).find(|(one, other)| one != other);
    assert!(
        differing.is_none() && here.len() == there.len(),
        "{:?} keys: {:?} is {:?}",
        (here.len(), there.len()),
        short(differing.map(|it| it.0)),
        short(differing.map(|it| it.1))
    );
}

#[tokio::test]
async fn every_encoding_deletions_and_times_of_expiry_arrive_from_a_server_that_blocks_psync() {
    for (from, to) in
        [(RedisKind::Redis7, RedisKind::Valkey9), (RedisKind::Redis6, RedisKind::Redis7)]
    {
        let source = RedisServer::start(blocked(from));
        let target = RedisServer::start(RedisOptions::of(to));
        source.write_every_encoding();
        assert_eq!(needed(&source.endpoint()).await, Ok(Some(Reason::NoCommand)));
        let link = start(spec(&source, &target, 1), SHORT);
        assert_eq!(link.status().checked_within, None);
        whole_sweep(&link).await;
        assert_same(&source, &target);
        let mut client = source.client();
        client.run(&["DEL", "list:large", "str:empty", "hash:few"]);
        client.run(&["PEXPIREAT", "set:few", "4102444800124"]);
        client.run(&["PERSIST", "expires:string"]);
        client.run(&["SMOVE", "set:many", "set:new", "member 7"]);
        client.run(&["SET", "gone soon", "x", "PX", "1"]);
        client.run(&["SELECT", "3"]);
        client.run(&["FLUSHDB"]);
        whole_sweep(&link).await;
        assert_same(&source, &target);
        let status = link.status();
        assert_eq!((status.phase, status.refused), (ScanPhase::Sweeping, None));
        assert!(status.checked_within.is_some_and(|age| age < LONG));
        assert!(status.removed >= 5, "{}", status.removed);
        link.stop().await;
    }
}

#[tokio::test]
async fn what_the_source_names_arrives_at_once() {
    let source = RedisServer::start(blocked(RedisKind::Redis7).set("notify-keyspace-events", "EA"));
    let target = RedisServer::start(RedisOptions::of(RedisKind::Redis7));
    source.client().run(&["MSET", "kept", "a", "gone", "b"]);
    let link = start(spec(&source, &target, 1), NEVER);
    wait_for("the first sweep ends", LONG, async || link.status().sweeps == 1).await;
    let mut client = source.client();
    client.run(&["DEL", "gone"]);
    client.run(&["SELECT", "5"]);
    client.run(&["HSET", "new", "field", "value"]);
    client.run(&["SET", "tmp:1", "excluded"]);
    wait_for("both arrive", LONG, async || {
        let dump = held(&target, RedisKind::Redis7);
        dump.len() == 2 && dump[1].starts_with("5 new hash")
    })
    .await;
    assert_eq!(link.status().sweeps, 1);
    assert_eq!(link.status().hints, 2);
}

#[tokio::test]
async fn a_stale_link_writes_nothing() {
    let source = RedisServer::start(blocked(RedisKind::Redis7));
    let target = RedisServer::start(RedisOptions::of(RedisKind::Redis7));
    source.client().run(&["SET", "key", "value"]);
    let old = start(spec(&source, &target, 1), SHORT);
    whole_sweep(&old).await;
    let new = start(spec(&source, &target, 2), NEVER);
    wait_for("the new link sweeps", LONG, async || new.status().sweeps == 1).await;
    new.stop().await;
    source.client().run(&["SET", "key", "later"]);
    wait_for("the old link stops", LONG, async || {
        matches!(old.status().phase, ScanPhase::Stopped { code, .. } if code == "MS-RD-110")
    })
    .await;
    assert_eq!(target.client().run(&["GET", "key"]).text(), "value");
}

#[tokio::test]
async fn a_source_that_comes_back_empty_removes_nothing_and_one_that_is_emptied_does() {
    let mut source = RedisServer::start(blocked(RedisKind::Redis7));
    let target = RedisServer::start(RedisOptions::of(RedisKind::Redis7));
    source.client().run(&["SET", "key", "value"]);
    let link = start(spec(&source, &target, 1), SHORT);
    whole_sweep(&link).await;
    source.client().run(&["FLUSHALL"]);
    whole_sweep(&link).await;
    assert_eq!(held(&target, RedisKind::Redis7), Vec::<String>::new());
    source.client().run(&["SET", "key", "again"]);
    whole_sweep(&link).await;
    source.kill9();
    source.start_again();
    wait_for("the link stops", LONG, async || {
        matches!(link.status().phase, ScanPhase::Stopped { code, .. } if code == "MS-RD-204")
    })
    .await;
    assert_eq!(target.client().run(&["GET", "key"]).text(), "again");
}

#[tokio::test]
async fn a_user_without_psync_is_told_apart_from_one_with_it() {
    let options = RedisOptions::of(RedisKind::Redis7)
        .user("scanner on >word ~* &* +@all -psync")
        .user("replica on >word ~* &* +@all");
    let source = RedisServer::start(options);
    let endpoint = |user: &str| {
        let mut endpoint = source.endpoint();
        endpoint.user = Some(user.to_owned());
        endpoint.password = Some(mainstay_core::Secret::new("word"));
        endpoint
    };
    assert_eq!(needed(&endpoint("replica")).await, Ok(None));
    let reason = needed(&endpoint("scanner")).await.expect("it answers").expect("it is needed");
    assert!(reason.to_string().contains("psync"), "{reason}");
}
