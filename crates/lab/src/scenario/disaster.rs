//! Act three: everything at the active site is killed.

use super::narrator::Narrator;
use crate::clients::log::Moment;
use crate::current::CurrentLab;
use crate::error::LabError;
use crate::processes::{self, kill_site};

/// Returns the moment just before the first signal.
pub fn strike(lab: &CurrentLab, narrator: &Narrator) -> Result<Moment, LabError> {
    let moment = Moment::now();
    let killed = kill_site(&lab.plan, &lab.folder, processes::HOME)?;
    narrator
        .say(&format!("DISASTER: {killed} processes at {} killed with SIGKILL", processes::HOME));
    Ok(moment)
}
