//! The whole way back of a lost site, and comparison under load: fence, salvage, rows put right,
//! the reverse link, and both sides equal, while the active site goes on writing.

use crate::link_world::{LONG, streaming};
use crate::sites::{SCHEMA, Site};
use mainstay_core::estate::Durability;
use mainstay_core::position::Lsn;
use mainstay_core::{ApplicationName, Epoch, SiteName, StoreName};
use mainstay_stores::postgres::compare::{self, Comparison, Held};
use mainstay_stores::postgres::link::{self, Link, LinkSpec, Paused};
use mainstay_stores::postgres::put_right::{self, Plan};
use mainstay_stores::postgres::{applied, fence, salvage, slot};
use mainstay_testkit::postgres_folder;
use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::task::JoinHandle;

pub struct Standing(pub Paused);

impl Held for Standing {
    async fn advance_to(&mut self, at: Lsn) -> Result<(), String> {
        self.0.advance_to(at, LONG).await.map_err(|e| e.to_string())
    }
}

pub fn spec(from: (&str, &Site), to: (&str, &Site), epoch: u64) -> LinkSpec {
    LinkSpec {
        application: ApplicationName::new("bank").unwrap(),
        store: StoreName::new("db").unwrap(),
        from: SiteName::new(from.0).unwrap(),
        to: SiteName::new(to.0).unwrap(),
        source: from.1.endpoint.clone(),
        target: to.1.endpoint.clone(),
        epoch: Epoch::new(epoch),
        durability: Durability::EachCommit,
        spool: std::env::temp_dir(),
        tools: postgres_folder().join("bin"),
    }
}

/// Keeps every table of the bank changing, the rows that a salvage may name among them.
pub struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Load {
    pub async fn on(site: &Site, seed: u64) -> Self {
        let client = site.server.client("bank").await;
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&done));
        let task = tokio::spawn(async move {
            client.batch_execute("SET search_path = public").await.unwrap();
            while !stopped.load(Ordering::Relaxed) {
                let number = seed * 1_000_000 + counted.fetch_add(1, Ordering::Relaxed);
                client.batch_execute(&transaction(number)).await.unwrap();
            }
        });
        Self { stop, done, task }
    }

    pub async fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
        self.done.load(Ordering::Relaxed)
    }
}

fn transaction(number: u64) -> String {
    let (account, row) = (1 + number % 50, 1 + number % 9);
    format!(
        "BEGIN;
         INSERT INTO transfer (id, account, amount, note)
             VALUES (gen_random_uuid(), {account}, {number}, '{{\"n\": {number}}}');
         UPDATE account SET balance = balance - 1 WHERE id = {account};
         UPDATE whole SET v = 'at {number}' WHERE id = {row};
         UPDATE pair SET big = repeat('{row}', 3000) WHERE b = {row} AND {number} % 5 = 0;
         INSERT INTO pair VALUES ('n', {number} + 1000, NULL);
         DELETE FROM pair WHERE b = {number} + 1000 AND {number} % 3 = 0;
         COMMIT"
    )
}

async fn compared(source: &Site, target: &Site, link: &Link) -> Comparison {
    let held = Standing(link.pause(LONG).await.unwrap());
    compare::run(&source.endpoint, &target.endpoint, held, &mut ()).await.unwrap()
}

