//! What every coordinator keeps, whichever kind it is: each case on each kind. The oracle is what
//! another client reads.

mod kinds;

use kinds::{Here, Kind, Members, There};
use mainstay_agent::coordinator::{Coordinator, CoordinatorError, LARGEST_RECORD, Swap, Versioned};
use mainstay_core::record::{Cause, Handover};
use mainstay_core::{ApplicationName, Pause, Record, SiteName};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const TRIES: u32 = 30;

macro_rules! battery {
    ($($case:ident),+) => {$(
        mod $case {
            use super::*;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn embedded() {
                super::case::$case(Here::start()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn embedded_at_another_site() {
                super::case::$case(There::start().await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn etcd() {
                super::case::$case(Members::start()).await;
            }
        }
    )+};
}

battery!(
    of_claims_at_once_exactly_one_wins,
    no_change_is_lost_among_many,
    a_stale_change_and_one_that_breaks_a_rule_are_not_made,
    another_record_of_the_same_version_is_not_replaced,
    what_was_acknowledged_survives_a_crash,
    a_change_whose_answer_is_lost_is_made_once_or_not_at_all,
    a_pause_by_another_site_survives_a_crash_and_a_renewal,
    applications_do_not_touch_each_other,
    a_record_that_is_too_large_is_refused_and_the_old_one_stands
);

pub fn application(name: &str) -> ApplicationName {
    ApplicationName::new(name).unwrap()
}

pub fn site(name: &str) -> SiteName {
    SiteName::new(name).unwrap()
}

pub fn nothing() -> Versioned {
    Versioned { version: 0, record: None }
}

/// A busy disk may take longer than an agent waits for it; what is only read is asked for again.
pub async fn read(from: &Coordinator, name: &str) -> Versioned {
    for _ in 0..TRIES {
        match from.read(&application(name)).await {
            Err(CoordinatorError::Silent(_)) => {}
            answer => return answer.unwrap(),
        }
    }
    panic!("the coordinator was silent {TRIES} times");
}

/// The change is made, and this is what stands then.
pub async fn made(by: &Coordinator, name: &str, expected: &Versioned, next: Record) -> Versioned {
    match by.swap(&application(name), expected, &next).await.unwrap() {
        Swap::Done { version } => Versioned { version, record: Some(next) },
        Swap::Conflict { current } => panic!("not made; what stands is {current:?}"),
    }
}

pub async fn found(by: &Coordinator, name: &str) -> Versioned {
    made(by, name, &nothing(), Record::first(site("east"))).await
}

pub fn renewed(from: &Versioned) -> Record {
    from.record.as_ref().unwrap().renewed(BTreeMap::new())
}

mod case {
    use super::*;

    pub async fn of_claims_at_once_exactly_one_wins(kind: impl Kind) {
        let mut stands = found(&kind.client("east"), "bank").await;
        for _ in 0..10 {
            let record = stands.record.clone().unwrap();
            let claims = ["west", "north"].map(|name| {
                let (client, expected) = (kind.client(name), stands.clone());
                let next = record.claimed_by(&site(name), Cause::Automatic);
                tokio::spawn(async move {
                    let outcome = client.swap(&application("bank"), &expected, &next).await;
                    (outcome.unwrap(), next)
                })
            });
            let mut won = Vec::new();
            for claim in claims {
                if let (Swap::Done { version }, next) = claim.await.unwrap() {
                    won.push(Versioned { version, record: Some(next) });
                }
            }
            assert_eq!(won.len(), 1, "{won:?}");
            stands = read(&kind.client("east"), "bank").await;
            assert_eq!(won, [stands.clone()], "what stands is what won");
        }
    }

    /// Each of the tasks raises the renewal as often as the others; each rise counts. Of a change
    /// that was not answered in time, which a busy machine may bring about, nobody knows whether
    /// it counts.
    pub async fn no_change_is_lost_among_many(kind: impl Kind) {
        const TASKS: u64 = 4;
        const EACH: u64 = 10;
        let client = Arc::new(kind.client("east"));
        found(&client, "bank").await;
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let client = client.clone();
                tokio::spawn(async move {
                    let (mut done, mut unknown) = (0, 0);
                    while done < EACH {
                        let expected = read(&client, "bank").await;
                        let next = renewed(&expected);
                        match client.swap(&application("bank"), &expected, &next).await {
                            Ok(Swap::Done { .. }) => done += 1,
                            Ok(Swap::Conflict { .. }) => {}
                            Err(CoordinatorError::Silent(_)) => unknown += 1,
                            Err(other) => panic!("{other}"),
                        }
                    }
                    unknown
                })
            })
            .collect();
        let mut unknown = 0;
        for task in tasks {
            unknown += task.await.unwrap();
        }
        let stands = read(&kind.client("west"), "bank").await.record.unwrap().renewal;
        let (least, most) = (TASKS * EACH, TASKS * EACH + unknown);
        assert!((least..=most).contains(&stands), "{stands}, of {least} to {most}");
    }

    pub async fn a_stale_change_and_one_that_breaks_a_rule_are_not_made(kind: impl Kind) {
        let east = kind.client("east");
        let first = found(&east, "bank").await;
        let second = made(&east, "bank", &first, renewed(&first)).await;
        assert!(second.version > first.version);

        let stale = east.swap(&application("bank"), &first, &renewed(&first)).await.unwrap();
        assert_eq!(stale, Swap::Conflict { current: second.clone() });
        let again = east
            .swap(&application("bank"), &nothing(), &Record::first(site("east")))
            .await
            .unwrap();
        assert_eq!(again, Swap::Conflict { current: second.clone() });

        let back = first.record.clone().unwrap();
        let back = east.swap(&application("bank"), &second, &back).await;
        assert!(matches!(back, Err(CoordinatorError::Refused(_))), "{back:?}");
        let claimed = second.record.clone().unwrap().claimed_by(&site("west"), Cause::Ordered);
        let skips = claimed.claimed_by(&site("west"), Cause::Ordered);
        let skips = kind.client("west").swap(&application("bank"), &second, &skips).await;
        assert!(matches!(skips, Err(CoordinatorError::Refused(_))), "{skips:?}");
        assert_eq!(read(&kind.client("west"), "bank").await, second);
    }

    /// As after a restore from an older copy, when versions are given anew.
    pub async fn another_record_of_the_same_version_is_not_replaced(kind: impl Kind) {
        let east = kind.client("east");
        let first = found(&east, "bank").await;
        let handed_over = first.record.clone().unwrap().handed_over(Some(Handover {
            execution: "one that was lost".to_owned(),
            to: site("west"),
            positions: BTreeMap::new(),
        }));
        let other = Versioned { version: first.version, record: Some(handed_over.clone()) };
        let claim = handed_over.claimed_by(&site("west"), Cause::Switchover);
        let claimed = kind.client("west").swap(&application("bank"), &other, &claim).await;
        assert_eq!(claimed.unwrap(), Swap::Conflict { current: first });
    }

    pub async fn what_was_acknowledged_survives_a_crash(mut kind: impl Kind) {
        let mut stands = found(&kind.client("east"), "bank").await;
        for _ in 0..3 {
            stands = made(&kind.client("east"), "bank", &stands, renewed(&stands)).await;
            kind.crash().await;
            let east = kind.client("east");
            assert_eq!(read(&east, "bank").await, stands);
        }
    }

    pub async fn a_change_whose_answer_is_lost_is_made_once_or_not_at_all(kind: impl Kind) {
        let east = Arc::new(kind.client("east"));
        let mut stands = found(&east, "bank").await;
        let (mut was_made, mut was_not) = (0, 0);
        for turn in 0..40 {
            let next = renewed(&stands);
            let (client, expected, asked) = (east.clone(), stands.clone(), next.clone());
            let call = tokio::spawn(async move {
                client.swap(&application("bank"), &expected, &asked).await.map(drop)
            });
            // Time itself is the subject: the asker is gone at some moment of its question.
            tokio::time::sleep(Duration::from_micros(turn * 100)).await;
            call.abort();
            drop(call.await);
            // What is still on its way is settled by the next change, whichever comes first.
            let mut unknown = 0;
            let settled = loop {
                let seen = read(&east, "bank").await;
                match east.swap(&application("bank"), &seen, &renewed(&seen)).await {
                    Ok(Swap::Done { version }) => {
                        break Versioned { version, record: Some(renewed(&seen)) };
                    }
                    Ok(Swap::Conflict { current }) => break current,
                    // A busy disk: whether this one was made is unknown, too.
                    Err(CoordinatorError::Silent(_)) if unknown < 20 => unknown += 1,
                    Err(why) => panic!("{why}"),
                }
            };
            let rise = settled.record.clone().unwrap().renewal - next.renewal;
            assert!(rise <= 1 + unknown, "a change was made twice: {settled:?} after {next:?}");
            if rise >= 1 {
                was_made += 1
            } else {
                was_not += 1
            }
            stands = settled;
            assert_eq!(read(&east, "bank").await, stands);
        }
        println!("of 40 changes whose asker was gone {was_made} were made, {was_not} were not");
    }

    pub async fn a_pause_by_another_site_survives_a_crash_and_a_renewal(mut kind: impl Kind) {
        let first = found(&kind.client("east"), "bank").await;
        let pause = Pause {
            by: "alice".to_owned(),
            site: site("west"),
            reason: "new disks".to_owned(),
            since_micros: 7,
            left: Duration::from_millis(59_100),
        };
        let paused = first.record.clone().unwrap().with_pause(Some(pause));
        let stands = made(&kind.client("west"), "bank", &first, paused).await;
        kind.crash().await;
        let east = kind.client("east");
        assert_eq!(read(&east, "bank").await, stands);
        let renewed = made(&east, "bank", &stands, renewed(&stands)).await.record.unwrap();
        assert_eq!(renewed.pause, stands.record.unwrap().pause);
    }

    pub async fn applications_do_not_touch_each_other(kind: impl Kind) {
        let east = kind.client("east");
        let names: Vec<String> = (0..20).map(|number| format!("bank{number}")).collect();
        let mut stands = BTreeMap::new();
        for name in &names {
            assert_eq!(read(&east, name).await, nothing(), "{name}");
            stands.insert(name, found(&east, name).await);
        }
        // `bank1` is the beginning of ten other names.
        let changed = made(&east, "bank1", &stands[&names[1]], renewed(&stands[&names[1]])).await;
        stands.insert(&names[1], changed);
        for (name, expected) in stands {
            assert_eq!(read(&kind.client("west"), name).await, expected, "{name}");
        }
    }

    pub async fn a_record_that_is_too_large_is_refused_and_the_old_one_stands(kind: impl Kind) {
        let east = kind.client("east");
        let first = found(&east, "bank").await;
        let with = |bytes: usize| {
            let handover = Handover {
                execution: "x".repeat(bytes),
                to: site("west"),
                positions: BTreeMap::new(),
            };
            first.record.clone().unwrap().handed_over(Some(handover))
        };
        let refused = east.swap(&application("bank"), &first, &with(LARGEST_RECORD)).await;
        assert!(matches!(refused, Err(CoordinatorError::Refused(_))), "{refused:?}");
        assert_eq!(read(&east, "bank").await, first);
        let large = made(&east, "bank", &first, with(LARGEST_RECORD / 2)).await;
        assert_eq!(read(&east, "bank").await, large);
    }
}
