//! Two people who may say what one alone may not: approvers, each known by a token.

use super::stage::Stage;
use crate::error::{Doing, LabError};
use crate::network::spaces::address;
use crate::processes::{STANDBY, kill_agent, start_agent, write_private};
use crate::scenario::until_the_link_follows;
use serde_json::Value;
use std::path::PathBuf;
use std::process::Output;

const PORT: u16 = 7480;
const PEOPLE: [&str; 2] = ["ana", "ben"];

fn token(stage: &Stage, person: &str) -> PathBuf {
    stage.lab.folder.root().join(format!("{person}-token"))
}

/// The standby's agent lets them in, and what is forced takes both.
pub async fn take_two(stage: &Stage) -> Result<(), LabError> {
    let (plan, folder) = (&stage.lab.plan, &stage.lab.folder);
    let mut people = String::new();
    for person in PEOPLE {
        let file = token(stage, person);
        write_private(&file, uuid::Uuid::new_v4().to_string().as_bytes())?;
        let file = file.display();
        people += &format!("\n[people.{person}]\nrole = \"approver\"\ntoken = \"file:{file}\"\n");
    }
    let file = folder.config(STANDBY);
    let doing = || format!("change {}", file.display());
    let text = std::fs::read_to_string(&file).doing(doing)?;
    let site = format!("[sites.{STANDBY}]\n");
    let door = format!("{site}people = \"{}:{PORT}\"\n", address(STANDBY));
    let text = text.replace("force = \"one\"", "force = \"two\"").replace(&site, &door);
    std::fs::write(&file, text + &people).doing(doing)?;
    kill_agent(folder, STANDBY).await;
    start_agent(plan, folder, STANDBY).await?;
    until_the_link_follows(&stage.lab, STANDBY).await.map(drop)
}

/// What a command of that person comes to, typed at another machine.
pub async fn says(stage: &Stage, person: &str, words: &[&str]) -> Result<Output, LabError> {
    let mut command = tokio::process::Command::new(&stage.lab.plan.binary);
    command
        .arg("--agent")
        .arg(format!("https://{}:{PORT}", address(STANDBY)))
        .args(["--site", STANDBY, "--output", "json", "--authority"])
        .arg(stage.lab.folder.tls(STANDBY).join("ca.pem"))
        .arg("--token-file")
        .arg(token(stage, person))
        .args(words)
        .kill_on_drop(true);
    command.output().await.doing(|| format!("run `mainstay {}` as {person}", words.join(" ")))
}

/// The first one's failover is a request; it becomes one by nobody's word but the second one's.
pub async fn fail_over(stage: &mut Stage, loss: &str) -> Result<(), LabError> {
    let [first, second] = PEOPLE;
    let words = ["failover", "--reason", "the scene's people", "--accept-loss", loss];
    let asked = says(stage, first, &words).await?;
    let request: Value = serde_json::from_slice(&asked.stdout).unwrap_or_default();
    let open = !asked.status.success() && request["state"] == "open";
    let told = String::from_utf8_lossy(&asked.stderr).trim().to_owned();
    stage.expect(open, format!("one person's word is a request: {request} {told}"));
    let id = request["id"].as_str().unwrap_or_default().to_owned();
    let own = says(stage, first, &["approve", &id]).await?;
    stage.expect(!own.status.success(), "nobody approves what he asked for himself");
    let record = stage.record()?;
    let moved = record.moves();
    stage.expect(moved == 0, "nothing is promoted by the word of one");
    let approved = says(stage, second, &["approve", &id]).await?;
    let told = String::from_utf8_lossy(&approved.stderr).trim().to_owned();
    stage.expect(approved.status.success(), format!("with the other's word it begins: {told}"));
    Ok(())
}
