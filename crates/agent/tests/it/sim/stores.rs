//! The stores as an agent of the simulation sees them: every question is an event at the site of
//! the database. Where the history is gone a person would be asked; the simulation refuses there.

use super::database::{Database, Unchanged};
use super::link;
use super::world::{Shared, Ticket, World, lock};
use mainstay_agent::stores::{self, Answer, Link, Probe, Standing};
use mainstay_core::estate::{PostgresEndpoint, PostgresStore};
use mainstay_core::position::Lsn;
use mainstay_core::{Epoch, Finding};
use mainstay_stores::postgres::applied::Applied;
use mainstay_stores::postgres::compare::{Comparison, Held, Listener, Pace};
use mainstay_stores::postgres::connect::ConnectError;
use mainstay_stores::postgres::fault::Fault;
use mainstay_stores::postgres::fence::{FenceState, Fenced};
use mainstay_stores::postgres::link::LinkSpec;
use mainstay_stores::postgres::probe::Look;
use mainstay_stores::postgres::put_right::{Plan, PutRight, Told};
use mainstay_stores::postgres::repair::Sides;
use mainstay_stores::postgres::salvage::{Book, Summary, Survey};
use mainstay_stores::postgres::sequences::Bumped;
use mainstay_stores::postgres::slot::SlotState;
use mainstay_stores::readers::Unfit;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// As the real ones' connection.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub struct Stores {
    pub world: Shared,
    pub from: Ticket,
}

type Asked<'a, T> = Answer<'a, Result<T, Fault>>;

pub fn refused(doing: &'static str, why: &str) -> Fault {
    Fault::Sql { place: String::new(), doing, why: why.to_owned(), sqlstate: None }
}

fn unreachable(place: &str, why: &str) -> Fault {
    ConnectError::Unreachable { place: place.to_owned(), why: why.to_owned() }.into()
}

fn unchanged(place: String, epoch: Epoch, why: Unchanged) -> Fault {
    match why {
        Unchanged::Stale { seen } => Fault::StaleEpoch { place, asked: epoch, seen },
        Unchanged::TooLate => Fault::OpenedTooLate { place, epoch },
    }
}

impl Stores {
    /// Asks the database at that endpoint.
    pub async fn ask<T: Send + 'static>(
        &self,
        endpoint: &PostgresEndpoint,
        work: impl FnOnce(&mut World, usize) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let (answer, answered) = oneshot::channel();
        let place = endpoint.host.clone();
        let (from, asked) = (self.from, place.clone());
        {
            let mut world = lock(&self.world);
            let to = (0..2).find(|site| world.name(*site).as_str() == place).expect("a site");
            world.send(from, to, move |world, arrived| {
                if !arrived {
                    return world.lose(answer);
                }
                let done = match world.databases[to].up {
                    true => work(world, to),
                    false => Err(unreachable(&asked, "connection refused")),
                };
                world.reply(to, from, answer, done);
            });
        }
        let silent = || Err(unreachable(&place, "no answer"));
        let answered = tokio::time::timeout(PATIENCE, answered).await;
        answered.map_or_else(|_| silent(), |it| it.unwrap_or_else(|_| silent()))
    }

    pub async fn at<T: Send + 'static>(
        &self,
        endpoint: &PostgresEndpoint,
        work: impl FnOnce(&mut Database) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        self.ask(endpoint, move |world, site| work(&mut world.databases[site])).await
    }
}

struct Session {
    stores: Stores,
    endpoint: PostgresEndpoint,
}

impl Probe for Session {
    fn look(&self) -> Asked<'_, Look> {
        Box::pin(self.stores.at(&self.endpoint, |database| {
            database.beat();
            Ok(Look { position: Lsn(database.end), fence: state(database)? })
        }))
    }
}

fn state(database: &Database) -> Result<FenceState, Fault> {
    match database.prepared {
        true => Ok(FenceState { epoch: database.epoch, open: database.is_open() }),
        false => Err(Fault::NotPrepared { place: String::new(), doing: "read the fence" }),
    }
}

