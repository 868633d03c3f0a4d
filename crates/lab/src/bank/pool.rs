//! A bounded pool of database connections that replaces the broken ones.

use super::errors::BankError;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;
use tokio_postgres::{Client, Config, NoTls, Statement};

/// Longest time that one statement or one connection attempt may take.
const PATIENCE: Duration = Duration::from_secs(5);

pub struct Pool {
    config: Config,
    idle: Mutex<Vec<Connection>>,
    places: Semaphore,
}

/// A connection with the statements that the bank uses all the time already prepared.
pub struct Connection {
    pub client: Client,
    pub insert_transfer: Statement,
}

/// A connection taken from the pool. It goes back by [`Lent::give_back`]; when it is dropped
/// instead, it is closed: after an error nobody knows what state it is in.
pub struct Lent<'a> {
    pool: &'a Pool,
    connection: Connection,
    _place: SemaphorePermit<'a>,
}

impl Pool {
    pub fn new(config: Config, size: usize) -> Self {
        Self { config, idle: Mutex::new(Vec::new()), places: Semaphore::new(size) }
    }

    pub async fn take(&self) -> Result<Lent<'_>, BankError> {
        self.lend(true).await
    }

    /// Like `take`, but never a connection that was used before: idle ones may be as dead as the
    /// one that has just failed.
    pub async fn take_fresh(&self) -> Result<Lent<'_>, BankError> {
        self.lend(false).await
    }

    async fn lend(&self, used_will_do: bool) -> Result<Lent<'_>, BankError> {
        let place = within(async {
            self.places.acquire().await.map_err(|e| BankError::Unreachable(e.to_string()))
        })
        .await?;
        let idle = if used_will_do { self.pop_idle() } else { self.forget_idle() };
        let connection = match idle {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        Ok(Lent { pool: self, connection, _place: place })
    }

    fn pop_idle(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|connection| !connection.client.is_closed());
        idle.pop()
    }

    fn forget_idle(&self) -> Option<Connection> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        None
    }

    async fn connect(&self) -> Result<Connection, BankError> {
        within(async {
            let (client, connection) = self.config.connect(NoTls).await?;
            tokio::spawn(connection);
            let insert_transfer = client.prepare(super::transfers::INSERT).await?;
            Ok(Connection { client, insert_transfer })
        })
        .await
    }
}

impl Lent<'_> {
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    pub fn give_back(self) {
        self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(self.connection);
    }
}

/// Gives up on the database after [`PATIENCE`].
pub async fn within<T>(work: impl Future<Output = Result<T, BankError>>) -> Result<T, BankError> {
    timeout(PATIENCE, work).await.unwrap_or_else(|_| {
        Err(BankError::Unreachable(format!("no answer within {} s", PATIENCE.as_secs())))
    })
}
