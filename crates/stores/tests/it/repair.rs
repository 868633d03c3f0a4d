//! Rows of a standby that differ become those of the active site, and only those; `pg_dump` and the
//! tests' own queries judge.

use crate::link_world::{LONG, streaming};
use crate::sites::{SCHEMA, Site};
use crate::way_back::{Load, Standing, caught_up, spec};
use mainstay_core::Epoch;
use mainstay_core::position::Lsn;
use mainstay_stores::postgres::compare;
use mainstay_stores::postgres::fence;
use mainstay_stores::postgres::link::{self, Link};
use mainstay_stores::postgres::repair::delta;
use mainstay_stores::postgres::repair::{self, Hold, KeysWriter, Mode, Repaired, Sides, Swap};
use mainstay_stores::postgres::slot;
use std::io::BufReader;
use std::path::PathBuf;

/// East is active, west follows, and rows of west are spoilt behind the link's back.
struct Ground {
    east: Site,
    west: Site,
    link: Link,
    folder: tempfile::TempDir,
}

struct Holding<'a>(&'a Link);

impl Hold for Holding<'_> {
    type Held = Standing;

    async fn hold(&mut self) -> Result<Standing, String> {
        self.0.pause(LONG).await.map(Standing).map_err(|error| error.to_string())
    }
}

impl Ground {
    async fn new() -> Self {
        let (east, west) = tokio::join!(Site::start(SCHEMA), Site::start(""));
        let more = "INSERT INTO account SELECT i, 'owner ' || i, 5 FROM generate_series(61, 63) i";
        east.run(more).await;
        let link = link::start(spec(("east", &east), ("west", &west), 1));
        streaming(&link).await;
        west.run("SET search_path = public; SET session_replication_role = replica").await;
        Self { east, west, link, folder: tempfile::tempdir().unwrap() }
    }

    fn sides(&self) -> Sides {
        Sides {
            source: self.east.endpoint.clone(),
            target: self.west.endpoint.clone(),
            link: "bank/db/east->west".to_owned(),
        }
    }

    fn keys(&self) -> PathBuf {
        self.folder.path().join("keys")
    }

    fn record(&self) -> PathBuf {
        self.folder.path().join("record")
    }

    /// Writes down the keys of the rows that differ, and answers how many do.
    async fn compare(&self) -> u64 {
        let held = Standing(self.link.pause(LONG).await.unwrap());
        let mut keys = KeysWriter::new(std::fs::File::create(self.keys()).unwrap(), None);
        let (east, west) = (&self.east.endpoint, &self.west.endpoint);
        let compared = compare::run(east, west, held, &mut keys).await.unwrap();
        keys.finish().unwrap();
        compared.tables.iter().map(|table| table.differences).sum()
    }

    async fn repair(&self, mode: Mode) -> Repaired {
        let keys = BufReader::new(std::fs::File::open(self.keys()).unwrap());
        let mut record = repair::open_record(&self.record()).unwrap();
        let hold = Holding(&self.link);
        repair::run(&self.sides(), mode, keys, &mut record, hold, |_| ()).await.unwrap()
    }

