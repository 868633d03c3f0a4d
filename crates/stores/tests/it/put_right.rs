//! A returned site is made equal to the history that went on without it.

use crate::link_world::stopped;
use crate::sites::{SCHEMA, Site};
use crate::way_back::{caught_up, spec};
use mainstay_core::Epoch;
use mainstay_core::position::Lsn;
use mainstay_stores::postgres::fault::Fault;
use mainstay_stores::postgres::link::{self, LinkSpec};
use mainstay_stores::postgres::put_right::{self, Plan, PutRight};
use mainstay_stores::postgres::repair::{self, Sides, delta};
use mainstay_stores::postgres::{salvage, slot};
use std::io::Cursor;

const TO_WEST: &str = "mainstay_bank_db_west";
const TO_EAST: &str = "mainstay_bank_db_east";
const LINK: &str = "bank/db/west->east";

/// East was active and accepted `lost` alone; then west was promoted and accepted `since`.
struct Return {
    east: Site,
    west: Site,
    pinned: Lsn,
    salvage: Vec<u8>,
}

impl Return {
    async fn of(lost: &str, since: &str) -> Self {
        let (east, west) = tokio::join!(Site::start(SCHEMA), Site::start(SCHEMA));
        slot::pin(&east.endpoint, TO_WEST).await.unwrap();
        let after = east.position().await;
        east.run(lost).await;
        let pinned = slot::pin(&west.endpoint, TO_EAST).await.unwrap();
        assert_eq!(slot::pin(&west.endpoint, TO_EAST).await.unwrap(), pinned);
        west.run(since).await;
        let mut file = Vec::new();
        salvage::take(&east.endpoint, TO_WEST, after, &mut file).await.unwrap();
        Self { east, west, pinned, salvage: file }
    }

    async fn put_right(&self) -> Result<PutRight, Fault> {
        let plan = Plan {
            old: self.east.endpoint.clone(),
            active: self.west.endpoint.clone(),
            link: LINK.into(),
            slot: TO_EAST.into(),
            epoch: Epoch::new(2),
        };
        let salvage = Cursor::new(self.salvage.clone());
        // Its future is one that can be spawned.
        tokio::spawn(async move { put_right::run(&plan, salvage).await }).await.unwrap()
    }
}

const LOST: &str = "
    INSERT INTO transfer (id, account, amount) SELECT md5(i::text)::uuid, i, i
        FROM generate_series(1, 40) i;
    UPDATE account SET balance = balance - id WHERE id <= 40;
    UPDATE pair SET a = 'moved' WHERE b = 1;
    DELETE FROM pair WHERE b IN (2, 3);
    INSERT INTO pair VALUES ('new', 77, 'x'), (E'q\"\\\\\\n\\t''€', 78, NULL);
    UPDATE pair SET big = 'other' WHERE b = 5;
    UPDATE whole SET v = 'lost' WHERE id < 4;
    UPDATE account SET owner = 'a' WHERE id = 1;
    UPDATE account SET owner = 'owner 1' WHERE id = 2;
    UPDATE account SET owner = 'owner 2' WHERE id = 1";

/// Touches only rows that `LOST` names, so that afterwards both sites must be equal as they are.
const SINCE: &str = "
    UPDATE account SET balance = balance + 7 WHERE id BETWEEN 30 AND 40;
    UPDATE pair SET big = repeat('y', 9000) WHERE b = 2;
    DELETE FROM pair WHERE b = 5;
    UPDATE whole SET v = E'tab\\there' WHERE id = 2";

