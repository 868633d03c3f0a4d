//! Act three: the disaster. First the line between the sites breaks; a moment later everything at
//! the active site is killed. What was acknowledged in between exists nowhere but on its disks.

use super::narrator::Narrator;
use crate::clients::log::Moment;
use crate::current::CurrentLab;
use crate::error::{Doing, LabError};
use crate::network::{self, Request};
use crate::processes::{self, kill_site};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::time::Duration;

/// How long the site outlives its line, in milliseconds: the seed's choice.
const ALONE_MS: std::ops::Range<u64> = 50..400;

/// Returns the moment just before the first SIGKILL.
pub async fn strike(lab: &CurrentLab, narrator: &Narrator) -> Result<Moment, LabError> {
    let (a, b) = (processes::HOME.to_owned(), processes::STANDBY.to_owned());
    change_network(lab, Request::Cut { a, b }).await?;
    // Another stream of the seed than the one that chose the moment.
    let mut random = StdRng::seed_from_u64(lab.plan.wanted.seed ^ 1 << 63);
    let alone = Duration::from_millis(random.random_range(ALONE_MS));
    tokio::time::sleep(alone).await;
    let moment = Moment::now();
    let killed = kill_site(&lab.plan, &lab.folder, processes::HOME)?;
    narrator.say(&format!(
        "DISASTER: the line between the sites is cut; {} ms later SIGKILL to all {killed} processes \
         at {}",
        alone.as_millis(),
        processes::HOME
    ));
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