    fn swaps(&self) -> Vec<Swap> {
        let text = std::fs::read_to_string(self.record()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    async fn undo(&self) -> repair::Undone {
        let record = BufReader::new(std::fs::File::open(self.record()).unwrap());
        repair::undo(&self.sides(), record, Holding(&self.link)).await.unwrap()
    }

    fn assert_equal(&self) {
        assert_eq!(self.east.server.dump("bank"), self.west.server.dump("bank"));
    }
}

/// Only rows that the load of `way_back` does not change: at others the link stops.
const SPOILT: &str = "
    UPDATE account SET owner = 'x' WHERE id = 61;
    UPDATE account SET owner = 'owner 61' WHERE id = 62;
    UPDATE account SET owner = 'owner 62' WHERE id = 61;
    DELETE FROM account WHERE id = 63;
    INSERT INTO account VALUES (900, E'only \\\\ west\\n\\t''€', 'NaN');
    INSERT INTO pair VALUES (E'q\"\\\\\\n\\t''€', -1, NULL), ('', -2, repeat('z', 9000));
    INSERT INTO whole VALUES (100, NULL)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_differ_become_those_of_the_source_while_it_goes_on_writing() {
    let ground = Ground::new().await;
    let load = Load::on(&ground.east, 1).await;
    ground.west.run(SPOILT).await;
    assert!(ground.compare().await >= 6);

    let told = ground.repair(Mode::DryRun).await;
    assert_eq!((told.inserted, told.deleted), (1, 4), "{told:?}");
    assert_eq!(ground.swaps().len() as u64, told.swapped());
    let still = ground.west.text("SELECT count(*)::text FROM account WHERE id IN (63, 900)").await;
    assert_eq!(still, "1", "a dry run changes nothing");

    let repaired = ground.repair(Mode::Swap).await;
    assert_eq!((repaired.inserted, repaired.deleted), (1, 4), "{repaired:?}");
    assert!(repaired.refused.is_empty(), "{repaired:?}");
    load.stop().await;
    caught_up(&ground.east, &ground.link).await;
    ground.assert_equal();
    assert_eq!(ground.compare().await, 0);
}

#[tokio::test]
async fn an_undo_brings_back_what_was_there_but_for_rows_that_changed_since() {
    let ground = Ground::new().await;
    ground.west.run(SPOILT).await;
    let spoilt = ground.west.server.dump("bank");
    ground.compare().await;
    let repaired = ground.repair(Mode::Swap).await;
    ground.assert_equal();
    let undone = ground.undo().await;
    assert_eq!((undone.restored, undone.left), (repaired.swapped(), 0));
    assert_eq!(ground.west.server.dump("bank"), spoilt);
    let again = ground.undo().await;
    assert_eq!((again.restored, again.left), (0, repaired.swapped()));

    ground.compare().await;
    ground.repair(Mode::Swap).await;
    ground.east.run("UPDATE account SET balance = 7 WHERE id = 63").await;
    caught_up(&ground.east, &ground.link).await;
    let undone = ground.undo().await;
    assert_eq!((undone.restored, undone.left), (repaired.swapped() - 1, 1));
    let since = ground.west.text("SELECT balance::text FROM account WHERE id = 63").await;
    assert_eq!(since, "7");
}

#[tokio::test]
async fn a_row_that_changed_after_it_was_compared_is_left_alone() {
    let ground = Ground::new().await;
    ground.west.run("UPDATE account SET owner = 'spoilt ' || id WHERE id IN (1, 2, 3)").await;
    assert_eq!(ground.compare().await, 3);
    let changed = "UPDATE account SET balance = 5 WHERE id = 1; DELETE FROM account WHERE id = 2";
    ground.east.run(changed).await;
    let repaired = ground.repair(Mode::Swap).await;
    assert_eq!((repaired.updated, repaired.equal_by_now), (1, 2), "{repaired:?}");
    let swaps = ground.swaps();
    assert_eq!(swaps.len(), 1);
    assert_eq!(swaps[0].key_texts(), ["3"]);
    ground.assert_equal();
}

#[tokio::test]
async fn a_row_that_stands_in_the_way_of_another_is_repaired_and_recorded_too() {
    let ground = Ground::new().await;
    let swapped = "UPDATE account SET owner = 'x' WHERE id = 1;
                   UPDATE account SET owner = 'owner 1' WHERE id = 2;
                   UPDATE account SET owner = 'owner 2' WHERE id = 3";
    ground.west.run(swapped).await;
    std::fs::write(ground.keys(), "{\"table\":\"public.account\",\"key\":[\"1\"]}\n").unwrap();
    let repaired = ground.repair(Mode::Swap).await;
    assert_eq!(repaired.updated, 3, "{repaired:?}");
    assert_eq!(ground.swaps().len(), 3);
    ground.assert_equal();
    assert_eq!(ground.undo().await.restored, 3);
    let owner = ground.west.text("SELECT owner FROM account WHERE id = 3").await;
    assert_eq!(owner, "owner 2");
}

#[tokio::test]
async fn nothing_is_swapped_that_cannot_be_recorded_first() {
    let ground = Ground::new().await;
    ground.west.run(SPOILT).await;
    let spoilt = ground.west.server.dump("bank");
    ground.compare().await;
    let keys = BufReader::new(std::fs::File::open(ground.keys()).unwrap());
    let mut full = repair::open_record("/dev/full".as_ref()).unwrap();
    let hold = Holding(&ground.link);
    let failed = repair::run(&ground.sides(), Mode::Swap, keys, &mut full, hold, |_| ()).await;
    assert_eq!(failed.err().unwrap().code(), "MS-PG-153");
    assert_eq!(ground.west.server.dump("bank"), spoilt);
}

/// Does not stand still where it should.
struct Elsewhere;

impl compare::Held for Elsewhere {
    async fn advance_to(&mut self, _: Lsn) -> Result<(), String> {
        Err("the link stopped".to_owned())
    }
}

impl Hold for Elsewhere {
    type Held = Elsewhere;

    async fn hold(&mut self) -> Result<Elsewhere, String> {
        Ok(Elsewhere)
    }
}

/// As by a failover: it stood where it should, and then was let go.
struct LetGo(Standing);

impl compare::Held for LetGo {
    async fn advance_to(&mut self, at: Lsn) -> Result<(), String> {
        self.0.advance_to(at).await
    }

    fn still_stands(&self) -> bool {
        false
    }
}

struct LettingGo<'a>(&'a Link);

impl Hold for LettingGo<'_> {
    type Held = LetGo;

