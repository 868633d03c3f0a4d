//! Work that was done at the source while nobody applied it, and how fast each catches up.

use super::applier::{Applier, Run};
use super::arguments::{Arguments, Sizes};
use super::report::Report;
use super::world::{self, Servers, mark, number, run as run_program};
use super::{Outcome, progress};
use tokio_postgres::Client;

pub const NAMES: [&str; 4] = ["tpcb", "inserts", "updates", "deletes"];
const DATABASE: &str = "work";
const CLIENTS: u32 = 8;
/// Rows that are updated, and for each run as many that are deleted, at full size.
const ROWS_A_TRANSACTION: u32 = 100;

/// Each commits every hundred rows. The keys of updates are random; those of deletes are all
/// keys of a range in an order that jumps about (a multiplication by a prime).
const PROCEDURES: &str = "
CREATE SCHEMA bench;
CREATE PROCEDURE bench.inserts(transactions int, INOUT done bigint) LANGUAGE plpgsql AS $$
DECLARE first bigint := (SELECT coalesce(max(id), 0) FROM ins);
BEGIN
    FOR i IN 0 .. transactions - 1 LOOP
        INSERT INTO ins SELECT first + i * 100 + j, j, 'a note of some forty bytes for row ' || j
            FROM generate_series(1, 100) j;
        COMMIT;
    END LOOP;
    done := transactions * 100;
END $$;
CREATE PROCEDURE bench.updates(transactions int, rows int, INOUT done bigint) LANGUAGE plpgsql AS $$
DECLARE changed bigint;
BEGIN
    done := 0;
    FOR i IN 1 .. transactions LOOP
        UPDATE upd SET v = v + 1 WHERE id = ANY (ARRAY(
            SELECT 1 + floor(random() * rows)::int FROM generate_series(1, 100)));
        GET DIAGNOSTICS changed = ROW_COUNT;
        done := done + changed;
        COMMIT;
    END LOOP;
END $$;
CREATE PROCEDURE bench.deletes(first int, rows int, INOUT done bigint) LANGUAGE plpgsql AS $$
DECLARE changed bigint;
BEGIN
    done := 0;
    FOR i IN 0 .. rows / 100 - 1 LOOP
        DELETE FROM del WHERE id = ANY (ARRAY(
            SELECT first + ((i * 100 + j)::bigint * 611953 % rows)::int
            FROM generate_series(0, 99) j));
        GET DIAGNOSTICS changed = ROW_COUNT;
        done := done + changed;
        COMMIT;
    END LOOP;
END $$;
";

/// One kind of work.
struct Work {
    name: &'static str,
    title: &'static str,
    unit: &'static str,
    tables: &'static [&'static str],
}

const WORKS: [Work; 4] = [
    Work {
        name: "tpcb",
        title: "backlog, pgbench TPC-B",
        unit: "tx/s",
        tables: &["pgbench_accounts", "pgbench_tellers", "pgbench_branches", "pgbench_history"],
    },
    Work { name: "inserts", title: "backlog, inserts", unit: "rows/s", tables: &["ins"] },
    Work { name: "updates", title: "backlog, updates by key", unit: "rows/s", tables: &["upd"] },
    Work { name: "deletes", title: "backlog, deletes by key", unit: "rows/s", tables: &["del"] },
];

pub async fn run(
    servers: &Servers,
    sizes: &Sizes,
    arguments: &Arguments,
    report: &mut Report,
) -> Outcome<()> {
    let rows = sizes.key_transactions * ROWS_A_TRANSACTION;
    create(servers, sizes, rows)?;
    let mut appliers = Applier::pair(servers, DATABASE).await?;
    let source = servers.source.client(DATABASE).await;
    source.batch_execute("SET synchronous_commit = off").await?;
    for work in WORKS.iter().filter(|work| arguments.wants(work.name)) {
        for durable in [true, false] {
            for applier in &mut appliers {
                applier.catch_up(servers, DATABASE).await?;
            }
            progress(&format!("making {} at the source", work.title));
            let done = make(work.name, servers, &source, sizes, durable).await?;
            let runs = measure(servers, &mut appliers, durable).await?;
            for applier in &appliers {
                world::check(servers, DATABASE, applier.target(), work.tables).await?;
            }
            tell(work, durable, done, &runs, report)?;
        }
    }
    Ok(())
}

