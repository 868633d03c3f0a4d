//! Two servers, and what every measurement asks of them.

use super::{Outcome, progress};
use mainstay_testkit::{Options, Postgres};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tokio_postgres::{Client, SimpleQueryMessage, error::SqlState};

/// Far longer than any work takes.
const PATIENCE: Duration = Duration::from_secs(900);

pub struct Servers {
    pub source: Postgres,
    pub target: Postgres,
}

impl Servers {
    /// Durable servers with room: no checkpoint comes between two runs that are compared, and the
    /// tables fit into memory.
    pub fn start() -> Outcome<Self> {
        progress("starting two servers");
        let options = [
            ("shared_buffers", "1GB"),
            ("max_wal_size", "32GB"),
            ("checkpoint_timeout", "1h"),
            ("maintenance_work_mem", "256MB"),
            ("max_worker_processes", "16"),
            ("max_logical_replication_workers", "10"),
            ("max_sync_workers_per_subscription", "4"),
            ("max_parallel_apply_workers_per_subscription", "4"),
            // Native workers are started again at once instead of after 5 s.
            ("wal_retrieve_retry_interval", "100ms"),
        ];
        let options =
            options.iter().fold(Options::default(), |all, (name, value)| all.set(name, value));
        let servers = tokio::task::block_in_place(|| Self {
            source: Postgres::start(options.clone()),
            target: Postgres::start(options),
        });
        for server in [&servers.source, &servers.target] {
            // The user's own schema, which comes first otherwise, has its name: `mainstay`.
            psql(server, "postgres", "ALTER ROLE mainstay SET search_path = public")?;
        }
        Ok(servers)
    }

    /// What else decides about the figures: how busy the machine is, and how fast its disk.
    pub async fn surroundings(&self) -> Outcome<String> {
        const COMMITS: u32 = 200;
        let client = self.target.client("postgres").await;
        let start = Instant::now();
        for _ in 0..COMMITS {
            client.simple_query("SELECT pg_logical_emit_message(true, 'bench', '')").await?;
        }
        let commit = start.elapsed().as_secs_f64() * 1e3 / f64::from(COMMITS);
        let load = std::fs::read_to_string("/proc/loadavg")?;
        let load = load.split(' ').next().unwrap_or_default();
        let processors = std::thread::available_parallelism()?;
        Ok(format!(
            "before the work: {processors} processors, load {load}, a durable commit {commit:.2} ms"
        ))
    }

    pub fn create_source(&self, database: &str, schema: &str) -> Outcome<()> {
        create(&self.source, database)?;
        psql(&self.source, database, "CREATE TABLE marker (n bigint PRIMARY KEY)")?;
        psql(&self.source, database, schema)
    }
}

pub fn create(server: &Postgres, database: &str) -> Outcome<()> {
    psql(server, "postgres", &format!("CREATE DATABASE {database}"))
}

pub fn psql(server: &Postgres, database: &str, sql: &str) -> Outcome<()> {
    let mut command = server.bin("psql");
    command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", sql]);
    run(&mut command).map(drop)
}

/// Runs a program to its end; an error has what it wrote.
pub fn run(command: &mut Command) -> Outcome<String> {
    let output = tokio::task::block_in_place(|| command.stdin(Stdio::null()).output())
        .map_err(|why| format!("{:?} does not start: {why}", command.get_program()))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{:?}: {}: {errors}", command.get_program(), output.status).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The first column of the first row; None when there is no row or it is null.
pub async fn text(client: &Client, sql: &str) -> Outcome<Option<String>> {
    let messages = client.simple_query(sql).await.map_err(|why| format!("{sql}: {why:?}"))?;
    Ok(messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    }))
}

pub async fn number(client: &Client, sql: &str) -> Outcome<u64> {
    let text = text(client, sql).await?.ok_or_else(|| format!("{sql}: no row"))?;
    Ok(text.parse()?)
}

/// Waits until the query's first value is `true`.
pub async fn wait_until(client: &Client, sql: &str, pause: Duration) -> Outcome<()> {
    let end = Instant::now() + PATIENCE;
    while text(client, sql).await?.as_deref() != Some("t") {
        if Instant::now() > end {
            return Err(format!("not so after {PATIENCE:?}: {sql}").into());
        }
        tokio::time::sleep(pause).await;
    }
    Ok(())
}

/// Commits a row after all that was committed before, durably.
pub async fn mark(source: &Client) -> Outcome<u64> {
    number(source, NEXT_MARK).await
}

pub const NEXT_MARK: &str =
    "INSERT INTO marker SELECT coalesce(max(n), 0) + 1 FROM marker RETURNING n";

/// Waits until the row of `mark` is seen at a target. Changes become visible in the order of their
/// commits, so that all before it are visible too; `World::check` proves it afterwards.
pub async fn seen(target: &Client, mark: u64, pause: Duration) -> Outcome<Instant> {
    let sql = format!("SELECT 1 FROM public.marker WHERE n = {mark}");
    let end = Instant::now() + PATIENCE;
    loop {
        let found = match target.simple_query(&sql).await {
            Ok(messages) => messages.iter().any(|m| matches!(m, SimpleQueryMessage::Row(_))),
            // Before a first copy.
            Err(why) if why.code() == Some(&SqlState::UNDEFINED_TABLE) => false,
            Err(why) => return Err(format!("{sql}: {why:?}").into()),
        };
        if found {
            return Ok(Instant::now());
        }
        if Instant::now() > end {
            return Err(format!("mark {mark} was not seen within {PATIENCE:?}").into());
        }
        tokio::time::sleep(pause).await;
    }
}

/// Rows and a sum over their whole content, table by table.
async fn content(server: &Postgres, database: &str, tables: &[&str]) -> Outcome<Vec<String>> {
    let client = server.client(database).await;
    let mut content = Vec::new();
    for table in tables {
        let sql = format!(
            "SELECT count(*) || ' rows, ' || coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) \
             FROM public.{table} t"
        );
        let found = text(&client, &sql).await?.unwrap_or_default();
        content.push(format!("{table}: {found}"));
    }
    Ok(content)
}

/// Fails unless the target's tables are equal to the source's.
pub async fn check(servers: &Servers, source: &str, target: &str, tables: &[&str]) -> Outcome<()> {
    let (here, there) = tokio::join!(
        content(&servers.source, source, tables),
        content(&servers.target, target, tables)
    );
    let (here, there) = (here?, there?);
    if here != there {
        return Err(format!("{source} and {target} differ: {here:?} {there:?}").into());
    }
    Ok(())
}
