//! What every act needs.

use super::client_log::ClientLog;
use super::narrator::Narrator;
use super::roles::Roles;
use crate::current::CurrentLab;
use rand::SeedableRng;
use rand::rngs::StdRng;

pub struct Stage<'a> {
    pub lab: &'a CurrentLab,
    pub narrator: &'a Narrator,
    pub log: ClientLog,
    /// The seed's choices, in the order of the acts.
    pub random: StdRng,
    /// As they are now.
    pub roles: Roles,
}

impl<'a> Stage<'a> {
    pub fn new(lab: &'a CurrentLab, narrator: &'a Narrator) -> Self {
        let random = StdRng::seed_from_u64(lab.plan.wanted.seed);
        Self { lab, narrator, log: ClientLog::of(lab), random, roles: Roles::first() }
    }

    pub fn say(&self, what: &str) {
        self.narrator.say(what);
    }
}