    async fn hold(&mut self) -> Result<LetGo, String> {
        Ok(LetGo(Holding(self.0).hold().await?))
    }
}

#[tokio::test]
async fn nothing_is_swapped_or_brought_back_at_a_site_that_was_let_go_or_opened_meanwhile() {
    let ground = Ground::new().await;
    ground.west.run(SPOILT).await;
    ground.compare().await;
    let keys = || BufReader::new(std::fs::File::open(ground.keys()).unwrap());
    let sides = ground.sides();
    let spoilt = ground.west.server.dump("bank");
    let mut record = repair::open_record(&ground.record()).unwrap();
    let let_go = LettingGo(&ground.link);
    let failed = repair::run(&sides, Mode::Swap, keys(), &mut record, let_go, |_| ()).await;
    assert_eq!(failed.err().unwrap().code(), "MS-PG-152");
    assert_eq!(ground.west.server.dump("bank"), spoilt);

    ground.repair(Mode::Swap).await;
    ground.assert_equal();
    fence::open(&ground.west.endpoint, &[], Epoch::new(7), || true).await.unwrap();
    ground.west.run(SPOILT).await;
    let spoilt = ground.west.server.dump("bank");
    let undone = repair::undo(
        &sides,
        BufReader::new(std::fs::File::open(ground.record()).unwrap()),
        Holding(&ground.link),
    )
    .await;
    assert_eq!(undone.err().unwrap().code(), "MS-PG-152");
    let mut other = repair::open_record(&ground.folder.path().join("other")).unwrap();
    let hold = Holding(&ground.link);
    let failed = repair::run(&sides, Mode::Swap, keys(), &mut other, hold, |_| ()).await;
    assert_eq!(failed.err().unwrap().code(), "MS-PG-152");
    assert_eq!(ground.west.server.dump("bank"), spoilt);
}

#[tokio::test]
async fn nothing_is_swapped_while_the_link_does_not_stand_still() {
    let ground = Ground::new().await;
    ground.west.run(SPOILT).await;
    let spoilt = ground.west.server.dump("bank");
    ground.compare().await;
    let keys = BufReader::new(std::fs::File::open(ground.keys()).unwrap());
    let mut record = repair::open_record(&ground.record()).unwrap();
    let failed =
        repair::run(&ground.sides(), Mode::Swap, keys, &mut record, Elsewhere, |_| ()).await;
    assert_eq!(failed.err().unwrap().code(), "MS-PG-152");
    assert_eq!(ground.west.server.dump("bank"), spoilt);
}

