//! Comparing a store of this site with the active site's.

use crate::application::Application;
use crate::comparing::Job;
use crate::error::Refused;
use crate::stores::Standing;
use crate::time::tick;
use mainstay_core::decision::State;
use mainstay_core::estate::StoreKind;
use mainstay_core::{LinkPhase, StoreName};
use mainstay_stores::postgres::compare::{Comparison, Difference, Listener, Pace, Progress};
use mainstay_stores::postgres::link::LinkSpec;
use mainstay_stores::postgres::repair::Hold;
use std::sync::Arc;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(30);
/// How soon a comparison of its own gives way to something else.
const LOOK: Duration = Duration::from_millis(200);

/// The link of a store at this site.
pub struct Linked {
    pub application: Arc<Application>,
    pub store: StoreName,
}

impl Hold for Linked {
    type Held = Standing;

    async fn hold(&mut self) -> Result<Standing, String> {
        hold(&self.application, &self.store).await
    }
}

async fn hold(application: &Application, store: &StoreName) -> Result<Standing, String> {
    // A recheck lets go of the link soon.
    drop(application.standing.lock().await);
    let links = application.links.lock().await;
    let running = links.get(store).ok_or("no link of this store runs here")?;
    let paused = running.link.pause(TIMEOUT).await?;
    Ok(Standing { paused, patience: TIMEOUT })
}

/// The link of a PostgreSQL store from the active site to this one.
pub fn spec(application: &Application, store: &StoreName) -> Result<LinkSpec, String> {
    let known = application.known();
    let record = known.facts.record.as_ref().map(|seen| seen.record.clone());
    let record = record.ok_or("the active site is not known yet")?;
    drop(known);
    if let Some(StoreKind::Redis(_)) = application.spec.stores.get(store).map(|it| &it.kind) {
        return Err(format!("{store} is of kind redis, which is not compared yet"));
    }
    super::links::spec(application, store, &record.active, application.here(), record.epoch)
        .filter(|spec| spec.from != spec.to)
        .ok_or_else(|| "this is done at a standby, against the active site".to_owned())
}

/// Compares at one position, and enters what came of it in the ledger. Anything that cannot be
/// finished is an error, never "equal".
pub async fn run(application: &Application, store: &StoreName) -> Result<Comparison, String> {
    compared(application, &spec(application, store)?, Pace::Full, &mut ()).await
}

/// The same, with somebody who listens.
pub async fn against(
    application: &Application,
    spec: &LinkSpec,
    listener: &mut dyn Listener,
) -> Result<Comparison, String> {
    compared(application, spec, Pace::Full, listener).await
}

async fn compared(
    application: &Application,
    spec: &LinkSpec,
    pace: Pace,
    listener: &mut dyn Listener,
) -> Result<Comparison, String> {
    let store = &spec.store;
    let interruptions = {
        let mut known = application.known();
        known.comparisons.entry(store.clone()).or_default().interruptions()
    };
    let held = hold(application, store).await?;
    let compared = application.context.stores.compare(pace, spec, held, listener).await;
    let compared = compared.map_err(|why| why.to_string())?;
    let differences: u64 = compared.tables.iter().map(|table| table.differences).sum();
    let unlike = compared.tables.iter().filter(|table| table.unlike.is_some()).count();
    let body = serde_json::json!({
        "store": store, "position": compared.position, "equal": compared.equal,
        "tables": compared.tables.len(), "differences": differences, "unlike": unlike,
    });
    application.enter("comparison", body).await.map_err(|why| why.to_string())?;
    application.learn(|known| {
        known.comparisons.entry(store.clone()).or_default().proved(&compared, interruptions);
    });
    Ok(compared)
}

/// Brings a comparison's progress to what is known.
struct Telling<'a> {
    application: &'a Application,
    store: &'a StoreName,
}

impl Listener for Telling<'_> {
    fn found(&mut self, _: &str, _: &Difference) -> std::io::Result<()> {
        Ok(())
    }

    fn progress(&mut self, progress: &Progress) {
        let mut known = self.application.known();
        let comparing = known.comparisons.get_mut(self.store);
        if let Some(job) = comparing.and_then(|it| it.job.as_mut()) {
            job.tell(progress, tick());
        }
    }
}

