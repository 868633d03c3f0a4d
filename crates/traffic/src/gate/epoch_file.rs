//! The highest epoch this gate has seen, kept over restarts: `gate-epoch.json`, one entry an
//! application. Without it a restarted gate would obey an agent that missed a failover.

use mainstay_core::{ApplicationName, Epoch};
use nix::fcntl::{Flock, FlockArg};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

#[derive(Debug, Clone)]
pub struct EpochFile {
    folder: PathBuf,
    application: ApplicationName,
}

type Seen = BTreeMap<ApplicationName, Epoch>;

impl EpochFile {
    pub fn new(folder: &Path, application: ApplicationName) -> Self {
        Self { folder: folder.to_owned(), application }
    }

    pub fn path(&self) -> PathBuf {
        self.folder.join("gate-epoch.json")
    }

    /// Epoch 0 when none was ever seen. A file that cannot be read is an error, not a fresh start.
    pub fn read(&self) -> io::Result<Epoch> {
        Ok(self.all()?.get(&self.application).copied().unwrap_or_default())
    }

    /// Makes sure that the folder can be written.
    pub fn prove(&self) -> io::Result<()> {
        let _lock = self.lock()?;
        self.replace(&self.all()?)
    }

    /// Durable when it returns. Never lowers what is there.
    pub fn raise(&self, to: Epoch) -> io::Result<()> {
        let _lock = self.lock()?;
        let mut seen = self.all()?;
        let entry = seen.entry(self.application.clone()).or_default();
        if to <= *entry {
            return Ok(());
        }
        *entry = to;
        self.replace(&seen)
    }

    fn all(&self) -> io::Result<Seen> {
        match fs::read(self.path()) {
            Ok(text) => serde_json::from_slice(&text).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Seen::new()),
            Err(error) => Err(error),
        }
    }

    /// Gates of two applications may share the folder.
    fn lock(&self) -> io::Result<Flock<File>> {
        let file = File::create(self.folder.join("gate-epoch.lock"))?;
        Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno.into())
    }

    /// A crash leaves the old file or the new one, never a part: rename(2) is atomic, and the
    /// folder is synced so that the rename itself is kept.
    fn replace(&self, seen: &Seen) -> io::Result<()> {
        let draft = self.folder.join("gate-epoch.new");
        let mut file = File::create(&draft)?;
        file.write_all(&serde_json::to_vec(seen).map_err(io::Error::other)?)?;
        file.sync_all()?;
        fs::rename(&draft, self.path())?;
        File::open(&self.folder)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(folder: &Path, application: &str) -> EpochFile {
        EpochFile::new(folder, ApplicationName::new(application).unwrap())
    }

    #[test]
    fn the_highest_epoch_of_each_application_is_kept_and_never_lowered() {
        let folder = tempfile::tempdir().unwrap();
        let (bank, shop) = (file(folder.path(), "bank"), file(folder.path(), "shop"));
        assert_eq!(bank.read().unwrap(), Epoch::new(0));
        bank.raise(Epoch::new(7)).unwrap();
        shop.raise(Epoch::new(3)).unwrap();
        bank.raise(Epoch::new(6)).unwrap();
        assert_eq!(bank.read().unwrap(), Epoch::new(7));
        assert_eq!(shop.read().unwrap(), Epoch::new(3));
    }

    #[test]
    fn a_damaged_file_is_an_error_and_not_epoch_0() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("gate-epoch.json"), "{\"bank\":").unwrap();
        assert!(file(folder.path(), "bank").read().is_err());
        assert!(file(folder.path(), "bank").raise(Epoch::new(9)).is_err());
    }
}
