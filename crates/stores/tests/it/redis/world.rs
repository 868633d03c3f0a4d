//! A source, an empty target, and a link between them.

use mainstay_core::position::ReplicationOffset;
use mainstay_core::{ApplicationName, Epoch, LinkPhase, LinkStatus, Position, SiteName, StoreName};
use mainstay_stores::redis::link::{self, Link, LinkSpec};
use mainstay_testkit::{RedisClient, RedisKind, RedisOptions, RedisServer, wait_for};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

pub const LONG: Duration = Duration::from_secs(60);

pub struct World {
    pub source: RedisServer,
    pub target: RedisServer,
}

impl World {
    pub fn new(source: RedisKind, target: RedisKind) -> Self {
        Self::with(RedisOptions::of(source), RedisOptions::of(target))
    }

    pub fn with(source: RedisOptions, target: RedisOptions) -> Self {
        let [source, target] = [source, target].map(RedisServer::start);
        Self { source, target }
    }

    pub fn spec(&self) -> LinkSpec {
        LinkSpec {
            application: ApplicationName::try_from("bank".to_owned()).expect("a name"),
            store: StoreName::try_from("cache".to_owned()).expect("a name"),
            from: SiteName::try_from("west".to_owned()).expect("a name"),
            to: SiteName::try_from("east".to_owned()).expect("a name"),
            source: self.source.endpoint(),
            target: self.target.endpoint(),
            epoch: Epoch::new(1),
            exclude: vec![],
            readers: vec![],
            replace: false,
        }
    }

    pub async fn streaming(&self) -> Link {
        let link = link::start(self.spec());
        streams(&link).await;
        link
    }

    /// Waits until all that the source has now is applied, and says what both sides hold then.
    pub async fn both(&self, link: &Link) -> [String; 2] {
        self.both_as(link, self.source.kind().min(self.target.kind())).await
    }

    pub async fn both_as(&self, link: &Link, oldest: RedisKind) -> [String; 2] {
        let end = self.end();
        link.drain_to(end, LONG).await.unwrap_or_else(|e| panic!("{e}: {:?}", link.status()));
        let theirs = |server: &RedisServer| theirs(&server.dump_as(oldest));
        [theirs(&self.source), theirs(&self.target)]
    }

    /// The end of the source's history.
    pub fn end(&self) -> ReplicationOffset {
        let info = self.source.client().run(&["INFO", "replication"]).text();
        let field = |name: &str| {
            let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.expect("the field is there").to_owned()
        };
        let history = field("master_replid").parse().expect("an ID");
        ReplicationOffset {
            history,
            offset: field("master_repl_offset").parse().expect("a number"),
        }
    }

    /// How often the source sent all of its data, and how often it could go on instead.
    pub fn synchronised(&self) -> (i64, i64) {
        let info = self.source.client().run(&["INFO", "stats"]).text();
        let field = |name: &str| {
            let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.expect("the field is there").parse().expect("a number")
        };
        (field("sync_full"), field("sync_partial_ok"))
    }
}

/// Both dumps say the same.
///
/// # Panics
/// With the lines in which they differ.
pub fn same([source, target]: [String; 2], what: &str) {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    let (source, target) = (lines(&source), lines(&target));
    let shown = |only: &str| only.chars().take(2000).collect::<String>();
    let differ = |(side, only): (&str, &String)| format!("{side}: {}", shown(only));
    let missing = source.difference(&target).map(|line| ("source", line));
    let extra = target.difference(&source).map(|line| ("target", line));
    let differences: Vec<_> = missing.chain(extra).map(differ).take(10).collect();
    assert!(differences.is_empty(), "{what}: {}", differences.join("\n"));
}

/// What is the application's in a dump. Versions write one and the same score in several ways.
pub fn theirs(dump: &str) -> String {
    let lines = dump.lines().filter(|line| !line.starts_with("0 mainstay:"));
    let line = |line: &str| if line.contains(" zset ") { scores(line) } else { line.to_owned() };
    lines.flat_map(|it| [line(it), "\n".to_owned()]).collect()
}

fn scores(line: &str) -> String {
    let score = |part: &str| match part.split_once('"') {
        Some((score, rest)) => match score.parse::<f64>() {
            Ok(score) => format!("=\"{score:e}\"{rest}"),
            Err(_) => format!("=\"{part}"),
        },
        None => format!("=\"{part}"),
    };
    let mut parts = line.split("=\"");
    let first = parts.next().unwrap_or_default().to_owned();
    std::iter::once(first).chain(parts.map(score)).collect()
}

pub async fn streams(link: &Link) {
    let streams = async || link.status().phase == LinkPhase::Streaming && applied(link).is_some();
    wait_for(&format!("the link streams: {:?}", link.status()), LONG, streams).await;
}

pub fn applied(link: &Link) -> Option<ReplicationOffset> {
    match link.status().applied? {
        Position::Redis(at) => Some(at),
        Position::Postgres(_) => None,
    }
}

/// Waits until the link has stopped, and returns its code and reason.
pub async fn stopped(link: &Link) -> (String, String) {
    let mut status = link.watch();
    let stopped = |status: &LinkStatus| matches!(status.phase, LinkPhase::Stopped { .. });
    let waited = tokio::time::timeout(LONG, status.wait_for(stopped)).await.is_ok();
    assert!(waited, "it has not stopped: {:?}", link.status());
    match link.status().phase {
        LinkPhase::Stopped { code, reason } => (code, reason),
        other => panic!("{other:?}"),
    }
}

/// Writes as an application does until it is ended; what it does twice or not at all shows.
pub struct Load {
    stop: Arc<AtomicBool>,
    task: JoinHandle<u64>,
}

impl Load {
    pub fn start(
        server: &RedisServer,
        mut work: impl FnMut(&mut RedisClient, u64) + Send + 'static,
    ) -> Self {
        let (stop, mut client) = (Arc::new(AtomicBool::new(false)), server.client());
        let stopped = Arc::clone(&stop);
        let task = std::thread::spawn(move || {
            let mut done = 0;
            while !stopped.load(Ordering::Relaxed) {
                work(&mut client, done);
                done += 1;
            }
            done
        });
        Self { stop, task }
    }

    pub fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.task.join().expect("the load ends well")
    }
}

/// Counters and lists, which tell each command that was applied twice or not at all, transactions
/// whose halves must agree, several databases.
pub fn count(client: &mut RedisClient, n: u64) {
    let key = |name: &str| format!("{name}:{}", n % 7).into_bytes();
    let word = |word: &str| word.as_bytes().to_vec();
    let number = n.to_string().into_bytes();
    let database = if n % 50 < 40 { word("0") } else { word("3") };
    client.pipeline(&[
        vec![word("SELECT"), database],
        vec![word("INCR"), key("count")],
        vec![word("LPUSH"), key("list"), number.clone()],
        vec![word("LTRIM"), key("list"), word("0"), word("50")],
        vec![word("MULTI")],
        vec![word("INCRBY"), word("from"), word("-3")],
        vec![word("INCRBY"), word("to"), word("3")],
        vec![word("EXEC")],
        vec![word("SET"), key("string"), number, word("EX"), word("1000")],
        vec![
            word("XADD"),
            word("stream"),
            word("MAXLEN"),
            word("~"),
            word("100"),
            word("*"),
            key("f"),
            word("v"),
        ],
    ]);
}
