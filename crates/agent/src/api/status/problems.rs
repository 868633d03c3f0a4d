//! What is wrong or waits for a person, the worst first, each with what to type next.

use super::super::watching;
use super::{equality, links, newest_execution, returning, sites};
use crate::application::Application;
use crate::known::Known;
use crate::outside;
use crate::types::{
    ApprovalRequest, Equality, EqualityView, ExecutionState, Problem, ProblemKind as Kind, Recheck,
    ReturnPhase, SalvageStates,
};
use mainstay_core::decision::{Decision, FenceOutcome, Hindrance, State, loss_bound};
use mainstay_core::estate::{CoordinatorPlace, FailoverMode};
use mainstay_core::{Finding, LinkPhase, Position, Retained, SiteName, Tick, Verdict};
use std::collections::BTreeSet;
use std::time::Duration;

pub fn problems(
    application: &Application,
    known: &Known,
    decision: &Decision,
    coordinator: bool,
    now: Tick,
) -> Vec<Problem> {
    let mut found = Vec::new();
    // First: without it nobody can say more of the lease than that.
    coordinator_problem(application, known, coordinator, &mut found);
    decision_problem(application, known, decision, now, &mut found);
    waiting_for_approval(application, now, &mut found);
    trouble(known, &mut found);
    readers(known, &mut found);
    unlike_lease(application, known, &mut found);
    watchdog_problem(application, now, &mut found);
    means_problem(application, &mut found);
    link_problems(application, known, now, &mut found);
    differences(application, known, now, &mut found);
    watching::problems(application, known, now, &mut found);
    execution_problem(known, &mut found);
    found.extend(crate::runbook::ready::problems(known));
    return_problem(known, now, &mut found);
    salvage_problems(application, known, now, &mut found);
    name_problems(known, now, &mut found);
    unreachable(application, known, now, &mut found);
    found.extend(application.context.alerts.problems(&application.spec.name));
    found
}

fn coordinator_problem(
    application: &Application,
    known: &Known,
    answers: bool,
    found: &mut Vec<Problem>,
) {
    if let Some(why) = known.unreadable.as_ref().or(known.unchangeable.as_ref()) {
        let what = format!("the coordinator cannot be used; nothing can move until it can: {why}");
        let advice = "mend it (MS-COORD-004), and look again: mainstay check --live";
        push(found, Kind::CoordinatorUnusable, "coordinator", what, advice);
    } else if !answers {
        let advice = match &application.context.estate.coordinator {
            CoordinatorPlace::Embedded { site } => {
                format!("look at the agent of {site} and the way to it")
            }
            CoordinatorPlace::Etcd(_) => {
                "start the members of etcd, or mend the way to them: mainstay check --live".into()
            }
        };
        let what = "the coordinator does not answer; nothing can move until it does";
        push(found, Kind::CoordinatorSilent, "coordinator", what, advice);
    }
}

fn push(
    found: &mut Vec<Problem>,
    kind: Kind,
    subject: impl ToString,
    what: impl Into<String>,
    advice: impl Into<String>,
) {
    found.push(Problem::new(kind, subject, what, advice));
}

fn decision_problem(
    application: &Application,
    known: &Known,
    decision: &Decision,
    now: Tick,
    found: &mut Vec<Problem>,
) {
    let silent =
        known.facts.record.as_ref().is_some_and(|seen| {
            now.since(seen.changed) >= application.rules.lease.suspicious_after()
        });
    let because = || {
        let words: Vec<String> = decision.hindrances.iter().map(ToString::to_string).collect();
        words.join("; ")
    };
    let active = known.facts.record.as_ref().map(|seen| seen.record.active.to_string());
    let active = active.unwrap_or_default();
    let here = &known.facts.here;
    match decision.state {
        State::Asking => push(
            found,
            Kind::Asking,
            &active,
            format!("{active} is gone, and this site is ready to take over"),
            "look at `mainstay plan failover`, then type `mainstay failover`",
        ),
        State::Suspect => {
            let what = format!("{active} does not renew its lease; no failover: {}", because());
            let (lost, advice) = suspected(application, known, &decision.hindrances);
            push(found, Kind::Suspect, active, what + &lost, advice);
        }
        State::Returning if silent => push(
            found,
            Kind::LostWhileReturning,
            &active,
            format!("{active} is lost too while this site returns; no failover: {}", because()),
            lost_too(&active, &decision.hindrances),
        ),
        State::LeaseWait => push(
            found,
            Kind::FailoverFollows,
            &active,
            format!("{active} is gone; failover follows: {}{}", because(), fence(known)),
            "nothing: follow it with `mainstay executions --follow`",
        ),
        State::Fenced => push(
            found,
            Kind::Fenced,
            &active,
            "this site is active, but its lease ran out: it accepts no writes",
            "look at the way to the coordinator, and at this site's database",
        ),
        State::Regressed => push(
            found,
            Kind::Regressed,
            here,
            "the coordinator has forgotten an epoch that this site has seen: nothing is done",
            "see MS-COORD-003: give it back the last epoch and its holder",
        ),
        _ => {}
    }
}

