use crate::serving::{ACCOUNTS, Bank, database};
use mainstay_lab::clients::log::{Line, Tail};
use mainstay_lab::clients::{ClientsConfig, Gateway, run};
use mainstay_testkit::wait_for;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

fn config(folder: &Path, gateways: &[&Bank]) -> ClientsConfig {
    let gateway = |(number, bank): (usize, &&Bank)| Gateway {
        name: format!("bank-{number}"),
        address: bank.address,
    };
    ClientsConfig {
        folder: folder.to_owned(),
        gateways: gateways.iter().enumerate().map(gateway).collect(),
        accounts: ACCOUNTS,
        rate: 400.0,
        workers: 6,
        seed: 11,
        grace: Duration::from_secs(20),
    }
}

fn acknowledged(folder: &Path) -> BTreeSet<Uuid> {
    let mut lines = Vec::new();
    Tail::new(folder.to_owned()).read_new(&mut lines).expect("the logs can be read");
    let id = |line: Line| if let Line::Acknowledged { id, .. } = line { Some(id) } else { None };
    lines.into_iter().filter_map(id).collect()
}

async fn until_acknowledged(folder: &Path, count: usize) {
    wait_for("more acknowledged transfers", Duration::from_secs(60), async || {
        acknowledged(folder).len() >= count
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_banks_and_their_database_are_killed() {
    let mut postgres = database().await;
    let one = Bank::open(&postgres, "127.0.0.1:0").await;
    let two = Bank::open(&postgres, "127.0.0.1:0").await;
    let folder = tempfile::tempdir().unwrap();
    let stop = CancellationToken::new();
    let clients = tokio::spawn(run(config(folder.path(), &[&one, &two]), stop.clone()));

    until_acknowledged(folder.path(), 100).await;
    drop(one);
    until_acknowledged(folder.path(), 300).await;
    postgres.kill9();
    let before = acknowledged(folder.path()).len();
    postgres.restart();
    until_acknowledged(folder.path(), before + 200).await;
    stop.cancel();
    clients.await.unwrap().unwrap();

    let rows = postgres.client("bank").await.query("SELECT id FROM transfers", &[]).await.unwrap();
    let present: BTreeSet<Uuid> = rows.iter().map(|row| row.get(0)).collect();
    let acknowledged = acknowledged(folder.path());
    assert_eq!(acknowledged.difference(&present).count(), 0);
    assert_eq!(
        present.difference(&acknowledged).count(),
        0,
        "every transfer was asked for until it was acknowledged"
    );
}

/// Foreign keys lock accounts too; in the wrong order, transfers would wait for each other in a
/// circle until the database ends one of them after a second.
#[tokio::test(flavor = "multi_thread")]
async fn transfers_between_few_accounts_never_end_in_a_deadlock() {
    let postgres = database().await;
    let bank = Bank::open(&postgres, "127.0.0.1:0").await;
    let folder = tempfile::tempdir().unwrap();
    let stop = CancellationToken::new();
    let config = ClientsConfig { accounts: 3, ..config(folder.path(), &[&bank]) };
    let clients = tokio::spawn(run(config, stop.clone()));
    until_acknowledged(folder.path(), 500).await;
    stop.cancel();
    clients.await.unwrap().unwrap();
    assert!(!postgres.log().contains("deadlock"), "{}", postgres.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_transfer_is_logged_before_it_is_sent_and_ends_with_one_line() {
    let postgres = database().await;
    let bank = Bank::open(&postgres, "127.0.0.1:0").await;
    let folder = tempfile::tempdir().unwrap();
    let stop = CancellationToken::new();
    let clients = tokio::spawn(run(config(folder.path(), &[&bank]), stop.clone()));
    until_acknowledged(folder.path(), 50).await;
    stop.cancel();
    clients.await.unwrap().unwrap();

    let mut lines = Vec::new();
    Tail::new(folder.path().to_owned()).read_new(&mut lines).unwrap();
    let mut open = BTreeSet::new();
    for line in lines {
        match line {
            Line::Sent { id, .. } => assert!(open.insert(id), "sent twice: {id}"),
            Line::Acknowledged { id, sent, at, .. } => {
                assert!(open.remove(&id), "acknowledged but not sent: {id}");
                assert!(at.mono_us >= sent.mono_us);
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(open.is_empty(), "no end: {open:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_that_nobody_answers_is_given_up_when_the_run_is_over() {
    let postgres = database().await;
    let bank = Bank::open(&postgres, "127.0.0.1:0").await;
    let nobody = config(Path::new("/"), &[&bank]).gateways;
    drop(bank);
    let folder = tempfile::tempdir().unwrap();
    let grace = Duration::from_millis(200);
    let config = ClientsConfig { gateways: nobody, grace, ..config(folder.path(), &[]) };
    let stop = CancellationToken::new();
    let clients = tokio::spawn(run(config, stop.clone()));
    let retried = async || {
        let mut lines = Vec::new();
        Tail::new(folder.path().to_owned()).read_new(&mut lines).unwrap();
        lines.iter().any(|line| matches!(line, Line::Retried { .. }))
    };
    wait_for("a second attempt", Duration::from_secs(60), retried).await;
    stop.cancel();
    clients.await.unwrap().unwrap();
    let mut lines = Vec::new();
    Tail::new(folder.path().to_owned()).read_new(&mut lines).unwrap();
    let count = |is: fn(&Line) -> bool| lines.iter().filter(|line| is(line)).count();
    assert!(count(|line| matches!(line, Line::GivenUp { .. })) > 0);
    assert_eq!(
        count(|line| matches!(line, Line::GivenUp { .. })),
        count(|line| matches!(line, Line::Sent { .. }))
    );
}