/// West was active alone and lost its link's slot; east went on. Nobody knows what lies between.
#[tokio::test]
async fn without_a_whole_history_only_the_rows_that_differ_are_touched_and_the_link_goes_on() {
    let ground = Ground::new().await;
    let (from, to) = (("east", &ground.east), ("west", &ground.west));
    let (slot, epoch) = (spec(from, to, 2).slot(), Epoch::new(2));
    ground.link.stop().await;
    ground.west.run(SPOILT).await;
    ground.west.run("UPDATE account SET balance = 1 WHERE id = 5").await;
    ground.east.run("UPDATE account SET balance = 2 WHERE id IN (5, 6)").await;
    slot::drop_slot(&ground.east.endpoint, &slot).await.unwrap();
    let untouched =
        "SELECT string_agg(xmin::text, ',' ORDER BY id) FROM account WHERE id IN (1, 9)";
    let before = ground.west.text(untouched).await;

    let sides = Sides {
        source: ground.east.endpoint.clone(),
        target: ground.west.endpoint.clone(),
        link: "bank/db/east->west".to_owned(),
    };
    let record = ground.folder.path().join("record");
    let mut writer = repair::open_record(&record).unwrap();
    let keys = ground.folder.path().join("keys");
    let found = delta::find(&sides, Some(&slot), &keys).await.unwrap();
    let told = found.salvage(&mut writer).await.unwrap();
    let delta = found.swap(epoch, &mut writer).await.unwrap();
    assert_eq!(told, delta.repaired);
    let Repaired { inserted, updated, deleted, .. } = delta.repaired;
    assert_eq!((inserted, updated, deleted), (1, 4, 4), "{delta:?}");
    assert_eq!(ground.east.server.dump("bank"), ground.west.server.dump("bank"));
    assert_eq!(ground.west.text(untouched).await, before);
    let text = std::fs::read_to_string(&record).unwrap();
    assert_eq!(text.lines().count(), 8 + 9, "what only west had, then what was done");
    assert!(text.contains("only \\\\ west"), "what only the target had is in the record: {text}");

    let link = link::start(spec(from, to, 2));
    ground.east.run("UPDATE account SET balance = 3 WHERE id = 7").await;
    caught_up(&ground.east, &link).await;
    assert_eq!(ground.east.server.dump("bank"), ground.west.server.dump("bank"));
}

#[tokio::test]
async fn rows_of_a_table_without_a_key_that_differ_leave_everything_as_it_is() {
    let ground = Ground::new().await;
    let (from, to) = (("east", &ground.east), ("west", &ground.west));
    let slot = spec(from, to, 2).slot();
    ground.link.stop().await;
    ground.west.run(SPOILT).await;
    ground.west.run("INSERT INTO loose VALUES ('only west')").await;
    let before = ground.west.server.dump("bank");
    let sides = Sides {
        source: ground.east.endpoint.clone(),
        target: ground.west.endpoint.clone(),
        link: "bank/db/east->west".to_owned(),
    };
    let refused = delta::find(&sides, Some(&slot), &ground.folder.path().join("keys")).await;
    assert_eq!(refused.err().unwrap().code(), "MS-PG-155");
    assert_eq!(ground.west.server.dump("bank"), before);
}

#[tokio::test]
async fn a_prepared_database_without_the_applications_tables_has_none() {
    let (full, empty) = tokio::join!(Site::start(SCHEMA), Site::start(""));
    let sides = |target: &Site| Sides {
        source: full.endpoint.clone(),
        target: target.endpoint.clone(),
        link: "bank/db/east->west".to_owned(),
    };
    assert!(!delta::has_tables(&sides(&empty)).await.unwrap());
    assert!(delta::has_tables(&sides(&full)).await.unwrap());
}
