//! Finds what `scripts/parts.sh` fetched, by the same rule.

use nix::unistd::Uid;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// The versions that `scripts/parts.sh` pins, by their major.
const POSTGRES: &[(u32, &str)] =
    &[(18, "postgres-18.6.0"), (17, "postgres-17.11.0"), (15, "postgres-15.19.0")];
const DNS_SERVERS: &str = "dns-servers";
const ETCD: &str = "etcd-3.5.1";
const MOTO: &str = "moto-5.2.5";
const AIOSMTPD: &str = "aiosmtpd-1.4.6";
/// The major that a test's server has unless it asks for another one.
const POSTGRES_USUAL: u32 = 18;
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
    let fetched = pinned(POSTGRES_USUAL);
    if holds_postgres(&fetched) {
        return fetched;
    }
    installed().unwrap_or_else(|| {
        panic!("no PostgreSQL in {}; please type: make parts", fetched.display())
    })
}

/// The same for one major: 15, 17 or 18, without any other taking its place.
///
/// # Panics
/// When it is not there, saying what to type.
pub fn postgres_folder_of(major: u32) -> PathBuf {
    let fetched = pinned(major);
    let debian = Path::new("/usr/lib/postgresql").join(major.to_string());
    let found = [&fetched, &debian].into_iter().find(|folder| holds_postgres(folder));
    found.cloned().unwrap_or_else(|| {
        let (fetched, debian) = (fetched.display(), debian.display());
        panic!("no PostgreSQL {major} in {fetched} or {debian}; please type: make parts")
    })
}

/// The folder that holds etcd and its etcdctl: `bin`.
///
/// # Panics
/// When there is none, saying what to type.
pub fn etcd_folder() -> PathBuf {
    let fetched = cache_root().join(ETCD);
    let found =
        [fetched.clone(), "/usr".into()].into_iter().find(|it| it.join("bin/etcd").is_file());
    found.unwrap_or_else(|| panic!("no etcd in {}; please type: make parts", fetched.display()))
}

/// The folder with the DNS servers' packages, unpacked: `usr/sbin`, `usr/bin`, `usr/lib`.
///
/// # Panics
/// When there is none, saying what to type.
pub fn dns_folder() -> PathBuf {
    let fetched = cache_root().join(DNS_SERVERS);
    let there = fetched.join("usr/sbin/knotd").is_file();
    assert!(there, "no DNS servers in {}; please type: make parts", fetched.display());
    fetched
}

/// The folder that holds one kind of Redis: its programs in `bin`, or in `usr/bin`.
///
/// # Panics
/// When there is none, saying what to type.
pub(crate) fn redis_folder(name: &str, server: &str) -> PathBuf {
    let folder = cache_root().join(name);
    let there = ["bin", "usr/bin"].iter().any(|bin| folder.join(bin).join(server).exists());
    assert!(there, "no {server} in {}; please type: make parts", folder.display());
    folder
}

/// The folder that Python finds `aiosmtpd` in.
///
/// # Panics
/// When there is none, saying what to type.
pub(crate) fn aiosmtpd_folder() -> PathBuf {
    let folder = cache_root().join(AIOSMTPD);
    let there = folder.join("aiosmtpd").is_dir();
    assert!(there, "no aiosmtpd in {}; please type: make parts", folder.display());
    folder
}

/// The folder that Python finds `moto` and `boto3` in.
///
/// # Panics
/// When there is none, saying what to type.
pub(crate) fn moto_folder() -> PathBuf {
    let folder = cache_root().join(MOTO);
    let there = folder.join("moto").is_dir();
    assert!(there, "no moto in {}; please type: make parts", folder.display());
    folder
}

/// The folder that holds Debian's package of Alertmanager, unpacked.
///
/// # Panics
/// When there is none, saying what to type.
pub(crate) fn alertmanager_folder() -> PathBuf {
    let folder = cache_root().join("alertmanager");
    let there = folder.join("usr/bin/prometheus-alertmanager").is_file();
    assert!(there, "no Alertmanager in {}; please type: make parts", folder.display());
    folder
}

fn pinned(major: u32) -> PathBuf {
    let known = POSTGRES.iter().find(|(number, _)| *number == major);
    let (_, name) = known.unwrap_or_else(|| {
        panic!("PostgreSQL {major} is not one that scripts/parts.sh fetches; add it there")
    });
    cache_root().join(name)
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