pub async fn caught_up(source: &Site, link: &Link) {
    let end = source.position().await;
    source.run("SELECT pg_logical_emit_message(true, 'test', 'after')").await;
    link.drain_to(end, LONG).await.unwrap_or_else(|e| panic!("{e}: {:?}", link.status()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_site_comes_back_equal_while_the_active_one_goes_on_writing() {
    let (east, west) = tokio::join!(Site::start(SCHEMA), Site::start(""));
    let there = spec(("east", &east), ("west", &west), 1);
    let to_west = link::start(there.clone());
    streaming(&to_west).await;
    let load = Load::on(&east, 1).await;
    while load.done.load(Ordering::Relaxed) < 100 {
        tokio::task::yield_now().await;
    }

    // The link is cut off; east goes on alone for a while, and is then fenced.
    to_west.stop().await;
    let alone = load.done.load(Ordering::Relaxed);
    while load.done.load(Ordering::Relaxed) < alone + 200 {
        tokio::task::yield_now().await;
    }
    load.stop().await;
    fence::fence(&east.endpoint, &[], Epoch::new(2)).await.unwrap();

    // West is promoted: its way back is pinned before the first write there.
    let back = spec(("west", &west), ("east", &east), 2);
    slot::pin(&west.endpoint, &back.slot()).await.unwrap();
    west.run("SET search_path = public").await;
    west.run("SELECT setval('transfer_number_seq', 1000000), setval('audit_at_seq', 1000000)")
        .await;
    let load = Load::on(&west, 2).await;
    while load.done.load(Ordering::Relaxed) < 50 {
        tokio::task::yield_now().await;
    }

    // East returns.
    let after = applied::read(&west.endpoint, &there.name()).await.unwrap().unwrap().position;
    let mut file = Vec::new();
    let taken = salvage::take(&east.endpoint, &there.slot(), after, &mut file).await.unwrap();
    assert!(taken.transactions >= 200, "{taken:?}");
    let plan = Plan {
        old: east.endpoint.clone(),
        active: west.endpoint.clone(),
        link: back.name(),
        slot: back.slot(),
        epoch: Epoch::new(2),
    };
    let put = put_right::run(&plan, Cursor::new(file)).await.unwrap();
    assert!(put.rows > 400, "{put:?}");
    let to_east = link::start(back);
    streaming(&to_east).await;

    // Equal under load, by our comparison; and at rest, by pg_dump.
    let under_load = compared(&west, &east, &to_east).await;
    assert!(under_load.equal, "{under_load:#?}");
    assert!(under_load.position >= put.until);
    let written = load.stop().await;
    caught_up(&west, &to_east).await;
    assert_eq!(east.server.dump("bank"), west.server.dump("bank"));
    assert!(written > 50);
    to_east.stop().await;
}

/// As after crashes of the returning site's agent: each phase is broken off somewhere in its
/// middle, several times, made, and made again although it had been done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_phase_of_the_way_back_may_be_broken_off_and_made_twice() {
    let (east, west) = tokio::join!(Site::start(SCHEMA), Site::start(""));
    let there = spec(("east", &east), ("west", &west), 1);
    let to_west = link::start(there.clone());
    streaming(&to_west).await;
    caught_up(&east, &to_west).await;
    to_west.stop().await;
    for number in 0..600 {
        east.run(&format!("SET search_path = public; {}", transaction(number))).await;
    }
    let back = spec(("west", &west), ("east", &east), 2);
    for _ in 0..2 {
        slot::pin(&west.endpoint, &back.slot()).await.unwrap();
        fence::fence(&east.endpoint, &[], Epoch::new(2)).await.unwrap();
    }
    west.run("SELECT setval('public.transfer_number_seq', 1000000)").await;
    west.run("SELECT setval('public.audit_at_seq', 1000000)").await;
    for number in 10_000..10_100 {
        west.run(&format!("SET search_path = public; {}", transaction(number))).await;
    }

    let after = applied::read(&west.endpoint, &there.name()).await.unwrap().unwrap().position;
    let take = async || {
        let mut file = Vec::new();
        salvage::take(&east.endpoint, &there.slot(), after, &mut file).await.map(|_| file)
    };
    broken_off(async || take().await.map(drop)).await;
    let (file, again) = (take().await.unwrap(), take().await.unwrap());
    assert_eq!(file.iter().filter(|byte| **byte == b'\n').count(), 600);
    assert_eq!(file, again, "the slot was not moved");
    assert!(slot::drop_slot(&east.endpoint, &there.slot()).await.unwrap());
    assert!(!slot::drop_slot(&east.endpoint, &there.slot()).await.unwrap());

    let plan = Plan {
        old: east.endpoint.clone(),
        active: west.endpoint.clone(),
        link: back.name(),
        slot: back.slot(),
        epoch: Epoch::new(2),
    };
    let put = async || put_right::run(&plan, Cursor::new(file.clone())).await;
    broken_off(async || put().await.map(drop)).await;
    let (first, second) = (put().await.unwrap(), put().await.unwrap());
    assert_eq!((first.rows, first.from), (second.rows, second.from));

    for round in 0..4 {
        let link = link::start(back.clone());
        // Time itself is the subject: the moment at which the link is broken off.
        tokio::time::sleep(std::time::Duration::from_millis(40 * round)).await;
        drop(link);
    }
    let to_east = link::start(back);
    streaming(&to_east).await;
    caught_up(&west, &to_east).await;
    assert!(compared(&west, &east, &to_east).await.equal);
    assert_eq!(east.server.dump("bank"), west.server.dump("bank"));
    to_east.stop().await;
}

/// Begins the work again and again, and drops it after ever longer times, until it comes to its
/// end.
async fn broken_off<E: std::fmt::Debug>(work: impl AsyncFn() -> Result<(), E>) {
    let mut times = 0;
    for millis in (0..10_000).step_by(15) {
        match tokio::time::timeout(std::time::Duration::from_millis(millis), work()).await {
            Err(_) => times += 1,
            Ok(done) => {
                done.unwrap();
                assert!(times > 0, "it was never broken off");
                return;
            }
        }
    }
    panic!("it never came to its end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn comparing_under_load_gives_no_false_alarm_and_finds_what_is_wrong() {
    let (east, west) = tokio::join!(Site::start(SCHEMA), Site::start(""));
    // A row that the load leaves alone: its next change would put it right.
    east.run("INSERT INTO account VALUES (60, 'quiet', 0)").await;
    let link = link::start(spec(("east", &east), ("west", &west), 1));
    streaming(&link).await;
    let load = Load::on(&east, 1).await;
    let mut last = Lsn::default();
    for round in 0..5 {
        let found = compared(&east, &west, &link).await;
        assert!(found.equal, "round {round}: {found:#?}");
        assert!(found.position > last, "each time at a later position");
        last = found.position;
    }
    west.run("UPDATE public.account SET owner = owner || '!' WHERE id = 60").await;
    let found = compared(&east, &west, &link).await;
    assert!(!found.equal);
    let wrong: Vec<_> = found.tables.iter().filter(|table| !table.is_equal()).collect();
    assert_eq!(wrong.len(), 1, "{found:#?}");
    assert_eq!(wrong[0].differing[0].key, ["60"]);
    let written = load.stop().await;
    eprintln!("{written} transactions meanwhile");
    link.stop().await;
}
