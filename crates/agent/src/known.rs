//! What this agent knows of one application: the facts of the decision, and what people ask for.

use crate::comparing::Comparing;
use crate::coordinator::Versioned;
use crate::names::KnownName;
use crate::peer::messages::{AgedEvidence, ApplicationView};
use crate::reads::Reads;
use crate::time::unix_micros;
use crate::types::{
    EqualityView, Execution, LinkView, Readiness, Return, ReturnPhase, ReturnProgress,
    SalvageStates,
};
use crate::watching::Watching;
use mainstay_core::decision::{
    Facts, Hindrance, LinkFacts, Rules, SeenRecord, State, WayBack, hindrances,
};
use mainstay_core::pause::SeenPause;
use mainstay_core::record::Cause;
use mainstay_core::verdict::Evidence;
use mainstay_core::watch::Damping;
use mainstay_core::{
    Epoch, Finding, Lag, LinkPhase, LinkStatus, Position, Posture, Receipt, Record, SiteName,
    StoreName, Tick, Verdict,
};
use mainstay_stores::postgres::repair::Repaired;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// Lag samples kept for plots: ten minutes at two a second.
const SAMPLES: usize = 1200;

pub struct Known {
    pub facts: Facts,
    /// Version of the record in `facts`.
    version: u64,
    /// When this agent last changed the record.
    pub swapped: Tick,
    /// The coordinator last answered this agent then.
    pub coordinator_answered: Option<Tick>,
    /// What a person has to mend before the record can be read, or changed.
    pub unreadable: Option<String>,
    /// The last change that was tried came to nothing; told once in the log.
    pub change_failed: bool,
    pub unchangeable: Option<String>,
    /// What each vantage says of each site.
    pub evidence: BTreeMap<(SiteName, SiteName), Evidence>,
    pub views: BTreeMap<SiteName, (Tick, ApplicationView)>,
    pub links: BTreeMap<StoreName, KnownLink>,
    pub positions: BTreeMap<StoreName, Position>,
    pub returns: BTreeMap<StoreName, Return>,
    /// Stores whose link must not run, because a repair makes both sites equal without it.
    pub relinking: BTreeSet<StoreName>,
    /// A repair under way, by its id, and what it has done.
    pub repairing: Option<(String, Repaired)>,
    /// What comparisons of each store were made at this site since the agent began.
    pub comparisons: BTreeMap<StoreName, Comparing>,
    /// How far the present phase of a way back is.
    pub progress: BTreeMap<StoreName, ReturnProgress>,
    pub execution: Option<Execution>,
    /// Databases here were confirmed to be fenced in this epoch.
    pub fenced: Option<Epoch>,
    pub database_trouble: Option<String>,
    pub ledger_trouble: Option<String>,
    pub store_trouble: BTreeMap<StoreName, Option<String>>,
    /// The databases of this site hold what Mainstay keeps there.
    pub prepared: bool,
    /// What keeps them from being prepared.
    pub findings: Vec<Finding>,
    /// When the present doubt about the active site began; for the timeline.
    pub suspected_micros: Option<i64>,
    /// What this site tried to have the active one stopped from outside.
    pub fence_receipt: Option<Receipt>,
    /// What was known when this site decided to take over.
    pub claim_facts: BTreeMap<String, serde_json::Value>,
    /// Whose order is obeyed now.
    pub ordered_by: Option<String>,
    pub last_renewal_seen_micros: Option<i64>,
    pub state: Option<State>,
    /// The newest posture that the gate was sent, and its epoch.
    pub directed: Option<(Epoch, Posture, BTreeSet<SiteName>)>,
    pub lag_samples: VecDeque<LagSample>,
    /// What became of each salvage's transactions, while this site is active.
    pub salvages: BTreeMap<String, SalvageStates>,
    /// Under which epoch they were counted, and after how many changes.
    pub salvage_counted: Option<(Epoch, u64)>,
    pub salvage_changes: u64,
    /// The application's names in DNS.
    pub names: BTreeMap<String, KnownName>,
    pub watching: Watching,
    /// What a failover to this site would fail at, when it was last looked at.
    pub readiness: Option<Readiness>,
    /// Whether this site's databases may be read.
    pub reads: Reads,
}

