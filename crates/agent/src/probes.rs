//! Looking at the application, at each site.

use mainstay_core::watch::Probe;
use mainstay_traffic::probe::{Asked, Passed, ProbeFailure, Prober};
use std::pin::Pin;
use std::sync::Arc;

/// The network, or a simulated one.
pub enum Probes {
    Real,
    Simulated(Arc<dyn SimulatedProbes>),
}

pub type Looked<'a> = Pin<Box<dyn Future<Output = Result<Passed, ProbeFailure>> + Send + 'a>>;

/// A network in a test.
pub trait SimulatedProbes: Send + Sync {
    /// As [`Prober::look`].
    fn look<'a>(&'a self, probe: &'a Probe, asked: &'a Asked<'a>) -> Looked<'a>;
}

impl Probes {
    pub async fn look(
        &self,
        (probe, prober): (&Probe, &Prober),
        asked: &Asked<'_>,
    ) -> Result<Passed, ProbeFailure> {
        match self {
            Probes::Real => prober.look(asked).await,
            Probes::Simulated(probes) => probes.look(probe, asked).await,
        }
    }
}
