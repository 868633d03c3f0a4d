//! Everything that a lost site had accepted alone is in the salvage, in the order of its commits,
//! and nothing else; nothing of the new site's work is lost; each transaction is decided in the
//! end. By the clients' own logs, SQL and `pg_dump`.

use crate::link_world::streaming;
use crate::sites::{SCHEMA, Site};
use crate::way_back::{caught_up, spec};
use mainstay_core::Epoch;
use mainstay_core::estate::SalvageRule;
use mainstay_stores::postgres::put_right::{self, Plan};
use mainstay_stores::postgres::salvage::{Book, Survey, reject, replay, survey, take};
use mainstay_stores::postgres::{applied, fence, link, slot};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;
use tokio::task::JoinHandle;

/// Logs the number of each transaction whose commit was acknowledged, one after the other.
struct Client {
    /// It stops by itself after this many.
    most: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    task: JoinHandle<Vec<u64>>,
}

impl Client {
    async fn on(site: &Site, base: u64) -> Self {
        let client = site.server.client("bank").await;
        let (most, stop) = (Arc::new(AtomicU64::new(u64::MAX)), Arc::new(AtomicBool::new(false)));
        let acknowledged = Arc::new(AtomicU64::new(0));
        let (until, stopped, told) = (most.clone(), stop.clone(), acknowledged.clone());
        let task = tokio::spawn(async move {
            let mut log = Vec::new();
            client.batch_execute("SET search_path = public").await.unwrap();
            while !stopped.load(Ordering::Relaxed)
                && (log.len() as u64) < until.load(Ordering::Relaxed)
            {
                let number = base + log.len() as u64;
                client.batch_execute(&transaction(number)).await.unwrap();
                log.push(number);
                told.store(log.len() as u64, Ordering::Relaxed);
            }
            log
        });
        Self { most, stop, acknowledged, task }
    }

    async fn reaches(&self, number: u64) {
        while self.acknowledged.load(Ordering::Relaxed) < number {
            assert!(!self.task.is_finished(), "the client ended early");
            tokio::task::yield_now().await;
        }
    }

    async fn log(self) -> Vec<u64> {
        self.task.await.unwrap()
    }
}

/// Where the numbers of the new site begin.
const NEW: u64 = 1_000_000;

/// Inserts, updates and deletes, a mixture of them; the note has the number. Only the lost site
/// changes keys: where the new one does so to a row that is being put right, the link stops and
/// asks for another round.
fn transaction(number: u64) -> String {
    let (account, row) = (1 + number % 50, 1 + number % 9);
    let key = if number < NEW { format!("a = 'k{number}'") } else { format!("big = '{number}'") };
    let rest = match number % 4 {
        0 => String::new(),
        1 => format!("UPDATE account SET balance = balance - 1 WHERE id = {account};"),
        2 => format!("INSERT INTO pair VALUES ('n', {number} + 1000, 'of {number}');"),
        _ => format!(
            "DELETE FROM pair WHERE b = {number} + 999; UPDATE whole SET v = 'at {number}' \
             WHERE id = {row}; UPDATE pair SET {key} WHERE b = {row};"
        ),
    };
    format!(
        "BEGIN; INSERT INTO transfer (id, account, amount, note) VALUES (gen_random_uuid(), \
         {account}, 1, '{{\"n\": {number}}}'); {rest} COMMIT"
    )
}

/// Numbers of the transfers that a site has, by SQL.
async fn there(site: &Site) -> Vec<u64> {
    let sql = "SELECT (note->>'n')::int8 FROM transfer WHERE note ? 'n' ORDER BY 1";
    let rows = site.client.query(sql, &[]).await.unwrap();
    rows.iter().map(|row| u64::try_from(row.get::<_, i64>(0)).unwrap()).collect()
}

/// Numbers of the transactions in the file, in its order, read without the code under test.
fn salvaged(path: &Path) -> Vec<u64> {
    let number = |line: std::io::Result<String>| {
        let line: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        let changes = line["changes"].as_array().unwrap();
        let transfers: Vec<_> =
            changes.iter().filter(|change| change["table"] == "public.transfer").collect();
        assert_eq!(transfers.len(), 1, "{line}");
        let note = transfers[0]["new"]["note"].as_str().unwrap();
        serde_json::from_str::<serde_json::Value>(note).unwrap()["n"].as_u64().unwrap()
    };
    BufReader::new(File::open(path).unwrap()).lines().map(number).collect()
}

/// The most memory that this process had so far, MiB.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

