//! Act three: the disaster. First the line between the sites breaks; a moment later everything at
//! the active site is killed. What was acknowledged in between exists nowhere but on its disks.

use super::stage::Stage;
use crate::clients::log::Moment;
use crate::current::CurrentLab;
use crate::error::{Doing, LabError};
use crate::network::{self, Request};
use crate::processes::{self, Fence, kill_site};
use rand::Rng;
use std::time::Duration;

/// How long the site outlives its line, in milliseconds: the seed's choice.
const ALONE_MS: std::ops::Range<u64> = 50..400;

/// Returns the moment just before the first SIGKILL, or the one in which the site was cut off.
pub async fn strike(stage: &mut Stage<'_>) -> Result<Moment, LabError> {
    if stage.lab.plan.wanted.fence == Some(Fence::Cut) {
        return cut_off(stage).await;
    }
    cut(stage.lab).await?;
    let alone = Duration::from_millis(stage.random.random_range(ALONE_MS));
    tokio::time::sleep(alone).await;
    let moment = kill(stage)?;
    stage.say(&format!("the line between the sites had been cut {} ms before", alone.as_millis()));
    Ok(moment)
}

/// Nobody reaches the active site any more but its own clients, and it runs on. Whoever stops it
/// from outside does so by another way than the network.
async fn cut_off(stage: &Stage<'_>) -> Result<Moment, LabError> {
    let moment = Moment::now();
    cut(stage.lab).await?;
    let (a, b) = (stage.roles.active.to_owned(), processes::WITNESS.to_owned());
    change_network(stage.lab, Request::Cut { a, b }).await?;
    stage.say(&format!("DISASTER: {} is cut off from all others, and runs on", stage.roles.active));
    Ok(moment)
}

/// The line between the sites breaks; the witness reaches both.
pub async fn cut(lab: &CurrentLab) -> Result<(), LabError> {
    let (a, b) = (processes::HOME.to_owned(), processes::STANDBY.to_owned());
    change_network(lab, Request::Cut { a, b }).await
}

/// Everything at the active site dies. Returns the moment just before the first SIGKILL.
pub fn kill(stage: &Stage<'_>) -> Result<Moment, LabError> {
    let moment = Moment::now();
    let site = stage.roles.active;
    let killed = kill_site(&stage.lab.plan, &stage.lab.folder, site)?;
    stage.say(&format!("DISASTER: SIGKILL to all {killed} processes at {site}"));
    Ok(moment)
}

/// The line is mended when the site is brought back. Until then nothing answers from there, not
/// even with a refusal, as from a machine without power.
pub async fn mend(lab: &CurrentLab) -> Result<(), LabError> {
    change_network(lab, Request::Heal).await
}

async fn change_network(lab: &CurrentLab, request: Request) -> Result<(), LabError> {
    let answer = network::ask(&lab.folder.network_socket(), &request).await;
    answer.map(drop).doing(|| "change the lab's network".to_owned())
}
