//! Comparing a store of this site with the active site's.

use crate::application::Application;
use crate::comparing::Job;
use crate::error::Refused;
use crate::stores::{Compared, Progress, Standing};
use crate::time::tick;
use mainstay_core::decision::State;
use mainstay_core::estate::StoreKind;
use mainstay_core::{Epoch, LinkPhase, SiteName, StoreName};
use mainstay_stores::postgres::compare::{Comparison, Difference, Listener, Pace};
use mainstay_stores::postgres::link::LinkSpec;
use mainstay_stores::postgres::repair::Hold;
use mainstay_stores::{postgres, redis};
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
    let (epoch, active) = active(application)?;
    if let Some(StoreKind::Redis(_)) = application.spec.stores.get(store).map(|it| &it.kind) {
        return Err(format!(
            "{store} is of kind redis, whose keys are not repaired one by one: FLUSHALL at the \
             standby's server has everything copied anew"
        ));
    }
    super::links::spec(application, store, &active, application.here(), epoch)
        .filter(|spec| spec.from != spec.to)
        .ok_or_else(|| AT_A_STANDBY.to_owned())
}

const AT_A_STANDBY: &str = "this is done at a standby, against the active site";

fn active(application: &Application) -> Result<(Epoch, SiteName), String> {
    let known = application.known();
    let seen = known.facts.record.as_ref().ok_or("the active site is not known yet")?;
    Ok((seen.record.epoch, seen.record.active.clone()))
}

/// The two sides of a comparison, and what brings the changes of one to the other.
enum Sides {
    Postgres(LinkSpec),
    Redis(redis::link::LinkSpec),
}

fn sides(application: &Application, store: &StoreName) -> Result<Sides, String> {
    if !matches!(application.spec.stores.get(store).map(|it| &it.kind), Some(StoreKind::Redis(_))) {
        return spec(application, store).map(Sides::Postgres);
    }
    let (epoch, active) = active(application)?;
    super::links::redis_spec(application, store, &active, application.here(), epoch)
        .filter(|spec| spec.from != spec.to)
        .map(Sides::Redis)
        .ok_or_else(|| AT_A_STANDBY.to_owned())
}

/// Compares, and enters what came of it in the ledger. Anything that cannot be finished is an
/// error, never "equal".
pub async fn run(application: &Application, store: &StoreName) -> Result<Compared, String> {
    compared(application, store, Pace::Full, &mut ()).await
}

/// The same of a PostgreSQL store, with somebody who listens.
pub async fn against(
    application: &Application,
    spec: &LinkSpec,
    listener: &mut dyn Listener,
) -> Result<Comparison, String> {
    let interruptions = interruptions(application, &spec.store);
    let compared = postgres(application, spec, Pace::Full, listener).await?;
    take_in(application, &spec.store, &Compared::Postgres(compared.clone()), interruptions).await?;
    Ok(compared)
}

async fn compared(
    application: &Application,
    store: &StoreName,
    pace: Pace,
    listener: &mut (impl Listener + redis::compare::Listener),
) -> Result<Compared, String> {
    let interruptions = interruptions(application, store);
    let compared = match sides(application, store)? {
        Sides::Postgres(spec) => {
            Compared::Postgres(postgres(application, &spec, pace, listener).await?)
        }
        Sides::Redis(spec) => Compared::Redis(redis(application, &spec, pace, listener).await?),
    };
    if compared.unknown().is_none() {
        take_in(application, store, &compared, interruptions).await?;
    }
    Ok(compared)
}

fn interruptions(application: &Application, store: &StoreName) -> u64 {
    let mut known = application.known();
    known.comparisons.entry(store.clone()).or_default().interruptions()
}

/// At one position, at which the link stands still for a moment.
async fn postgres(
    application: &Application,
    spec: &LinkSpec,
    pace: Pace,
    listener: &mut dyn Listener,
) -> Result<Comparison, String> {
    let held = hold(application, &spec.store).await?;
    let compared = application.context.stores.compare(pace, spec, held, listener).await;
    compared.map_err(|why| why.to_string())
}