/// A link's status and what follows from it over time.
pub struct KnownLink {
    pub store: StoreName,
    pub from: SiteName,
    pub to: SiteName,
    pub status: LinkStatus,
    pub complete_until: Option<Tick>,
    pub advanced: Option<Tick>,
    /// When the link was first seen with a rest to apply, and the bytes of it: for its speed.
    pub behind: Option<(Tick, u64)>,
    /// The ledger says that little more history may be kept for it.
    pub scarce: bool,
}

#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct LagSample {
    pub store: StoreName,
    pub micros: i64,
    pub lag_s: Lag,
}

impl Known {
    pub fn new(here: SiteName, started: Tick) -> Self {
        Self {
            facts: Facts::new(here, started),
            version: 0,
            swapped: Tick::default(),
            coordinator_answered: None,
            unreadable: None,
            change_failed: false,
            unchangeable: None,
            evidence: BTreeMap::new(),
            views: BTreeMap::new(),
            links: BTreeMap::new(),
            positions: BTreeMap::new(),
            returns: BTreeMap::new(),
            relinking: BTreeSet::new(),
            repairing: None,
            comparisons: BTreeMap::new(),
            progress: BTreeMap::new(),
            execution: None,
            fenced: None,
            database_trouble: None,
            ledger_trouble: None,
            store_trouble: BTreeMap::new(),
            prepared: false,
            findings: Vec::new(),
            suspected_micros: None,
            fence_receipt: None,
            claim_facts: BTreeMap::new(),
            ordered_by: None,
            last_renewal_seen_micros: None,
            state: None,
            directed: None,
            lag_samples: VecDeque::new(),
            salvages: BTreeMap::new(),
            salvage_counted: None,
            salvage_changes: 0,
            names: BTreeMap::new(),
            watching: Watching::default(),
            readiness: None,
            reads: Reads::default(),
        }
    }

    /// Brings the derived facts up to date before a decision.
    pub fn refresh(&mut self, rules: &Rules, now: Tick) {
        let Some(seen) = &self.facts.record else { return };
        let active = seen.record.active.clone();
        let former_epoch = seen.record.epoch;
        self.facts.evidence = self
            .evidence
            .iter()
            .filter(|((_, about), _)| *about == active)
            .map(|((vantage, _), evidence)| (vantage.clone(), evidence.clone()))
            .collect();
        self.facts.links = self
            .links
            .iter()
            .filter(|(_, link)| link.from == active)
            .map(|(store, link)| (store.clone(), link.facts()))
            .collect();
        let was_active = self.facts.promoted > Epoch::default();
        let was_active = was_active && active != self.facts.here;
        let stores = rules.stores.iter().filter(|_| was_active);
        self.facts.returning =
            stores.filter_map(|store| self.way_back(store, &active, former_epoch)).max();
        self.facts.epoch_is_failover =
            matches!(seen.record.cause, Cause::Automatic | Cause::Ordered);
        // The ledger comes before any automatic move: without it none is begun.
        self.facts.ledger_sound = self.ledger_trouble.is_none();
        let expired = self.facts.hold.as_ref().is_some_and(|hold| now >= hold.until);
        if expired && self.facts.record.as_ref().is_some_and(|it| it.record.handover.is_none()) {
            self.facts.hold = None;
        }
    }

    /// This site's way back in the present epoch, of the store that is furthest from its end, with
    /// how far its phase is.
    pub fn shown_return(&self, now: Tick) -> Option<Return> {
        let epoch = self.facts.record.as_ref()?.record.epoch;
        let mine = self.returns.values().filter(|it| it.epoch == epoch);
        let mut shown = mine.min_by_key(|it| it.phase)?.clone();
        let link = self.links.get(&shown.store).filter(|_| shown.phase == ReturnPhase::Streaming);
        let told = self.progress.get(&shown.store).copied();
        shown.progress = told.or_else(|| link.and_then(|link| link.catching_up(now)));
        Some(shown)
    }

