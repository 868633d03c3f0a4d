//! Mainstay's link in a process of its own, so that what it uses can be told apart.

use super::child::Order;
use super::process::{cpu_seconds, peak_memory};
use super::world::{self, Servers, mark, wait_until};
use super::{Outcome, progress};
use mainstay_stores::postgres::setup;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};

pub struct Mainstay {
    source: String,
    target: String,
    child: Option<(Child, ChildStdin)>,
}

impl Mainstay {
    /// Both databases as `mainstay` prepares them; the target is empty.
    pub async fn create(servers: &Servers, source: &str, target: &str) -> Outcome<Self> {
        world::create(&servers.target, target)?;
        setup::prepare(&servers.source.endpoint(source)).await?;
        setup::prepare(&servers.target.endpoint(target)).await?;
        Ok(Self { source: source.to_owned(), target: target.to_owned(), child: None })
    }

    pub fn target(&self) -> &str {
        &self.target
    }

    pub fn slot(&self) -> String {
        Order::slot(&self.source)
    }

    pub fn appliers(&self) -> String {
        format!(
            "SELECT pid FROM pg_stat_activity \
             WHERE datname = '{}' AND application_name LIKE 'mainstay %'",
            self.target
        )
    }

    pub async fn go(&mut self, servers: &Servers, durable: bool) -> Outcome<()> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("link")
            .stdin(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut input = child.stdin.take().ok_or("the child has no input")?;
        let order = Order::new(
            &servers.source.endpoint(&self.source),
            &servers.target.endpoint(&self.target),
            servers.source.installation().join("bin"),
            durable,
        );
        input.write_all((serde_json::to_string(&order)? + "\n").as_bytes()).await?;
        self.child = Some((child, input));
        Ok(())
    }

    /// Waits for the end of the first copy. What is committed once the slot is there comes by the
    /// stream, which begins after the copy.
    pub async fn copied(&mut self, servers: &Servers) -> Outcome<()> {
        let source = servers.source.client(&self.source).await;
        let target = servers.target.client(&self.target).await;
        let slot = format!(
            "SELECT confirmed_flush_lsn IS NOT NULL FROM pg_replication_slots \
             WHERE slot_name = '{}'",
            self.slot()
        );
        let copied = async {
            wait_until(&source, &slot, Duration::from_millis(20)).await?;
            let mark = mark(&source).await?;
            world::seen(&target, mark, Duration::from_millis(20)).await
        };
        tokio::select! {
            copied = copied => copied.map(drop),
            ended = self.ended() => Err(ended),
        }
    }

    /// Why the link's process ended although it should not; otherwise never.
    pub async fn ended(&mut self) -> Box<dyn std::error::Error + Send + Sync> {
        match &mut self.child {
            None => "the link was not started".into(),
            Some((child, _)) => match child.wait().await {
                Ok(status) => format!("the link's process ended: {status}").into(),
                Err(why) => why.into(),
            },
        }
    }

    /// CPU seconds of the link's process, and the most memory that it had, in MB.
    pub fn usage(&self) -> Outcome<(f64, f64)> {
        let child = self.child.as_ref().and_then(|(child, _)| child.id());
        let pid = child.ok_or("the link does not run")?;
        Ok((cpu_seconds(pid)?, peak_memory(pid)?))
    }

    /// The link ends when its input does.
    pub async fn halt(&mut self) -> Outcome<()> {
        let Some((mut child, input)) = self.child.take() else { return Ok(()) };
        drop(input);
        let status = child.wait().await?;
        if !status.success() {
            progress(&format!("the link's process ended: {status}"));
        }
        Ok(())
    }

    /// Removes the target with all in it, and the slot.
    pub async fn remove(mut self, servers: &Servers) -> Outcome<()> {
        self.halt().await?;
        let source = servers.source.client("postgres").await;
        let slot = self.slot();
        let idle =
            format!("SELECT NOT active FROM pg_replication_slots WHERE slot_name = '{slot}'");
        wait_until(&source, &idle, Duration::from_millis(20)).await?;
        source.batch_execute(&format!("SELECT pg_drop_replication_slot('{slot}')")).await?;
        world::psql(&servers.target, "postgres", &format!("DROP DATABASE {}", self.target))
    }
}
