//! Stopping a site by the means that the configuration names: programs of this machine.

pub mod dry;
pub mod program;

use crate::time::unix_micros;
use mainstay_core::estate::FenceMeans;
use mainstay_core::{ApplicationName, Epoch, FenceResult, Means, SiteName, Tried};
use program::{Program, Ran};
use std::time::Duration;
use tokio::time::Instant;

/// Between two questions whether the site is stopped.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// What is to be stopped, and by whom.
pub struct Target<'a> {
    pub application: &'a ApplicationName,
    pub site: &'a SiteName,
    pub epoch: Epoch,
    pub by: &'a SiteName,
}

impl Target<'_> {
    /// Runs the command, and asks until the site is confirmed to be stopped. Safe to make twice.
    pub async fn stop(&self, number: usize, means: &FenceMeans) -> Tried {
        let ran = self.program(&means.command, means).run(means.timeout).await;
        if !ran.succeeded() {
            return self.tried(number, means, FenceResult::Unknown, ran.said("the command"));
        }
        self.look(number, means).await
    }

    /// Asks until the site is confirmed to be stopped, and stops nothing.
    pub async fn look(&self, number: usize, means: &FenceMeans) -> Tried {
        let deadline = Instant::now() + means.timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let (stopped, ran) = self.ask(means, left).await;
            if stopped {
                return self.tried(number, means, FenceResult::Confirmed, ran.said("confirm"));
            }
            let pause = tokio::time::sleep(ASK_AGAIN);
            if tokio::time::timeout_at(deadline, pause).await.is_err() || !ran.began() {
                let detail = match &means.expect {
                    Some(text) if ran.succeeded() => {
                        format!("{}, not {text:?}", ran.said("confirm"))
                    }
                    _ => ran.said("confirm"),
                };
                return self.tried(number, means, FenceResult::Unknown, detail);
            }
        }
    }

    /// Asks once whether the site is confirmed to be stopped.
    async fn ask(&self, means: &FenceMeans, timeout: Duration) -> (bool, Ran) {
        let ran = self.program(&means.confirm, means).run(timeout).await;
        let expected = means.expect.as_ref().is_none_or(|text| ran.printed.trim() == text);
        (ran.succeeded() && expected, ran)
    }

    fn program<'a>(&self, words: &[String], means: &'a FenceMeans) -> Program<'a> {
        let epoch = self.epoch.to_string();
        let named = [
            ("{site}", self.site.as_str()),
            ("{epoch}", epoch.as_str()),
            ("{application}", self.application.as_str()),
        ];
        let filled =
            |word: &String| named.iter().fold(word.clone(), |text, it| text.replace(it.0, it.1));
        Program { words: words.iter().map(filled).collect(), environment: &means.environment }
    }

    fn tried(
        &self,
        number: usize,
        means: &FenceMeans,
        outcome: FenceResult,
        detail: String,
    ) -> Tried {
        let program = means.command.first().cloned().unwrap_or_default();
        Tried {
            means: Means::Command { number, program },
            outcome,
            by: self.by.to_string(),
            micros: unix_micros(),
            detail,
        }
    }
}

/// Why the programs cannot be started here, before they are needed.
pub fn missing(means: &FenceMeans) -> Option<String> {
    let programs = [&means.command, &means.confirm].into_iter().filter_map(|words| words.first());
    programs.into_iter().find_map(|program| program::cannot_start(program))
}