    /// What one store still lacks on this site's way back; none when it is back.
    fn way_back(&self, store: &StoreName, active: &SiteName, epoch: Epoch) -> Option<WayBack> {
        let back = self.returns.get(store).filter(|back| back.epoch == epoch);
        match back.map_or(ReturnPhase::Fencing, |back| back.phase) {
            ReturnPhase::Ready => None,
            ReturnPhase::Streaming
                if self.follows(store, active) && back.is_some_and(|back| !back.differs) =>
            {
                Some(WayBack::NotProved)
            }
            _ => Some(WayBack::Apart),
        }
    }

    /// Whether only the proof is missing. The rows that were put right are as of a later position
    /// than the rest, until the link has passed it.
    fn follows(&self, store: &StoreName, active: &SiteName) -> bool {
        let applied = self.links.get(store).filter(|link| link.from == *active);
        let applied = applied.and_then(|link| link.status.applied);
        let until = self.returns.get(store).and_then(|back| back.put_right_until);
        applied.is_some_and(|applied| until.is_some_and(|until| applied >= until))
    }

    /// This agent's verdict on the active site, unless another vantage finds it healthy: the way
    /// between two sites comes and goes without harm to the application.
    pub fn uncontradicted(
        &self,
        active: &SiteName,
        verdict: Verdict,
        now: Tick,
        fresh_for: Duration,
    ) -> Verdict {
        let healthy = |((vantage, about), evidence): (&(SiteName, SiteName), &Evidence)| {
            let speaks = about == active && vantage != active && *vantage != self.facts.here;
            speaks && evidence.fresh(now, fresh_for) == Verdict::Healthy
        };
        if self.evidence.iter().any(healthy) { Verdict::Healthy } else { verdict }
    }

    /// Sites that this agent's own probes do not reach.
    pub fn away(&self, now: Tick, fresh_for: Duration) -> BTreeSet<SiteName> {
        let own = self.evidence.iter().filter(|((vantage, _), _)| *vantage == self.facts.here);
        let lost = own.filter(|(_, it)| it.fresh(now, fresh_for) == Verdict::Unreachable);
        lost.map(|((_, about), _)| about.clone()).collect()
    }

    /// What a compare-and-set has to find.
    pub fn versioned(&self) -> Versioned {
        let record = self.facts.record.as_ref().map(|seen| seen.record.clone());
        Versioned { version: self.version, record }
    }

    /// Takes in what the coordinator answered to a question asked at `sent`. An answer that was
    /// asked for before this agent's own last change says nothing new.
    pub fn take_record(&mut self, versioned: Versioned, sent: Tick, now: Tick) {
        self.coordinator_answered = Some(now);
        self.unreadable = None;
        if sent <= self.swapped {
            return;
        }
        self.facts.coordinator_empty = versioned.record.is_none();
        self.reads.agreed = self.reads.agreed.map(|before| before.max(sent));
        self.version = versioned.version;
        match versioned.record {
            Some(record) => self.set_record(record, now),
            None => self.facts.record = None,
        }
    }

    /// Whether it answered lately: an election of etcd passes unnoticed.
    pub fn coordinator_answers(&self, rules: &Rules, now: Tick) -> bool {
        let fresh_for = rules.lease.fresh_for();
        self.coordinator_answered.is_some_and(|at| now.since(at) <= fresh_for)
    }

    /// What stands in the way of a failover, and does not pass when the lease has run out.
    pub fn lasting_hindrances(
        &self,
        rules: &Rules,
        seen: &SeenRecord,
        now: Tick,
    ) -> Vec<Hindrance> {
        let silent = !self.coordinator_answers(rules, now);
        let silent = silent.then_some(Hindrance::CoordinatorSilent);
        let passes = |it: &Hindrance| {
            matches!(it, Hindrance::LeaseRunning { .. } | Hindrance::CoordinatorSilent)
        };
        let found = hindrances(rules, &self.facts, seen, now).into_iter();
        silent.into_iter().chain(found.filter(|it| !passes(it))).collect()
    }

