//! What a person decides of a salvage, transaction by transaction: done whole or not at all, never
//! over what the active site wrote since without their word, and known at the other site too.

use crate::link_world::streaming;
use crate::sites::{SCHEMA, Site};
use crate::way_back::{caught_up, spec};
use mainstay_core::Epoch;
use mainstay_core::estate::SalvageRule;
use mainstay_core::position::Lsn;
use mainstay_stores::postgres::fault::Fault;
use mainstay_stores::postgres::link;
use mainstay_stores::postgres::salvage::{
    Active, Book, Choice, Rejected, Replayed, Side, Sides, State, Survey, Value, Wish, reject,
    replay, replay_chosen, survey, take,
};
use mainstay_stores::postgres::{fence, slot};
use std::collections::{BTreeMap, BTreeSet};
use tempfile::NamedTempFile;

const SLOT: &str = "mainstay_bank_db_west";
const EPOCH: u64 = 2;

/// One transaction each: A to H.
const LOST: [&str; 8] = [
    "INSERT INTO whole VALUES (20, 'made')",
    "UPDATE whole SET v = 'twice' WHERE id = 20",
    "UPDATE account SET balance = balance - 1 WHERE id = 1",
    "UPDATE account SET balance = balance - 1 WHERE id = 1",
    "DELETE FROM whole WHERE id = 3",
    "UPDATE pair SET b = 70 WHERE b = 7",
    "UPDATE loose SET v = 'only one' WHERE ctid = (SELECT min(ctid) FROM loose)",
    "BEGIN; INSERT INTO whole VALUES (30, 'whole or nothing'); DELETE FROM whole WHERE id = 5; COMMIT",
];

struct Lost {
    active: Site,
    old: Site,
    file: NamedTempFile,
    at: Vec<Lsn>,
    rules: BTreeMap<String, SalvageRule>,
}

impl Lost {
    async fn new(lost: &[&str], rules: &[(&str, SalvageRule)]) -> Self {
        let (old, active) = tokio::join!(Site::start(SCHEMA), Site::start(SCHEMA));
        for site in [&old, &active] {
            site.run("INSERT INTO loose VALUES ('same'), ('same')").await;
        }
        slot::pin(&old.endpoint, SLOT).await.unwrap();
        let after = old.position().await;
        for sql in lost {
            old.run(sql).await;
        }
        fence::open(&active.endpoint, &[], Epoch::new(EPOCH), || true).await.unwrap();
        let mut file = NamedTempFile::new().unwrap();
        take(&old.endpoint, SLOT, after, file.as_file_mut()).await.unwrap();
        let rules = rules.iter().map(|(table, rule)| ((*table).to_owned(), *rule)).collect();
        let mut lost = Self { active, old, file, at: Vec::new(), rules };
        lost.at = lost.sides(false).await.iter().map(|it| it.transaction.commit_lsn).collect();
        lost
    }

    fn book(&self) -> Book<'_> {
        Book { path: self.file.path(), active: &self.active.endpoint, rules: &self.rules }
    }

    async fn sides(&self, only_open: bool) -> Vec<Side> {
        let book = self.book();
        let mut sides = Sides::open(&book, Wish { limit: 100, only_open }).await.unwrap();
        let mut all = Vec::new();
        while let Some(side) = sides.next().await.unwrap() {
            all.push(side);
        }
        all
    }

    async fn states(&self) -> String {
        let letter = |side: &Side| side.state.name()[..2].to_owned();
        self.sides(false).await.iter().map(letter).collect::<Vec<_>>().join(" ")
    }

    async fn try_chosen(&self, which: &[usize], overwrite: bool) -> Result<Replayed, Fault> {
        let transactions: BTreeSet<Lsn> = which.iter().map(|at| self.at[*at]).collect();
        let choice = Choice { transactions, overwrite, reason: "asked for".to_owned() };
        replay_chosen(&self.book(), Epoch::new(EPOCH), &choice).await
    }

    async fn chosen(&self, which: &[usize], overwrite: bool) -> Replayed {
        self.try_chosen(which, overwrite).await.unwrap()
    }

    async fn rejected(&self, which: Option<&[usize]>) -> Result<Rejected, Fault> {
        let named = which.map(|which| which.iter().map(|at| self.at[*at]).collect());
        reject(&self.book(), Epoch::new(EPOCH), named.as_ref(), "not wanted").await
    }
}

const WHOLE: &str =
    "SELECT string_agg(id || v, ' ' ORDER BY id) FROM whole WHERE id IN (3, 5, 20, 30)";

