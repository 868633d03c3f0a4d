use super::*;
use mainstay_core::{AlertSeverity, SiteName};
use std::collections::BTreeSet;

/// A notifier's desk, a clock, and a person who writes down what is delivered.
struct Desks {
    desk: Desk,
    now: u64,
    heard: Vec<(Status, u32)>,
    works: bool,
    around: Around,
}

fn spec(every: Option<u64>) -> Notifier {
    Notifier {
        kind: mainstay_core::notifier::NotifierKind::Command { run: vec!["/bin/true".to_owned()] },
        applications: BTreeSet::new(),
        least: AlertSeverity::Warning,
        every: every.map(Duration::from_secs),
    }
}

fn alert(kind: &str, severity: AlertSeverity) -> Alert {
    Alert {
        application: ApplicationName::new("bank").unwrap(),
        kind: kind.to_owned(),
        subject: "db at west".to_owned(),
        severity,
        site: SiteName::new("west").unwrap(),
        what: "the link is behind".to_owned(),
        advice: "look at it".to_owned(),
        loss: crate::alert::Loss::Unknown,
    }
}

fn behind() -> Alert {
    alert("link-behind", AlertSeverity::Warning)
}

fn named(name: &str) -> NotifierName {
    NotifierName::new(name).unwrap()
}

impl Desks {
    fn new(every: Option<u64>) -> Self {
        let desk = Desk::new(named("hook"), spec(every), None, Tick::default());
        Self { desk, now: 0, heard: Vec::new(), works: true, around: Around::default() }
    }

    fn tick(&self) -> Tick {
        Tick::from_millis(self.now)
    }

    fn micros(&self) -> i64 {
        i64::try_from(self.now).unwrap() * 1000
    }

    /// So many seconds during which this is wrong.
    fn seconds(&mut self, seconds: u64, problems: &[Alert]) {
        for _ in 0..seconds * 2 {
            self.now += 500;
            self.desk.observe(problems, &self.around, self.micros(), self.tick());
            self.send();
        }
    }

    fn send(&mut self) {
        while let Some((key, message)) = self.desk.next(self.tick()) {
            let (micros, now) = (self.micros(), self.tick());
            if !self.works {
                self.desk.failed(&key, "refused", 1.0, micros, now);
                return;
            }
            self.desk.delivered(&key, &message, micros, now);
            self.heard.push((message.status, message.count));
        }
    }

    /// Another agent process with what this one had kept.
    fn restart(&mut self) {
        self.desk.not_kept();
        let document = self.desk.take_document().expect("it changed");
        let document = serde_json::to_string(&document).unwrap();
        let document = serde_json::from_str(&document).unwrap();
        self.now += 60_000;
        let spec = self.desk.spec().clone();
        self.desk = Desk::new(named("hook"), spec, Some(document), self.tick());
    }

    fn statuses(&self) -> Vec<Status> {
        self.heard.iter().map(|(status, _)| *status).collect()
    }
}

use Status::{Begun, Ended, Happened, Lasts};

#[test]
fn a_problem_is_told_when_it_begins_while_it_lasts_and_when_it_ends() {
    let mut it = Desks::new(Some(60));
    it.seconds(3, &[behind()]);
    assert_eq!(it.statuses(), [Begun]);
    it.seconds(130, &[behind()]);
    assert_eq!(it.statuses(), [Begun, Lasts, Lasts]);
    it.seconds(10, &[]);
    assert_eq!(it.statuses(), [Begun, Lasts, Lasts, Ended]);
    it.seconds(1000, &[]);
    assert_eq!(it.heard.len(), 4);
    assert!(it.desk.kept.cases.is_empty(), "it is forgotten");
}

#[test]
fn what_is_over_at_once_or_not_urgent_enough_is_not_told() {
    let mut it = Desks::new(None);
    it.seconds(1, &[behind()]);
    it.seconds(400, &[alert("returning", AlertSeverity::Info)]);
    assert_eq!(it.statuses(), []);
}

#[test]
fn a_problem_that_comes_and_goes_is_told_as_one_with_a_count() {
    let mut it = Desks::new(None);
    for _ in 0..50 {
        it.seconds(4, &[behind()]);
        it.seconds(7, &[]);
    }
    assert_eq!(it.statuses(), [Begun, Ended, Begun, Ended, Begun]);
    it.seconds(290, &[]);
    assert_eq!(it.heard.len(), 5, "not yet quiet for long enough");
    it.seconds(20, &[]);
    assert_eq!(it.heard.last(), Some(&(Ended, 50)));
    it.seconds(400, &[]);
    it.seconds(4, &[behind()]);
    assert_eq!(it.heard.last(), Some(&(Begun, 1)), "counted anew after long quiet");
}

#[test]
fn short_ones_that_come_often_are_told_too() {
    let mut it = Desks::new(None);
    for _ in 0..5 {
        it.seconds(1, &[behind()]);
        it.seconds(10, &[]);
    }
    assert_eq!(it.statuses(), [Begun]);
}

#[test]
fn what_could_not_be_delivered_is_delivered_later_with_its_end() {
    let mut it = Desks::new(None);
    it.works = false;
    it.seconds(30, &[behind()]);
    let trouble = it.desk.trouble().expect("it fails");
    assert!(trouble.failures >= 4 && trouble.failures <= 8, "{trouble:?}");
    it.seconds(30, &[]);
    assert_eq!(it.desk.pending(it.tick()).len(), 1, "its end is still owed");
    it.works = true;
    it.seconds(70, &[]);
    assert_eq!(it.heard, [(Ended, 1)], "one message tells all of it");
    assert!(it.desk.trouble().is_none());
}

