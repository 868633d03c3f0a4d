//! The agent's own databases: SQLite files, each write of which is durable when it returns.

use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Opens the agent's files: the disk of this machine, or a simulated one.
#[derive(Clone)]
pub enum Disk {
    Real,
    Simulated(Arc<dyn SimulatedDisk>),
}

pub type Work<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A disk in a test. What it keeps outlives the agents that use it.
pub trait SimulatedDisk: Send + Sync {
    /// The file as its last user left it.
    fn open(&self, path: &Path) -> rusqlite::Result<Arc<Mutex<Connection>>>;

    /// Before work on a file. What it refuses is not done; it may never return.
    fn before<'a>(&'a self, path: &'a Path) -> Work<'a, rusqlite::Result<()>>;

    /// After the work, which is durable. It may never return.
    fn after<'a>(&'a self, path: &'a Path) -> Work<'a, ()>;
}

/// One file.
#[derive(Clone)]
pub struct File {
    path: Arc<PathBuf>,
    connection: Arc<Mutex<Connection>>,
    disk: Disk,
}

impl Disk {
    /// Opens the file, and makes what is missing of its schema.
    pub fn open(&self, path: &Path, schema: &str) -> rusqlite::Result<File> {
        let connection = match self {
            Disk::Real => Arc::new(Mutex::new(durable(path)?)),
            Disk::Simulated(disk) => disk.open(path)?,
        };
        lock(&connection).execute_batch(schema)?;
        Ok(File { path: Arc::new(path.to_owned()), connection, disk: self.clone() })
    }
}

fn durable(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}

fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

impl File {
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Does the work at once, on this thread: while the file is opened.
    pub fn now<T>(&self, work: impl FnOnce(&Connection) -> T) -> T {
        work(&lock(&self.connection))
    }

    /// Does the work where waiting for the disk keeps nobody else waiting. What it wrote is durable
    /// when this returns; what came of work whose answer was lost is unknown.
    pub async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, String> {
        let done = match &self.disk {
            Disk::Real => {
                let connection = self.connection.clone();
                let done = tokio::task::spawn_blocking(move || work(&lock(&connection)));
                done.await.map_err(|why| why.to_string())?
            }
            Disk::Simulated(disk) => match disk.before(&self.path).await {
                Ok(()) => {
                    let done = self.now(work);
                    disk.after(&self.path).await;
                    done
                }
                Err(refused) => Err(refused),
            },
        };
        done.map_err(|why| why.to_string())
    }
}
