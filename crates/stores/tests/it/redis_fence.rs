//! The fence of a Redis server, on every kind of server. What was written is asked of the server by
//! a client of the tests' own.

use mainstay_core::Epoch;
use mainstay_core::estate::{RedisEndpoint, RedisStore};
use mainstay_core::position::ReplicationOffset;
use mainstay_stores::redis::fault::Fault;
use mainstay_stores::redis::{check, copy, fence, probe};
use mainstay_testkit::{RedisClient, RedisKind, RedisOptions, RedisServer, Reply};
use std::collections::BTreeMap;
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(10);
const APP: &str = "app off >word ~* &* +@all -@admin -@dangerous";

fn options(kind: RedisKind) -> RedisOptions {
    RedisOptions::of(kind).password("secret").user(APP)
}

fn users() -> Vec<String> {
    vec!["app".to_owned()]
}

fn epoch(number: u64) -> Epoch {
    Epoch::new(number)
}

/// A connection of the application; none when it is not let in.
fn application(server: &RedisServer) -> Option<RedisClient> {
    let mut client = RedisClient::connect(&server.socket());
    match client.try_run(&["AUTH", "app", "word"]) {
        Some(Reply::Text(_)) => Some(client),
        _ => None,
    }
}

async fn open(endpoint: &RedisEndpoint, number: u64) -> Result<(), Fault> {
    fence::open(endpoint, &users(), epoch(number), || true).await
}