#[tokio::test]
async fn a_named_transaction_is_applied_where_the_row_is_as_it_found_it() {
    let lost = Lost::new(&LOST, &[]).await;
    assert_eq!(lost.states().await, "op op op op op op op op");
    // The old row is in the history; the second needs the first; a table without a key.
    let done = lost.chosen(&[0, 1, 4, 6, 7], false).await;
    assert_eq!((done.transactions, done.asked_total), (5, 0), "{done:#?}");
    assert_eq!((done.rows_inserted, done.rows_updated, done.rows_deleted), (2, 2, 2));
    assert_eq!(lost.active.text(WHOLE).await, "20twice 30whole or nothing");
    let loose = "SELECT string_agg(v, ' ' ORDER BY v) FROM loose";
    assert_eq!(lost.active.text(loose).await, "only one same");

    // The history does not hold the balance before; after the first, the second is known.
    let unknown = lost.chosen(&[2, 3], false).await;
    assert_eq!((unknown.transactions, unknown.asked_total), (0, 2), "{unknown:#?}");
    assert!(unknown.asked[0].why.contains("does not hold"), "{unknown:#?}");
    assert!(unknown.asked[1].why.contains("not as it was"), "{unknown:#?}");
    assert_eq!(lost.chosen(&[2], true).await.rows_updated, 1);
    assert_eq!(lost.chosen(&[3], false).await.rows_updated, 1);
    let balance = "SELECT balance::text FROM account WHERE id = 1";
    assert_eq!(lost.active.text(balance).await, "98");
    assert_eq!(lost.states().await, "re re re re re op re re");

    let again = lost.chosen(&[0, 1, 2, 3, 4, 6, 7], true).await;
    assert_eq!((again.transactions, again.done_before), (0, 7));

    // A large value that the history does not hold is left as it is, under the new key too.
    assert_eq!(lost.chosen(&[5], true).await.rows_updated, 1);
    let big = "SELECT b || ' ' || length(big) FROM pair WHERE a = 'g'";
    assert_eq!(lost.active.text(big).await, "70 9000");
    assert_eq!(
        lost.active.server.dump("bank"),
        lost.old.server.dump("bank"),
        "both sites are equal now"
    );
}

#[tokio::test]
async fn what_the_active_site_wrote_since_is_overwritten_only_by_a_persons_word() {
    let lost = Lost::new(&LOST, &[]).await;
    lost.active
        .run(
            "INSERT INTO whole VALUES (20, 'new work'); UPDATE whole SET v = 'kept' WHERE id = 3;
             DELETE FROM whole WHERE id = 5; INSERT INTO whole VALUES (30, 'in the way');
             UPDATE pair SET big = 'new' WHERE b = 7; UPDATE loose SET v = 'changed'",
        )
        .await;
    let sides = lost.sides(true).await;
    let beside = |at: usize, change: usize| sides[at].changes[change].active.clone();
    let v = |row: &mainstay_stores::postgres::salvage::Columns| row.get("v").cloned();
    let Active::Differs { columns, row } = beside(0, 0) else { panic!("{sides:#?}") };
    assert_eq!((columns, v(&row)), (vec!["v".to_owned()], Some(Value::Text("new work".into()))));
    assert!(matches!(beside(4, 0), Active::StillThere { .. }), "{sides:#?}");
    assert_eq!(beside(5, 0), Active::Missing);
    assert!(matches!(beside(6, 0), Active::Unknown { .. }), "{sides:#?}");
    assert_eq!(beside(7, 1), Active::Same, "both sites deleted it");

    let before = lost.active.server.dump("bank");
    let refused = lost.chosen(&[0, 1, 4, 5, 6, 7], false).await;
    assert_eq!((refused.transactions, refused.asked_total), (0, 6), "{refused:#?}");
    let first = &refused.asked[0];
    assert_eq!(v(first.salvaged.as_ref().unwrap()), Some(Value::Text("made".into())));
    assert_eq!(v(first.found.as_ref().unwrap()), Some(Value::Text("new work".into())));
    assert_eq!(lost.active.server.dump("bank"), before, "whole or nothing");

    let forced = lost.chosen(&[0, 1, 4, 7], true).await;
    assert_eq!((forced.transactions, forced.asked_total), (4, 0), "{forced:#?}");
    assert_eq!(lost.active.text(WHOLE).await, "20twice 30whole or nothing");
}