    /// Takes in this agent's own change of the record.
    pub fn take_swap(&mut self, version: u64, record: Record, now: Tick) {
        self.coordinator_answered = Some(now);
        self.unchangeable = None;
        self.change_failed = false;
        self.swapped = now;
        self.version = version;
        self.set_record(record, now);
    }

    fn set_record(&mut self, record: Record, now: Tick) {
        let before = self.facts.record.take();
        if before.as_ref().is_none_or(|seen| seen.record.epoch != record.epoch) {
            self.facts.epoch_seen = now;
            // A person who moves it knows what it went through.
            self.facts.health = match record.cause {
                Cause::Automatic => self.facts.health.of_another_site(),
                Cause::Initial | Cause::Ordered | Cause::Switchover => Damping::default(),
            };
        }
        self.facts.pause = SeenPause::take(self.facts.pause.take(), record.pause.as_deref(), now);
        let same = before.filter(|seen| seen.record.differs_at_most_in_pause(&record));
        let changed = same.map_or(now, |seen| seen.changed);
        if changed == now {
            self.last_renewal_seen_micros = Some(unix_micros());
        }
        self.facts.record = Some(SeenRecord { record, changed, read: now });
    }

    /// What the link of a store says of itself; and as of when this site holds all that its source
    /// had. That came with an answer of the source and is as old as the question, however long it
    /// waited for a process that was stopped; a status that goes on while the source is silent
    /// changes nothing of it.
    pub fn take_link(
        &mut self,
        store: &StoreName,
        from: &SiteName,
        (status, complete): (LinkStatus, Option<Tick>),
        now: Tick,
    ) {
        let link = self.links.entry(store.clone()).or_insert_with(|| KnownLink {
            store: store.clone(),
            from: from.clone(),
            to: self.facts.here.clone(),
            status: LinkStatus::starting(),
            complete_until: None,
            advanced: None,
            behind: None,
            scarce: false,
        });
        if link.from != *from {
            link.from = from.clone();
            link.complete_until = None;
            link.behind = None;
        }
        if status.transactions > link.status.transactions {
            link.advanced = Some(now);
        }
        link.complete_until = link.complete_until.max(complete);
        link.status = status;
        link.behind = link.behind.or(link.rest().map(|bytes| (now, bytes)));
    }

    /// The kind of the ledger's entry, once when little more history may be kept for a link, and
    /// once when that is over. What cannot be known changes nothing.
    pub fn turn_history(&mut self, store: &StoreName) -> Option<&'static str> {
        let link = self.links.get_mut(store)?;
        let retained = link.status.retained?;
        let kind = match link.scarce {
            false => retained.is_scarce().then_some("history-scarce"),
            true => retained.is_ample().then_some("history-ample"),
        }?;
        link.scarce = !link.scarce;
        Some(kind)
    }

    /// Of the stores whose links run here.
    pub fn equality(&self) -> Vec<EqualityView> {
        let never = Comparing::default();
        let compared = |store| self.comparisons.get(store).unwrap_or(&never);
        let links = self.links.values();
        links.map(|link| compared(&link.store).view(&link.store, &link.from, &link.to)).collect()
    }

    pub fn sample_lag(&mut self, micros: i64) {
        for (store, link) in &self.links {
            let sample = LagSample { store: store.clone(), micros, lag_s: link.status.lag };
            self.lag_samples.push_back(sample);
        }
        while self.lag_samples.len() > SAMPLES {
            self.lag_samples.pop_front();
        }
    }

    pub fn note_state(&mut self, state: State) {
        let doubt = matches!(state, State::Suspect | State::LeaseWait | State::Asking);
        match state {
            _ if doubt => {
                self.suspected_micros.get_or_insert_with(unix_micros);
            }
            State::Standby | State::Active => self.suspected_micros = None,
            _ => {}
        }
        self.state = Some(state);
    }

    /// As far as the coordinator said last.
    pub fn is_active(&self, site: &SiteName) -> bool {
        self.facts.record.as_ref().is_some_and(|seen| seen.record.active == *site)
    }

    /// Takes in what another agent says. It counts from when it was asked: the answer may have
    /// waited for a process that was stopped.
    pub fn take_view(&mut self, from: &SiteName, view: ApplicationView, asked: Tick) {
        for (about, aged) in &view.evidence {
            let evidence = aged.received(asked);
            self.evidence.insert((from.clone(), about.clone()), evidence);
        }
        self.views.insert(from.clone(), (asked, view));
    }
}