/// Begins a comparison in a task of its own, unless one of this store is under way. It does not
/// end with whoever asked for it.
pub fn begin(application: &Arc<Application>, store: &StoreName) -> Result<(), Refused> {
    let spec = spec(application, store).map_err(unknown)?;
    let (work, of) = (application.clone(), store.clone());
    start(application, store, async move {
        let mut telling = Telling { application: &work, store: &of };
        compared(&work, &spec, Pace::Full, &mut telling).await
    });
    Ok(())
}

fn start(
    application: &Arc<Application>,
    store: &StoreName,
    work: impl Future<Output = Result<Comparison, String>> + Send + 'static,
) {
    {
        let mut known = application.known();
        let comparing = known.comparisons.entry(store.clone()).or_default();
        if comparing.job.as_ref().is_some_and(Job::is_running) {
            return;
        }
        comparing.job = Some(Job::begin());
    }
    let (application, store) = (application.clone(), store.clone());
    tokio::spawn(async move {
        // A panic is an end too; nothing may go on saying that it is under way.
        let made = tokio::spawn(work).await.unwrap_or_else(|why| Err(why.to_string()));
        if let Err(why) = &made {
            tracing::warn!(%store, why, "a comparison was not finished");
        }
        let every = every(&application, &store);
        let mut known = application.known();
        let comparing = known.comparisons.entry(store).or_default();
        comparing.ended(made.map_err(unknown), every, tick());
    });
}

/// None where the store is compared on a person's word only.
pub fn every(application: &Application, store: &StoreName) -> Option<Duration> {
    match &application.spec.stores.get(store)?.kind {
        StoreKind::Postgres(postgres) => postgres.compare_every,
        StoreKind::Redis(_) => None,
    }
}

/// A standby compares by itself when that is due, one store at a time and gently. It gives up when
/// the site is no standby any more: whatever it does then comes first.
pub fn keep(application: &Arc<Application>, state: State) {
    if !is_quiet(application, state) {
        return;
    }
    let Some(store) = due(application) else { return };
    let Some(turn) = application.context.comparing.try_take() else { return };
    let (work, of) = (application.clone(), store.clone());
    start(application, &store, async move {
        let _turn = turn;
        let mut telling = Telling { application: &work, store: &of };
        tokio::select! {
            biased;
            made = gently(&work, &of, &mut telling) => made,
            () = until_unquiet(&work) => Err("this site had something else to do".to_owned()),
        }
    });
}

async fn gently(
    application: &Application,
    store: &StoreName,
    telling: &mut Telling<'_>,
) -> Result<Comparison, String> {
    compared(application, &spec(application, store)?, Pace::Gentle, telling).await
}

/// Nothing more important goes on at this site.
pub fn is_quiet(application: &Application, state: State) -> bool {
    let single = &application.single;
    state == State::Standby && !single.execution.is_taken() && !single.returning.is_taken()
}

/// A doubt about the active site that passes again is no reason to give up.
pub async fn until_unquiet(application: &Application) {
    loop {
        let state = match application.known().state {
            Some(State::Suspect) => State::Standby,
            Some(state) => state,
            None => return,
        };
        if !is_quiet(application, state) {
            return;
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn due(application: &Application) -> Option<StoreName> {
    let now = tick();
    let mut known = application.known();
    let streaming =
        known.links.iter().filter(|(_, link)| link.status.phase == LinkPhase::Streaming);
    let streaming: Vec<StoreName> = streaming.map(|(store, _)| store.clone()).collect();
    streaming.into_iter().find(|store| {
        let every = every(application, store);
        let comparing = known.comparisons.entry(store.clone()).or_default();
        every.is_some_and(|every| comparing.is_due(every, now))
    })
}

pub fn unknown(why: String) -> Refused {
    Refused::new(
        "MS-AGENT-014",
        format!("whether both sides are equal is unknown: {why}"),
        "make it again while the link streams; see `mainstay status`",
    )
}
