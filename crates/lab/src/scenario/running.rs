//! A lab while this process is responsible for it.

use crate::cli::CoordinatorKind;
use crate::current::CurrentLab;
use crate::error::{Doing, LabError};
use crate::processes::{
    Folder, LabPlan, Secrets, Sweeper, Wanted, end_everything, find_etcd, find_postgres,
};
use std::path::{Path, PathBuf};

/// Whatever happens to this process, everything in it is ended: by [`Running::end`], or else by
/// the sweeper.
pub struct Running {
    pub lab: CurrentLab,
    sweeper: Sweeper,
    keep: bool,
}

impl Running {
    /// Makes the folder and decides who is where; starts nothing but the sweeper.
    pub fn prepare(
        wanted: Wanted,
        coordinator: CoordinatorKind,
        keep: bool,
    ) -> Result<Self, LabError> {
        let etcd = match coordinator {
            CoordinatorKind::Embedded => None,
            CoordinatorKind::Etcd => Some(find_etcd()?),
        };
        let plan = LabPlan::make(wanted, own_file()?, find_postgres()?, etcd)?;
        Self::begin(plan, Folder::create()?, keep)
    }

    /// The same with each site in a network namespace of its own, and with etcd.
    pub fn prepare_apart(wanted: Wanted, prefix: &str, keep: bool) -> Result<Self, LabError> {
        let (postgres, etcd) = (find_postgres()?, find_etcd()?);
        let plan = LabPlan::apart(wanted, own_file()?, postgres, etcd, prefix);
        // In memory, where there is such a disk: how long others make one wait is not the subject.
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { Folder::create_in(memory) } else { Folder::create() };
        Self::begin(plan, folder?, keep)
    }

    fn begin(plan: LabPlan, folder: Folder, keep: bool) -> Result<Self, LabError> {
        plan.save(&folder)?;
        let sweeper = Sweeper::start(&plan.binary, &folder, keep)?;
        let secrets = Secrets::make();
        secrets.save(&folder)?;
        Ok(Self { lab: CurrentLab { plan, folder, secrets }, sweeper, keep })
    }

    pub fn seed(&self) -> u64 {
        self.lab.plan.wanted.seed
    }

    /// Ends every process, and removes the folder unless it shall be kept.
    pub fn end(self) {
        let keep = self.keep;
        self.end_keeping(keep);
    }

    /// After a failure the logs stay, because the error points at them.
    pub fn end_after(self, error: &LabError) {
        let keep = self.keep || !matches!(error, LabError::Interrupted);
        self.end_keeping(keep);
    }

    fn end_keeping(self, keep: bool) {
        if let Err(error) = end_everything(&self.lab.plan, &self.lab.folder, !keep) {
            anstream::eprintln!("{error}");
        }
        if keep {
            anstream::eprintln!(
                "Everything is ended; the folder stays: {}",
                self.lab.folder.root().display()
            );
        }
        self.sweeper.dismiss();
    }

    /// The lab stays up without this process.
    pub fn leave(self) {
        self.sweeper.dismiss();
    }
}

fn own_file() -> Result<PathBuf, LabError> {
    std::env::current_exe().doing(|| "find this program's file".to_owned())
}
