//! Obeys the agent, and the clock when the agent is silent.

use super::epoch_file::EpochFile;
use super::shared::Shared;
use crate::control::{Directive, Posture, Report};
use crate::tick;
use mainstay_core::Epoch;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

/// Half of what is promised to the agent.
const REPORT_EVERY: Duration = Duration::from_millis(250);
/// A timer may be late after the machine slept; the clock is looked at again at least this often.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The one task that changes the posture.
#[derive(Debug)]
pub struct Keeper {
    pub shared: Arc<Shared>,
    pub file: EpochFile,
    /// The highest epoch known to be on disk.
    pub kept: Epoch,
    /// The gate that ran before this one hears what this one hears.
    pub elder: Option<mpsc::Sender<Directive>>,
}

impl Keeper {
    pub async fn run(
        mut self,
        mut directives: mpsc::Receiver<Directive>,
        mut elders: mpsc::Receiver<mpsc::Sender<Directive>>,
        reports: watch::Sender<Report>,
    ) {
        let mut beat = tokio::time::interval(REPORT_EVERY);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let shared = Arc::clone(&self.shared);
        loop {
            let step = shared.drain_step();
            reports.send_replace(shared.report());
            tokio::select! {
                directive = directives.recv() => match directive {
                    Some(directive) => self.obey(directive).await,
                    None => return,
                },
                Some(elder) = elders.recv() => self.elder = Some(elder),
                () = step => {}
                _ = beat.tick() => {}
            }
        }
    }

    async fn obey(&mut self, directive: Directive) {
        if let Some(elder) = &self.elder
            && elder.try_send(directive.clone()).is_err()
        {
            // It has ended, or hangs and lapses by itself.
            self.elder = None;
        }
        let Directive { seq, epoch, posture, application, away, reads } = directive;
        if application != self.shared.spec.application {
            tracing::warn!(%application, "a directive for another application is ignored");
            return;
        }
        let before = self.shared.standing();
        let posture = self.keep(epoch, posture).await;
        if before.epoch() > epoch {
            tracing::warn!(%epoch, seen = %before.epoch(), "a stale directive is ignored");
        } else if before.name(tick::now()) != posture.name() || before.epoch() != epoch {
            tracing::info!(%epoch, posture = posture.name(), "the posture changes");
        }
        if before.epoch() <= epoch {
            self.shared.spec.tell_dns(epoch, &posture, away);
            self.shared.reads.allow(&reads);
        }
        self.shared.apply(seq, epoch, posture);
    }

    /// A new epoch is on disk before anything is served under it. Where that fails the gate does
    /// not serve: after a restart it could not tell a stale agent from the right one.
    async fn keep(&mut self, epoch: Epoch, posture: Posture) -> Posture {
        if epoch <= self.kept {
            return posture;
        }
        let file = self.file.clone();
        let raised = tokio::task::spawn_blocking(move || file.raise(epoch)).await;
        match raised.map_err(io::Error::other).flatten() {
            Ok(()) => {
                self.kept = epoch;
                posture
            }
            Err(error) => self.unkept(posture, &error),
        }
    }

    fn unkept(&self, posture: Posture, error: &io::Error) -> Posture {
        let path = self.file.path();
        tracing::error!(code = "MS-GATE-006", path = %path.display(), %error, "the epoch cannot be kept");
        match posture {
            Posture::Serve { .. } => Posture::Closed {
                reason: format!("MS-GATE-006: {} cannot be written: {error}", path.display()),
            },
            other => other,
        }
    }
}

/// Ends what is open when the posture's time runs out, also when every other task is stuck.
pub async fn watch_lapse(shared: Arc<Shared>) {
    let mut changes = shared.watch();
    loop {
        let until = changes.borrow_and_update().standing.until();
        let now = tick::now();
        let wait = match until {
            Some(until) if now <= until => until.since(now) + Duration::from_millis(1),
            Some(_) => {
                shared.enforce_lapse();
                Duration::MAX
            }
            None => Duration::MAX,
        };
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = sleep_at_most(wait) => {}
        }
    }
}

async fn sleep_at_most(wait: Duration) {
    match wait {
        Duration::MAX => std::future::pending().await,
        wait => tokio::time::sleep(wait.min(LOOK_EVERY)).await,
    }
}
