//! Which lab is up: `lab up` leaves its folder's name where the other commands find it.

use crate::error::{Doing, LabError};
use crate::processes::{Folder, LabPlan, Secrets};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A lab that is up.
#[derive(Debug, Clone)]
pub struct CurrentLab {
    pub plan: LabPlan,
    pub folder: Folder,
    pub secrets: Secrets,
}

impl CurrentLab {
    pub fn load(folder: Folder) -> Result<Self, LabError> {
        let plan = LabPlan::load(&folder)?;
        let secrets = Secrets::load(&folder)?;
        Ok(Self { plan, folder, secrets })
    }

    /// Names of the sites, with what `--state` and `--config` of each would be.
    pub fn sites(&self) -> Vec<(String, PathBuf, PathBuf)> {
        let place =
            |site: &String| (site.clone(), self.folder.state(site), self.folder.config(site));
        self.plan.sites.keys().map(place).collect()
    }
}

/// The lab that this user has up, if any.
pub fn find() -> Option<CurrentLab> {
    let path = note();
    // In a folder that all may write, a note that someone else left is not believed.
    let metadata = std::fs::symlink_metadata(&path).ok()?;
    if !metadata.is_file() || metadata.uid() != nix::unistd::geteuid().as_raw() {
        return None;
    }
    let folder = std::fs::read_to_string(&path).ok()?;
    CurrentLab::load(Folder::at(Path::new(folder.trim()))).ok()
}

pub fn remember(folder: &Folder) -> Result<(), LabError> {
    forget();
    let path = note();
    let write = || -> std::io::Result<()> {
        let mut file =
            std::fs::File::options().write(true).create_new(true).mode(0o600).open(&path)?;
        writeln!(file, "{}", folder.root().display())
    };
    write().doing(|| format!("write {}", path.display()))
}

pub fn forget() {
    // Nothing to forget when it is not there.
    let _ = std::fs::remove_file(note());
}

fn note() -> PathBuf {
    let base = std::env::var_os("XDG_RUNTIME_DIR").filter(|value| !value.is_empty());
    let base = base.map_or_else(|| PathBuf::from("/tmp"), PathBuf::from);
    base.join(format!("mainstay-lab-{}", nix::unistd::geteuid()))
}
