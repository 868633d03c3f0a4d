//! Whether this site's own databases may be read by those that only read, and until when.
//!
//! A database may be read until `max-lag` after the newest moment as of which it is known to have all
//! that was committed: while this site is active, now; otherwise what its link says. What is unknown
//! therefore needs no rule of its own: that moment passes. An epoch's change is none either.
//! Invariant: nothing is read where rows may be rewound, or before its readers were looked at.

use crate::application::Application;
use crate::known::Known;
use crate::stores::At;
use crate::types::{ReadsView, Return, ReturnPhase};
use mainstay_core::decision::State;
use mainstay_core::record::Cause;
use mainstay_core::{StoreName, Tick};
use mainstay_stores::readers::Unfit;
use std::collections::BTreeMap;
use std::time::Duration;

/// A gate is told of a later end when it is later by at least this.
const STEP: Duration = Duration::from_millis(500);

/// What is known of each store that has readers.
#[derive(Debug, Default)]
pub struct Reads {
    /// The newest moment as of which this site's database is known to be complete.
    fresh: BTreeMap<StoreName, Tick>,
    /// The run of the server in which that was last so, where a run matters.
    runs: BTreeMap<StoreName, String>,
    /// What the readers were found to be, the last time that they could be looked at.
    pub readers: BTreeMap<StoreName, Looked>,
    /// When the coordinator was asked, the last time that it answered. Set where a third site could
    /// have been promoted meanwhile: then nothing later is known to be complete.
    pub agreed: Option<Tick>,
    /// What the gate was told last.
    told: BTreeMap<StoreName, Option<Tick>>,
}

#[derive(Debug, Default)]
pub struct Looked {
    pub at: Tick,
    /// Whether the database was open then: those that could write were let in.
    pub open: bool,
    /// They wait for the link: also those that can only read are not let in.
    pub waiting: bool,
    pub unfit: Vec<Unfit>,
    /// Why they could not be looked at the last time.
    pub trouble: Option<String>,
}

/// What may be done with one database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// All that was committed until then is there.
    Complete(Tick),
    /// Nothing new is known: what the gate was told before runs out by itself.
    Unknown,
    /// Not now, whatever was said before.
    Not(&'static str),
}

impl Reads {
    /// A link from the active site told as of when its target is complete.
    pub fn complete(&mut self, store: &StoreName, at: Tick) {
        self.note(store, self.agreed.map_or(at, |agreed| agreed.min(at)));
    }

    fn note(&mut self, store: &StoreName, at: Tick) {
        let fresh = self.fresh.entry(store.clone()).or_insert(at);
        *fresh = at.max(*fresh);
    }

    /// The same of a server that lets readers in once its link was complete in this run of it.
    pub fn complete_in(&mut self, store: &StoreName, run: String) {
        if self.runs.get(store) == Some(&run) {
            return;
        }
        self.runs.insert(store.clone(), run);
        self.look_soon(store);
    }

    pub fn run(&self, store: &StoreName) -> Option<&str> {
        self.runs.get(store).map(String::as_str)
    }

    /// The database's tables are not as of one instant; where readers wait for a link, it has shut
    /// them out.
    pub fn forget(&mut self, store: &StoreName) {
        self.fresh.remove(store);
        let waits = self.runs.remove(store).is_some();
        if let Some(looked) = self.readers.get_mut(store).filter(|_| waits) {
            looked.waiting = true;
        }
    }

    fn look_soon(&mut self, store: &StoreName) {
        if let Some(looked) = self.readers.get_mut(store) {
            looked.at = Tick::default();
        }
    }

    /// Whether the gate is to be told more than it knows.
    pub fn learn(&mut self, wanted: BTreeMap<StoreName, Option<Tick>>) -> bool {
        let is_news = wanted.iter().any(|(store, until)| match (self.told.get(store), until) {
            (Some(Some(told)), Some(until)) => *until >= told.plus(STEP),
            (told, until) => told != Some(until),
        });
        if is_news {
            self.told.extend(wanted);
        }
        is_news
    }

    /// All that the gate is told: only the newest directive reaches a gate that was away.
    pub fn told(&self) -> BTreeMap<StoreName, Option<Tick>> {
        self.told.clone()
    }
}

