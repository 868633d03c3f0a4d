//! `mainstay lab`, and how the other commands find a lab that is up.

use super::context::Side;
use super::{Context, Failure, output};
use crate::client::{Client, Way};
use mainstay_agent::types::Status;
use mainstay_lab::LabArgs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// How long an agent of the lab may take to say that it is there.
const PATIENCE: Duration = Duration::from_secs(2);

pub async fn run(args: LabArgs, context: &Context) -> Result<ExitCode, Failure> {
    let ended = mainstay_lab::run(args.into_command(), context.json()).await;
    ended.map_err(|error| Failure::told(&error))
}

/// The folder of the lab's agent on that side, or else of another that answers. None when no lab
/// is up.
pub async fn folder(side: Side) -> Option<PathBuf> {
    let lab = mainstay_lab::current_lab()?;
    let mut best = None;
    for (site, state, _) in lab.sites() {
        let rank = rank(&state, side).await;
        if best.as_ref().is_none_or(|(least, _, _)| rank < *least) {
            best = Some((rank, site, state));
        }
    }
    let (_, site, state) = best?;
    output::remark(&format!("lab: asking {site} (--state {})", state.display()));
    Some(state)
}

/// Lower is better.
async fn rank(state: &Path, side: Side) -> u8 {
    let client = Client::new(Way::Socket(state.join("agent.sock")));
    let asked = client.get::<Status>("/v1/status");
    let Ok(Ok(status)) = tokio::time::timeout(PATIENCE, asked).await else { return 3 };
    let is_active = status.applications.iter().any(|it| it.active.as_ref() == Some(&status.here));
    let is_witness = status.applications.iter().all(|it| it.state == "witness");
    match (is_witness, is_active == (side == Side::Active)) {
        (true, _) => 2,
        (false, true) => 0,
        (false, false) => 1,
    }
}
