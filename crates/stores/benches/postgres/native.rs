//! PostgreSQL's own logical replication.

use super::Outcome;
use super::world::{self, Servers, psql, run, wait_until};
use std::time::Duration;

pub struct Native {
    source: String,
    target: String,
}

impl Native {
    /// The target database with the source's definitions, keys and indexes included.
    pub fn create(servers: &Servers, source: &str, target: &str) -> Outcome<Self> {
        world::create(&servers.target, target)?;
        let publish = "CREATE PUBLICATION native FOR TABLES IN SCHEMA public";
        psql(&servers.source, source, publish)?;
        let native = Self { source: source.to_owned(), target: target.to_owned() };
        native.define(servers)?;
        Ok(native)
    }

    fn define(&self, servers: &Servers) -> Outcome<()> {
        let mut dump = servers.source.bin("pg_dump");
        dump.args([
            "--schema-only",
            "--schema=public",
            "--no-publications",
            "--clean",
            "--if-exists",
            &self.source,
        ]);
        let definitions = run(&mut dump)?;
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("definitions.sql");
        std::fs::write(&file, definitions)?;
        let mut restore = servers.target.bin("psql");
        restore.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &self.target, "-o", "/dev/null"]);
        restore.arg("-f").arg(file);
        run(&mut restore).map(drop)
    }

    pub fn target(&self) -> &str {
        &self.target
    }

    pub fn slot(&self) -> String {
        format!("native_{}", self.source)
    }

    /// With the parallel workers of `streaming = parallel`.
    pub fn appliers(&self) -> String {
        "SELECT pid FROM pg_stat_subscription WHERE subname = 'native' AND pid IS NOT NULL".into()
    }

    /// Creates the subscription, and waits until every table is copied and follows.
    pub async fn subscribe(&mut self, servers: &Servers, options: &str) -> Outcome<()> {
        let endpoint = servers.source.endpoint(&self.source);
        let password = endpoint.password.as_ref().map(|p| p.expose()).unwrap_or_default();
        let subscribe = format!(
            "CREATE SUBSCRIPTION native \
             CONNECTION 'host={} port={} dbname={} user={} password=''{password}''' \
             PUBLICATION native WITH (slot_name = '{}'{options})",
            endpoint.host,
            endpoint.port,
            endpoint.database,
            endpoint.user,
            self.slot(),
        );
        let client = servers.target.client(&self.target).await;
        client.batch_execute(&subscribe).await?;
        let copied = "SELECT bool_and(srsubstate IN ('r', 's')) FROM pg_subscription_rel";
        wait_until(&client, copied, Duration::from_millis(20)).await
    }

    /// How transactions in progress are applied.
    pub fn stream(&self, servers: &Servers, mode: &str) -> Outcome<()> {
        let set = format!("ALTER SUBSCRIPTION native SET (streaming = {mode})");
        psql(&servers.target, &self.target, &set)
    }

    pub async fn go(&mut self, servers: &Servers, durable: bool) -> Outcome<()> {
        let durable = if durable { "on" } else { "off" };
        let client = servers.target.client(&self.target).await;
        let set = format!("ALTER SUBSCRIPTION native SET (synchronous_commit = {durable})");
        client.batch_execute(&set).await?;
        client.batch_execute("ALTER SUBSCRIPTION native ENABLE").await?;
        Ok(())
    }

    pub async fn halt(&mut self, servers: &Servers) -> Outcome<()> {
        psql(&servers.target, &self.target, "ALTER SUBSCRIPTION native DISABLE")?;
        let client = servers.source.client("postgres").await;
        let idle = format!(
            "SELECT NOT active FROM pg_replication_slots WHERE slot_name = '{}'",
            self.slot()
        );
        wait_until(&client, &idle, Duration::from_millis(20)).await
    }

    /// Removes the subscription with its slot, the publication and the target.
    pub fn remove(self, servers: &Servers) -> Outcome<()> {
        psql(&servers.target, &self.target, "DROP SUBSCRIPTION native")?;
        psql(&servers.source, &self.source, "DROP PUBLICATION native")?;
        psql(&servers.target, "postgres", &format!("DROP DATABASE {}", self.target))
    }
}
