//! A source, an empty target, and a link between them.

use mainstay_core::estate::Durability;
use mainstay_core::estate::PostgresEndpoint;
use mainstay_core::position::Lsn;
use mainstay_core::{ApplicationName, Epoch, LinkPhase, LinkStatus, SiteName, StoreName};
use mainstay_stores::postgres::link::{self, Link, LinkSpec};
use mainstay_stores::postgres::setup;
use mainstay_testkit::{Options, Postgres, wait_for, wait_for_value};
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::Client;

pub const LONG: Duration = Duration::from_secs(120);

/// One database of a server.
pub struct Side {
    pub server: Arc<Postgres>,
    pub client: Client,
    pub endpoint: PostgresEndpoint,
}

impl Side {
    async fn create(server: Arc<Postgres>, name: &str, schema: &str) -> Self {
        let client = server.create_database(name).await;
        // The user's own schema, which comes first otherwise, has its name: `mainstay`.
        client.batch_execute("SET search_path = public").await.unwrap();
        client.batch_execute(schema).await.unwrap_or_else(|e| panic!("{e:?}: {schema}"));
        let endpoint = server.endpoint(name);
        setup::prepare(&endpoint).await.unwrap();
        Self { server, client, endpoint }
    }

    pub async fn run(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap_or_else(|e| panic!("{sql}: {e:?}"));
    }

    pub async fn text(&self, sql: &str) -> String {
        let row = self.client.query_one(sql, &[]).await;
        row.unwrap_or_else(|e| panic!("{sql}: {e:?}")).get(0)
    }
}

/// For servers that no other world shares.
impl Side {
    fn own(&mut self) -> &mut Postgres {
        Arc::get_mut(&mut self.server).expect("no other world uses this server")
    }

    pub fn kill9(&mut self) {
        self.own().kill9();
    }

    pub async fn restart(&mut self) {
        self.own().restart();
        self.client = self.server.client(&self.endpoint.database).await;
        self.run("SET search_path = public").await;
    }
}

/// The application has the databases' name, so that several worlds can share two servers.
pub struct World {
    pub name: String,
    pub source: Side,
    pub target: Side,
}

/// Killed servers keep what the kernel has of their files, so that no disk is waited for.
pub async fn server() -> Arc<Postgres> {
    server_with(Options::default()).await
}

pub async fn server_with(options: Options) -> Arc<Postgres> {
    let start = || Postgres::start(options.fsync(false));
    let server = Arc::new(tokio::task::spawn_blocking(start).await.unwrap());
    // Each login costs thousands of rounds otherwise, and tests make many.
    // PostgreSQL 15 does not know the setting.
    let password = "SELECT set_config(name, '1', false) FROM pg_settings \
                    WHERE name = 'scram_iterations'; \
                    ALTER ROLE mainstay PASSWORD 'a password of tests only'";
    server.client("postgres").await.batch_execute(password).await.unwrap();
    server
}

/// Two servers for several worlds, each with databases of its own.
pub struct Servers {
    east: Arc<Postgres>,
    west: Arc<Postgres>,
}

impl Servers {
    pub async fn start() -> Self {
        let (east, west) = tokio::join!(server(), server());
        Self { east, west }
    }

    pub async fn world(&self, name: &str, schema: &str) -> World {
        World::between(&self.east, &self.west, name, schema).await
    }
}

impl World {
    /// The target is prepared, and has no table of the application.
    pub async fn start(schema: &str) -> Self {
        let (east, west) = tokio::join!(server(), server());
        Self::between(&east, &west, "bank", schema).await
    }

    pub async fn between(
        east: &Arc<Postgres>,
        west: &Arc<Postgres>,
        name: &str,
        schema: &str,
    ) -> Self {
        let source = Side::create(Arc::clone(east), name, schema).await;
        let target = Side::create(Arc::clone(west), name, "").await;
        Self { name: name.to_owned(), source, target }
    }

    /// The same source, and a target that is prepared and has no table, as before the first copy.
    pub async fn with_empty_target(self) -> Self {
        let Self { name, source, target } = self;
        let server = target.server;
        drop(target.client);
        let admin = server.client("postgres").await;
        let anew = format!("DROP DATABASE {name} WITH (FORCE)");
        admin.batch_execute(&anew).await.unwrap();
        let slots = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots \
                     WHERE database = current_database()";
        source.run(slots).await;
        let target = Side::create(server, &name, "").await;
        Self { name, source, target }
    }

    pub fn spec(&self) -> LinkSpec {
        LinkSpec {
            application: ApplicationName::new(self.name.as_str()).unwrap(),
            store: StoreName::new("db").unwrap(),
            from: SiteName::new("east").unwrap(),
            to: SiteName::new("west").unwrap(),
            source: self.source.endpoint.clone(),
            target: self.target.endpoint.clone(),
            epoch: Epoch::new(1),
            durability: Durability::EachCommit,
            spool: std::env::temp_dir(),
            tools: self.source.server.installation().join("bin"),
        }
    }

    /// Replication slots of the source's database.
    pub async fn slots(&self) -> String {
        let slots = "SELECT count(*)::text FROM pg_replication_slots \
                     WHERE database = current_database()";
        self.source.text(slots).await
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

    pub async fn source_end(&self) -> Lsn {
        self.source.text("SELECT pg_current_wal_flush_lsn()::text").await.parse().unwrap()
    }

    /// Everything that is committed now is at the target.
    pub async fn caught_up(&self, link: &Link) -> Lsn {
        let end = self.source_end().await;
        link.drain_to(end, LONG).await.unwrap_or_else(|e| panic!("{e}: {:?}", link.status()))
    }

    /// By `pg_dump` of both sides, sorted: the link has no part in it.
    pub fn assert_equal(&self) {
        let (source, target) =
            (self.source.server.dump(&self.name), self.target.server.dump(&self.name));
        if source != target {
            let unlike = source.lines().zip(target.lines()).find(|(a, b)| a != b);
            let lines = (source.lines().count(), target.lines().count());
            panic!("the dumps differ, {lines:?} lines, first at {unlike:?}");
        }
        assert!(source.lines().count() > 5, "the dump has something in it");
    }
}

pub async fn streaming(link: &Link) {
    wait_for("the link streams", LONG, async || {
        let status = link.status();
        assert!(!matches!(status.phase, LinkPhase::Stopped { .. }), "{status:?}");
        status.phase == LinkPhase::Streaming
    })
    .await;
}

/// The code with which the link stopped, and the sentence.
pub async fn stopped(link: &Link) -> (String, String) {
    wait_for_value("the link stops", LONG, async || match link.status() {
        LinkStatus { phase: LinkPhase::Stopped { code, reason }, .. } => Some((code, reason)),
        _ => None,
    })
    .await
}
