//! A site that could be promoted while another one is active.

use super::{
    Action, Databases, Decision, Facts, Order, Outweighs, Rules, SeenRecord, State, WayBack,
    fencing,
};
use crate::estate::FailoverMode;
use crate::lease::Lease;
use crate::verdict::Verdict;
use crate::watch::ClockOff;
use crate::{Pause, Posture, SiteName, StoreName, Tick};
use std::fmt;
use std::time::Duration;

/// One thing that stands between a candidate and a failover to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hindrance {
    /// The lease of the active site may still be running: invariant 1.
    LeaseRunning { rest: Duration },
    /// The coordinator has not answered since the lease would have run out.
    CoordinatorSilent,
    /// This vantage reaches the application at the active site: invariant 5.
    Healthy { vantage: SiteName },
    /// This vantage has no fresh evidence: invariant 5.
    NoEvidence { vantage: SiteName },
    /// Transactions still arrive from the active site.
    StillWriting { store: StoreName },
    /// The link is copying, stopped or has never been complete: invariant 3.
    LinkUnsound { store: StoreName },
    /// More would be lost than the bound: invariant 3.
    LagOverBound { store: StoreName, lag: Duration, bound: Duration },
    /// How much would be lost is not known: invariant 3.
    LagUnknown { store: StoreName },
    /// This site may hold what the active one does not: invariant 8. Nobody outweighs it.
    Returning,
    /// This site is back but for the proof that both are equal: invariant 10. A person may take it
    /// as it is; what it lacked then is in the salvages.
    NotProved,
    /// The last failover is too recent: invariant 6.
    CoolDown { rest: Duration },
    /// A person wants nothing to begin by itself for so long.
    Paused(Pause),
    /// The health of the active site has come and gone too often to act on it.
    Flapping { rest: Duration },
    /// The lease counts on clocks that run at nearly the same rate: invariant 1.
    ClockRate(ClockOff),
    /// The configuration leaves it to a person.
    NotAutomatic,
    /// Nothing is begun that cannot be recorded: invariant 7.
    LedgerBroken,
    /// What this site had received when it claimed is gone, and can be applied no more. It stands
    /// in the way of the promotion, not of the claim.
    ArrivedLost { bound: Duration },
}

impl fmt::Display for Hindrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeaseRunning { rest } => {
                write!(f, "the active site's lease may run for another {:.1} s", rest.as_secs_f64())
            }
            Self::CoordinatorSilent => f.write_str("the coordinator does not answer"),
            Self::Healthy { vantage } => {
                write!(f, "{vantage} reaches the application at the active site")
            }
            Self::NoEvidence { vantage } => {
                write!(f, "{vantage} has no fresh evidence about the active site")
            }
            Self::StillWriting { store } => {
                write!(f, "changes to {store} still arrive from the active site")
            }
            Self::LinkUnsound { store } => write!(f, "the link of {store} is not complete"),
            Self::LagOverBound { store, lag, bound } => write!(
                f,
                "{store} was {:.1} s behind, more than the bound of {:.1} s",
                lag.as_secs_f64(),
                bound.as_secs_f64()
            ),
            Self::LagUnknown { store } => write!(f, "how far {store} is behind is unknown"),
            Self::Returning => f.write_str("this site is not back from the last failover"),
            Self::NotProved => f.write_str(
                "this site is not proved equal since it came back; a person may accept that",
            ),
            Self::CoolDown { rest } => {
                write!(
                    f,
                    "the last failover was recent; {} s of cool-down are left",
                    rest.as_secs()
                )
            }
            Self::Paused(Pause { by, reason, left, .. }) => write!(
                f,
                "{by} has paused automatic failover for another {} s: {reason}",
                left.as_secs()
            ),
            Self::Flapping { rest } => write!(
                f,
                "the health of the active site keeps coming and going; nothing begins by itself \
                 for another {} s",
                rest.as_secs()
            ),
            Self::ClockRate(off) => write!(f, "{off}, which the lease does not allow for"),
            Self::NotAutomatic => f.write_str("failover is left to a person"),
            Self::LedgerBroken => f.write_str("the ledger cannot be written"),
            Self::ArrivedLost { bound } => write!(
                f,
                "what had arrived here was lost with this site's agent before it was applied, at \
                 most the last {:.1} s",
                bound.as_secs_f64()
            ),
        }
    }
}