async fn never_arrived(lost: u64) {
    let (east, west) = tokio::join!(Site::start(SCHEMA), Site::start(""));
    let there_spec = spec(("east", &east), ("west", &west), 1);
    let to_west = link::start(there_spec.clone());
    streaming(&to_west).await;
    west.run("SET search_path = public").await;
    let client = Client::on(&east, 0).await;
    client.reaches(100).await;

    // The link is cut off under load; east goes on until exactly so many are only there.
    to_west.stop().await;
    let arrived = there(&west).await;
    client.most.store(arrived.len() as u64 + lost, Ordering::Relaxed);
    let log = client.log().await;
    assert_eq!(log.len() as u64, arrived.len() as u64 + lost);
    assert_eq!(log[..arrived.len()], arrived, "what arrived is how it began");
    let only_there = &log[arrived.len()..];
    fence::fence(&east.endpoint, &[], Epoch::new(2)).await.unwrap();

    // West takes over and is written to from now on.
    let back = spec(("west", &west), ("east", &east), 2);
    slot::pin(&west.endpoint, &back.slot()).await.unwrap();
    fence::open(&west.endpoint, &[], Epoch::new(2), || true).await.unwrap();
    let ahead = "SELECT setval('transfer_number_seq', 10000000), setval('audit_at_seq', 10000000)";
    west.run(ahead).await;
    let client = Client::on(&west, NEW).await;
    client.reaches(50).await;

    let (began, memory) = (Instant::now(), peak_mib());
    let after = applied::read(&west.endpoint, &there_spec.name()).await.unwrap().unwrap().position;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let mut sink = std::io::BufWriter::new(file.as_file_mut());
    let taken = take(&east.endpoint, &there_spec.slot(), after, &mut sink).await.unwrap();
    drop(sink);
    eprintln!(
        "{} transactions, {} changes taken in {:?}, {} bytes, peak {memory} MiB before, {} after",
        taken.transactions,
        taken.changes,
        began.elapsed(),
        file.path().metadata().unwrap().len(),
        peak_mib()
    );
    assert_eq!(taken.transactions, lost);
    assert_eq!(salvaged(file.path()), only_there, "all of them, in order, and no other");

    let began = Instant::now();
    let plan = Plan {
        old: east.endpoint.clone(),
        active: west.endpoint.clone(),
        link: back.name(),
        slot: back.slot(),
        epoch: Epoch::new(2),
    };
    let put = put_right::run(&plan, File::open(file.path()).unwrap()).await.unwrap();
    eprintln!("{} rows put right in {:?}, peak {} MiB", put.rows, began.elapsed(), peak_mib());
    let to_east = link::start(back);
    streaming(&to_east).await;
    eprintln!("the reverse link streams, peak {} MiB", peak_mib());

    // Everything is decided, while the new site is written to.
    let rule = |table: &str, rule| (format!("public.{table}"), rule);
    let rules = BTreeMap::from([
        rule("transfer", SalvageRule::ReplayInserts),
        rule("pair", SalvageRule::ReplayInserts),
        rule("audit", SalvageRule::Keep),
    ]);
    let book = Book { path: file.path(), active: &west.endpoint, rules: &rules };
    let began = Instant::now();
    let counted = Survey { open: lost, ..Survey::default() };
    assert_eq!(survey(&book).await.unwrap(), counted);
    eprintln!("counted in {:?}, peak {} MiB", began.elapsed(), peak_mib());
    let began = Instant::now();
    let replayed = replay(&book, Epoch::new(2)).await.unwrap();
    eprintln!("{} transactions replayed in {:?}", replayed.transactions, began.elapsed());
    assert_eq!(replayed.transactions + replayed.asked_total, lost);
    let began = Instant::now();
    let rejected = reject(&book, Epoch::new(2), None, "the new site's rows stand").await.unwrap();
    eprintln!("{} transactions rejected in {:?}", rejected.transactions, began.elapsed());
    let decided = survey(&book).await.unwrap();
    let (open, kept) = (0, 0);
    let (replayed, rejected) = (replayed.transactions, rejected.transactions);
    assert_eq!(decided, Survey { open, replayed, rejected, kept });
    eprintln!("peak {} MiB in the end", peak_mib());

    client.stop.store(true, Ordering::Relaxed);
    let log_west = client.log().await;
    let doubles = |number: &u64| matches!(number % 4, 0 | 2);
    let mut expected = arrived;
    expected.extend(only_there.iter().copied().filter(doubles));
    expected.extend(&log_west);
    assert_eq!(there(&west).await, expected, "what arrived, what was replayed, all of the new");
    caught_up(&west, &to_east).await;
    assert_eq!(east.server.dump("bank"), west.server.dump("bank"));
    let decisions = "SELECT md5(string_agg(d::text, ' ' ORDER BY d)) FROM mainstay.decided d";
    assert_eq!(east.text(decisions).await, west.text(decisions).await);
    to_east.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_transactions_that_never_arrived_are_all_salvaged_and_nothing_new_is_lost() {
    never_arrived(500).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soak_fifty_thousand_transactions_that_never_arrived_are_all_salvaged() {
    never_arrived(50_000).await;
}
