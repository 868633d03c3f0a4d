//! A bounded pool of database connections that replaces the broken ones.

use super::errors::BankError;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;
use tokio_postgres::{Client, Config, NoTls, Statement};

/// Longest time that one statement or one connection attempt may take.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub struct Pool {
    shared: Arc<Shared>,
    /// One place for each connection that is lent or being made.
    places: Arc<Semaphore>,
}

struct Shared {
    config: Config,
    idle: Mutex<Vec<Connection>>,
}

/// A connection with the statement that the bank uses all the time already prepared.
pub struct Connection {
    pub client: Client,
    pub insert_transfer: Statement,
}

/// A connection taken from the pool. It goes back by [`Lent::give_back`]; when it is dropped
/// instead, it is closed: after an error nobody knows what state it is in.
pub struct Lent {
    shared: Arc<Shared>,
    connection: Connection,
    _place: OwnedSemaphorePermit,
}

impl Pool {
    pub fn new(config: Config, size: usize) -> Self {
        let shared = Arc::new(Shared { config, idle: Mutex::new(Vec::new()) });
        Self { shared, places: Arc::new(Semaphore::new(size)) }
    }

    pub async fn take(&self) -> Result<Lent, BankError> {
        let place = self.place().await?;
        match self.shared.pop_idle() {
            Some(connection) => Ok(Lent::new(&self.shared, connection, place)),
            None => self.connect(place).await,
        }
    }

    /// Like `take`, but never a connection that was used before: idle ones may be as dead as the
    /// one that has just failed.
    pub async fn take_fresh(&self) -> Result<Lent, BankError> {
        let place = self.place().await?;
        self.shared.idle().clear();
        self.connect(place).await
    }

    async fn place(&self) -> Result<OwnedSemaphorePermit, BankError> {
        within(async {
            let place = self.places.clone().acquire_owned().await;
            place.map_err(|closed| BankError::Unreachable(closed.to_string()))
        })
        .await
    }

    /// In a task of its own: when the request that wants the connection is gone before it is
    /// made, the next one finds it idle, instead of beginning anew with as little time.
    async fn connect(&self, place: OwnedSemaphorePermit) -> Result<Lent, BankError> {
        let (made, wanted) = oneshot::channel();
        let shared = self.shared.clone();
        tokio::spawn(async move {
            let connected = within(shared.connect()).await;
            let lent = connected.map(|connection| Lent::new(&shared, connection, place));
            if let Err(Ok(unwanted)) = made.send(lent) {
                unwanted.give_back();
            }
        });
        wanted.await.map_err(|gone| BankError::Unreachable(gone.to_string()))?
    }
}

impl Shared {
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pop_idle(&self) -> Option<Connection> {
        let mut idle = self.idle();
        idle.retain(|connection| !connection.client.is_closed());
        idle.pop()
    }

    async fn connect(&self) -> Result<Connection, BankError> {
        let (client, connection) = self.config.connect(NoTls).await?;
        tokio::spawn(connection);
        let insert_transfer = client.prepare(super::transfers::INSERT).await?;
        Ok(Connection { client, insert_transfer })
    }
}

impl Lent {
    fn new(shared: &Arc<Shared>, connection: Connection, place: OwnedSemaphorePermit) -> Self {
        Self { shared: shared.clone(), connection, _place: place }
    }

    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    pub fn give_back(self) {
        self.shared.idle().push(self.connection);
    }
}

/// Gives up on the database after [`PATIENCE`].
pub async fn within<T>(work: impl Future<Output = Result<T, BankError>>) -> Result<T, BankError> {
    timeout(PATIENCE, work).await.unwrap_or_else(|_| {
        Err(BankError::Unreachable(format!("no answer within {} s", PATIENCE.as_secs())))
    })
}