/// How the fence from outside stands, where one was begun for the record as it is.
fn fence(known: &Known) -> String {
    let begun = known.facts.fencing.as_ref().zip(known.facts.record.as_ref());
    let of_now = begun.filter(|(fencing, seen)| fencing.from == seen.record);
    match of_now.map(|(fencing, _)| fencing.outcome) {
        None | Some(FenceOutcome::Confirmed) => String::new(),
        Some(FenceOutcome::UnderWay) => "; it is being stopped from outside".to_owned(),
        Some(FenceOutcome::Unknown) => {
            let tried = known.fence_receipt.iter().flat_map(|receipt| &receipt.tried);
            let why: Vec<String> = tried.map(|it| format!("{}: {}", it.means, it.detail)).collect();
            format!("; nobody knows whether it is stopped from outside ({})", why.join("; "))
        }
    }
}

/// What would be lost, where that stands in the way, and what to type.
fn suspected(application: &Application, known: &Known, found: &[Hindrance]) -> (String, String) {
    let seen = known.facts.record.as_ref();
    let bound = seen.and_then(|seen| loss_bound(&application.rules, &known.facts, seen));
    bound.and_then(|bound| too_much(found, bound)).unwrap_or_else(|| {
        let advice = match application.rules.mode {
            FailoverMode::Automatic if found.iter().any(is_pause) => {
                "look at `mainstay plan failover`, then type `mainstay failover`; or \
                 `mainstay resume`, and the agents decide"
            }
            FailoverMode::Automatic => "look at `mainstay plan failover`",
            _ => "look at `mainstay plan failover`, then type `mainstay failover`",
        };
        (String::new(), advice.to_owned())
    })
}

/// More would be lost than may be: how much at most, and how a person says that it is accepted.
fn too_much(hindrances: &[Hindrance], bound: Duration) -> Option<(String, String)> {
    let over = |it: &Hindrance| matches!(it, Hindrance::LagOverBound { .. });
    hindrances.iter().any(over).then(|| {
        let seconds = bound.as_secs_f64();
        let lost = format!("; at most {seconds:.1} s of acknowledged work would be lost");
        let advice = format!(
            "bring it back; or look at `mainstay plan failover`, and accept the loss: mainstay \
             failover --accept-loss {:.0}s",
            seconds.ceil()
        );
        (lost, advice)
    })
}

fn is_pause(hindrance: &Hindrance) -> bool {
    matches!(hindrance, Hindrance::Paused(_))
}

/// The active site dies in the middle of this one's return: what a person can do.
fn lost_too(active: &str, hindrances: &[Hindrance]) -> String {
    match hindrances.contains(&Hindrance::Returning) {
        true => format!(
            "bring {active} back, its database and its agent: until then this site may lack more \
             than anybody knows, and nobody can promote it"
        ),
        false => format!(
            "bring {active} back; or look at `mainstay plan failover`, and type `mainstay failover`"
        ),
    }
}

fn waiting_for_approval(application: &Application, now: Tick, found: &mut Vec<Problem>) {
    let all = application.requests.list(now);
    for ApprovalRequest { id, by, left_s, .. } in all.iter().filter(|it| it.left_s > 0.0) {
        let what = format!("{by} asks for a failover, for another {left_s:.0} s");
        let advice = format!("somebody else: mainstay approve {id}");
        push(found, Kind::ApprovalWaits, id, what, advice);
    }
}

