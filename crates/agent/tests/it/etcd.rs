//! What etcd alone can do to a coordinator, with three real members: members killed and hung while
//! they lead, compaction, a full store, TLS, authentication, an old snapshot.

use crate::battery::{application, found, made, nothing, read, renewed};
use crate::certificates::Authority;
use mainstay_agent::coordinator::{Coordinator, CoordinatorError, Etcd, Swap, Versioned, etcd};
use mainstay_core::estate::{self, EtcdEndpoint, EtcdUser};
use mainstay_core::lease::Lease;
use mainstay_core::{Finding, Secret, Severity};
use mainstay_testkit::{EtcdCluster, EtcdOptions};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};

const LEASE: Lease = Lease::new(Duration::from_secs(10));
/// An election takes about two seconds; a busy machine gets more.
const PATIENCE: Duration = Duration::from_secs(60);

fn client(of: &estate::Etcd) -> Coordinator {
    Coordinator::Etcd(Etcd::new(of).unwrap())
}

fn of(cluster: &EtcdCluster) -> Coordinator {
    client(&cluster.estate())
}

fn why(outcome: Result<Versioned, CoordinatorError>) -> String {
    outcome.expect_err("it cannot work").to_string()
}

async fn bank(from: &Coordinator) -> Result<Versioned, CoordinatorError> {
    from.read(&application("bank")).await
}

/// Renews as an agent does, from what stands; true when it was acknowledged.
async fn renew(coordinator: &Coordinator, stands: &mut Versioned) -> bool {
    let next = renewed(stands);
    match coordinator.swap(&application("bank"), stands, &next).await {
        Ok(Swap::Done { version }) => {
            *stands = Versioned { version, record: Some(next) };
            true
        }
        Ok(Swap::Conflict { current }) => {
            *stands = current;
            false
        }
        Err(_) => false,
    }
}

