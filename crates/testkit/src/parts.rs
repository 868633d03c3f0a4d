//! Finds what `scripts/parts.sh` fetched, by the same rule.

use nix::unistd::Uid;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// The version that `scripts/parts.sh` pins.
const POSTGRES: &str = "postgres-18.6.0";
/// Login event triggers, which the fence uses, came with this major version.
const POSTGRES_OLDEST: u32 = 17;

fn cache_root() -> PathBuf {
    if let Some(root) = env::var_os("MAINSTAY_PARTS").filter(|root| !root.is_empty()) {
        return root.into();
    }
    if Uid::effective().is_root() {
        return "/var/cache/mainstay/parts".into();
    }
    env::var_os("XDG_CACHE_HOME")
        .filter(|folder| !folder.is_empty())
        .map_or_else(|| home().join(".cache"), PathBuf::from)
        .join("mainstay/parts")
}

fn home() -> PathBuf {
    env::var_os("HOME").expect("HOME is not set; set it, or MAINSTAY_PARTS").into()
}

/// The folder that holds PostgreSQL: `bin`, `lib`, `share`.
///
/// # Panics
/// When there is none, saying what to type.
pub fn postgres_folder() -> PathBuf {
    let fetched = cache_root().join(POSTGRES);
    if holds_postgres(&fetched) {
        return fetched;
    }
    installed().unwrap_or_else(|| {
        panic!("no PostgreSQL in {}; please type: make parts", fetched.display())
    })
}

fn holds_postgres(folder: &Path) -> bool {
    folder.join("bin/postgres").is_file()
}

/// The newest server of Debian's own packages, if it is new enough.
fn installed() -> Option<PathBuf> {
    let major = |folder: &Path| folder.file_name()?.to_str()?.parse::<u32>().ok();
    fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|folder| holds_postgres(folder))
        .filter(|folder| major(folder) >= Some(POSTGRES_OLDEST))
        .max_by_key(|folder| major(folder))
}