async fn fence(endpoint: &RedisEndpoint, number: u64) -> Result<fence::Fenced, Fault> {
    fence::fence(endpoint, &users(), epoch(number), DEADLINE).await
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_fence_nothing_of_the_application_is_written_to_any_kind_of_server() {
    for kind in RedisKind::ALL {
        let server = RedisServer::start(options(kind));
        let endpoint = server.endpoint();
        assert!(application(&server).is_none(), "{kind:?} lets it in before it was opened");
        open(&endpoint, 1).await.unwrap();
        let writers: Vec<_> = (0..4)
            .map(|_| {
                let mut client = application(&server).expect("it is open");
                std::thread::spawn(move || {
                    let mut last = 0;
                    while let Some(Reply::Int(count)) = client.try_run(&["INCR", "counter"]) {
                        last = count;
                    }
                    last
                })
            })
            .collect();
        while server.client().run(&["GET", "counter"]) == Reply::Nil {
            tokio::task::yield_now().await;
        }
        let fenced = fence(&endpoint, 1).await.unwrap();
        let at_the_fence = server.client().run(&["GET", "counter"]).int();
        assert_eq!(fenced.connections_cut, 4, "{kind:?}");
        let logs = writers.into_iter().map(|writer| writer.join().expect("it ended"));
        assert!(logs.max() <= Some(at_the_fence), "{kind:?}: a write after the fence was answered");
        assert!(application(&server).is_none(), "{kind:?} lets it in after the fence");
        assert_eq!(server.client().run(&["GET", "counter"]).int(), at_the_fence, "{kind:?}");
    }
}

/// What a killed link leaves at a Valkey server is not left to clients.
#[tokio::test(flavor = "multi_thread")]
async fn in_a_server_that_is_opened_keys_expire() {
    let server = RedisServer::start(options(RedisKind::Valkey9));
    let mut admin = server.client();
    admin.run(&["CONFIG", "SET", "import-mode", "yes"]);
    open(&server.endpoint(), 1).await.unwrap();
    let seen = admin.run(&["CONFIG", "GET", "import-mode"]);
    let text = |text: &str| Reply::Text(text.into());
    assert_eq!(seen, Reply::List(vec![text("import-mode"), text("no")]));
}

#[tokio::test]
async fn an_older_epoch_neither_opens_nor_fences_and_an_equal_one_may_again() {
    let server = RedisServer::start(options(RedisKind::Redis7));
    let endpoint = server.endpoint();
    fence(&endpoint, 3).await.unwrap();
    let stale = |outcome: Option<Fault>| matches!(outcome, Some(Fault::StaleEpoch { .. }));
    assert!(stale(open(&endpoint, 2).await.err()));
    open(&endpoint, 3).await.unwrap();
    assert!(stale(fence(&endpoint, 2).await.err()));
    assert!(application(&server).is_some(), "a stale fence shut it");
    let state = fence::state(&endpoint, &users()).await.unwrap();
    assert_eq!((state.epoch, state.open, state.admits), (epoch(3), true, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opening_never_undoes_a_fence_that_came_after_it_was_decided() {
    let server = RedisServer::start(options(RedisKind::Redis7));
    let endpoint = server.endpoint();
    fence(&endpoint, 1).await.unwrap();
    let (there, named) = (endpoint.clone(), users());
    // The fence comes while whoever opens is asked whether it still may.
    let still = || {
        let fencing = async { fence::fence(&there, &named, epoch(1), DEADLINE).await };
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(fencing)).is_ok()
    };
    let opened = fence::open(&endpoint, &users(), epoch(1), still).await;
    assert!(matches!(opened, Err(Fault::OpenedTooLate { .. })), "{opened:?}");
    assert!(application(&server).is_none());
}

#[tokio::test]
async fn a_server_that_starts_by_itself_is_closed_and_known_to_be() {
    let mut server = RedisServer::start(options(RedisKind::Redis7).durable());
    let endpoint = server.endpoint();
    open(&endpoint, 2).await.unwrap();
    server.kill9();
    server.start_again();
    assert!(application(&server).is_none(), "the opening survived a restart");
    let state = fence::state(&endpoint, &users()).await.unwrap();
    assert_eq!((state.epoch, state.open, state.admits), (epoch(2), false, false));
}

#[tokio::test]
async fn a_user_that_is_on_at_rest_is_told_and_seen_as_open_to_the_application() {
    let options = RedisOptions::of(RedisKind::Valkey9).password("secret");
    let server = RedisServer::start(options.user("app on >word ~* &* +@all -@admin -@dangerous"));
    let endpoint = server.endpoint();
    let state = fence::state(&endpoint, &users()).await.unwrap();
    assert_eq!((state.open, state.admits), (false, true));
    assert_eq!(codes(&[&server], &["app"]).await, ["MS-RD-116"]);
}

#[tokio::test]
async fn a_server_whose_memory_is_full_is_fenced_all_the_same() {
    let server = RedisServer::start(options(RedisKind::Redis7));
    let endpoint = server.endpoint();
    open(&endpoint, 1).await.unwrap();
    server.client().run(&["CONFIG", "SET", "maxmemory", "1"]);
    let fenced = fence(&endpoint, 2).await;
    assert!(fenced.is_ok(), "{fenced:?}");
    assert!(application(&server).is_none());
    assert!(open(&endpoint, 1).await.is_err(), "nobody opens what takes no write");
    server.client().run(&["CONFIG", "SET", "maxmemory", "0"]);
    assert!(application(&server).is_none());
}

#[tokio::test]
async fn the_position_of_a_fence_is_the_end_of_the_servers_history() {
    let server = RedisServer::start(options(RedisKind::Redis7));
    let endpoint = server.endpoint();
    open(&endpoint, 1).await.unwrap();
    // A server without a replica counts no history; a copy makes it begin one.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kept.rdb");
    server.client().run(&["SET", "k", "v"]);
    let kept = copy::take(&endpoint, &path).await.unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().len(), kept.bytes);
    assert!(std::fs::read(&path).unwrap().starts_with(b"REDIS00"));
    let mut client = application(&server).expect("it is open");
    client.run(&["SET", "k", "w"]);
    let fenced = fence(&endpoint, 1).await.unwrap();
    assert!(fenced.position > kept.position, "{fenced:?} {kept:?}");
    let told = server.client().run(&["INFO", "replication"]).text();
    let field = |name: &str| {
        told.lines().find_map(|line| line.strip_prefix(name)).expect("it is told").to_owned()
    };
    let end = ReplicationOffset {
        history: field("master_replid:").parse().unwrap(),
        offset: field("master_repl_offset:").parse().unwrap(),
    };
    assert_eq!(fenced.position, end);
    probe::write(&endpoint).await.unwrap();
    assert!(probe::end(&endpoint).await.unwrap() > end);
}

async fn codes(servers: &[&RedisServer], users: &[&str]) -> Vec<String> {
    let sites = ["east", "west"].map(|site| mainstay_core::SiteName::new(site).unwrap());
    let endpoints: BTreeMap<_, _> =
        sites.into_iter().zip(servers).map(|(site, it)| (site, it.endpoint())).collect();
    let users = users.iter().map(|user| (*user).to_owned()).collect();
    let store = RedisStore {
        users,
        readers: Vec::new(),
        max_lag: DEADLINE,
        exclude: Vec::new(),
        compare_every: None,
        endpoints,
    };
    let findings = check::findings("applications.bank.stores.cache", &store).await;
    let of_users = |code: &String| code.starts_with("MS-RD-11");
    findings.into_iter().map(|finding| finding.code).filter(of_users).collect()
}

#[tokio::test]
async fn users_with_which_no_fence_would_hold_are_told_before_anything_is_touched() {
    let good = RedisServer::start(options(RedisKind::Redis7));
    assert_eq!(codes(&[&good], &["app"]).await, Vec::<String>::new());
    assert_eq!(codes(&[&good], &["app", "ghost"]).await, ["MS-RD-112"]);
    let open = RedisServer::start(RedisOptions::of(RedisKind::Redis7).user(APP));
    assert_eq!(codes(&[&open], &["app"]).await, ["MS-RD-117"]);
    let others = options(RedisKind::Redis6)
        .user("root off >word ~* &* +@all")
        .user("batch on >word ~* &* +@write");
    let others = RedisServer::start(others);
    assert_eq!(
        codes(&[&good, &others], &["app", "root"]).await,
        ["MS-RD-112", "MS-RD-118", "MS-RD-119"]
    );
}