impl Hindrance {
    /// Whether a person's order outweighs it. The lease, the coordinator and an unsound link are
    /// not a matter of opinion.
    fn yields_to_order(&self) -> bool {
        matches!(
            self,
            Self::Healthy { .. }
                | Self::NoEvidence { .. }
                | Self::StillWriting { .. }
                | Self::CoolDown { .. }
                | Self::Paused(_)
                | Self::Flapping { .. }
                | Self::ClockRate(_)
                | Self::NotAutomatic
                | Self::NotProved
                | Self::ArrivedLost { .. }
        )
    }

    /// Whether a failover in spite of it is forced: it would have kept the agents themselves from
    /// one also with `failover = "automatic"`.
    pub fn needs_force(&self) -> bool {
        match self {
            Self::NotAutomatic => false,
            Self::LagOverBound { .. } => true,
            other => other.yields_to_order(),
        }
    }

    /// Whether more would be lost than that.
    pub fn exceeds(&self, accepted: Option<Duration>) -> bool {
        match self {
            Self::LagOverBound { lag: loss, .. } | Self::ArrivedLost { bound: loss } => {
                *loss > accepted.unwrap_or_default()
            }
            _ => false,
        }
    }

    /// Names what stands in the way, and not how much of it is left: the same as long as nothing
    /// else does.
    pub fn name(&self) -> String {
        match self {
            Self::LeaseRunning { .. } => "lease-running".to_owned(),
            Self::CoordinatorSilent => "coordinator-silent".to_owned(),
            Self::Healthy { vantage } => format!("healthy:{vantage}"),
            Self::NoEvidence { vantage } => format!("no-evidence:{vantage}"),
            Self::StillWriting { store } => format!("still-writing:{store}"),
            Self::LinkUnsound { store } => format!("link-unsound:{store}"),
            Self::LagOverBound { store, .. } => format!("lag-over-bound:{store}"),
            Self::LagUnknown { store } => format!("lag-unknown:{store}"),
            Self::Returning => "returning".to_owned(),
            Self::NotProved => "not-proved".to_owned(),
            Self::CoolDown { .. } => "cool-down".to_owned(),
            Self::Paused(pause) => format!("paused:{}:{}", pause.by, pause.since_micros),
            Self::Flapping { .. } => "flapping".to_owned(),
            Self::ClockRate(_) => "clock-rate".to_owned(),
            Self::NotAutomatic => "not-automatic".to_owned(),
            Self::LedgerBroken => "ledger-broken".to_owned(),
            Self::ArrivedLost { .. } => "arrived-lost".to_owned(),
        }
    }

    fn yields_to(&self, order: &Order) -> bool {
        self.yields_to_order()
            && match &order.outweighs {
                Outweighs::All => true,
                Outweighs::These(these) => {
                    *self == Self::NotAutomatic || these.iter().any(|it| it.name() == self.name())
                }
            }
    }

    fn passes_with_time(&self) -> bool {
        matches!(self, Self::LeaseRunning { .. })
    }
}

impl Order {
    /// Whether a person has taken this upon himself: it is named, and no more is lost than that.
    pub fn accepts(&self, hindrance: &Hindrance) -> bool {
        hindrance.yields_to(self) && !hindrance.exceeds(self.accept_loss)
    }
}

