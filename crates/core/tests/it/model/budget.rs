//! How many faults and orders of each kind a run may still have. What a family leaves at zero does
//! not happen in it.

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Budget {
    /// Each cuts one pair; it heals at any time.
    pub cuts: u8,
    /// Of an agent, the witness with the coordinator, or a whole site; it comes back at any time.
    pub crashes: u8,
    /// An agent stops between a decision and its effects, and goes on at any time.
    pub pauses: u8,
    /// A site's clock runs at half or twice its rate from then on.
    pub clocks: u8,
    /// A request arrives after its sender gave it up, or its answer is lost.
    pub late: u8,
    /// Something else is wrong with one site, for as long as it likes.
    pub troubles: u8,
    /// Planned moves, orders to fail over.
    pub moves: u8,
    pub orders: u8,
    /// An old copy of the record is brought back.
    pub restores: u8,
    /// How often a fence from outside has an outcome other than unknown.
    pub fences: u8,
    /// A means says that a site is stopped which runs.
    pub lies: bool,
    /// No change of the active site is followed beyond this epoch.
    pub epochs: u8,
    /// A clock fault is six times the rate: more than the lease bears.
    pub beyond: bool,
    /// Only these may be cut or crash: bits of `World::cuts`, then east, west, witness.
    pub only: Option<Only>,
}

/// What alone may fail, where a family is about one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Only {
    /// Cuts between the sites.
    Between,
    /// Cuts to the witness, and its crashes.
    Witness,
    /// The standby: its crashes, and cuts from it.
    Standby,
}
