//! What lies where in the lab's folder.

use crate::error::{Doing, LabError};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// A fresh folder. Others may pass through it (PostgreSQL runs as another user when the lab
    /// runs as root) but see nothing.
    pub fn create() -> Result<Self, LabError> {
        Self::create_in(&std::env::temp_dir())
    }

    pub fn create_in(place: &Path) -> Result<Self, LabError> {
        let root = tempfile::Builder::new()
            .prefix("mainstay-lab-")
            .tempdir_in(place)
            .doing(|| "make a temporary folder".to_owned())?
            .keep();
        // As the kernel names it: processes are found by it.
        let root = root.canonicalize().doing(|| format!("find {}", root.display()))?;
        let folder = Self::at(root);
        for path in [folder.root.clone(), folder.sites(), folder.logs(), folder.pids()] {
            make_passable(&path)?;
        }
        Ok(folder)
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn plan(&self) -> PathBuf {
        self.root.join("lab.json")
    }

    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    pub fn log(&self, process: &str) -> PathBuf {
        self.logs().join(format!("{process}.log"))
    }

    pub fn pids(&self) -> PathBuf {
        self.root.join("pids")
    }

    pub fn pid(&self, process: &str) -> PathBuf {
        self.pids().join(format!("{process}.pid"))
    }

    fn sites(&self) -> PathBuf {
        self.root.join("sites")
    }

    pub fn site(&self, site: &str) -> PathBuf {
        self.sites().join(site)
    }

    /// What `--state` of the site's agent and gate is given.
    pub fn state(&self, site: &str) -> PathBuf {
        self.site(site).join("state")
    }

    pub fn agent_socket(&self, site: &str) -> PathBuf {
        self.state(site).join("agent.sock")
    }

    pub fn ledger(&self, site: &str) -> PathBuf {
        self.state(site).join("ledger.db")
    }

    pub fn config(&self, site: &str) -> PathBuf {
        self.site(site).join("mainstay.toml")
    }

    pub fn tls(&self, site: &str) -> PathBuf {
        self.site(site).join("tls")
    }

    /// The file that the configuration's password refers to.
    pub fn database_password(&self, site: &str) -> PathBuf {
        self.site(site).join("database-password")
    }

    pub fn data(&self, site: &str) -> PathBuf {
        self.site(site).join("postgres")
    }

    pub fn etcd_data(&self, site: &str) -> PathBuf {
        self.site(site).join("etcd")
    }

    pub fn clients(&self) -> PathBuf {
        self.root.join("clients")
    }

    pub fn payees(&self) -> PathBuf {
        self.root.join("payees")
    }

    /// A scene's clients write their logs here.
    pub fn writers(&self) -> PathBuf {
        self.root.join("writers")
    }

    pub fn network_config(&self) -> PathBuf {
        self.root.join("network.json")
    }

    pub fn network_socket(&self) -> PathBuf {
        self.root.join("network.sock")
    }

    pub fn secrets(&self) -> PathBuf {
        self.root.join("secrets.json")
    }
}

pub fn make_passable(path: &Path) -> Result<(), LabError> {
    make_with_mode(path, 0o711)
}

pub fn make_private(path: &Path) -> Result<(), LabError> {
    make_with_mode(path, 0o700)
}

fn make_with_mode(path: &Path, mode: u32) -> Result<(), LabError> {
    std::fs::create_dir_all(path)
        .and_then(|()| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)))
        .doing(|| format!("make the folder {}", path.display()))
}

/// Writes a file that only its owner may read.
pub fn write_private(path: &Path, content: &[u8]) -> Result<(), LabError> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(content))
        .doing(|| format!("write {}", path.display()))
}
