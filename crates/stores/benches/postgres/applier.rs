//! Who applies the source's changes at the target: PostgreSQL itself, or Mainstay's link.

use super::mainstay::Mainstay;
use super::native::Native;
use super::process::cpu_seconds;
use super::world::{self, Servers};
use super::{Outcome, progress};
use std::fmt;
use std::time::{Duration, Instant};
use tokio_postgres::Client;

const PATIENCE: Duration = Duration::from_secs(120);

pub enum Applier {
    Native(Native),
    Mainstay(Box<Mainstay>),
}

/// What a run used, from the start of applying.
#[derive(Default, Clone, Copy)]
pub struct Usage {
    /// CPU seconds of the source's walsender.
    pub walsender: f64,
    /// CPU seconds of the target's processes that apply.
    pub apply: f64,
    /// CPU seconds of the link's own process, and the most memory that it had, in MB.
    pub link: Option<(f64, f64)>,
}

/// One timed run.
pub struct Run {
    pub seconds: f64,
    pub usage: Usage,
}

impl Applier {
    /// Both appliers of one source database, with all of its data, at rest.
    pub async fn pair(servers: &Servers, database: &str) -> Outcome<[Applier; 2]> {
        Ok([Self::native(servers, database).await?, Self::mainstay(servers, database).await?])
    }

    pub async fn native(servers: &Servers, database: &str) -> Outcome<Applier> {
        progress(&format!("first copy of {database} by native"));
        let mut native = Native::create(servers, database, &format!("{database}_native"))?;
        native.subscribe(servers, "").await?;
        native.halt(servers).await?;
        Ok(Applier::Native(native))
    }

    pub async fn mainstay(servers: &Servers, database: &str) -> Outcome<Applier> {
        progress(&format!("first copy of {database} by mainstay"));
        let mut mainstay =
            Mainstay::create(servers, database, &format!("{database}_mainstay")).await?;
        mainstay.go(servers, true).await?;
        mainstay.copied(servers).await?;
        mainstay.halt().await?;
        Ok(Applier::Mainstay(Box::new(mainstay)))
    }

    /// Begins to apply.
    pub async fn go(&mut self, servers: &Servers, durable: bool) -> Outcome<()> {
        match self {
            Applier::Native(native) => native.go(servers, durable).await,
            Applier::Mainstay(mainstay) => mainstay.go(servers, durable).await,
        }
    }

    pub async fn halt(&mut self, servers: &Servers) -> Outcome<()> {
        match self {
            Applier::Native(native) => native.halt(servers).await,
            Applier::Mainstay(mainstay) => mainstay.halt().await,
        }
    }

    pub fn target(&self) -> &str {
        match self {
            Applier::Native(native) => native.target(),
            Applier::Mainstay(mainstay) => mainstay.target(),
        }
    }

    /// Waits until a mark is visible; an applier that ended instead is an error at once.
    pub async fn seen(&mut self, target: &Client, mark: u64, pause: Duration) -> Outcome<Instant> {
        match self {
            Applier::Native(_) => world::seen(target, mark, pause).await,
            Applier::Mainstay(mainstay) => {
                tokio::select! {
                    seen = world::seen(target, mark, pause) => seen,
                    ended = mainstay.ended() => Err(ended),
                }
            }
        }
    }

    /// Applies what there is, and moves the slot's restart position there: a walsender begins to
    /// read at that, which moves only when the source logs its running transactions. One of the
    /// two would otherwise have to read again what the work before has written.
    pub async fn catch_up(&mut self, servers: &Servers, database: &str) -> Outcome<()> {
        progress(&format!("{self} catches up"));
        let source = servers.source.client(database).await;
        let target = servers.target.client(self.target()).await;
        let end = "SELECT pg_current_wal_flush_lsn()::text";
        let end: String = source.query_one(end, &[]).await?.get(0);
        let moved = format!(
            "SELECT restart_lsn >= '{end}' FROM pg_replication_slots WHERE slot_name = '{}'",
            self.slot()
        );
        self.go(servers, true).await?;
        let deadline = Instant::now() + PATIENCE;
        while !source.query_one(&moved, &[]).await?.get::<_, bool>(0) {
            if Instant::now() > deadline {
                return Err(format!("the slot of {self} did not move past {end}").into());
            }
            source.batch_execute("SELECT pg_log_standby_snapshot()").await?;
            let mark = world::mark(&source).await?;
            self.seen(&target, mark, Duration::from_millis(50)).await?;
        }
        self.halt(servers).await
    }

    fn slot(&self) -> String {
        match self {
            Applier::Native(native) => native.slot(),
            Applier::Mainstay(mainstay) => mainstay.slot(),
        }
    }

    /// Applies until `mark` is visible at the target, and stands still again.
    pub async fn apply(&mut self, servers: &Servers, durable: bool, mark: u64) -> Outcome<Run> {
        let target = servers.target.client(self.target()).await;
        let start = Instant::now();
        self.go(servers, durable).await?;
        let seen = self.seen(&target, mark, Duration::from_millis(5)).await?;
        let usage = self.usage(servers).await?;
        self.halt(servers).await?;
        Ok(Run { seconds: (seen - start).as_secs_f64(), usage })
    }

    /// What the running applier used so far.
    pub async fn usage(&self, servers: &Servers) -> Outcome<Usage> {
        let slot = self.slot();
        let appliers = match self {
            Applier::Native(native) => native.appliers(),
            Applier::Mainstay(mainstay) => mainstay.appliers(),
        };
        let sender =
            format!("SELECT active_pid FROM pg_replication_slots WHERE slot_name = '{slot}'");
        let walsender = processes(&servers.source.client("postgres").await, &sender).await?;
        let apply = processes(&servers.target.client(self.target()).await, &appliers).await?;
        let link = match self {
            Applier::Native(_) => None,
            Applier::Mainstay(mainstay) => Some(mainstay.usage()?),
        };
        Ok(Usage { walsender, apply, link })
    }
}

/// The CPU seconds of the processes whose ids a query gives.
async fn processes(client: &Client, sql: &str) -> Outcome<f64> {
    let rows = client.query(sql, &[]).await?;
    let pids = rows.iter().filter_map(|row| row.get::<_, Option<i32>>(0));
    let seconds = pids.map(|pid| cpu_seconds(pid.cast_unsigned())).collect::<Outcome<Vec<_>>>()?;
    if seconds.is_empty() {
        Err(format!("no process: {sql}").into())
    } else {
        Ok(seconds.iter().sum())
    }
}

impl fmt::Display for Applier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Applier::Native(_) => "native",
            Applier::Mainstay(_) => "mainstay",
        })
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let link = self.link.map_or(0.0, |(cpu, _)| cpu);
        let all = self.walsender + self.apply + link;
        write!(
            f,
            "CPU {all:.2} s (walsender {:.2}, at the target {:.2}",
            self.walsender, self.apply
        )?;
        match self.link {
            None => write!(f, ")"),
            Some((cpu, memory)) => write!(f, ", link {cpu:.2}), the link's memory {memory:.0} MB"),
        }
    }
}