#[tokio::test]
async fn the_rows_that_a_salvage_names_become_those_of_the_active_site() {
    let back = Return::of(LOST, SINCE).await;
    assert_ne!(back.east.server.dump("bank"), back.west.server.dump("bank"));
    let put = back.put_right().await.unwrap();
    assert_eq!(back.east.server.dump("bank"), back.west.server.dump("bank"));
    assert_eq!(put.from, back.pinned);
    assert!(put.until > back.pinned && put.until <= back.west.position().await);
    assert_eq!(put.rows, 40 + 40 + 40 + 2 + 2 + 2 + 1 + 3, "transfers, their audit, and the rest");
    let link = "SELECT format('%s %s %s', name, epoch, position) FROM mainstay.link";
    assert_eq!(back.east.text(link).await, format!("{LINK} 2 {}", back.pinned));
    let keys = "SELECT string_agg(key::text, ' ' ORDER BY key) FROM mainstay.put_right \
                WHERE table_name = 'public.whole' AND until = (SELECT max(until) FROM mainstay.put_right)";
    assert_eq!(back.east.text(keys).await, r#"["1"] ["2"] ["3"]"#);
    let again = back.put_right().await.unwrap();
    assert_eq!((again.rows, again.from), (put.rows, put.from));
    assert!(again.until >= put.until);
    assert_eq!(back.east.server.dump("bank"), back.west.server.dump("bank"));
}

/// Account 3 is named and has taken over account 9's owner at the active site; account 9's own
/// change comes only later, with the link.
#[tokio::test]
async fn a_row_that_nobody_named_does_not_stand_in_the_way() {
    let since = "UPDATE account SET owner = 'x' WHERE id = 9; \
                 UPDATE account SET owner = 'owner 9' WHERE id = 3; \
                 UPDATE account SET owner = 'owner 3' WHERE id = 10; \
                 UPDATE account SET owner = 'owner 10' WHERE id = 11";
    let back = Return::of("UPDATE account SET balance = 0 WHERE id = 3", since).await;
    let put = back.put_right().await.unwrap();
    // Account 3 needs account 9 out of its way, and nobody needs more.
    assert_eq!(put.rows, 2);
    let rows = "SELECT string_agg(concat_ws(' ', id, owner, balance), ', ' ORDER BY id) \
                FROM account WHERE id IN (3, 9)";
    assert_eq!(back.east.text(rows).await, "3 owner 9 100, 9 x 100");
    assert_eq!(back.east.text(rows).await, back.west.text(rows).await);
}

/// West gives named rows other keys, and their keys to other rows, one by one and many at once,
/// before east returns.
const MOVED: &str = "
    UPDATE whole SET id = 100 + id WHERE id IN (1, 7);
    UPDATE whole SET id = 1 WHERE id = 8;
    BEGIN; UPDATE whole SET id = id + 50 WHERE id IN (2, 4, 5, 6, 9);
    UPDATE whole SET v = 'after' WHERE id > 50; COMMIT;
    UPDATE whole SET v = 'at last' WHERE id > 100;
    UPDATE whole SET id = 200 WHERE id = 3;
    UPDATE whole SET id = 3 WHERE id = 101;
    UPDATE whole SET id = 2 WHERE id = 200;
    UPDATE pair SET b = 90, big = 'sent' WHERE b = 2;
    UPDATE pair SET b = 2 WHERE b = 3";

#[tokio::test]
async fn named_rows_that_changed_their_keys_since_come_back_with_the_link() {
    let lost = "UPDATE whole SET v = 'l' WHERE id < 4; UPDATE pair SET a = 'l' WHERE b = 2";
    let back = Return::of(lost, MOVED).await;
    back.put_right().await.unwrap();
    assert_ne!(back.east.server.dump("bank"), back.west.server.dump("bank"));
    let link = link::start(spec(("west", &back.west), ("east", &back.east), 2));
    caught_up(&back.west, &link).await;
    assert_eq!(back.east.server.dump("bank"), back.west.server.dump("bank"));
    link.stop().await;
}

/// Rows that were put right are from a later time than the link, so that it can meet what it can
/// neither apply nor leave out. It stops, and swapping what differs is the way on.
#[tokio::test]
async fn where_times_cannot_be_brought_together_the_link_stops_until_what_differs_is_swapped() {
    let cases = [
        ("UPDATE pair SET b = 90 WHERE b = 2", "a large value was not sent", "MS-PG-211"),
        ("TRUNCATE pair", "named rows are as of after it", "MS-PG-211"),
        (
            "UPDATE account SET owner = 'y' WHERE id = 10; UPDATE account SET owner = 'o' \
             WHERE id = 10; UPDATE account SET owner = 'y' WHERE id = 3",
            "another row had the value for a while",
            "MS-PG-209",
        ),
    ];
    for (since, why, code) in cases {
        let lost = "UPDATE pair SET big = 'lost' WHERE b = 2; \
                    UPDATE account SET balance = 0 WHERE id = 3";
        let back = Return::of(lost, since).await;
        back.put_right().await.unwrap();
        let there = spec(("west", &back.west), ("east", &back.east), 2);
        let link = link::start(there.clone());
        assert_eq!(stopped(&link).await.0, code, "{why}");
        link.stop().await;
        swap_what_differs(&back, &there).await;
        back.west.run("INSERT INTO pair VALUES ('later', 99, 'x')").await;
        let link = link::start(there);
        caught_up(&back.west, &link).await;
        assert_eq!(back.east.server.dump("bank"), back.west.server.dump("bank"), "{why}");
        link.stop().await;
    }
}

async fn swap_what_differs(back: &Return, link: &LinkSpec) {
    let (source, target) = (back.west.endpoint.clone(), back.east.endpoint.clone());
    let sides = Sides { source, target, link: link.name() };
    let folder = tempfile::tempdir().unwrap();
    let mut record = repair::open_record(&folder.path().join("record")).unwrap();
    let keys = folder.path().join("keys");
    let found = delta::find(&sides, Some(&link.slot()), &keys).await.unwrap();
    assert!(found.swap(link.epoch, &mut record).await.unwrap().repaired.swapped() > 0);
}

#[tokio::test]
async fn many_rows_are_put_right_in_batches() {
    let lost = "INSERT INTO pair SELECT 'lost', i FROM generate_series(101, 1600) i; \
                UPDATE account SET balance = 0";
    let back = Return::of(lost, "UPDATE account SET balance = 5 WHERE id = 50").await;
    assert_eq!(back.put_right().await.unwrap().rows, 1550);
    assert_eq!(back.east.server.dump("bank"), back.west.server.dump("bank"));
}

#[tokio::test]
async fn what_cannot_be_put_right_row_by_row_is_refused_and_nothing_is_changed() {
    let refusals = [
        ("UPDATE whole SET v = 'l'; TRUNCATE pair", "MS-PG-144"),
        ("UPDATE whole SET v = 'l'; INSERT INTO loose VALUES ('l')", "MS-PG-144"),
    ];
    for (lost, code) in refusals {
        let back = Return::of(lost, "SELECT 1").await;
        let before = back.east.server.dump("bank");
        let error = back.put_right().await.err().unwrap();
        assert_eq!(error.code(), code, "{error}");
        assert_eq!(back.east.server.dump("bank"), before);
        assert_eq!(back.east.text("SELECT count(*)::text FROM mainstay.put_right").await, "0");
    }
}

#[tokio::test]
async fn a_salvage_that_breaks_off_changes_nothing() {
    let mut back = Return::of(LOST, SINCE).await;
    back.salvage.truncate(back.salvage.len() - 3);
    let before = back.east.server.dump("bank");
    let error = back.put_right().await.err().unwrap();
    assert_eq!(error.code(), "MS-PG-141", "{error}");
    assert_eq!(back.east.server.dump("bank"), before);
    assert_eq!(back.east.text("SELECT count(*)::text FROM mainstay.link").await, "0");
}

#[tokio::test]
async fn the_slot_is_found_dropped_and_missed() {
    let site = Site::start("").await;
    let pinned = slot::pin(&site.endpoint, TO_EAST).await.unwrap();
    let state = slot::find(&site.endpoint, TO_EAST).await.unwrap().unwrap();
    assert_eq!((state.confirmed_flush, state.active, state.lost), (pinned, None, false));
    assert!(slot::drop_slot(&site.endpoint, TO_EAST).await.unwrap());
    assert!(!slot::drop_slot(&site.endpoint, TO_EAST).await.unwrap());
    assert_eq!(slot::find(&site.endpoint, TO_EAST).await.unwrap(), None);
    site.run("SELECT pg_create_logical_replication_slot('other', 'test_decoding')").await;
    let error = slot::pin(&site.endpoint, "other").await.err().unwrap();
    assert_eq!(error.code(), "MS-PG-123", "{error}");
    // Invalidated: the history it needs was removed.
    slot::pin(&site.endpoint, TO_WEST).await.unwrap();
    site.run("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'").await;
    site.run("SELECT pg_reload_conf()").await;
    for _ in 0..4 {
        site.run("SELECT pg_switch_wal()").await;
        site.run("CREATE TABLE filler AS SELECT 1; DROP TABLE filler").await;
    }
    site.run("CHECKPOINT").await;
    assert!(slot::find(&site.endpoint, TO_WEST).await.unwrap().unwrap().lost);
    let error = slot::pin(&site.endpoint, TO_WEST).await.err().unwrap();
    assert_eq!(error.code(), "MS-PG-121", "{error}");
    assert!(slot::drop_slot(&site.endpoint, TO_WEST).await.unwrap());
}
