//! The salvage holds what the standby never had, all of it and nothing else; and is replayed as a
//! person's rules say, once.

use crate::sites::{SCHEMA, Site};
use mainstay_core::Epoch;
use mainstay_core::estate::SalvageRule;
use mainstay_core::position::Lsn;
use mainstay_stores::postgres::salvage::{
    Book, Change, Event, Header, Op, Reader, Replayed, Summary, Value, replay, take,
};
use mainstay_stores::postgres::{fence, slot};
use std::collections::BTreeMap;
use std::io::Cursor;

const SLOT: &str = "mainstay_bank_db_west";

const LOST: [&str; 9] = [
    "BEGIN; INSERT INTO transfer (id, account, amount, note, proof, mood) VALUES \
     ('00000000-0000-0000-0000-000000000001', 1, 1.50, '{\"k\": [1, null]}', '\\x00ff', 'cross'); \
     UPDATE account SET balance = balance - 1.50 WHERE id = 1; COMMIT",
    "UPDATE pair SET a = 'z' WHERE b = 1",
    "DELETE FROM pair WHERE b = 2",
    "BEGIN; INSERT INTO pair VALUES ('rolled back', 99); ROLLBACK",
    "UPDATE whole SET v = NULL WHERE id = 3",
    "BEGIN; SAVEPOINT s; INSERT INTO pair VALUES ('gone', 100); ROLLBACK TO s; \
     INSERT INTO pair VALUES (E'q\"\\\\\\n\\u20ac', 101, NULL); COMMIT",
    "INSERT INTO mainstay.heartbeat VALUES (true, 1, now())",
    "INSERT INTO loose VALUES ('twice'), ('twice')",
    "TRUNCATE loose, whole",
];

/// A site that accepted `LOST` after the position that is returned.
async fn returned_site() -> (Site, Lsn) {
    let site = Site::start(SCHEMA).await;
    slot::pin(&site.endpoint, SLOT).await.unwrap();
    site.run("INSERT INTO pair VALUES ('shared', 50)").await;
    let after = site.position().await;
    site.run("SELECT pg_create_logical_replication_slot('oracle', 'test_decoding')").await;
    for sql in LOST {
        site.run(sql).await;
    }
    (site, after)
}

async fn taken(site: &Site, after: Lsn) -> (Vec<u8>, Summary) {
    let mut file = Vec::new();
    let summary = take(&site.endpoint, SLOT, after, &mut file).await.unwrap();
    (file, summary)
}

async fn read(file: Vec<u8>) -> Vec<(Header, Vec<Change>, Lsn)> {
    let mut reader = Reader::new(Cursor::new(file));
    let (mut all, mut current) = (Vec::new(), None);
    while let Some(event) = reader.next().await.unwrap() {
        match event {
            Event::Begin(header) => current = Some((header, Vec::new())),
            Event::Change(change) => current.as_mut().unwrap().1.push(change),
            Event::Commit(end) => {
                let (header, changes) = current.take().unwrap();
                all.push((header, changes, end));
            }
        }
    }
    all
}

/// What PostgreSQL's own `test_decoding` says: transaction, table, operation.
async fn oracle(site: &Site) -> Vec<(String, String, String)> {
    let sql = "SELECT xid::text, data FROM pg_logical_slot_peek_changes('oracle', NULL, NULL, \
               'skip-empty-xacts', '1')";
    let mut seen = Vec::new();
    for row in site.client.query(sql, &[]).await.unwrap() {
        let data: &str = row.get(1);
        let Some((tables, rest)) = data.strip_prefix("table ").and_then(|d| d.split_once(": "))
        else {
            continue;
        };
        let op = rest.split(':').next().unwrap().to_lowercase();
        for table in tables.split(", ").filter(|table| !table.starts_with("mainstay.")) {
            seen.push((row.get(0), table.to_owned(), op.clone()));
        }
    }
    seen
}