#[tokio::test]
async fn decisions_are_counted_kept_with_their_reason_and_can_be_looked_at_again() {
    let rules =
        [("public.whole", SalvageRule::ReplayInserts), ("public.account", SalvageRule::Keep)];
    let lost = Lost::new(&LOST, &rules).await;
    let by_rule = replay(&lost.book(), Epoch::new(EPOCH)).await.unwrap();
    assert_eq!((by_rule.transactions, by_rule.kept, by_rule.asked_total), (1, 2, 5));
    assert_eq!(lost.states().await, "re op ke ke op op op op");

    assert_eq!(lost.rejected(Some(&[0, 4])).await.err().unwrap().code(), "MS-PG-148");
    let nobody = BTreeSet::from([Lsn(7)]);
    let missing = reject(&lost.book(), Epoch::new(EPOCH), Some(&nobody), "x").await;
    assert_eq!(missing.err().unwrap().code(), "MS-PG-147");
    let choice = Choice { transactions: nobody, ..Choice::default() };
    let missing = replay_chosen(&lost.book(), Epoch::new(EPOCH), &choice).await;
    assert_eq!(missing.err().unwrap().code(), "MS-PG-147");
    assert_eq!(lost.states().await, "re op ke ke op op op op", "nothing was decided by that");

    assert_eq!(lost.rejected(Some(&[4])).await.unwrap().transactions, 1);
    assert_eq!(lost.rejected(Some(&[4])).await.unwrap().rejected_before, 1);
    assert_eq!(
        lost.rejected(None).await.unwrap().transactions,
        4,
        "what is open, not what is kept"
    );
    let counts = Survey { open: 0, replayed: 1, rejected: 5, kept: 2 };
    assert_eq!(survey(&lost.book()).await.unwrap(), counts);
    let decided = lost.sides(false).await[4].decided.clone().unwrap();
    assert_eq!(decided.reason, "not wanted");
    assert!(lost.sides(true).await.is_empty());

    let by_rule = replay(&lost.book(), Epoch::new(EPOCH)).await.unwrap();
    assert_eq!((by_rule.transactions, by_rule.rejected_before, by_rule.done_before), (0, 5, 1));
    let named = lost.chosen(&[4], false).await;
    assert_eq!((named.transactions, named.formerly_rejected), (1, 1));
    assert_eq!(lost.sides(false).await[4].state, State::Replayed);
}

#[tokio::test]
async fn a_site_that_is_fenced_or_of_another_epoch_takes_no_decision() {
    let lost = Lost::new(&LOST[..2], &[("public.whole", SalvageRule::ReplayInserts)]).await;
    let before = lost.active.server.dump("bank");
    let stale = replay(&lost.book(), Epoch::new(EPOCH - 1)).await;
    assert_eq!(stale.err().unwrap().code(), "MS-PG-149");
    fence::fence(&lost.active.endpoint, &[], Epoch::new(EPOCH)).await.unwrap();
    assert_eq!(lost.try_chosen(&[0], true).await.err().unwrap().code(), "MS-PG-149");
    assert_eq!(lost.rejected(None).await.err().unwrap().code(), "MS-PG-149");
    assert_eq!(lost.active.server.dump("bank"), before);
    assert_eq!(lost.states().await, "op op");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_goes_to_the_other_site_with_the_first_copy_and_with_the_stream() {
    let lost = Lost::new(&LOST, &[]).await;
    lost.rejected(Some(&[4])).await.unwrap();
    lost.chosen(&[0], false).await;
    let east = Site::start("").await;
    // What a former life of that site had decided is not true here.
    east.run("INSERT INTO mainstay.decided VALUES ('former', '0/7', 'replayed')").await;
    let link = link::start(spec(("west", &lost.active), ("east", &east), EPOCH));
    streaming(&link).await;
    lost.chosen(&[1], false).await;
    lost.chosen(&[4], false).await;
    lost.rejected(None).await.unwrap();
    caught_up(&lost.active, &link).await;
    link.stop().await;
    let decisions = "SELECT string_agg(decided::text, ' ' ORDER BY decided) FROM mainstay.decided";
    let at_west = lost.active.text(decisions).await;
    assert_eq!(east.text(decisions).await, at_west);
    assert_eq!(at_west.matches("replayed").count(), 3);
    assert_eq!(at_west.matches("rejected").count(), 5);
}

#[tokio::test]
async fn what_a_replay_has_told_is_there_after_the_server_is_killed_the_same_moment() {
    let inserts: Vec<String> =
        (100..140).map(|id| format!("INSERT INTO whole VALUES ({id}, 'lost')")).collect();
    let inserts: Vec<&str> = inserts.iter().map(String::as_str).collect();
    let rules = [("public.whole", SalvageRule::ReplayInserts)];
    let mut lost = Lost::new(&inserts, &rules).await;
    let told = replay(&lost.book(), Epoch::new(EPOCH)).await.unwrap();
    lost.active.server.kill9();
    assert_eq!(told.transactions, 40);
    lost.active.server.restart();
    let after = lost.active.server.client("bank").await;
    let sql = "SELECT (SELECT count(*) FROM public.whole WHERE id >= 100), \
               (SELECT count(*) FROM mainstay.decided WHERE decision = 'replayed')";
    let row = after.query_one(sql, &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (40, 40));
}