impl Known {
    /// Of each salvage as the active site counts it: this one, or one that was heard lately.
    pub fn salvage_states(
        &self,
        now: Tick,
        fresh_for: Duration,
    ) -> BTreeMap<String, SalvageStates> {
        let fresh = self.views.values().filter(|(heard, _)| now.since(*heard) <= fresh_for);
        let told = fresh.flat_map(|(_, view)| view.salvages.clone());
        told.chain(self.salvages.clone()).collect()
    }
}

impl KnownLink {
    /// Bytes of the source's history that are not applied yet.
    fn rest(&self) -> Option<u64> {
        self.status.applied?.bytes_to(self.status.source_end?)
    }

    /// How far it is from the source's end, and how long it takes at the speed so far.
    fn catching_up(&self, now: Tick) -> Option<ReturnProgress> {
        let bytes_left = self.rest()?;
        let seconds_left = self.behind.and_then(|(began, first)| {
            let nearer = u128::from(first.checked_sub(bytes_left).filter(|bytes| *bytes > 0)?);
            let millis = u128::from(bytes_left) * now.since(began).as_millis() / nearer;
            u64::try_from(millis.div_ceil(1000)).ok()
        });
        Some(ReturnProgress::CatchingUp { bytes_left, seconds_left })
    }

    pub fn view(&self) -> LinkView {
        LinkView {
            store: self.store.clone(),
            from: self.from.clone(),
            to: self.to.clone(),
            status: self.status.clone(),
        }
    }

    fn facts(&self) -> LinkFacts {
        let flows =
            matches!(self.status.phase, LinkPhase::Streaming | LinkPhase::Disconnected { .. });
        LinkFacts {
            sound: flows && self.status.applied.is_some(),
            received: self.status.received,
            complete_until: self.complete_until,
            advanced: self.advanced,
        }
    }
}