#[test]
fn retries_are_ever_rarer_and_never_rarer_than_a_minute() {
    let mut it = Desks::new(None);
    it.works = false;
    it.seconds(600, &[behind()]);
    let failures = it.desk.counts().failed;
    assert!((12..=20).contains(&failures), "{failures} tries in ten minutes");
}

#[test]
fn a_crash_neither_loses_what_was_owed_nor_tells_again_what_was_told() {
    let mut it = Desks::new(None);
    it.works = false;
    it.seconds(5, &[behind()]);
    it.restart();
    it.works = true;
    it.seconds(1, &[behind()]);
    assert_eq!(it.statuses(), [Begun], "at once: it had settled before");
    it.restart();
    it.seconds(30, &[behind()]);
    assert_eq!(it.heard.len(), 1);
    it.restart();
    it.seconds(10, &[]);
    assert_eq!(it.statuses(), [Begun, Ended], "it ended while nobody looked");
}

#[test]
fn an_event_is_told_once_and_survives_a_crash() {
    let mut it = Desks::new(None);
    it.works = false;
    let (micros, now) = (it.micros(), it.tick());
    it.desk.tell(&alert("execution-begun", AlertSeverity::Critical), 7, micros, now);
    it.desk.tell(&alert("execution-begun", AlertSeverity::Critical), 7, micros, now);
    it.seconds(5, &[]);
    it.restart();
    it.works = true;
    it.seconds(5, &[]);
    assert_eq!(it.statuses(), [Happened]);
    it.restart();
    it.seconds(5, &[]);
    assert_eq!(it.heard.len(), 1);
}

#[test]
fn what_another_agent_tells_is_left_to_it_until_it_falls_silent() {
    let mut it = Desks::new(None);
    it.around.covered = [behind().key()].into();
    it.seconds(60, &[behind()]);
    assert_eq!(it.statuses(), []);
    it.around.covered.clear();
    it.seconds(3, &[behind()]);
    assert_eq!(it.heard.len(), 1);
    let since = it.desk.last_delivered()[0].micros;
    assert!(since >= 60_000_000, "told late, but it knows since when");
    assert!(it.desk.covers(it.tick()).contains(&behind().key()));
}

#[test]
fn whoever_does_not_come_first_waits_a_little() {
    let mut it = Desks::new(None);
    it.around.ranks = [(behind().application, Duration::from_secs(6))].into();
    it.seconds(7, &[behind()]);
    assert_eq!(it.statuses(), []);
    it.seconds(2, &[behind()]);
    assert_eq!(it.statuses(), [Begun]);
}

#[test]
fn what_cannot_be_delivered_here_is_not_kept_from_the_other_agents() {
    let mut it = Desks::new(None);
    it.works = false;
    it.seconds(5, &[behind()]);
    assert!(it.desk.covers(it.tick()).contains(&behind().key()), "it has just begun to try");
    it.seconds(20, &[behind()]);
    assert!(it.desk.covers(it.tick()).is_empty(), "others may try");
    it.around.covered = [behind().key()].into();
    it.works = true;
    it.seconds(400, &[]);
    assert_eq!(it.statuses(), [], "another one told it");
    assert!(it.desk.kept.cases.is_empty());
}

#[test]
fn a_notifier_is_not_asked_to_tell_that_it_fails_itself() {
    let mut it = Desks::new(None);
    let fails = |of: &str| Alert {
        subject: format!("{of} at west"),
        ..alert(FAILS, AlertSeverity::Critical)
    };
    it.seconds(5, &[fails("hook"), fails("mail")]);
    assert_eq!(it.heard.len(), 1);
    assert_eq!(it.desk.last_delivered()[0].key, fails("mail").key());
}

#[test]
fn a_storm_is_bounded_and_the_urgent_ones_get_through() {
    let mut it = Desks::new(None);
    let many = |severity| {
        (0..1000).map(move |n| Alert { subject: format!("{n}"), ..alert("storm", severity) })
    };
    it.works = false;
    let (micros, now) = (it.micros(), it.tick());
    for alert in many(AlertSeverity::Warning) {
        it.desk.tell(&alert, 1, micros, now);
    }
    it.desk.tell(&alert("execution-begun", AlertSeverity::Critical), 2, micros, now);
    assert_eq!(it.desk.kept.cases.len(), MOST_CASES);
    let document = serde_json::to_string(&it.desk.take_document().expect("changed")).unwrap();
    assert!(document.len() < 200_000, "{}", document.len());
    let (key, message) = it.desk.next(it.tick()).expect("it is due");
    assert!(key.contains("execution-begun"), "{key}");
    assert_eq!(message.left_out, 801);
    it.works = true;
    it.seconds(5, &[]);
    assert_eq!(it.heard.len(), MOST_CASES);
    assert_eq!(it.desk.kept.left_out, 0, "that some were left out was told");
}

#[test]
fn one_that_is_always_refused_does_not_hold_the_others_up() {
    let mut it = Desks::new(None);
    let (micros, now) = (it.micros(), it.tick());
    let bad = alert("a-bad-one", AlertSeverity::Critical);
    it.desk.tell(&bad, 1, micros, now);
    let (key, _) = it.desk.next(now).expect("due");
    it.desk.failed(&key, "answered 400", 0.0, micros, now);
    it.desk.tell(&behind(), 2, micros, now);
    it.now += 600;
    let (next, _) = it.desk.next(it.tick()).expect("another one is due");
    assert!(next.contains("link-behind"), "{next}");
}
