//! Room for the agent's state.

use crate::error::AgentError;
use nix::sys::statvfs::statvfs;
use std::path::Path;

/// Enough for years of ledger, and for the salvage of a usual disaster.
const NEEDED_MIB: u64 = 256;

/// Refuses a folder on a disk that is nearly full, before anything is written there.
pub fn check(path: &Path) -> Result<(), AgentError> {
    let disk = statvfs(path)
        .map_err(|why| AgentError::State { path: path.to_owned(), why: why.to_string() })?;
    let free_mib = disk.blocks_available().saturating_mul(disk.fragment_size()) >> 20;
    if free_mib >= NEEDED_MIB {
        return Ok(());
    }
    Err(AgentError::Space { path: path.to_owned(), free_mib, needed_mib: NEEDED_MIB })
}
