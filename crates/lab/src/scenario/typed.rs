//! What a person would type, with the same binary.

use crate::current::CurrentLab;
use crate::error::{Doing, LabError};
use std::process::Output;

/// What the command printed at this site; an error when it failed.
pub async fn typed(lab: &CurrentLab, site: &str, words: &[&str]) -> Result<Vec<u8>, LabError> {
    let output = ended(lab, site, words).await?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(std::io::Error::other(said)).doing(|| line(site, words))
}

/// The command, however it ended.
pub async fn ended(lab: &CurrentLab, site: &str, words: &[&str]) -> Result<Output, LabError> {
    let mut command = tokio::process::Command::new(&lab.plan.binary);
    command.arg("--state").arg(lab.folder.state(site)).args(words).kill_on_drop(true);
    command.output().await.doing(|| line(site, words))
}

fn line(site: &str, words: &[&str]) -> String {
    format!("run `mainstay {}` at {site}", words.join(" "))
}