/// Key by key, while the link goes on.
async fn redis(
    application: &Application,
    spec: &redis::link::LinkSpec,
    pace: Pace,
    listener: &mut dyn redis::compare::Listener,
) -> Result<redis::compare::Comparison, String> {
    let follower = {
        let links = application.links.lock().await;
        let running = links.get(&spec.store).filter(|it| it.epoch == spec.epoch);
        let follower = running.and_then(|it| it.link.follower());
        follower.ok_or("no link of this store runs here")?
    };
    let ends = (&spec.source, &spec.target);
    let compared = redis::compare::run_at(pace, ends, &spec.exclude, &follower, listener).await;
    compared.map_err(|why| why.to_string())
}

async fn take_in(
    application: &Application,
    store: &StoreName,
    compared: &Compared,
    interruptions: u64,
) -> Result<(), String> {
    let mut body = serde_json::json!({
        "store": store, "position": compared.position().to_string(),
        "equal": compared.is_equal(), "differences": compared.differences(),
    });
    match compared {
        Compared::Postgres(it) => {
            let unlike = it.tables.iter().filter(|table| table.unlike.is_some()).count();
            body["tables"] = it.tables.len().into();
            body["unlike"] = unlike.into();
        }
        Compared::Redis(it) => {
            body["since"] = it.from.to_string().into();
            body["keys"] = it.keys_source.into();
        }
    }
    application.enter("comparison", body).await.map_err(|why| why.to_string())?;
    application.learn(|known| {
        known.comparisons.entry(store.clone()).or_default().proved(compared, interruptions);
    });
    Ok(())
}

/// Brings a comparison's progress to what is known.
struct Telling<'a> {
    application: &'a Application,
    store: &'a StoreName,
}

impl Telling<'_> {
    fn tell(&self, progress: Progress) {
        let mut known = self.application.known();
        let comparing = known.comparisons.get_mut(self.store);
        if let Some(job) = comparing.and_then(|it| it.job.as_mut()) {
            job.tell(progress, tick());
        }
    }
}

impl Listener for Telling<'_> {
    fn found(&mut self, _: &str, _: &Difference) -> std::io::Result<()> {
        Ok(())
    }

    fn progress(&mut self, progress: &postgres::compare::Progress) {
        self.tell(Progress::Postgres(progress.clone()));
    }
}

impl redis::compare::Listener for Telling<'_> {
    fn progress(&mut self, progress: &redis::compare::Progress) {
        self.tell(Progress::Redis(progress.clone()));
    }
}

/// Begins a comparison in a task of its own, unless one of this store is under way. It does not
/// end with whoever asked for it.
pub fn begin(application: &Arc<Application>, store: &StoreName) -> Result<(), Refused> {
    // What is certain to fail is told at once.
    sides(application, store).map_err(unknown)?;
    let (work, of) = (application.clone(), store.clone());
    start(application, store, async move { told(&work, &of, Pace::Full).await });
    Ok(())
}

/// With its progress; not to know is an error.
async fn told(
    application: &Application,
    store: &StoreName,
    pace: Pace,
) -> Result<Compared, String> {
    let compared = compared(application, store, pace, &mut Telling { application, store }).await?;
    compared.unknown().map_or(Ok(compared), Err)
}

fn start(
    application: &Arc<Application>,
    store: &StoreName,
    work: impl Future<Output = Result<Compared, String>> + Send + 'static,
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
        StoreKind::Redis(redis) => redis.compare_every,
    }
}

/// Whether rows that the link changed are compared again soon after. The link of a Redis store does
/// not keep which keys it changed.
pub fn rechecked(application: &Application, store: &StoreName) -> bool {
    let kind = application.spec.stores.get(store).map(|it| &it.kind);
    matches!(kind, Some(StoreKind::Postgres(it)) if it.compare_every.is_some())
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
        tokio::select! {
            biased;
            made = told(&work, &of, Pace::Gentle) => made,
            () = until_unquiet(&work) => Err("this site had something else to do".to_owned()),
        }
    });
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
