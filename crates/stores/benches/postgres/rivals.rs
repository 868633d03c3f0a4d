//! Other tools that copy a database.

use super::copy::{DATABASE, complete};
use super::world::{self, Servers, psql, run};
use super::{Outcome, progress};
use std::fmt;
use std::process::Command;
use std::time::Instant;

const JOBS: &str = "2";

#[derive(Debug, Clone, Copy)]
pub enum Rival {
    DumpAndRestore,
    Pgcopydb,
}

impl Rival {
    pub const ALL: [Self; 2] = [Self::DumpAndRestore, Self::Pgcopydb];

    /// Seconds from an empty target until all is there.
    pub async fn copy(self, servers: &Servers) -> Outcome<f64> {
        match self {
            Self::DumpAndRestore => dump_and_restore(servers).await,
            Self::Pgcopydb => pgcopydb(servers).await,
        }
    }
}

impl fmt::Display for Rival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DumpAndRestore => "pg_dump and pg_restore",
            Self::Pgcopydb => "pgcopydb",
        })
    }
}

/// Directory format with as many jobs, not compressed: what is fastest on one machine.
async fn dump_and_restore(servers: &Servers) -> Outcome<f64> {
    let (target, folder) = ("copy_dump", tempfile::tempdir()?);
    let archive = folder.path().join("archive");
    world::create(&servers.target, target)?;
    let start = Instant::now();
    let mut dump = servers.source.bin("pg_dump");
    dump.args(["--format=directory", "--compress=none", "--schema=public", "--jobs", JOBS]);
    run(dump.arg("--file").arg(&archive).arg(DATABASE))?;
    let mut restore = servers.target.bin("pg_restore");
    restore.args([
        "--jobs",
        JOBS,
        "--clean",
        "--if-exists",
        "--no-publications",
        "--dbname",
        target,
    ]);
    run(restore.arg(&archive))?;
    finish(servers, target, Rival::DumpAndRestore, start).await
}

async fn pgcopydb(servers: &Servers) -> Outcome<f64> {
    let (target, folder) = ("copy_pgcopydb", tempfile::tempdir()?);
    world::create(&servers.target, target)?;
    // The login trigger and Mainstay's own tables are no part of the work.
    psql(&servers.source, DATABASE, "DROP SCHEMA IF EXISTS mainstay CASCADE")?;
    let start = Instant::now();
    let mut copy = Command::new("pgcopydb");
    let bin = servers.source.installation().join("bin");
    let path = std::env::var("PATH").unwrap_or_default();
    copy.env("PATH", format!("{}:{path}", bin.display()));
    copy.env("LD_LIBRARY_PATH", servers.source.installation().join("lib"));
    let (source, end) = (servers.source.endpoint(DATABASE), servers.target.endpoint(target));
    copy.env("PGPASSWORD", source.password.as_ref().map(|p| p.expose()).unwrap_or_default());
    copy.args(["copy-db", "--table-jobs", JOBS, "--index-jobs", JOBS, "--no-comments", "--dir"]);
    copy.arg(folder.path().join("state"));
    for (option, place) in [("--source", source), ("--target", end)] {
        let (user, host, port, database) = (place.user, place.host, place.port, place.database);
        copy.arg(option).arg(format!("postgres://{user}@{host}:{port}/{database}"));
    }
    run(&mut copy)?;
    finish(servers, target, Rival::Pgcopydb, start).await
}

async fn finish(servers: &Servers, target: &str, rival: Rival, start: Instant) -> Outcome<f64> {
    let seconds = start.elapsed().as_secs_f64();
    progress(&format!("{rival} copied in {seconds:.2} s"));
    complete(servers, target).await?;
    psql(&servers.target, "postgres", &format!("DROP DATABASE {target}"))?;
    Ok(seconds)
}
