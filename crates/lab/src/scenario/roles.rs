//! Which site is active, and which one can take over. Every move swaps the two.

use crate::processes::{HOME, STANDBY};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles {
    pub active: &'static str,
    pub other: &'static str,
}

impl Roles {
    pub fn first() -> Self {
        Self { active: HOME, other: STANDBY }
    }

    pub fn swapped(self) -> Self {
        Self { active: self.other, other: self.active }
    }

    pub fn is_home(self) -> bool {
        self.active == HOME
    }
}