impl stores::Stores for Stores {
    fn prepare<'a>(
        &'a self,
        place: &'a str,
        _: &'a PostgresStore,
        endpoint: &'a PostgresEndpoint,
    ) -> Answer<'a, Vec<Finding>> {
        Box::pin(async move {
            let made = self.at(endpoint, |database| {
                database.prepared = true;
                Ok(())
            });
            let failed = made.await.err();
            let tell = |why: Fault| Finding::error(why.code(), place, why.to_string(), "again");
            failed.map(tell).into_iter().collect()
        })
    }

    fn probe<'a>(&'a self, endpoint: &'a PostgresEndpoint) -> Asked<'a, Box<dyn Probe>> {
        Box::pin(async move {
            let session = Session { stores: self.clone(), endpoint: endpoint.clone() };
            let session: Box<dyn Probe> = Box::new(session);
            Ok(session)
        })
    }

    fn write<'a>(
        &'a self,
        endpoint: &'a PostgresEndpoint,
        _statement: Option<&'a str>,
    ) -> Asked<'a, ()> {
        Box::pin(self.at(endpoint, |database| {
            database.beat();
            Ok(())
        }))
    }

    fn fence_state<'a>(&'a self, endpoint: &'a PostgresEndpoint) -> Asked<'a, FenceState> {
        Box::pin(self.at(endpoint, |database| state(database)))
    }

    fn fence<'a>(
        &'a self,
        endpoint: &'a PostgresEndpoint,
        _: &'a [String],
        epoch: Epoch,
        _: Duration,
    ) -> Asked<'a, Fenced> {
        Box::pin(self.ask(endpoint, move |world, site| {
            let fenced = world.databases[site].fence(epoch);
            let place = world.name(site).to_string();
            let told = if fenced.is_ok() { "fenced" } else { "refuses a fence" };
            world.note(format_args!("database of {place}: {told}, epoch {epoch}"));
            let position = fenced.map_err(|why| unchanged(place, epoch, why))?;
            Ok(Fenced { sessions_cut: 0, position })
        }))
    }

    fn open<'a>(
        &'a self,
        endpoint: &'a PostgresEndpoint,
        _: &'a [String],
        epoch: Epoch,
        still: &'a (dyn Fn() -> bool + Send + Sync),
    ) -> Asked<'a, ()> {
        Box::pin(async move {
            let seen = self.at(endpoint, |database| Ok(database.version)).await?;
            if !still() {
                return Err(Fault::OpenedTooLate { place: endpoint.host.clone(), epoch });
            }
            let opened = self.ask(endpoint, move |world, site| {
                let opened = world.databases[site].open(epoch, seen);
                let place = world.name(site).to_string();
                let told = if opened.is_ok() { "open" } else { "refuses to open" };
                world.note(format_args!("database of {place}: {told}, epoch {epoch}"));
                if opened.is_ok() {
                    super::oracle::opened(world, site, epoch);
                }
                opened.map_err(|why| unchanged(place, epoch, why))
            });
            opened.await
        })
    }

    fn start(&self, spec: LinkSpec) -> Box<dyn Link> {
        Box::new(link::start(Arc::new(self.clone()), spec))
    }

    fn bump_sequences<'a>(
        &'a self,
        target: &'a PostgresEndpoint,
        _: &'a str,
        _: i64,
    ) -> Asked<'a, Bumped> {
        Box::pin(self.at(target, |_| Ok(Bumped { moved: 0, findings: Vec::new() })))
    }

    fn copy_sequences<'a>(
        &'a self,
        source: &'a PostgresEndpoint,
        target: &'a PostgresEndpoint,
    ) -> Asked<'a, u32> {
        Box::pin(async move {
            self.at(source, |_| Ok(())).await?;
            self.at(target, |_| Ok(0)).await
        })
    }

    fn find_slot<'a>(
        &'a self,
        endpoint: &'a PostgresEndpoint,
        slot: &'a str,
    ) -> Asked<'a, Option<SlotState>> {
        let slot = slot.to_owned();
        Box::pin(self.at(endpoint, move |database| {
            let confirmed = database.slots.get(&slot);
            Ok(confirmed.map(|lsn| SlotState {
                confirmed_flush: Lsn(*lsn),
                active: None,
                lost: false,
            }))
        }))
    }

    fn pin<'a>(&'a self, endpoint: &'a PostgresEndpoint, slot: &'a str) -> Asked<'a, Lsn> {
        let slot = slot.to_owned();
        Box::pin(self.at(endpoint, move |database| {
            let end = database.end;
            Ok(Lsn(*database.slots.entry(slot).or_insert(end)))
        }))
    }

    fn drop_slot<'a>(&'a self, endpoint: &'a PostgresEndpoint, slot: &'a str) -> Asked<'a, bool> {
        let slot = slot.to_owned();
        Box::pin(self.at(endpoint, move |database| Ok(database.slots.remove(&slot).is_some())))
    }

    fn keep_readers<'a>(
        &'a self,
        endpoint: &'a PostgresEndpoint,
        _: &'a [String],
        _: bool,
    ) -> Asked<'a, Vec<Unfit>> {
        Box::pin(self.at(endpoint, |_| Ok(Vec::new())))
    }

    fn applied<'a>(
        &'a self,
        target: &'a PostgresEndpoint,
        link: &'a str,
    ) -> Asked<'a, Option<Applied>> {
        let link = link.to_owned();
        Box::pin(self.at(target, move |database| {
            let row = database.links.get(&link);
            Ok(row.and_then(|row| {
                let position = Lsn(row.position?);
                Some(Applied { position, commit_micros: row.commit_micros })
            }))
        }))
    }

    fn take_salvage<'a>(
        &'a self,
        source: &'a PostgresEndpoint,
        slot: &'a str,
        after: Lsn,
        sink: &'a mut (dyn Write + Send),
    ) -> Asked<'a, Summary> {
        let slot = slot.to_owned();
        Box::pin(async move {
            let place = source.host.clone();
            let taken = self.at(source, move |database| {
                let Some(confirmed) = database.slots.get(&slot).copied().map(Lsn) else {
                    return Err(Fault::SlotMissing { place, slot });
                };
                if confirmed > after {
                    return Err(Fault::SalvageGap { place, slot, confirmed, after });
                }
                Ok(database.after(after.0).to_vec())
            });
            let taken = taken.await?;
            for commit in &taken {
                writeln!(sink, "{}", commit.tx).map_err(Fault::SalvageUnwritable)?;
            }
            let count = u64::try_from(taken.len()).unwrap_or(0);
            Ok(Summary {
                transactions: count,
                changes: count,
                first_commit_micros: taken.first().map(|commit| commit.micros),
                last_commit_micros: taken.last().map(|commit| commit.micros),
                ..Summary::default()
            })
        })
    }

    fn survey<'a>(&'a self, book: Book<'a>) -> Asked<'a, Survey> {
        Box::pin(async move {
            self.at(book.active, |_| Ok(())).await?;
            Ok(Survey::default())
        })
    }

    fn put_right<'a>(
        &'a self,
        plan: &'a Plan,
        salvage: BufReader<File>,
        _: Told<'a>,
    ) -> Asked<'a, PutRight> {
        Box::pin(async move {
            let named: BTreeSet<u64> = salvage
                .lines()
                .map(|line| line.expect("a line").parse().expect("a number"))
                .collect();
            let (slot, place) = (plan.slot.clone(), plan.active.host.clone());
            let read = self.at(&plan.active, move |database| {
                let from = database.slots.get(&slot).copied();
                let from = from.ok_or(Fault::SlotMissing { place, slot })?;
                Ok((from, database.end, database.data.clone()))
            });
            let (from, until, active) = read.await?;
            let (link, epoch) = (plan.link.clone(), plan.epoch);
            let put = self.ask(&plan.old, move |world, site| {
                let database = &mut world.databases[site];
                for tx in &named {
                    match active.contains(tx) {
                        true => database.data.insert(*tx),
                        false => database.data.remove(tx),
                    };
                }
                let row = database.links.entry(link).or_default();
                (row.epoch, row.position) = (epoch, Some(from));
                Ok(u64::try_from(named.len()).unwrap_or(0))
            });
            let rows = put.await?;
            Ok(PutRight { rows, until: Lsn(until), from: Lsn(from) })
        })
    }

    fn has_tables<'a>(&'a self, _: &'a Sides) -> Asked<'a, bool> {
        Box::pin(async { Err(refused("compare", "the simulation does not make sides equal")) })
    }

    fn compare<'a>(
        &'a self,
        _: Pace,
        spec: &'a LinkSpec,
        mut held: Standing,
        _: &'a mut dyn Listener,
    ) -> Asked<'a, Comparison> {
        Box::pin(async move {
            let read = self.at(&spec.source, |database| Ok((database.end, database.data.clone())));
            let (position, source) = read.await?;
            let interrupted = |why: String| refused("compare", &why);
            held.advance_to(Lsn(position)).await.map_err(interrupted)?;
            let target = self.at(&spec.target, |database| Ok(database.data.clone())).await?;
            if !held.still_stands() {
                return Err(refused("compare", "the link went on"));
            }
            Ok(Comparison {
                position: Lsn(position),
                equal: source == target,
                tables: Vec::new(),
                sequences: Vec::new(),
                notes: Vec::new(),
                bytes: 0,
                seconds: 0.0,
            })
        })
    }
}
