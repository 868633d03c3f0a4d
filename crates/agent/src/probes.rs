//! Looking at the application, at each site.

use mainstay_core::SiteName;
use mainstay_core::estate::HttpGate;
use mainstay_core::watch::Probe;
use mainstay_traffic::probe::{self, Asked, Passed, ProbeFailure, Prober};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// The network, or a simulated one.
pub enum Probes {
    Real,
    Simulated(Arc<dyn SimulatedProbes>),
}

pub type Looked<'a> = Pin<Box<dyn Future<Output = Result<Passed, ProbeFailure>> + Send + 'a>>;

/// A network in a test.
pub trait SimulatedProbes: Send + Sync {
    /// Whether the application answers there, by whatever probe.
    fn look<'a>(&'a self, site: &'a SiteName, timeout: Duration) -> Looked<'a>;
}

impl Probes {
    pub async fn look(
        &self,
        (probe, prober): (&Probe, &Prober),
        asked: &Asked<'_>,
    ) -> Result<Passed, ProbeFailure> {
        match self {
            Probes::Real => prober.look(asked).await,
            Probes::Simulated(probes) => probes.look(asked.site, probe.cadence.timeout).await,
        }
    }

    /// Through a site's gate.
    pub async fn http(
        &self,
        (site, gate): (&SiteName, &HttpGate),
        timeout: Duration,
    ) -> Result<(), ProbeFailure> {
        match self {
            Probes::Real => {
                let authority = gate.options.tls.as_ref().map(|tls| tls.authority.as_path());
                probe::http(&gate.address, &gate.health, authority, timeout).await.map(drop)
            }
            Probes::Simulated(probes) => probes.look(site, timeout).await.map(drop),
        }
    }
}