fn create(servers: &Servers, sizes: &Sizes, rows: u32) -> Outcome<()> {
    let schema = format!(
        "CREATE TABLE ins (id bigint PRIMARY KEY, v int NOT NULL, note text NOT NULL);
         CREATE TABLE upd (id int PRIMARY KEY, v bigint NOT NULL, note text NOT NULL);
         CREATE TABLE del (id int PRIMARY KEY, v bigint NOT NULL, note text NOT NULL);
         INSERT INTO upd SELECT i, 0, 'a note of some forty bytes for row ' || i
             FROM generate_series(1, {rows}) i;
         INSERT INTO del SELECT i, 0, 'a note of some forty bytes for row ' || i
             FROM generate_series(0, 2 * {rows} - 1) i;
         {PROCEDURES}"
    );
    servers.create_source(DATABASE, &schema)?;
    pgbench_tables(servers, DATABASE, sizes.pgbench_scale)
}

pub fn pgbench_tables(servers: &Servers, database: &str, scale: u32) -> Outcome<()> {
    let mut pgbench = servers.source.bin("pgbench");
    pgbench.args(["-i", "-q", "-s", &scale.to_string(), database]);
    run_program(&mut pgbench).map(drop)
}

/// Does the work, and returns how much of it was done.
async fn make(
    name: &str,
    servers: &Servers,
    source: &Client,
    sizes: &Sizes,
    durable: bool,
) -> Outcome<u64> {
    let rows = sizes.key_transactions * ROWS_A_TRANSACTION;
    let (keys, inserts) = (sizes.key_transactions, sizes.insert_transactions);
    // Each of the two runs has rows of its own to delete.
    let first = if durable { 0 } else { rows };
    match name {
        "tpcb" => pgbench(servers, sizes.tpcb_transactions),
        "inserts" => number(source, &format!("CALL bench.inserts({inserts}, NULL)")).await,
        "updates" => number(source, &format!("CALL bench.updates({keys}, {rows}, NULL)")).await,
        "deletes" => number(source, &format!("CALL bench.deletes({first}, {rows}, NULL)")).await,
        other => Err(format!("no such work: {other}").into()),
    }
}

fn pgbench(servers: &Servers, transactions: u32) -> Outcome<u64> {
    let each = transactions / CLIENTS;
    let mut pgbench = servers.source.bin("pgbench");
    pgbench.env("PGOPTIONS", "-c synchronous_commit=off");
    pgbench.args(["-n", "-M", "prepared", "-c", &CLIENTS.to_string(), "-j", "2"]);
    pgbench.args(["-t", &each.to_string(), DATABASE]);
    run_program(&mut pgbench)?;
    Ok(u64::from(each * CLIENTS))
}

/// One after the other; who is first changes, so that neither always follows the other's dirt.
async fn measure(
    servers: &Servers,
    appliers: &mut [Applier; 2],
    durable: bool,
) -> Outcome<[Run; 2]> {
    // With the default, durable, commit: everything before it is durable as well.
    let mark = mark(&servers.source.client(DATABASE).await).await?;
    let [native, mainstay] = appliers;
    if durable {
        let native = timed(native, servers, durable, mark).await?;
        return Ok([native, timed(mainstay, servers, durable, mark).await?]);
    }
    let mainstay = timed(mainstay, servers, durable, mark).await?;
    Ok([timed(native, servers, durable, mark).await?, mainstay])
}

async fn timed(applier: &mut Applier, servers: &Servers, durable: bool, mark: u64) -> Outcome<Run> {
    let run = applier.apply(servers, durable, mark).await?;
    progress(&format!("{applier} took {:.2} s: {}", run.seconds, run.usage));
    Ok(run)
}

fn tell(
    work: &Work,
    durable: bool,
    done: u64,
    runs: &[Run; 2],
    report: &mut Report,
) -> Outcome<()> {
    let rates = [&runs[0], &runs[1]].map(|run| done as f64 / run.seconds);
    report.rate(work.title, durable, rates, work.unit)?;
    let walsender = [&runs[0], &runs[1]].map(|run| run.usage.walsender);
    report.cost(&format!("{}: walsender's CPU", work.title), durable, walsender, "s")?;
    for (name, run) in ["native", "mainstay"].iter().zip(runs) {
        let sync = if durable { "on" } else { "off" };
        let (title, seconds, usage) = (work.title, run.seconds, run.usage);
        report.note(format!("{title}, sync {sync}: {name} {done} in {seconds:.2} s; {usage}"));
    }
    Ok(())
}
