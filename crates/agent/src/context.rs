//! What all tasks of one agent share.

use crate::alerting::Alerting;
use crate::clocks::Clocks;
use crate::coordinator::Coordinator;
use crate::ledger::Ledger;
use crate::memory::Memory;
use crate::once::Once;
use crate::peer::Peer;
use crate::people::register::Register;
use crate::probes::Probes;
use crate::stores::Stores;
use crate::watchdog::line::Heard;
use mainstay_core::estate::Estate;
use mainstay_core::{SiteName, Tick};
use mainstay_traffic::control::ControlServer;
use mainstay_traffic::dns::Publisher;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

pub struct Context {
    pub estate: Estate,
    pub state: PathBuf,
    /// Folder of PostgreSQL's own client programs (`pg_dump`).
    pub tools: PathBuf,
    pub started: Tick,
    pub memory: Memory,
    pub ledger: Ledger,
    pub peers: BTreeMap<SiteName, Arc<Peer>>,
    pub coordinator: Coordinator,
    pub gate: ControlServer,
    pub stores: Arc<dyn Stores>,
    pub probes: Probes,
    pub watchdog: Heard,
    /// A comparison that this agent makes by itself: one at a time, of all applications.
    pub comparing: Once,
    /// Who may ask this agent for something.
    pub register: Register,
    pub clocks: Clocks,
    pub alerts: Alerting,
    /// The estate's zones, each with its way to whoever holds it.
    pub dns: BTreeMap<String, Publisher>,
}

impl Context {
    pub fn here(&self) -> &SiteName {
        &self.estate.here
    }

    pub fn is_witness(&self) -> bool {
        self.estate.sites.get(self.here()).is_some_and(|site| site.witness)
    }

    /// Where this site keeps salvage.
    pub fn salvage_folder(&self) -> PathBuf {
        self.state.join("salvage")
    }
}
