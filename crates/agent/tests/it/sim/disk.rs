//! The disk of one machine: SQLite in memory, which outlives the processes. A crash can come at
//! every piece of work on it, before or after that is durable.

use super::world::{Shared, Ticket, lock};
use mainstay_agent::disk::{SimulatedDisk, Work};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

pub type Files = Arc<Mutex<BTreeMap<PathBuf, Arc<Mutex<Connection>>>>>;

pub struct Disk {
    pub world: Shared,
    pub ticket: Ticket,
    pub files: Files,
}

/// What is wrong with a disk.
#[derive(Default)]
pub struct Trouble {
    /// Every write fails.
    pub broken: bool,
    /// The agent crashes at the work after so many; when it is durable, or before.
    pub crash: Option<(u64, bool)>,
}

impl Trouble {
    /// Whether the crash is due now.
    fn hits(&mut self, after: bool) -> bool {
        let Some((left, wanted)) = &mut self.crash else { return false };
        if *wanted != after {
            return false;
        }
        if *left > 0 {
            *left -= 1;
            return false;
        }
        self.crash = None;
        true
    }
}

impl Disk {
    /// False when the process is dead, or dies now.
    fn lives(&self, after: bool) -> bool {
        let mut world = lock(&self.world);
        if !world.alive(self.ticket) {
            return false;
        }
        if world.sites[self.ticket.site].disk.hits(after) {
            world.note(format_args!(
                "crash at the disk, {}",
                if after { "after" } else { "before" }
            ));
            super::faults::crash(&mut world, self.ticket.site);
            return false;
        }
        true
    }
}

impl SimulatedDisk for Disk {
    fn open(&self, path: &Path) -> rusqlite::Result<Arc<Mutex<Connection>>> {
        let mut files = self.files.lock().expect("files");
        if let Some(file) = files.get(path) {
            return Ok(file.clone());
        }
        let file = Arc::new(Mutex::new(Connection::open_in_memory()?));
        files.insert(path.to_owned(), file.clone());
        Ok(file)
    }

    fn before<'a>(&'a self, _: &'a Path) -> Work<'a, rusqlite::Result<()>> {
        Box::pin(async {
            if !self.lives(false) {
                std::future::pending::<()>().await;
            }
            match lock(&self.world).sites[self.ticket.site].disk.broken {
                false => Ok(()),
                true => Err(rusqlite::Error::SqliteFailure(
                    rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL),
                    Some("the disk is full".to_owned()),
                )),
            }
        })
    }

    fn after<'a>(&'a self, _: &'a Path) -> Work<'a, ()> {
        Box::pin(async {
            if !self.lives(true) {
                std::future::pending::<()>().await;
            }
        })
    }
}