impl AgedEvidence {
    /// Evidence that was `age_ms` old when it was sent, on this agent's clock.
    fn received(&self, now: Tick) -> Evidence {
        Evidence {
            verdict: self.verdict,
            gathered: Tick::from_millis(now.millis().saturating_sub(self.age_ms)),
            why: self.why.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_core::Retained;
    use mainstay_core::position::Lsn;

    fn caught_up(end: u64) -> LinkStatus {
        LinkStatus {
            phase: LinkPhase::Streaming,
            applied: Some(Position::Postgres(Lsn(end))),
            received: Some(Position::Postgres(Lsn(end))),
            source_end: Some(Position::Postgres(Lsn(end))),
            lag: Lag::Known(Duration::ZERO),
            ..LinkStatus::starting()
        }
    }

    #[test]
    fn a_returning_site_lacks_only_the_proof_once_the_link_has_passed_the_rows_put_right() {
        let site = |name| SiteName::new(name).unwrap();
        let db = StoreName::new("db").unwrap();
        let mut known = Known::new(site("east"), Tick::default());
        let record = Record::first(site("east")).claimed_by(&site("west"), Cause::Automatic);
        let epoch = record.epoch;
        known.facts.promoted = Epoch::new(1);
        known.set_record(record, Tick::default());
        let mut way = |phase, applied: u64, differs, of_epoch| {
            let back = Return {
                phase,
                epoch: of_epoch,
                put_right_until: Some(Position::Postgres(Lsn(20))),
                differs,
                ..Return::begun(of_epoch, db.clone())
            };
            known.returns.insert(db.clone(), back);
            known.take_link(&db, &site("west"), (caught_up(applied), None), Tick::default());
            known.way_back(&db, &site("west"), epoch)
        };
        use ReturnPhase::{PuttingRight, Ready, Streaming};
        assert_eq!(way(PuttingRight, 30, false, epoch), Some(WayBack::Apart));
        assert_eq!(way(Streaming, 19, false, epoch), Some(WayBack::Apart));
        assert_eq!(way(Streaming, 20, false, epoch), Some(WayBack::NotProved));
        assert_eq!(way(Streaming, 20, true, epoch), Some(WayBack::Apart), "found to differ");
        assert_eq!(way(Ready, 20, false, epoch), None);
        assert_eq!(way(Ready, 20, false, Epoch::new(1)), Some(WayBack::Apart), "an older return");
    }

    #[test]
    fn a_site_is_as_complete_as_it_was_said_to_be_however_late_that_is_heard() {
        let site = |name| SiteName::new(name).unwrap();
        let store = StoreName::new("db").unwrap();
        let mut known = Known::new(site("west"), Tick::default());
        let at = Tick::from_millis;
        let mut until = |from, (end, complete): (u64, Option<u64>), now| {
            let told = (caught_up(end), complete.map(at));
            known.take_link(&store, &site(from), told, at(now));
            known.links[&store].complete_until
        };
        assert_eq!(until("east", (10, Some(900)), 1_000), Some(at(900)));
        assert_eq!(until("east", (20, Some(1_900)), 12_000), Some(at(1_900)), "it was stopped");
        assert_eq!(until("east", (20, None), 14_500), Some(at(1_900)), "it has lost its source");
        assert_eq!(until("east", (20, Some(800)), 15_000), Some(at(1_900)));
        assert_eq!(until("south", (20, None), 16_000), None, "another source");
    }

    #[test]
    fn a_cut_between_two_sites_is_no_loss_of_health_while_the_witness_sees_it() {
        let site = |name| SiteName::new(name).unwrap();
        let (east, lost) = (site("east"), Verdict::Unreachable);
        let mut known = Known::new(site("west"), Tick::default());
        let fresh_for = Duration::from_secs(5);
        let mut health = |vantage, verdict, second: u64| {
            let gathered = Tick::from_millis(second * 1000);
            let evidence = Evidence { verdict, gathered, why: String::new() };
            known.evidence.insert((site(vantage), site("east")), evidence);
            known.uncontradicted(&east, lost, Tick::from_millis(10_000), fresh_for)
        };
        assert_eq!(health("witness", Verdict::Healthy, 9), Verdict::Healthy);
        assert_eq!(health("witness", Verdict::Healthy, 4), lost, "that was long ago");
        assert_eq!(health("witness", Verdict::Unhealthy, 9), lost);
        assert_eq!(health("east", Verdict::Healthy, 9), lost, "it speaks for itself");
    }

    #[test]
    fn scarce_history_is_told_once_and_its_end_not_at_the_same_bound() {
        let east = SiteName::new("east").unwrap();
        let store = StoreName::new("db").unwrap();
        let mut known = Known::new(SiteName::new("west").unwrap(), Tick::default());
        let mut told = Vec::new();
        for left in [90, 24, 20, 26, 24, 49, 50, 26, 10] {
            let retained =
                Retained { bytes: 1, left: Some(left), bound: Some(100), unreserved: false };
            for retained in [Some(retained), None] {
                let status = LinkStatus { retained, ..LinkStatus::starting() };
                known.take_link(&store, &east, (status, None), Tick::default());
                told.extend(known.turn_history(&store).map(|kind| (left, kind)));
            }
        }
        let expected = [(24, "history-scarce"), (50, "history-ample"), (10, "history-scarce")];
        assert_eq!(told, expected);
    }

    #[test]
    fn without_a_bound_history_is_never_scarce_and_beyond_it_always() {
        let unbounded = Retained { bytes: u64::MAX, left: None, bound: None, unreserved: false };
        assert!(!unbounded.is_scarce() && unbounded.is_ample());
        let beyond = Retained { unreserved: true, ..unbounded };
        assert!(beyond.is_scarce() && !beyond.is_ample());
    }
}