#[tokio::test]
async fn a_salvage_is_what_the_standby_never_had_and_nothing_else() {
    let (site, after) = returned_site().await;
    let (file, summary) = taken(&site, after).await;
    let transactions = read(file.clone()).await;
    let op = |op: Op| serde_json::to_value(op).unwrap().as_str().unwrap().to_owned();
    let ours: Vec<_> = transactions
        .iter()
        .flat_map(|(header, changes, _)| {
            let one =
                |change: &Change| (header.xid.to_string(), change.table.clone(), op(change.op));
            changes.iter().map(one).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(ours, oracle(&site).await);
    assert_eq!(summary.transactions, 7);
    assert_eq!(summary.changes, 11);
    assert_eq!(summary.tables["public.loose"].truncates, 1);
    assert_eq!(summary.tables["public.pair"].updates, 1);
    assert!(transactions.iter().all(|(header, _, end)| header.commit_lsn >= after && *end > after));

    let text = |text: &str| Some(Value::Text(text.into()));
    let transfer = transactions[0].1[0].new.clone().unwrap();
    assert_eq!(transfer.get("proof").cloned(), text("\\x00ff"));
    assert_eq!(transfer.get("note").cloned(), text("{\"k\": [1, null]}"));
    let moved = &transactions[1].1[0];
    assert_eq!(moved.key.as_ref().unwrap().get("a").cloned(), text("a"));
    assert_eq!(moved.new_key().unwrap().get("a").cloned(), text("z"));
    assert_eq!(moved.new.as_ref().unwrap().get("big"), Some(&Value::Unchanged));
    let whole = &transactions[3].1[0];
    assert_eq!(whole.key_columns().collect::<Vec<_>>(), ["id"]);
    assert_eq!(whole.old.as_ref().unwrap().get("v").cloned(), text("v3"));
    assert_eq!(transactions[4].1[0].key.as_ref().unwrap().get("a").cloned(), text("q\"\\\n€"));

    // The slot still holds all of it.
    assert_eq!(taken(&site, after).await, (file, summary));
}

#[tokio::test]
async fn a_salvage_that_would_not_be_whole_is_refused() {
    let (site, after) = returned_site().await;
    let mut sink = Vec::new();
    let error = take(&site.endpoint, "nobody", after, &mut sink).await.err().unwrap();
    assert_eq!(error.code(), "MS-PG-120", "{error}");
    let beyond = Lsn(after.0 + (1 << 40));
    let error = take(&site.endpoint, SLOT, beyond, &mut sink).await.err().unwrap();
    assert_eq!(error.code(), "MS-PG-146", "{error}");
    let advance = format!("SELECT pg_replication_slot_advance('{SLOT}', pg_current_wal_lsn())");
    site.run(&advance).await;
    let error = take(&site.endpoint, SLOT, after, &mut sink).await.err().unwrap();
    assert_eq!(error.code(), "MS-PG-140", "{error}");
    assert!(sink.is_empty());
}

fn rules(rules: &[(&str, SalvageRule)]) -> BTreeMap<String, SalvageRule> {
    rules.iter().map(|(table, rule)| ((*table).to_owned(), *rule)).collect()
}

async fn replayed(active: &Site, file: &[u8], by: &BTreeMap<String, SalvageRule>) -> Replayed {
    let kept = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(kept.path(), file).unwrap();
    fence::open(&active.endpoint, &[], Epoch::new(1), || true).await.unwrap();
    let book = Book { path: kept.path(), active: &active.endpoint, rules: by };
    replay(&book, Epoch::new(1)).await.unwrap()
}

/// Transfers that a site took alone: two fine ones, one that the active site has already with
/// other values, one that it has with the same, one whose account is gone there, one with an
/// update of a table that a person decides about.
const TRANSFERS: [&str; 6] = [
    "BEGIN; INSERT INTO transfer (id, account, amount) \
         VALUES ('00000000-0000-0000-0000-000000000001', 1, 1); \
     UPDATE account SET balance = balance - 1 WHERE id = 1; COMMIT",
    "INSERT INTO transfer (id, account, amount, note) \
         VALUES ('00000000-0000-0000-0000-000000000002', 2, 2, '{\"a\": 1}')",
    "INSERT INTO transfer (id, account, amount) VALUES ('00000000-0000-0000-0000-000000000003', 3, 3)",
    "INSERT INTO transfer (id, account, amount, at) \
         VALUES ('00000000-0000-0000-0000-000000000004', 4, 4, '2020-01-01Z')",
    "INSERT INTO transfer (id, account, amount) VALUES ('00000000-0000-0000-0000-000000000005', 5, 5)",
    "BEGIN; INSERT INTO transfer (id, account, amount) \
         VALUES ('00000000-0000-0000-0000-000000000006', 6, 6); \
     UPDATE whole SET v = 'lost' WHERE id = 6; COMMIT",
];

const MEANWHILE: &str = "
    INSERT INTO transfer (id, number, account, amount) OVERRIDING SYSTEM VALUE
        VALUES ('00000000-0000-0000-0000-000000000003', 3000, 3, 333);
    INSERT INTO transfer (id, number, account, amount, at) OVERRIDING SYSTEM VALUE
        VALUES ('00000000-0000-0000-0000-000000000004', 4, 4, 4, '2020-01-01Z');
    DELETE FROM account WHERE id = 5;
    TRUNCATE audit";

#[tokio::test]
async fn a_replay_does_what_is_safe_once_and_leaves_the_rest_whole_for_a_person() {
    let (old, active) = tokio::join!(Site::start(SCHEMA), Site::start(SCHEMA));
    slot::pin(&old.endpoint, SLOT).await.unwrap();
    let after = old.position().await;
    for sql in TRANSFERS {
        old.run(sql).await;
    }
    active.run(MEANWHILE).await;
    let (file, _) = taken(&old, after).await;
    let by = rules(&[
        ("public.transfer", SalvageRule::ReplayInserts),
        ("public.account", SalvageRule::Keep),
        ("public.audit", SalvageRule::Keep),
    ]);
    let first = replayed(&active, &file, &by).await;
    assert_eq!((first.transactions, first.rows_inserted, first.already_there), (3, 2, 1));
    assert_eq!(first.kept, 4, "the balance and three lines of the audit");
    let reasons: Vec<_> =
        first.asked.iter().map(|asked| (asked.table.as_str(), &*asked.why)).collect();
    assert_eq!(first.asked_total, 3, "{reasons:?}");
    let conflict = &first.asked[0];
    let amount = |row: &Option<mainstay_stores::postgres::salvage::Columns>| {
        row.as_ref().and_then(|row| row.get("amount").cloned())
    };
    assert_eq!(amount(&conflict.salvaged), Some(Value::Text("3".into())));
    assert_eq!(amount(&conflict.found), Some(Value::Text("333".into())));
    assert!(first.asked[1].why.contains("foreign key"), "{reasons:?}");
    assert_eq!(first.asked[2].table, "public.whole");

    // The trigger of the active site wrote its own audit, for the two that were inserted there.
    let audit = "SELECT string_agg(right(what, 1), '' ORDER BY what) FROM audit";
    assert_eq!(active.text(audit).await, "12");
    let there = "SELECT string_agg(right(id::text, 1) || amount, ' ' ORDER BY id) FROM transfer";
    assert_eq!(active.text(there).await, "11 22 3333 44");
    assert_eq!(active.text("SELECT balance::text FROM account WHERE id = 1").await, "100");

    active.run("DELETE FROM transfer WHERE amount = 2").await;
    let second = replayed(&active, &file, &by).await;
    assert_eq!((second.transactions, second.done_before, second.asked_total), (0, 3, 3));
    assert_eq!(active.text("SELECT count(*)::text FROM transfer").await, "3", "it stays deleted");
}

#[tokio::test]
async fn a_table_without_a_rule_is_left_for_a_person() {
    let (site, after) = returned_site().await;
    let active = Site::start(SCHEMA).await;
    let before = active.server.dump("bank");
    let (file, summary) = taken(&site, after).await;
    let replayed = replayed(&active, &file, &BTreeMap::new()).await;
    assert_eq!(replayed.asked_total, summary.transactions);
    assert_eq!(replayed.transactions, 0);
    assert_eq!(active.server.dump("bank"), before);
}