impl Known {
    pub fn reading(&self, store: &StoreName, state: State, now: Tick) -> Reading {
        if self.relinking.contains(store) {
            return Reading::Not("it is being made equal to the active site's");
        }
        match state {
            State::Fenced => return Reading::Not("this site's lease ran out"),
            State::Regressed => return Reading::Not("the coordinator forgot an epoch"),
            State::Returning if !self.is_clean(store) => {
                return Reading::Not("this site is on its way back");
            }
            _ => {}
        }
        match self.reads.readers.get(store) {
            None => return Reading::Unknown,
            // Those that could write are still to be shut out.
            Some(looked)
                if looked.open && self.facts.open.is_none() && !looked.unfit.is_empty() =>
            {
                return Reading::Not("a reader that could write is not shut out yet");
            }
            Some(looked) if looked.waiting => {
                return Reading::Not("its readers wait until its link has brought everything");
            }
            Some(_) => {}
        }
        let epoch = self.facts.record.as_ref().map(|seen| seen.record.epoch);
        if state == State::Active && self.facts.open.is_some() && self.facts.open == epoch {
            return Reading::Complete(now);
        }
        match self.reads.fresh.get(store) {
            Some(fresh) => Reading::Complete(*fresh),
            None => Reading::Unknown,
        }
    }

    /// A planned move left nothing here that the active site does not have, so that nothing is
    /// rewound on the way back.
    fn is_clean(&self, store: &StoreName) -> bool {
        let Some(record) = self.facts.record.as_ref().map(|seen| &seen.record) else {
            return false;
        };
        let back = self.returns.get(store).filter(|back| back.epoch == record.epoch);
        let ready = back.is_some_and(|back| back.phase == ReturnPhase::Ready);
        let rewound = |back: &Return| {
            let salvage = back.salvage.as_ref();
            let some = salvage.is_some_and(|it| it.transactions > 0 || it.inexact.is_some());
            some || back.differs || back.rows_put_right.is_some_and(|rows| rows > 0)
        };
        ready || (record.cause == Cause::Switchover && !back.is_some_and(rewound))
    }
}

/// What the gate is told of each store with readers.
pub fn wanted<'a>(
    known: &mut Known,
    stores: impl Iterator<Item = (&'a StoreName, Duration)>,
    state: State,
    now: Tick,
) -> BTreeMap<StoreName, Option<Tick>> {
    let mut wanted = BTreeMap::new();
    for (name, max_lag) in stores {
        match known.reading(name, state, now) {
            Reading::Complete(fresh) => {
                known.reads.note(name, fresh);
                wanted.insert(name.clone(), Some(fresh.plus(max_lag)));
            }
            Reading::Not(_) => {
                wanted.insert(name.clone(), None);
            }
            Reading::Unknown => {}
        }
    }
    wanted
}