pub(super) fn decide(rules: &Rules, facts: &Facts, seen: &SeenRecord, now: Tick) -> Decision {
    let hindrances = hindrances(rules, facts, seen, now);
    let state = state(rules, facts, seen, &hindrances, now);
    let ordered = facts.order.is_some();
    let claim = state == State::Claiming && !facts.executing;
    let fence = fencing::begins(rules, facts, seen, &hindrances, now) && !facts.executing;
    let databases =
        if facts.executing { Databases::Leave } else { Databases::Fenced(seen.record.epoch) };
    let posture = match facts.held(seen.record.epoch, now) {
        Some(hold) => Posture::Hold { until: hold.until },
        None => Posture::Forward { to: seen.record.active.clone() },
    };
    Decision {
        state,
        posture: Some(posture),
        databases,
        actions: claim
            .then(|| Action::Claim { from: seen.record.clone(), ordered })
            .into_iter()
            .chain(fence.then(|| Action::FenceOutside { from: seen.record.clone() }))
            .collect(),
        hindrances,
    }
}

fn state(
    rules: &Rules,
    facts: &Facts,
    seen: &SeenRecord,
    hindrances: &[Hindrance],
    now: Tick,
) -> State {
    let ordered = facts.order.is_some();
    let silent = now.since(seen.changed) >= rules.lease.suspicious_after();
    let others = |without: fn(&Hindrance) -> bool| hindrances.iter().all(without);
    if hindrances.is_empty() {
        State::Claiming
    } else if facts.returning.is_some() {
        State::Returning
    } else if !silent && !ordered {
        State::Standby
    } else if others(Hindrance::passes_with_time) {
        State::LeaseWait
    } else if rules.mode == FailoverMode::Approve && others(|h| *h == Hindrance::NotAutomatic) {
        State::Asking
    } else {
        State::Suspect
    }
}

/// All that stands in the way now. A failover to this site starts only when nothing does.
pub fn hindrances(rules: &Rules, facts: &Facts, seen: &SeenRecord, now: Tick) -> Vec<Hindrance> {
    let mut found = Vec::new();
    lease(rules, facts, seen, now, &mut found);
    evidence(rules, facts, seen, now, &mut found);
    links(rules, facts, seen, now, &mut found);
    people(rules, facts, now, &mut found);
    doubts(facts, now, &mut found);
    if let Some(order) = &facts.order {
        found.retain(|hindrance| !hindrance.yields_to(order));
    }
    found
}

/// Invariant: a candidate acts only a whole lease after the last change it saw, after its last
/// promise, and after its own start (what it had seen or promised before is forgotten). A handover
/// changes nothing in that: an active site that handed over and then died is followed like any.
/// Only the proof that the active site is stopped takes the place of the wait.
fn lease(rules: &Rules, facts: &Facts, seen: &SeenRecord, now: Tick, found: &mut Vec<Hindrance>) {
    let last_right = last_right(facts, seen).max(facts.started);
    let fenced = facts.is_fenced_in(&seen.record);
    let lease = lease_of(rules, seen);
    let runs_out = if fenced { last_right } else { lease.runs_out_at(last_right) };
    if now < runs_out {
        found.push(Hindrance::LeaseRunning { rest: runs_out.since(now) });
    } else if seen.read < runs_out || now.since(seen.read) > rules.lease.fresh_for() {
        found.push(Hindrance::CoordinatorSilent);
    }
}

/// Invariant: a candidate goes by the longer of its own lease and that of the active site, whose
/// configurations may differ.
fn lease_of(rules: &Rules, seen: &SeenRecord) -> Lease {
    Lease::new(rules.lease.length().max(seen.record.lease().unwrap_or_default()))
}

/// When the active site's right to write was last known to be extended.
pub(super) fn last_right(facts: &Facts, seen: &SeenRecord) -> Tick {
    facts.promised.map_or(seen.changed, |promised| promised.max(seen.changed))
}

