//! A ledger that was tampered with is found out offline. The tampering goes through SQLite itself,
//! not through the ledger's code.

use mainstay_agent::ledger::{Ledger, LedgerError, entries, verify};
use mainstay_core::SiteName;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

async fn ledger_of(entries: u32) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.db");
    let east = SiteName::new("east").expect("a name");
    let ledger = Ledger::open(&path, east).expect("a new ledger");
    for number in 0..entries {
        let body = serde_json::json!({"number": number});
        ledger.append("step-done", "bank", &body).await.expect("an entry");
    }
    (folder, path)
}

fn tamper(path: &Path, sql: &str) {
    let connection = rusqlite::Connection::open(path).expect("the file opens");
    connection.execute_batch(sql).expect("the tampering works");
}

fn broken_at(path: &Path) -> u64 {
    match verify(path) {
        Err(LedgerError::Broken { number, .. }) => number,
        other => panic!("not found out: {other:?}"),
    }
}

#[tokio::test]
async fn a_sound_ledger_verifies_and_goes_on_over_a_restart() {
    let (_folder, path) = ledger_of(20).await;
    let before = verify(&path).unwrap();
    assert_eq!(before.entries, 20);
    let ledger = Ledger::open(&path, SiteName::new("east").unwrap()).unwrap();
    assert_eq!(ledger.head(), (20, before.head));
    ledger.append("note", "", &"after the restart").await.unwrap();
    assert_eq!(verify(&path).unwrap().entries, 21);
    let last = entries(&path, Some("note"), 10).unwrap();
    assert_eq!(last.len(), 1);
}

#[tokio::test]
async fn one_changed_letter_is_found_with_its_entry() {
    let (_folder, path) = ledger_of(20).await;
    tamper(&path, "UPDATE entry SET body = replace(body, '7', '8') WHERE number = 8");
    assert_eq!(broken_at(&path), 8);
}

#[tokio::test]
async fn a_removed_entry_is_found() {
    let (_folder, path) = ledger_of(20).await;
    tamper(&path, "DELETE FROM entry WHERE number = 11");
    assert_eq!(broken_at(&path), 12);
}

#[tokio::test]
async fn two_entries_changed_for_each_other_are_found() {
    let (_folder, path) = ledger_of(20).await;
    tamper(
        &path,
        "UPDATE entry SET number = -1 WHERE number = 5;
         UPDATE entry SET number = 5 WHERE number = 6;
         UPDATE entry SET number = 6 WHERE number = -1;",
    );
    assert_eq!(broken_at(&path), 5);
}

#[tokio::test]
async fn a_ledger_whose_end_is_cut_off_no_longer_holds_the_head_that_others_know() {
    let (_folder, path) = ledger_of(20).await;
    let known = verify(&path).unwrap().head;
    tamper(&path, "DELETE FROM entry WHERE number > 15");
    let cut = verify(&path).unwrap();
    assert_ne!(cut.head, known);
    let found = entries(&path, None, 100).unwrap().iter().any(|entry| entry.hash == known);
    assert!(!found);
}

#[test]
fn a_file_that_is_no_ledger_is_said_to_be_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    std::fs::write(&path, "not a database").unwrap();
    assert!(matches!(verify(&path), Err(LedgerError::Unreadable { .. })));
    let missing = folder.path().join("missing.db");
    assert!(matches!(verify(&missing), Err(LedgerError::Unreadable { .. })));
}