/// What readers of this site's gate are given, of each store that has some.
pub fn views(application: &Application, known: &Known, state: State, now: Tick) -> Vec<ReadsView> {
    let report = application.context.gate.watch(&application.spec.name).borrow().clone();
    let view = |(name, at): (&StoreName, At<'_>)| {
        let reading = known.reading(name, state, now);
        let age = match &reading {
            Reading::Complete(fresh) => Some(now.since(*fresh)),
            Reading::Unknown | Reading::Not(_) => None,
        };
        let why = match reading {
            _ if age.is_some_and(|age| age <= at.max_lag()) => None,
            Reading::Complete(_) => Some("its link is behind, or does not know how far"),
            Reading::Unknown => Some("how old its data is, is not known yet"),
            Reading::Not(why) => Some(why),
        };
        ReadsView {
            store: name.clone(),
            site: known.facts.here.clone(),
            age_s: age.map(|age| age.as_secs_f64()),
            max_lag_s: at.max_lag().as_secs_f64(),
            refused: why.map(str::to_owned),
            readers_here: report.as_ref().map_or(0, |report| report.readers_here),
            readers_away: report.as_ref().map_or(0, |report| report.readers_away),
        }
    };
    application.stores_with_readers().map(view).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_core::{Epoch, Record, SiteName};

    fn at(millis: u64) -> Tick {
        Tick::from_millis(millis)
    }

    fn east() -> SiteName {
        SiteName::new("east").unwrap()
    }

    fn db() -> StoreName {
        StoreName::new("db").unwrap()
    }

    /// West, at which readers were looked at, and which was complete as of the first second.
    fn west(cause: Cause) -> Known {
        let west = SiteName::new("west").unwrap();
        let mut known = Known::new(west.clone(), Tick::default());
        let record = Record::first(west).claimed_by(&east(), cause);
        known.take_swap(1, record, Tick::default());
        known.reads.readers.insert(db(), Looked::default());
        known.reads.complete(&db(), at(1_000));
        known
    }

    fn reading(known: &Known, state: State) -> Reading {
        known.reading(&db(), state, at(9_000))
    }

    #[test]
    fn a_standby_and_one_that_is_promoted_are_as_old_as_their_link_said_last() {
        let known = west(Cause::Initial);
        for state in [State::Standby, State::Suspect, State::LeaseWait, State::Promoting] {
            assert_eq!(reading(&known, state), Reading::Complete(at(1_000)), "{state:?}");
        }
    }

    #[test]
    fn the_active_site_is_complete_as_long_as_it_is_open() {
        let mut known = west(Cause::Initial);
        assert_eq!(reading(&known, State::Active), Reading::Complete(at(1_000)));
        known.facts.open = Some(Epoch::new(2));
        assert_eq!(reading(&known, State::Active), Reading::Complete(at(9_000)));
        assert_eq!(reading(&known, State::HandingOver), Reading::Complete(at(1_000)));
        known.facts.open = Some(Epoch::new(1));
        assert_eq!(
            reading(&known, State::Active),
            Reading::Complete(at(1_000)),
            "of another epoch"
        );
    }

    #[test]
    fn with_a_third_site_nothing_is_newer_than_the_last_word_on_who_is_active() {
        let mut known = west(Cause::Initial);
        known.reads.agreed = Some(at(1_700));
        known.reads.complete(&db(), at(1_500));
        assert_eq!(reading(&known, State::Standby), Reading::Complete(at(1_500)));
        known.reads.complete(&db(), at(2_500));
        assert_eq!(reading(&known, State::Standby), Reading::Complete(at(1_700)));
    }

    #[test]
    fn a_fenced_site_a_copy_and_one_that_is_rewound_are_not_read() {
        let mut known = west(Cause::Automatic);
        for state in [State::Fenced, State::Regressed, State::Returning] {
            assert!(matches!(reading(&known, state), Reading::Not(_)), "{state:?}");
        }
        let back = Return { phase: ReturnPhase::Ready, ..Return::begun(Epoch::new(2), db()) };
        known.returns.insert(db(), back);
        assert_eq!(reading(&known, State::Returning), Reading::Complete(at(1_000)));
        known.relinking.insert(db());
        assert!(matches!(reading(&known, State::Standby), Reading::Not(_)));
        known.relinking.clear();
        known.reads.forget(&db());
        assert_eq!(reading(&known, State::Standby), Reading::Unknown);
    }

    #[test]
    fn after_a_planned_move_that_left_nothing_the_way_back_rewinds_nothing() {
        let mut known = west(Cause::Switchover);
        assert_eq!(reading(&known, State::Returning), Reading::Complete(at(1_000)));
        let back = Return { rows_put_right: Some(3), ..Return::begun(Epoch::new(2), db()) };
        known.returns.insert(db(), back);
        assert!(matches!(reading(&known, State::Returning), Reading::Not(_)));
    }

    #[test]
    fn nothing_is_read_before_its_readers_were_looked_at_and_strong_ones_shut_out() {
        let mut known = west(Cause::Initial);
        known.reads.readers.clear();
        assert_eq!(reading(&known, State::Standby), Reading::Unknown);
        let unfit = Unfit {
            code: "MS-PG-319",
            reader: "r".into(),
            why: "is SUPERUSER".into(),
            mend: String::new(),
        };
        let looked = |open| Looked { open, unfit: vec![unfit.clone()], ..Looked::default() };
        known.reads.readers.insert(db(), looked(true));
        assert!(matches!(reading(&known, State::Standby), Reading::Not(_)));
        known.reads.readers.insert(db(), looked(false));
        assert_eq!(reading(&known, State::Standby), Reading::Complete(at(1_000)));
    }

    #[test]
    fn a_server_whose_readers_wait_for_their_link_is_not_read_until_they_were_let_in() {
        let mut known = west(Cause::Initial);
        let looked = |waiting| Looked { at: at(5_000), waiting, ..Looked::default() };
        known.reads.readers.insert(db(), looked(true));
        assert!(matches!(reading(&known, State::Standby), Reading::Not(_)));
        known.reads.complete_in(&db(), "run".into());
        assert_eq!(known.reads.readers[&db()].at, Tick::default(), "it is looked at at once");
        known.reads.readers.insert(db(), looked(false));
        assert_eq!(reading(&known, State::Standby), Reading::Complete(at(1_000)));
        known.reads.complete_in(&db(), "run".into());
        assert_eq!(known.reads.readers[&db()].at, at(5_000), "it is known");
        known.reads.forget(&db());
        assert!(matches!(reading(&known, State::Standby), Reading::Not(_)), "it is copied anew");
        assert_eq!(known.reads.run(&db()), None);
    }

    #[test]
    fn a_gate_is_told_at_once_what_ends_and_now_and_then_what_goes_on() {
        let mut reads = Reads::default();
        let mut told = |until: Option<u64>| reads.learn([(db(), until.map(at))].into());
        assert!(told(Some(1_000)));
        assert!(!told(Some(1_400)));
        assert!(told(Some(1_500)));
        assert!(told(None) && !told(None));
        assert!(told(Some(1_500)));
    }
}