/// Invariant: this site and a witness must both fail to reach the application, and no vantage may
/// reach it. Silence of a vantage that must speak is not evidence.
fn evidence(
    rules: &Rules,
    facts: &Facts,
    seen: &SeenRecord,
    now: Tick,
    found: &mut Vec<Hindrance>,
) {
    let fresh = |vantage: &SiteName| {
        let evidence = facts.evidence.get(vantage);
        evidence.map_or(Verdict::Unknown, |it| it.fresh(now, rules.lease.fresh_for()))
    };
    let vantages = facts.evidence.keys().filter(|site| **site != seen.record.active);
    for vantage in vantages.filter(|site| fresh(site) == Verdict::Healthy) {
        found.push(Hindrance::Healthy { vantage: vantage.clone() });
    }
    if fresh(&facts.here) == Verdict::Unknown {
        found.push(Hindrance::NoEvidence { vantage: facts.here.clone() });
    }
    if rules.witnesses.iter().all(|witness| fresh(witness) == Verdict::Unknown) {
        let silent = rules.witnesses.first().unwrap_or(&facts.here);
        found.push(Hindrance::NoEvidence { vantage: silent.clone() });
    }
}

fn links(rules: &Rules, facts: &Facts, seen: &SeenRecord, now: Tick, found: &mut Vec<Hindrance>) {
    let accepted = facts.order.as_ref().and_then(|order| order.accept_loss);
    let bound = accepted.unwrap_or_default().max(rules.rpo);
    for store in &rules.stores {
        let link = facts.links.get(store);
        let Some(link) = link.filter(|link| link.sound) else {
            found.push(Hindrance::LinkUnsound { store: store.clone() });
            continue;
        };
        if link.advanced.is_some_and(|at| now.since(at) < rules.lease.suspicious_after()) {
            found.push(Hindrance::StillWriting { store: store.clone() });
        }
        match lag_at_last_right(facts, seen, store) {
            None => found.push(Hindrance::LagUnknown { store: store.clone() }),
            Some(lag) if lag > bound => {
                found.push(Hindrance::LagOverBound { store: store.clone(), lag, bound });
            }
            Some(_) => {}
        }
    }
}

fn people(rules: &Rules, facts: &Facts, now: Tick, found: &mut Vec<Hindrance>) {
    found.extend(facts.returning.map(|way| match way {
        WayBack::Apart => Hindrance::Returning,
        WayBack::NotProved => Hindrance::NotProved,
    }));
    let ends = facts.epoch_seen.plus(rules.cool_down);
    if facts.epoch_is_failover && now < ends {
        found.push(Hindrance::CoolDown { rest: ends.since(now) });
    }
    found.extend(facts.pause.as_ref().and_then(|seen| seen.left(now)).map(Hindrance::Paused));
    if rules.mode != FailoverMode::Automatic {
        found.push(Hindrance::NotAutomatic);
    }
    if !facts.ledger_sound {
        found.push(Hindrance::LedgerBroken);
    }
}

/// What makes this site's own view of the active one doubtful. A person may know better.
fn doubts(facts: &Facts, now: Tick, found: &mut Vec<Hindrance>) {
    found.extend(facts.health.suppressed(now).map(|rest| Hindrance::Flapping { rest }));
    found.extend(facts.clock.clone().map(Hindrance::ClockRate));
}

/// How far this site was behind when the active site last showed its right to write. Nothing was
/// missing if the link had received the position that came with that renewal.
pub fn lag_at_last_right(facts: &Facts, seen: &SeenRecord, store: &StoreName) -> Option<Duration> {
    let link = facts.links.get(store)?;
    let last_right = last_right(facts, seen);
    let renewed = seen.record.positions.get(store).filter(|_| last_right == seen.changed);
    if let (Some(received), Some(renewed)) = (link.received, renewed)
        && received >= *renewed
    {
        return Some(Duration::ZERO);
    }
    link.complete_until.map(|complete| last_right.since(complete))
}

/// The most that a failover now would lose: from what this site surely holds to the last instant
/// at which the active site may have accepted a write, past its gate too: until its watchdog has
/// fenced it. None when unknown.
pub fn loss_bound(rules: &Rules, facts: &Facts, seen: &SeenRecord) -> Option<Duration> {
    let lease = lease_of(rules, seen);
    let last_write = lease.enforced_at(lease.serves_until(last_right(facts, seen)));
    let stores = rules.stores.iter();
    let complete: Option<Vec<Tick>> =
        stores.map(|store| facts.links.get(store)?.complete_until).collect();
    Some(last_write.since(complete?.into_iter().min()?))
}