fn trouble(known: &Known, found: &mut Vec<Problem>) {
    let here = &known.facts.here;
    for Finding { code, place, what, advice, .. } in &known.findings {
        let subject = format!("{code} {place}");
        let what = format!("{place}: {what} ({code})");
        push(found, Kind::NotPrepared, subject, what, advice.clone());
    }
    if !known.findings.is_empty() {
        return;
    }
    for (store, why) in &known.store_trouble {
        if let Some(why) = why {
            let (subject, what) = (format!("{store} at {here}"), format!("{store} here: {why}"));
            push(found, Kind::StoreTrouble, subject, what, "start it, or mend the way to it");
        }
    }
    if let Some(why) = &known.database_trouble {
        push(found, Kind::DatabaseTrouble, here, why, "it is tried again by itself");
    }
    if let Some(why) = &known.ledger_trouble {
        let advice = "free some space; nothing automatic is begun meanwhile";
        push(found, Kind::LedgerTrouble, here, why, advice);
    }
}

fn readers(known: &Known, found: &mut Vec<Problem>) {
    let here = &known.facts.here;
    for (store, looked) in &known.reads.readers {
        let mut told = BTreeSet::new();
        // One thing at a time for each role: the rest is told when that is mended.
        for one in looked.unfit.iter().filter(|one| told.insert(&one.reader)) {
            let done = if looked.open { "" } else { ", so it is shut out here" };
            let what = format!("reader {} of {store} {}{done} ({})", one.reader, one.why, one.code);
            let subject = format!("{} of {store} at {here}", one.reader);
            push(found, Kind::ReaderUnfit, subject, what, one.mend.clone());
        }
        if let Some(why) = &looked.trouble {
            let (subject, what) = (format!("{store} at {here}"), format!("readers: {why}"));
            push(found, Kind::StoreTrouble, subject, what, "it is tried again by itself");
        }
    }
}

fn unlike_lease(application: &Application, known: &Known, found: &mut Vec<Problem>) {
    let Some(record) = known.facts.record.as_ref().map(|seen| &seen.record) else { return };
    let Some(there) = record.lease().filter(|lease| *lease != application.spec.lease) else {
        return;
    };
    let (here, active) = (application.spec.lease.as_secs_f64(), &record.active);
    let what = format!(
        "the lease is {here} s in the configuration here, and {} s at {active}, which is active; a \
         failover waits the longer one",
        there.as_secs_f64()
    );
    let advice = "give every site the same configuration, and restart its agent";
    push(found, Kind::LeaseUnlike, active, what, advice);
}

fn watchdog_problem(application: &Application, now: Tick, found: &mut Vec<Problem>) {
    let context = &application.context;
    let fresh_for = application.rules.lease.fresh_for();
    if !context.is_witness()
        && now.since(context.started) > fresh_for
        && !context.watchdog.is_fresh(now)
    {
        let here = context.here();
        push(
            found,
            Kind::NoWatchdog,
            here,
            format!(
                "no watchdog runs at {here}: were its agent stopped, clients that come to the \
                 database past the gate would not be cut"
            ),
            format!("at {here}, with the agent's options: mainstay watchdog --site {here}"),
        );
    }
}

/// Told before the means are needed.
fn means_problem(application: &Application, found: &mut Vec<Problem>) {
    let others = application.spec.fencing.iter().filter(|(site, _)| *site != application.here());
    for (site, means) in others.filter(|_| !application.context.is_witness()) {
        for why in means.iter().filter_map(outside::missing) {
            push(
                found,
                Kind::MeansMissing,
                site,
                format!("a means to stop {site} cannot be started here: {why}"),
                "install it, or name another in the configuration; without it a failover waits \
                 for the lease",
            );
        }
    }
}

fn link_problems(application: &Application, known: &Known, now: Tick, found: &mut Vec<Problem>) {
    let returns = returning(known, now).is_some_and(|it| it.phase < ReturnPhase::Ready);
    for link in links(application, known, now) {
        let name = format!("the link of {} from {} to {}", link.store, link.from, link.to);
        let subject = format!("{} from {} to {}", link.store, link.from, link.to);
        if let Some(retained) = link.status.retained.filter(Retained::is_scarce) {
            let (what, advice) = scarce(&link.from, retained);
            push(found, Kind::HistoryScarce, &subject, format!("{name} {what}"), advice);
        }
        match &link.status.phase {
            LinkPhase::Stopped { code, reason } => {
                let named = format!("{}/{}", application.spec.name, link.store);
                let advice = format!(
                    "see {code}; when mended: mainstay link continue {named}; when rows or the \
                     history are not alike: mainstay repair --relink {named}"
                );
                let what = format!("{name} stopped: {reason}");
                push(found, Kind::LinkStopped, subject, what, advice);
            }
            LinkPhase::Disconnected { reason } => {
                let what = format!("{name} is disconnected: {reason}");
                push(found, Kind::LinkBehind, subject, what, "it tries by itself");
            }
            // A link on a way back catches up: that is told with the way back.
            LinkPhase::Streaming if returns => {}
            LinkPhase::Streaming if !link.status.lag.is_within(application.rules.rpo) => push(
                found,
                Kind::LinkBehind,
                subject,
                format!(
                    "{name} is behind: lag {}, bound {:?}",
                    link.status.lag, application.rules.rpo
                ),
                "look at the load of both databases",
            ),
            _ => {}
        }
    }
}

