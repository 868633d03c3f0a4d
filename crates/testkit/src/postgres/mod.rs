//! A PostgreSQL server of a test's own.

mod dump;
mod folder;
mod options;
mod server;

pub use options::Options;

use crate::port::free_port;
use folder::Folder;
use mainstay_core::Secret;
use mainstay_core::estate::{PostgresEndpoint, PostgresTls};
use server::Server;
use std::path::{Path, PathBuf};
use std::process::Command;
use tokio_postgres::{Client, Config, NoTls};

/// The superuser of every test server. Over TCP it needs the password (SCRAM-SHA-256); over the
/// server's own socket it does not.
const USER: &str = "mainstay";
const PASSWORD: &str = "a password of tests only";

/// A real server with `wal_level=logical`, in a temporary folder, on a free port of 127.0.0.1.
/// It is stopped and removed when dropped.
pub struct Postgres {
    options: Options,
    installation: PathBuf,
    port: u16,
    server: Option<Server>,
    // After the server, so that it is removed when the server has gone.
    folder: Folder,
}

impl Postgres {
    /// # Panics
    /// When PostgreSQL is missing (saying what to type) or does not start (with its log).
    pub fn start(options: Options) -> Self {
        let installation = options.installation();
        let folder = Folder::create(&installation);
        let mut postgres = Self { options, installation, port: free_port(), server: None, folder };
        postgres.start_again();
        postgres
    }

    /// A physical standby of a server that runs, which streams from it until it is promoted
    /// (`pg_promote`). The databases, their users and passwords are the primary's.
    ///
    /// # Panics
    /// As `start` does, and when the primary cannot be copied.
    pub fn start_standby(primary: &Self) -> Self {
        let (options, installation) = (primary.options.clone(), primary.installation.clone());
        let folder = Folder::copied(primary);
        let mut postgres = Self { options, installation, port: free_port(), server: None, folder };
        postgres.start_again();
        postgres
    }

    /// Stays the same across restarts.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder with `bin`, `lib` and `share`.
    pub fn installation(&self) -> &Path {
        &self.installation
    }

    /// The folder of the server's Unix socket.
    pub fn socket_folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn data_folder(&self) -> PathBuf {
        self.folder.data()
    }

    /// What the server wrote to its log so far.
    pub fn log(&self) -> String {
        self.folder.read_log()
    }

    pub fn endpoint(&self, database: &str) -> PostgresEndpoint {
        PostgresEndpoint {
            host: "127.0.0.1".into(),
            port: self.port,
            database: database.into(),
            user: USER.into(),
            password: Some(Secret::new(PASSWORD)),
            tls: PostgresTls::Disable,
        }
    }

    /// A connection as the superuser; there is a database `postgres` from the start.
    pub async fn client(&self, database: &str) -> Client {
        self.client_as(database, USER, PASSWORD).await
    }

    /// # Panics
    /// When the server refuses.
    pub async fn client_as(&self, database: &str, user: &str, password: &str) -> Client {
        let mut config = Config::new();
        config.host("127.0.0.1").port(self.port).dbname(database).user(user).password(password);
        let (client, connection) = config
            .connect(NoTls)
            .await
            .unwrap_or_else(|e| panic!("cannot connect to {database} as {user}: {e:?}"));
        // Its error is seen by the client's next statement.
        tokio::spawn(async move { drop(connection.await) });
        client
    }

    /// Creates a database and connects to it.
    pub async fn create_database(&self, name: &str) -> Client {
        let admin = self.client("postgres").await;
        admin
            .batch_execute(&format!("CREATE DATABASE \"{name}\""))
            .await
            .unwrap_or_else(|e| panic!("cannot create the database {name}: {e:?}"));
        self.client(name).await
    }

    /// One of PostgreSQL's own client programs (`psql`, `pg_dump`, `pgbench`, ...), told by the
    /// environment to reach this server as the superuser.
    pub fn bin(&self, tool: &str) -> Command {
        self.program(&self.installation, tool)
    }

    fn program(&self, installation: &Path, tool: &str) -> Command {
        let mut command = folder::program(installation, tool);
        command
            .env("PGHOST", self.socket_folder())
            .env("PGPORT", self.port.to_string())
            .env("PGUSER", USER)
            .env("PGPASSWORD", PASSWORD);
        command
    }

    /// The content of a database as text that is equal for equal databases: by `pg_dump`, each
    /// table's rows sorted, without schema `mainstay`, publications and the state of sequences
    /// (which a link keeps ahead rather than equal).
    pub fn dump(&self, database: &str) -> String {
        dump::dump(self.bin("pg_dump"), database)
    }

    /// The same by the `pg_dump` of another installation, which is at least as new as this server:
    /// dumps of servers of unequal majors are equal only when one `pg_dump` wrote both.
    pub fn dump_by(&self, installation: &Path, database: &str) -> String {
        dump::dump(self.program(installation, "pg_dump"), database)
    }

    /// The same without definitions: unequal majors write the text of a view each in its own way.
    pub fn rows_by(&self, installation: &Path, database: &str) -> String {
        let mut pg_dump = self.program(installation, "pg_dump");
        pg_dump.arg("--data-only");
        dump::dump(pg_dump, database)
    }

    /// "Immediate" shutdown: no checkpoint; the next start recovers from the write-ahead log.
    pub fn stop_immediate(&mut self) {
        self.server.take().into_iter().for_each(Server::stop_immediate);
    }

    /// "Fast" shutdown: sessions are cut, work is rolled back, a checkpoint is made.
    pub fn stop(&mut self) {
        self.server.take().into_iter().for_each(Server::stop_fast);
    }

    /// SIGKILL to the server and all its processes at once.
    pub fn kill9(&mut self) {
        self.server.take().into_iter().for_each(Server::kill9);
    }

    /// Starts the server on the same port and data; when it still runs, it is stopped ("fast")
    /// first.
    pub fn restart(&mut self) {
        self.stop();
        self.start_again();
    }

    fn start_again(&mut self) {
        let command = self.options.server(&self.folder, &self.installation, self.port);
        self.server = Some(Server::start(command, &self.folder));
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop_immediate();
    }
}
