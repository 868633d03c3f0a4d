//! Asking the application through a site's gate.

use mainstay_core::estate::HttpGate;
use mainstay_traffic::probe::{self, ProbeFailure};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// The network, or a simulated one.
pub enum Probes {
    Real,
    Simulated(Arc<dyn SimulatedProbes>),
}

pub type Probed<'a> = Pin<Box<dyn Future<Output = Result<Duration, ProbeFailure>> + Send + 'a>>;

/// A network in a test.
pub trait SimulatedProbes: Send + Sync {
    /// As [`probe::http`].
    fn http<'a>(&'a self, gate: &'a HttpGate, timeout: Duration) -> Probed<'a>;
}

impl Probes {
    pub async fn http(&self, gate: &HttpGate, timeout: Duration) -> Result<Duration, ProbeFailure> {
        match self {
            Probes::Real => probe::http(&gate.address, &gate.health, timeout).await,
            Probes::Simulated(probes) => probes.http(gate, timeout).await,
        }
    }
}