fn differences(application: &Application, known: &Known, now: Tick, found: &mut Vec<Problem>) {
    for view in equality(application, known, now) {
        let EqualityView { store, from, to, equality, rechecks, .. } = view;
        let Equality::Different { at, rows, tables } = equality else { continue };
        // Tables that are unlike were not read, and have no rows to count.
        let (number, noun) = if rows == 0 { (tables, "table") } else { (rows, at.noun()) };
        let plural = if number == 1 { "" } else { "s" };
        let counted = format!("{number} {noun}{plural}");
        let what = format!("{store} at {to} differs from {from} in {counted} as of {at}");
        let what = what + &rechecks.found.map(such_as).unwrap_or_default();
        let advice = format!("mainstay compare {} {store}", application.spec.name);
        push(found, Kind::Differs, format!("{store} at {to}"), what, advice);
    }
}

/// The first row of the first tables in which a recheck found a difference.
fn such_as(found: Recheck) -> String {
    let named = found.of.differing.iter().take(3).filter_map(|table| {
        let key = table.differing.first()?.key.join("/");
        Some(format!("{key} of {}", table.table))
    });
    let named: Vec<_> = named.collect();
    if named.is_empty() { String::new() } else { format!(", such as {}", named.join(", ")) }
}

/// What the source keeps is nearly all that it may keep; beyond, it drops what the link needs.
fn scarce(from: &SiteName, retained: Retained) -> (String, String) {
    let megabytes = |bytes: u64| bytes >> 20;
    let left = match (retained.left, retained.bound) {
        (Some(left), Some(bound)) if !retained.unreserved => {
            format!(
                "and may write {} MB more, of {} MB, before it drops what the link needs",
                megabytes(left),
                megabytes(bound)
            )
        }
        _ => "more than it may, and drops it with its next checkpoint".to_owned(),
    };
    (
        format!(
            "is in danger: {from} keeps {} MB of history for it, {left}",
            megabytes(retained.bytes)
        ),
        format!(
            "if the disk of {from} has room, type there: ALTER SYSTEM SET max_slot_wal_keep_size \
             = '{} MB'; SELECT pg_reload_conf(); then mend what holds the link up",
            2 * megabytes(retained.bound.unwrap_or(retained.bytes)).max(1)
        ),
    )
}

fn execution_problem(known: &Known, found: &mut Vec<Problem>) {
    let Some(execution) = newest_execution(known) else { return };
    if execution.state == ExecutionState::Stuck {
        let (why, advice) = crate::runbook::ready::asked(&execution);
        let what = format!("the {} is stuck: {why}", execution.id);
        push(found, Kind::ExecutionStuck, execution.id, what, advice);
    }
}

fn return_problem(known: &Known, now: Tick, found: &mut Vec<Problem>) {
    let Some(returning) = returning(known, now).filter(|it| it.phase < ReturnPhase::Ready) else {
        return;
    };
    // While it is known how far the phase is, what happened last is old.
    let last = match returning.progress {
        Some(_) if !returning.differs => String::new(),
        _ => format!(": {}", returning.detail),
    };
    let what = format!("the way back of {} goes on{last}", returning.store);
    if let Some(asked) = returning.asked {
        let what = format!("the way back of {} waits: {}", returning.store, returning.detail);
        return push(found, Kind::ReturnWaits, returning.store, what, asked);
    }
    if returning.differs {
        let advice = match returning.put_right_until {
            Some(Position::Redis(_)) => {
                "see what differs and why, then have it copied anew: mainstay compare, then \
                 FLUSHALL at the server of the site that returns"
            }
            _ => "see what differs, and mend it: mainstay compare, then mainstay repair",
        };
        return push(found, Kind::ReturnWaits, returning.store, what, advice);
    }
    let salvage = returning.salvage.filter(|salvage| salvage.transactions > 0);
    let advice = match salvage {
        None => "nothing is asked of you yet: it goes on by itself".to_owned(),
        Some(salvage) => format!(
            "it goes on by itself; meanwhile look at what only the lost site had: \
             mainstay salvage show {}",
            salvage.id
        ),
    };
    push(found, Kind::Returning, returning.store, what, advice);
}

