//! One look at an application, made once, with a bound on its time and on what it reads.

mod call;
mod command;
mod connect;
mod failure;
mod http;
mod pattern;
mod redis;

pub use failure::{FailureKind, ProbeFailure};
pub use pattern::Pattern;

use connect::Way;
use mainstay_core::runbook::Call;
use mainstay_core::watch::{HttpProbe, Probe, ProbeKind};
use mainstay_core::{ApplicationName, ProbeName, SiteName};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio_rustls::TlsConnector;

/// How a probe introduces itself to a web server.
pub const USER_AGENT: &str = "mainstay-probe";

/// What a look saw, when it passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    pub took: Duration,
}

/// For whom a look is made; a command is told.
pub struct Asked<'a> {
    pub application: &'a ApplicationName,
    pub probe: &'a ProbeName,
    pub site: &'a SiteName,
}

/// One probe, ready to be made again and again.
pub struct Prober {
    probe: Probe,
    tls: Option<TlsConnector>,
    pattern: Option<Pattern>,
}

impl Prober {
    /// Fails when what the probe names cannot be used: a file of certificates, a pattern.
    pub fn new(probe: &Probe) -> Result<Self, String> {
        let authority = match &probe.kind {
            ProbeKind::Http(http) => http.authority.as_deref(),
            ProbeKind::Redis(redis) => redis.authority.as_deref(),
            _ => None,
        };
        let body = match &probe.kind {
            ProbeKind::Http(HttpProbe { body: Some(rule), .. }) => Some(Pattern::of(rule)?),
            _ => None,
        };
        let tls = authority.map(crate::gate::connector_without_certificate).transpose();
        Ok(Self { probe: probe.clone(), tls: tls.map_err(|why| why.to_string())?, pattern: body })
    }

    /// Looks at one site. A write to PostgreSQL is not among what is made here.
    pub async fn look(&self, asked: &Asked<'_>) -> Result<Passed, ProbeFailure> {
        let timeout = self.probe.cadence.timeout;
        match &self.probe.kind {
            ProbeKind::Http(http) => {
                let address = at(&http.addresses, asked.site)?;
                let way = self.way(address);
                timed(address, timeout, http::get(&way, http, self.pattern.as_ref())).await
            }
            ProbeKind::Tcp(addresses) => {
                let address = at(addresses, asked.site)?;
                let way = self.way(address);
                timed(address, timeout, async { way.open().await.map(drop) }).await
            }
            ProbeKind::Redis(redis) => {
                let address = at(&redis.addresses, asked.site)?;
                let way = self.way(address);
                timed(address, timeout, redis::ask(&way, redis)).await
            }
            ProbeKind::Command(command) => {
                let program = command.program.display().to_string();
                timed(&program, timeout, command::run(command, asked)).await
            }
            ProbeKind::Postgres(probe) => Err(ProbeFailure {
                address: probe.store.to_string(),
                kind: FailureKind::NotMade("a write to PostgreSQL is made elsewhere".to_owned()),
            }),
        }
    }

    fn way<'a>(&'a self, address: &'a str) -> Way<'a> {
        Way { address, tls: self.tls.as_ref(), link_local: self.probe.link_local }
    }
}

fn at<'a>(
    addresses: &'a mainstay_core::watch::SiteAddresses,
    site: &SiteName,
) -> Result<&'a str, ProbeFailure> {
    addresses.get(site).map(String::as_str).ok_or_else(|| ProbeFailure {
        address: site.to_string(),
        kind: FailureKind::NotMade("there is no address for that site".to_owned()),
    })
}

/// Healthy when a GET of `path` is answered with 2xx. Returns the time to the answer's head.
pub async fn http(
    address: &str,
    path: &str,
    authority: Option<&Path>,
    timeout: Duration,
) -> Result<Duration, ProbeFailure> {
    let probe = HttpProbe {
        addresses: Default::default(),
        path: path.to_owned(),
        status: 200..=299,
        body: None,
        authority: None,
    };
    let tls = authority.map(crate::gate::connector_without_certificate).transpose();
    let tls = tls.map_err(|error| ProbeFailure {
        address: address.to_owned(),
        kind: FailureKind::NotMade(error.to_string()),
    })?;
    let way = Way { address, tls: tls.as_ref(), link_local: true };
    timed(address, timeout, http::get(&way, &probe, None)).await.map(|passed| passed.took)
}

/// Makes a runbook's request. `key` names the effect: it is the same when it is asked for again.
pub async fn call(call: &Call, key: &str, timeout: Duration) -> Result<Passed, ProbeFailure> {
    let failed = |kind| ProbeFailure { address: call.address.clone(), kind };
    let tls = call.authority.as_deref().map(crate::gate::connector_without_certificate);
    let tls = tls.transpose().map_err(|why| failed(FailureKind::NotMade(why.to_string())))?;
    let way = Way { address: &call.address, tls: tls.as_ref(), link_local: call.link_local };
    timed(&call.address, timeout, call::make(&way, call, key)).await
}

/// Whether the address of a runbook's request takes connections.
pub async fn reaches(call: &Call, timeout: Duration) -> Result<Passed, ProbeFailure> {
    let way = Way { address: &call.address, tls: None, link_local: call.link_local };
    timed(&call.address, timeout, async { way.open().await.map(drop) }).await
}

async fn timed(
    address: &str,
    timeout: Duration,
    check: impl Future<Output = Result<(), FailureKind>>,
) -> Result<Passed, ProbeFailure> {
    let began = Instant::now();
    let outcome = tokio::time::timeout(timeout, check).await;
    match outcome.unwrap_or(Err(FailureKind::Timeout)) {
        Ok(()) => Ok(Passed { took: began.elapsed() }),
        Err(kind) => Err(ProbeFailure { address: address.to_owned(), kind }),
    }
}
