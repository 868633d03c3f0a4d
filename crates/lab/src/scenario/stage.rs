//! What every act needs.

use super::client_log::ClientLog;
use super::narrator::Narrator;
use super::roles::Roles;
use crate::current::CurrentLab;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::time::Duration;

pub struct Stage<'a> {
    pub lab: &'a CurrentLab,
    pub narrator: &'a Narrator,
    pub log: ClientLog,
    /// The seed's choices, in the order of the acts.
    pub random: StdRng,
    /// As they are now.
    pub roles: Roles,
    /// How long a phase of a return may take.
    pub patience: Duration,
}

const PATIENCE: Duration = Duration::from_secs(90);
/// More, for each transaction that never arrived.
const PATIENCE_FOR_ONE: Duration = Duration::from_millis(20);

impl<'a> Stage<'a> {
    /// With how many transactions are to be lost on purpose.
    pub fn new(lab: &'a CurrentLab, narrator: &'a Narrator, lost: u64) -> Self {
        let patience = PATIENCE + PATIENCE_FOR_ONE * u32::try_from(lost).unwrap_or(u32::MAX);
        let random = StdRng::seed_from_u64(lab.plan.wanted.seed);
        Self { lab, narrator, log: ClientLog::of(lab), random, roles: Roles::first(), patience }
    }

    pub fn say(&self, what: &str) {
        self.narrator.say(what);
    }
}