/// Renews until three renewals that were asked for after `loss` are acknowledged. The longest time
/// between two acknowledged ones, each counted from when it was asked for, as the lease does.
async fn longest_gap(
    coordinator: &Coordinator,
    stands: &mut Versioned,
    lose: impl FnOnce(),
) -> Duration {
    let mut last = Instant::now();
    assert!(renew(coordinator, stands).await, "all is well before");
    lose();
    let (loss, mut longest, mut acknowledged) = (Instant::now(), Duration::ZERO, 0);
    while acknowledged < 3 {
        let sent = Instant::now();
        assert!(loss.elapsed() < PATIENCE, "no renewal for {PATIENCE:?}");
        if renew(coordinator, stands).await {
            longest = longest.max(sent - last);
            (last, acknowledged) = (sent, acknowledged + 1);
        }
        let next = sent + LEASE.renew_every() / 4;
        // Time itself is the subject: the pace of an agent whose renewal is overdue.
        tokio::time::sleep_until(next.into()).await;
    }
    longest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renewals_go_on_when_the_leader_is_killed_or_hangs_whichever_member_it_is() {
    let mut cluster = EtcdCluster::start(EtcdOptions::default());
    let coordinator = of(&cluster);
    let mut stands = found(&coordinator, "bank").await;
    for member in 0..3 {
        cluster.make_leader(member);
        let gap = longest_gap(&coordinator, &mut stands, || cluster.kill9(member)).await;
        println!("member {member} killed while it led: longest gap {gap:?}");
        cluster.start_again(member);

        cluster.make_leader(member);
        let gap = longest_gap(&coordinator, &mut stands, || cluster.pause(member)).await;
        println!("member {member} hung while it led: longest gap {gap:?}");
        cluster.resume(member);
        cluster.leader();
    }
    assert_eq!(read(&of(&cluster), "bank").await, stands, "another agent sees the same");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hung_follower_costs_one_question_and_no_more() {
    let cluster = EtcdCluster::start(EtcdOptions::default());
    let coordinator = of(&cluster);
    let mut stands = found(&coordinator, "bank").await;
    cluster.make_leader(1);
    // The first that is asked.
    cluster.pause(0);
    assert!(renew(&coordinator, &mut stands).await, "another member is asked within the same call");
    let began = Instant::now();
    assert!(renew(&coordinator, &mut stands).await);
    println!("the next renewal took {:?}", began.elapsed());
    cluster.resume(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_majority_it_is_silent_and_what_stood_stands_when_it_is_back() {
    let mut cluster = EtcdCluster::start(EtcdOptions::default());
    let coordinator = of(&cluster);
    let stands = found(&coordinator, "bank").await;
    cluster.kill9(0);
    cluster.kill9(1);
    let told = why(bank(&coordinator).await);
    assert!(told.starts_with("MS-COORD-001"), "{told}");
    cluster.kill9(2);
    let told = why(bank(&coordinator).await);
    assert_eq!(told.matches("http://127.0.0.1").count(), 3, "each member is named: {told}");
    let swap = coordinator.swap(&application("bank"), &stands, &renewed(&stands)).await;
    assert!(matches!(swap, Err(CoordinatorError::Silent(_))), "{swap:?}");
    cluster.start_all();
    assert_eq!(read(&coordinator, "bank").await, stands);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compaction_and_defragmentation_change_nothing() {
    let cluster = EtcdCluster::start(EtcdOptions::default());
    let coordinator = of(&cluster);
    let mut stands = found(&coordinator, "bank").await;
    for _ in 0..20 {
        assert!(renew(&coordinator, &mut stands).await);
    }
    cluster.ctl(&["compact", &stands.version.to_string(), "--physical"]);
    cluster.ctl(&["defrag"]);
    assert_eq!(read(&coordinator, "bank").await, stands);
    made(&coordinator, "bank", &stands, renewed(&stands)).await;
}

/// etcd's manual, "Space quota".
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_store_refuses_in_words_and_works_again_after_it_is_disarmed() {
    let arguments = vec!["--quota-backend-bytes=2097152".to_owned()];
    let cluster = EtcdCluster::start(EtcdOptions { arguments, ..EtcdOptions::default() });
    let coordinator = of(&cluster);
    let stands = found(&coordinator, "bank").await;
    let filler = "x".repeat(100_000);
    while cluster.ctl_at(0, &["put", "filler", &filler]).output().unwrap().status.success() {}

    let swap = coordinator.swap(&application("bank"), &stands, &renewed(&stands)).await;
    let Err(CoordinatorError::Unusable(told)) = swap else { panic!("{swap:?}") };
    assert!(told.contains("database space exceeded") && told.contains("etcdctl defrag"), "{told}");
    assert_eq!(read(&coordinator, "bank").await, stands, "it can still be read");
    let seen = inspect(&cluster.estate()).await;
    assert!(
        seen.iter().any(|it| it.code == "MS-COORD-004" && it.what.contains("NOSPACE")),
        "{seen:?}"
    );

    let status = cluster.ctl(&["get", "filler", "--write-out=fields"]);
    let revision = status.lines().find_map(|line| line.strip_prefix("\"Revision\" : ")).unwrap();
    cluster.ctl(&["compact", revision, "--physical"]);
    cluster.ctl(&["defrag"]);
    cluster.ctl(&["alarm", "disarm"]);
    made(&coordinator, "bank", &stands, renewed(&stands)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_and_agents_show_each_other_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let server = authority.issue("127.0.0.1", folder.path());
    let tls = [server.certificate, server.key, server.authority];
    let options = EtcdOptions { tls: Some(tls), ..EtcdOptions::default() };
    let cluster = EtcdCluster::start(options);
    let with = |files: &estate::TlsFiles| estate::Etcd {
        authority: Some(files.authority.clone()),
        identity: Some((files.certificate.clone(), files.key.clone())),
        ..cluster.estate()
    };
    let good = with(&authority.issue("east", folder.path()));
    found(&client(&good), "bank").await;

    let none = estate::Etcd { identity: None, ..good.clone() };
    assert!(why(bank(&client(&none)).await).starts_with("MS-COORD-001"));
    let expired = with(&authority.issue_until("east", folder.path(), 2020));
    assert!(why(bank(&client(&expired)).await).starts_with("MS-COORD-001"));
    let others = Authority::new().issue("stranger", folder.path());
    let stranger = estate::Etcd { authority: good.authority.clone(), ..with(&others) };
    assert!(why(bank(&client(&stranger)).await).starts_with("MS-COORD-001"));
    // Members that another authority signed: they are not believed.
    let wrong = estate::Etcd { authority: Some(others.authority), ..good.clone() };
    let told = why(bank(&client(&wrong)).await);
    assert!(told.contains("invalid peer certificate"), "{told}");
    assert!(errors(&inspect(&wrong).await).iter().all(|it| it.code == "MS-COORD-005"));
    assert_eq!(errors(&inspect(&good).await), Vec::<&Finding>::new());
}

fn as_user(of: &estate::Etcd, name: &str, password: &str) -> estate::Etcd {
    let user = EtcdUser { name: name.to_owned(), password: Some(Secret::new(password)) };
    estate::Etcd { user: Some(user), ..of.clone() }
}

/// A role with the prefix for `mainstay`, and a user `other` without; then authentication is on.
fn enable_authentication(cluster: &EtcdCluster) {
    for arguments in [
        ["user", "add", "root:the password of root"].as_slice(),
        &["user", "grant-role", "root", "root"],
        &["role", "add", "mainstay"],
        &["role", "grant-permission", "mainstay", "readwrite", "--prefix=true", "mainstay/"],
        &["user", "add", "mainstay:a password of tests"],
        &["user", "grant-role", "mainstay", "mainstay"],
        &["user", "add", "other:a password of tests"],
        &["auth", "enable"],
    ] {
        cluster.ctl(arguments);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_user_with_the_prefix_reads_and_changes_and_its_token_is_renewed() {
    let arguments = vec!["--auth-token-ttl=2".to_owned(), "--bcrypt-cost=4".to_owned()];
    let mut cluster = EtcdCluster::start(EtcdOptions { arguments, ..EtcdOptions::default() });
    // Configured before authentication is enabled: it is not asked for, and not an error.
    let good = as_user(&cluster.estate(), "mainstay", "a password of tests");
    let coordinator = client(&good);
    let mut stands = found(&coordinator, "bank").await;
    enable_authentication(&cluster);
    stands = made(&coordinator, "bank", &stands, renewed(&stands)).await;

    for (wrong, expected) in [
        (cluster.estate(), "user name is empty"),
        (as_user(&good, "mainstay", "not the password"), "authentication failed"),
        (as_user(&good, "other", "a password of tests"), "permission denied"),
        (estate::Etcd { prefix: "elsewhere".to_owned(), ..good.clone() }, "permission denied"),
    ] {
        let told = why(bank(&client(&wrong)).await);
        assert!(told.starts_with("MS-COORD-004") && told.contains(expected), "{told}");
        assert!(
            !told.contains("password of tests") && !told.contains("not the password"),
            "{told}"
        );
        let seen = inspect(&wrong).await;
        assert!(seen.iter().any(|it| it.code == "MS-COORD-004"), "{seen:?}");
    }
    assert_eq!(errors(&inspect(&good).await), Vec::<&Finding>::new());

    // Time itself is the subject: an idle token ends after two seconds.
    tokio::time::sleep(Duration::from_secs(5)).await;
    stands = made(&coordinator, "bank", &stands, renewed(&stands)).await;
    // Tokens do not outlive the members.
    cluster.kill_all();
    cluster.start_all();
    assert_eq!(read(&coordinator, "bank").await, stands);
}

/// Without a comparison of the record itself, the claim below would succeed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restore_a_revision_that_comes_again_is_not_taken_for_the_one_before() {
    let mut cluster = EtcdCluster::start(EtcdOptions::default());
    let first = found(&of(&cluster), "bank").await;
    let snapshot = cluster.path().join("snapshot.db");
    let saved = cluster.ctl_at(0, &["snapshot", "save"]).arg(&snapshot).output().unwrap();
    assert!(saved.status.success(), "{saved:?}");
    let lost = made(&of(&cluster), "bank", &first, renewed(&first)).await;
    let lost = made(&of(&cluster), "bank", &lost, renewed(&lost)).await;
    let before = of(&cluster);
    assert_eq!(read(&before, "bank").await, lost);
    cluster.restore(&snapshot);

    let told = why(bank(&before).await);
    assert!(told.contains("restart this agent"), "an agent from before is told: {told}");
    let coordinator = of(&cluster);
    assert_eq!(read(&coordinator, "bank").await, first, "the snapshot's state");
    // East renews in the restored cluster, until the old revision is given anew.
    let mut stands = first.clone();
    while stands.version < lost.version {
        let next = stands.record.as_ref().unwrap().handed_over(None);
        stands = made(&coordinator, "bank", &stands, next).await;
    }
    assert_eq!(stands.version, lost.version);
    let other = Versioned { record: Some(renewed(&lost)), ..lost };
    let stale = coordinator.swap(&application("bank"), &other, &renewed(&other)).await.unwrap();
    assert_eq!(stale, Swap::Conflict { current: stands });
}

/// Passes everything on to a member, and nothing of what it answers. Returns where it listens.
async fn one_way_to(member: &EtcdEndpoint) -> EtcdEndpoint {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let to = (member.host.clone(), member.port);
    tokio::spawn(async move {
        loop {
            let (mut asker, _) = listener.accept().await.unwrap();
            let mut member = TcpStream::connect(&to).await.unwrap();
            tokio::spawn(async move { tokio::io::copy(&mut asker, &mut member).await });
        }
    });
    EtcdEndpoint { encrypted: false, host: "127.0.0.1".to_owned(), port }
}

/// The member that is asked next finds the change made, and it would be wrong to say that another
/// one came first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_made_by_a_member_that_was_not_heard_is_unknown_and_no_conflict() {
    let cluster = EtcdCluster::start(EtcdOptions::default());
    let stands = found(&of(&cluster), "bank").await;
    let members = cluster.estate().endpoints;
    let endpoints = vec![one_way_to(&members[0]).await, members[1].clone()];
    let coordinator = client(&estate::Etcd { endpoints, ..cluster.estate() });
    let next = renewed(&stands);
    let told = coordinator.swap(&application("bank"), &stands, &next).await;
    assert!(matches!(told, Err(CoordinatorError::Silent(_))), "{told:?}");
    assert_eq!(read(&of(&cluster), "bank").await.record, Some(next));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_of_another_cluster_is_not_believed() {
    let mut ours = EtcdCluster::start(EtcdOptions::default());
    let theirs = EtcdCluster::start(EtcdOptions::default());
    let mixed = [ours.estate().endpoints[0].clone(), theirs.estate().endpoints[0].clone()];
    let mixed = estate::Etcd { endpoints: mixed.into(), ..ours.estate() };
    let coordinator = client(&mixed);
    found(&coordinator, "bank").await;
    let seen = inspect(&mixed).await;
    assert!(seen.iter().any(|it| it.what.contains("belongs to the cluster")), "{seen:?}");
    ours.kill9(0);
    let told = why(bank(&coordinator).await);
    assert!(told.contains("belongs to the cluster"), "{told}");
    assert_eq!(read(&of(&theirs), "bank").await, nothing());
}

/// A person can see the record with etcd's own tool, and an agent of another version may write it
/// with other blanks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_in_other_bytes_is_the_same_record_and_anything_else_is_none() {
    let cluster = EtcdCluster::start(EtcdOptions::default());
    let coordinator = of(&cluster);
    found(&coordinator, "bank").await;
    let text = cluster.ctl(&["get", "mainstay/bank", "--print-value-only"]);
    cluster.ctl(&["put", "mainstay/bank", &text.replace(':', " : ")]);
    let stands = read(&coordinator, "bank").await;
    made(&coordinator, "bank", &stands, renewed(&stands)).await;
    cluster.ctl(&["put", "mainstay/bank", "something else"]);
    let told = why(bank(&coordinator).await);
    assert!(told.starts_with("MS-COORD-004") && told.contains("mainstay/bank"), "{told}");
}

async fn inspect(of: &estate::Etcd) -> Vec<Finding> {
    etcd::inspect(of).await.unwrap()
}

fn errors(seen: &[Finding]) -> Vec<&Finding> {
    seen.iter().filter(|finding| finding.severity == Severity::Error).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_tells_a_lost_member_from_a_lost_majority_and_names_members_left_out() {
    let mut cluster = EtcdCluster::start(EtcdOptions::default());
    let all = cluster.estate();
    assert_eq!(errors(&inspect(&all).await), Vec::<&Finding>::new());
    let one = estate::Etcd { endpoints: all.endpoints[..1].into(), ..all.clone() };
    assert!(inspect(&one).await.iter().any(|it| it.code == "MS-COORD-007"));
    cluster.kill9(1);
    cluster.leader();
    let seen = inspect(&all).await;
    assert!(seen.iter().any(|it| it.code == "MS-COORD-005"), "{seen:?}");
    assert_eq!(errors(&seen), Vec::<&Finding>::new(), "two of three are enough");
    cluster.kill9(2);
    assert!(errors(&inspect(&all).await).iter().any(|it| it.code == "MS-COORD-005"));
}
