//! Finds the servers that `scripts/parts.sh` put into its cache.

use crate::error::LabError;
use std::path::{Path, PathBuf};

/// Mainstay's fence uses login event triggers, which came with PostgreSQL 17.
const OLDEST_MAJOR: u32 = 17;
const INSTALLED: &str = "/usr/lib/postgresql";

/// The folder that holds `bin/` and `lib/`: the cache's newest, else the newest installed one.
pub fn find_postgres() -> Result<PathBuf, LabError> {
    let cache = cache_root();
    let found = newest(&cache, "postgres-").or_else(|| newest(Path::new(INSTALLED), ""));
    // As the kernel names it: processes are found by it.
    let found = found.and_then(|folder| folder.canonicalize().ok());
    found.ok_or(LabError::NoPostgres { looked_in: cache })
}

/// The folder that holds `bin/etcd`: the cache's, else the installed one.
pub fn find_etcd() -> Result<PathBuf, LabError> {
    let cache = cache_root();
    let fetched = std::fs::read_dir(&cache).into_iter().flatten().flatten();
    let fetched = fetched.map(|entry| entry.path()).filter(|path| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("etcd-"))
    });
    let found = fetched.chain([PathBuf::from("/usr")]).find(|it| it.join("bin/etcd").is_file());
    // As the kernel names it: processes are found by it.
    let found = found.and_then(|folder| folder.canonicalize().ok());
    found.ok_or(LabError::NoEtcd { looked_in: cache })
}

/// DNS servers and what asks them, with the libraries that came with them.
pub struct Dns {
    /// Holds `bin/dig` and `sbin/knotd`.
    pub programs: PathBuf,
    pub libraries: PathBuf,
}

pub fn find_dns() -> Result<Dns, LabError> {
    let fetched = cache_root().join("dns-servers/usr");
    if !fetched.join("sbin/knotd").is_file() {
        return Err(LabError::NoDns { looked_in: fetched });
    }
    // Debian keeps libraries in a folder named after the machine.
    let libraries = fetched.join(format!("lib/{}-linux-gnu", std::env::consts::ARCH));
    Ok(Dns { programs: fetched, libraries })
}

/// The rule of `scripts/parts.sh`.
fn cache_root() -> PathBuf {
    if let Some(named) = set("MAINSTAY_PARTS") {
        return named;
    }
    if nix::unistd::geteuid().is_root() {
        return PathBuf::from("/var/cache/mainstay/parts");
    }
    let home = || set("HOME").unwrap_or_default().join(".cache");
    set("XDG_CACHE_HOME").unwrap_or_else(home).join("mainstay/parts")
}

fn set(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn newest(folder: &Path, prefix: &str) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    let versioned = entries.filter_map(|entry| {
        let version = version_of(entry.file_name().to_str()?.strip_prefix(prefix)?)?;
        let usable =
            version.first() >= Some(&OLDEST_MAJOR) && entry.path().join("bin/initdb").is_file();
        usable.then(|| (version, entry.path()))
    });
    versioned.max().map(|(_, path)| path)
}

fn version_of(text: &str) -> Option<Vec<u32>> {
    text.split('.').map(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_is_found_by_number_and_old_ones_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["postgres-9.6", "postgres-16.9", "postgres-18.6.0", "postgres-18.10.0", "bin"]
        {
            let bin = folder.path().join(name).join("bin");
            std::fs::create_dir_all(&bin).unwrap();
            std::fs::write(bin.join("initdb"), "").unwrap();
        }
        let found = newest(folder.path(), "postgres-").unwrap();
        assert!(found.ends_with("postgres-18.10.0"), "{}", found.display());
        assert_eq!(newest(&folder.path().join("bin"), "postgres-"), None);
    }
}
