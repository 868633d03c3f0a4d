//! Two servers, perhaps of unequal majors, and links between databases of theirs.

use crate::link_world::{LONG, World, server_with, streaming};
use mainstay_stores::postgres::link::{self, Link, LinkSpec};
use mainstay_testkit::{Options, Postgres, postgres_folder_of};
use std::sync::Arc;

/// The majors of source and target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    pub source: u32,
    pub target: u32,
}

impl Pair {
    pub const USUAL: Self = Self { source: 18, target: 18 };

    /// Dumps of both sides are written by one `pg_dump`: that of the newer one, which knows both.
    fn newer(self) -> u32 {
        self.source.max(self.target)
    }

    pub fn older(self) -> u32 {
        self.source.min(self.target)
    }
}

pub struct Ground {
    pub pair: Pair,
    pub east: Arc<Postgres>,
    pub west: Arc<Postgres>,
}

/// A database at each side, with the link's specification.
pub struct Field {
    pair: Pair,
    pub world: World,
}

impl Ground {
    pub async fn start(pair: Pair) -> Self {
        Self::start_with(pair, Options::default()).await
    }

    pub async fn start_with(pair: Pair, options: Options) -> Self {
        let options = options.set("max_replication_slots", "100").set("max_wal_senders", "100");
        let (east, west) = tokio::join!(
            server_with(options.clone().major(pair.source)),
            server_with(options.major(pair.target))
        );
        Self { pair, east, west }
    }

    /// What an older server cannot read of a newer one's `pg_dump` (settings that it does not
    /// know) is prepared there by hand, as a person would have to.
    pub async fn field(&self, name: &str, schema: &str) -> Field {
        let world = World::between(&self.east, &self.west, name, schema).await;
        let field = Field { pair: self.pair, world };
        field.by_hand(schema).await;
        field
    }
}

impl Field {
    /// An older target takes no definitions of the source: its tables are made here, and are empty.
    async fn by_hand(&self, schema: &str) {
        const EMPTY: &str = "
            DO $$DECLARE names text := (SELECT string_agg(format('%I', tablename), ', ')
                                        FROM pg_tables WHERE schemaname = 'public');
            BEGIN IF names IS NOT NULL THEN EXECUTE 'TRUNCATE ' || names; END IF; END$$";
        if self.pair.target < self.pair.source {
            self.world.target.run(schema).await;
            self.world.target.run(EMPTY).await;
        }
    }

    /// The same source, and a target as before the first copy.
    pub async fn with_empty_target(self, schema: &str) -> Self {
        let Self { pair, world } = self;
        let field = Self { pair, world: world.with_empty_target().await };
        field.by_hand(schema).await;
        field
    }

    pub fn spec(&self) -> LinkSpec {
        let tools = postgres_folder_of(self.pair.newer()).join("bin");
        LinkSpec { tools, ..self.world.spec() }
    }

    pub fn link(&self) -> Link {
        link::start(self.spec())
    }

    /// A link that has copied and streams.
    pub async fn streaming(&self) -> Link {
        let link = self.link();
        streaming(&link).await;
        link
    }

    /// Everything that is committed now is applied, by a link that ends then.
    pub async fn catch_up(&self) {
        let link = self.streaming().await;
        self.end(link).await;
    }

    /// Ends a link that has applied everything that is committed now.
    pub async fn end(&self, link: Link) {
        self.caught_up(&link).await;
        link.stop().await;
    }

    pub fn dumps(&self) -> (String, String) {
        let by = postgres_folder_of(self.pair.newer());
        let World { name, source, target } = &self.world;
        let dump = |server: &Postgres| match self.pair.source == self.pair.target {
            true => unnamed(&server.dump_by(&by, name)),
            false => server.rows_by(&by, name),
        };
        (dump(&source.server), dump(&target.server))
    }

    /// By `pg_dump` of both sides, sorted: the link has no part in it.
    pub fn assert_equal(&self, when: &str) {
        let (source, target) = self.dumps();
        if let Some(difference) = difference(&source, &target) {
            panic!("{when}: {:?}: {difference}", self.pair);
        }
        assert!(source.lines().count() > 5, "the dump has something in it");
    }

    /// Tells a transaction's changes before it ends, whatever its size, where the source can
    /// (PostgreSQL 16 on, "Developer Options"); else from a small size on.
    pub async fn decode_early(&self) {
        let setting = match self.pair.source {
            ..16 => "logical_decoding_work_mem = '64kB'",
            _ => "debug_logical_replication_streaming = immediate",
        };
        let sql = format!("ALTER DATABASE {} SET {setting}", self.world.name);
        self.world.source.run(&sql).await;
    }

    /// Waits until everything that is committed now is applied.
    pub async fn caught_up(&self, link: &Link) {
        // What was committed without waiting for the disk is flushed by this one, which waits,
        // whatever its session was told before.
        let flush = "SET synchronous_commit = on; SELECT pg_logical_emit_message(true, 'test', '')";
        self.world.source.run(flush).await;
        let end = self.world.source_end().await;
        let reached = link.drain_to(end, LONG * 4).await;
        reached.unwrap_or_else(|e| panic!("{:?}: {e}: {:?}", self.pair, link.status()));
    }
}

/// The dump without the names of NOT NULL constraints. PostgreSQL 18 gives them names, which it
/// finds itself; older ones have none, and `pg_dump` restores not all as they were.
fn unnamed(dump: &str) -> String {
    let unnamed = |line: &str| match (line.find(" CONSTRAINT "), line.find(" NOT NULL")) {
        (Some(from), Some(to)) if from < to => format!("{}{}", &line[..from], &line[to..]),
        _ => line.to_owned(),
    };
    dump.lines().map(|line| unnamed(line) + "\n").collect()
}

/// The first lines that only one side has, with the table that they belong to.
fn difference(source: &str, target: &str) -> Option<String> {
    if source == target {
        return None;
    }
    let (source, target) = (located(source), located(target));
    let only = |these: &[(String, &str)], those: &[(String, &str)]| {
        let those: std::collections::BTreeSet<_> = those.iter().collect();
        let mut lines: Vec<_> = these.iter().filter(|line| !those.contains(line)).collect();
        lines.truncate(4);
        let line = |(place, text): &(String, &str)| {
            format!("\n    {place}: {}", text.chars().take(300).collect::<String>())
        };
        lines.into_iter().map(line).collect::<String>()
    };
    Some(format!(
        "the dumps differ, {} and {} lines; only the source has{}\n  only the target has{}",
        source.len(),
        target.len(),
        only(&source, &target),
        only(&target, &source)
    ))
}

/// Each line with the COPY that it is a row of, and how many like it came before.
fn located(dump: &str) -> Vec<(String, &str)> {
    let mut place = String::new();
    let mut seen = std::collections::BTreeMap::<(String, &str), u32>::new();
    dump.lines()
        .map(|line| {
            if line.starts_with("COPY ") {
                place = line.trim_end_matches(" FROM stdin;").to_owned();
            }
            let count = seen.entry((place.clone(), line)).or_default();
            *count += 1;
            let located = (format!("{place} [{count}]"), line);
            if line == "\\." {
                place.clear();
            }
            located
        })
        .collect()
}
