use super::folder::{self, Folder};
use crate::parts::{postgres_folder, postgres_folder_of};
use crate::user::run_as_server;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How a test's server differs from the usual one.
#[derive(Debug, Clone)]
pub struct Options {
    settings: BTreeMap<String, String>,
    major: Option<u32>,
}

impl Default for Options {
    /// Durable (`fsync` on), `wal_level=logical`, small buffers, prepared transactions allowed.
    fn default() -> Self {
        let usual = [
            ("fsync", "on"),
            // In the data folder, so that a server that is killed leaves nothing behind.
            ("dynamic_shared_memory_type", "mmap"),
            ("wal_level", "logical"),
            ("max_wal_senders", "20"),
            ("max_replication_slots", "20"),
            ("max_prepared_transactions", "10"),
            ("shared_buffers", "64MB"),
            ("log_min_messages", "warning"),
        ];
        Self {
            settings: usual.map(|(name, value)| (name.into(), value.into())).into(),
            major: None,
        }
    }
}

impl Options {
    /// Without `fsync` a killed server keeps its data (the kernel has them), a killed machine
    /// does not; tests that make much work and no claim about disks may turn it off.
    #[must_use]
    pub fn fsync(self, on: bool) -> Self {
        self.set("fsync", if on { "on" } else { "off" })
    }

    /// Any setting of `postgresql.conf`.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.insert(name.into(), value.into());
        self
    }

    /// A server of this major version: 15, 17 or 18, which is the usual one.
    #[must_use]
    pub fn major(mut self, major: u32) -> Self {
        self.major = Some(major);
        self
    }

    pub(super) fn installation(&self) -> PathBuf {
        self.major.map_or_else(postgres_folder, postgres_folder_of)
    }

    pub(super) fn server(&self, folder: &Folder, installation: &Path, port: u16) -> Command {
        let mut command = folder::program(installation, "postgres");
        command.arg("-D").arg(folder.data());
        command.arg("-c").arg("listen_addresses=127.0.0.1");
        command.arg("-c").arg(format!("port={port}"));
        command.arg("-c").arg(format!("unix_socket_directories={}", folder.path().display()));
        for (name, value) in &self.settings {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        run_as_server(&mut command);
        command
    }
}
