//! One probe of one site, made again and again.

use super::probes;
use crate::application::Application;
use crate::time::tick;
use mainstay_core::estate::{PostgresEndpoint, StoreKind};
use mainstay_core::watch::{Look, Outcome, PostgresProbe, Probe, ProbeKind};
use mainstay_core::{ProbeName, SiteName};
use mainstay_stores::postgres::connect::ConnectError;
use mainstay_stores::postgres::fault::Fault;
use mainstay_traffic::probe::{Asked, Prober};
use std::sync::Arc;
use std::time::Instant;
use tokio::time::{MissedTickBehavior, interval};

/// What came of it: an outcome and words for it, or why it was not made.
type Seen = Result<(Outcome, String), String>;

/// The probes that this agent makes of a site: all that have an address there, and need no
/// credentials where it has none.
pub fn of<'a>(
    application: &'a Application,
    site: &'a SiteName,
) -> impl Iterator<Item = (&'a ProbeName, &'a Probe)> {
    let witness = application.context.is_witness();
    let made = move |probe: &Probe| has_address(application, probe, site);
    let probes = application.spec.probes.iter();
    probes.filter(move |(_, probe)| made(probe) && !(witness && probe.needs_credentials()))
}

fn has_address(application: &Application, probe: &Probe, site: &SiteName) -> bool {
    match &probe.kind {
        ProbeKind::Http(http) => http.addresses.contains_key(site),
        ProbeKind::Tcp(addresses) => addresses.contains_key(site),
        ProbeKind::Redis(redis) => redis.addresses.contains_key(site),
        ProbeKind::Postgres(postgres) => endpoint(application, postgres, site).is_some(),
        ProbeKind::Command(_) => true,
    }
}

/// Begins a look with each interval, and at once when the active site is in doubt.
pub async fn run(application: Arc<Application>, site: SiteName, name: ProbeName) {
    let Some(probe) = application.spec.probes.get(&name) else { return };
    let prober = Prober::new(probe);
    let mut beat = interval(probe.cadence.interval);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = beat.tick() => {}
            () = application.hurry.notified() => beat.reset(),
        }
        let gathered = tick();
        let seen = match (&prober, &probe.kind) {
            (Err(why), _) => Err(why.clone()),
            (_, ProbeKind::Postgres(postgres)) => write(&application, probe, postgres, &site).await,
            (Ok(prober), _) => {
                let asked =
                    Asked { application: &application.spec.name, probe: &name, site: &site };
                look(&application, (probe, prober), &asked).await
            }
        };
        take_in(&application, &site, &name, gathered, seen);
        probes::look(&application, &site).await;
    }
}

async fn look(application: &Application, probe: (&Probe, &Prober), asked: &Asked<'_>) -> Seen {
    match application.context.probes.look(probe, asked).await {
        Ok(passed) => Ok((Outcome::Passed, format!("answers in {} ms", passed.took.as_millis()))),
        Err(failure) => {
            failure.kind.outcome().map(|it| (it, failure.to_string())).ok_or(failure.to_string())
        }
    }
}

/// A commit in a session of its own, as a client makes one.
async fn write(
    application: &Application,
    probe: &Probe,
    postgres: &PostgresProbe,
    site: &SiteName,
) -> Seen {
    let Some(endpoint) = endpoint(application, postgres, site) else {
        return Err(format!("{} has no endpoint at {site}", postgres.store));
    };
    let (timeout, began) = (probe.cadence.timeout, Instant::now());
    let statement = postgres.client.as_ref().map(|it| it.statement.as_str());
    let written = application.context.stores.write(&endpoint, statement);
    match tokio::time::timeout(timeout, written).await {
        Ok(Ok(())) => {
            let took = began.elapsed().as_millis();
            let by =
                postgres.client.as_ref().map_or_else(String::new, |it| format!(" of {}", it.user));
            Ok((Outcome::Passed, format!("{} takes a write{by} in {took} ms", postgres.store)))
        }
        Ok(Err(why @ Fault::Connect(ConnectError::Unreachable { .. }))) => {
            Ok((Outcome::Silent, why.to_string()))
        }
        Ok(Err(why @ Fault::Connect(ConnectError::Authority { .. }))) => Err(why.to_string()),
        Ok(Err(why)) => Ok((Outcome::Failed, why.to_string())),
        Err(_) => {
            let at = format!("{}:{}", endpoint.host, endpoint.port);
            Ok((Outcome::Silent, format!("{at} took no write within {timeout:?}")))
        }
    }
}

/// The store's own endpoint, by the way and as the user that are written for the probe.
fn endpoint(
    application: &Application,
    probe: &PostgresProbe,
    site: &SiteName,
) -> Option<PostgresEndpoint> {
    let StoreKind::Postgres(postgres) = &application.spec.stores.get(&probe.store)?.kind else {
        return None;
    };
    let mut endpoint = postgres.endpoints.get(site)?.clone();
    if let Some(client) = &probe.client {
        endpoint.user.clone_from(&client.user);
        endpoint.password.clone_from(&client.password);
    }
    let Some((host, port)) = probe.addresses.get(site).and_then(|it| it.rsplit_once(':')) else {
        return Some(endpoint);
    };
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Some(PostgresEndpoint { host, port: port.parse().ok()?, ..endpoint })
}

fn take_in(
    application: &Application,
    site: &SiteName,
    name: &ProbeName,
    gathered: mainstay_core::Tick,
    seen: Seen,
) {
    let mut known = application.known();
    let key = (site.clone(), name.clone());
    let look = match seen {
        Ok((outcome, why)) => Look { outcome, gathered, why },
        Err(why) => {
            if known.watching.unmade.insert(key, why.clone()).as_ref() != Some(&why) {
                tracing::error!(application = %application.spec.name, %site, probe = %name, why, "a probe cannot be made");
            }
            return;
        }
    };
    known.watching.unmade.remove(&key);
    let tallies = known.watching.tallies.get_mut(site);
    if let Some(tally) = tallies.and_then(|tallies| tallies.get_mut(name)) {
        tally.take(look);
    }
}