/// Work of people that waits for people.
fn salvage_problems(application: &Application, known: &Known, now: Tick, found: &mut Vec<Problem>) {
    let states = known.salvage_states(now, application.rules.lease.fresh_for());
    found.extend(states.iter().filter_map(|(id, states)| undecided(id, *states)));
}

fn undecided(id: &str, states: SalvageStates) -> Option<Problem> {
    let waiting = match states.open {
        0 => return None,
        1 => "1 transaction waits".to_owned(),
        open => format!("{open} transactions wait"),
    };
    let what = format!("{waiting} in the salvage {id} for a person to decide");
    let advice = format!("mainstay salvage show {id} --open, then replay or reject");
    Some(Problem::new(Kind::SalvageWaits, id, what, advice))
}

fn name_problems(known: &Known, now: Tick, found: &mut Vec<Problem>) {
    for (name, known) in &known.names {
        if let Some((what, advice)) = known.problem(name, now) {
            push(found, Kind::NameWrong, name, what, advice);
        }
    }
}

fn unreachable(application: &Application, known: &Known, now: Tick, found: &mut Vec<Problem>) {
    for (name, site) in sites(application, known, now) {
        if site.verdict == Verdict::Unreachable.name() {
            let what = format!("{name} is unreachable from here: {}", site.why);
            push(found, Kind::SiteUnreachable, name, what, "look at that site");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_salvage_waits_for_a_person_until_nothing_of_it_is_open() {
        let states = SalvageStates { open: 2, replayed: 1, rejected: 0, kept: 0 };
        let problem = undecided("bank-db-3-east", states).unwrap();
        assert_eq!(
            problem.what,
            "2 transactions wait in the salvage bank-db-3-east for a person to decide"
        );
        assert!(problem.advice.starts_with("mainstay salvage show bank-db-3-east --open"));
        assert!(undecided("bank-db-3-east", SalvageStates { open: 0, ..states }).is_none());
    }

    #[test]
    fn a_loss_over_the_bound_is_told_with_what_a_person_would_have_to_accept() {
        let lag = Hindrance::LagOverBound {
            store: mainstay_core::StoreName::new("db").unwrap(),
            lag: Duration::from_secs(52),
            bound: Duration::from_secs(1),
        };
        let (lost, advice) = too_much(&[lag], Duration::from_millis(56_200)).unwrap();
        assert_eq!(lost, "; at most 56.2 s of acknowledged work would be lost");
        assert!(advice.ends_with("mainstay failover --accept-loss 57s"), "{advice}");
        assert_eq!(too_much(&[Hindrance::CoordinatorSilent], Duration::ZERO), None);
    }

    #[test]
    fn a_site_lost_during_the_return_of_the_other_is_to_be_brought_back_or_outweighed() {
        let apart = lost_too("west", &[Hindrance::Returning, Hindrance::NotAutomatic]);
        assert!(apart.starts_with("bring west back"), "{apart}");
        assert!(!apart.contains("mainstay failover"), "no order outweighs it: {apart}");
        let unproved = lost_too("west", &[Hindrance::NotProved]);
        assert!(unproved.contains("`mainstay failover`"), "{unproved}");
    }

    #[test]
    fn a_link_in_danger_says_how_much_is_left_and_what_to_type() {
        let east = SiteName::new("east").unwrap();
        let (bytes, left, bound) = (110 << 20, Some(18 << 20), Some(128 << 20));
        let retained = Retained { bytes, left, bound, unreserved: false };
        let (what, advice) = scarce(&east, retained);
        let expected = "is in danger: east keeps 110 MB of history for it, and may write 18 MB \
                        more, of 128 MB, before it drops what the link needs";
        assert_eq!(what, expected);
        assert!(advice.contains("max_slot_wal_keep_size = '256 MB'"), "{advice}");
        let (what, _) = scarce(&east, Retained { unreserved: true, ..retained });
        assert!(what.contains("drops it with its next checkpoint"), "{what}");
    }
}
