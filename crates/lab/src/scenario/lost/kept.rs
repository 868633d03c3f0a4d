//! Nothing at the returning site is rewound before its salvage is kept at the other one.

use crate::clients::payees::log::Written;
use crate::current::CurrentLab;
use crate::error::LabError;
use crate::oracle;
use crate::scenario::agent::Agent;
use crate::scenario::round::Round;
use crate::scenario::salvage;
use crate::scenario::wait::{Seen, wait_for};
use mainstay_agent::types::SalvageSummary;
use std::time::Duration;

/// The salvage once the active site lists it, and how many payees were not as the site had accepted
/// them when it came back, and how often they were seen changed before that.
pub async fn untouched_until_kept(
    lab: &CurrentLab,
    patience: Duration,
    round: &Round,
    acknowledged: &[&[Written]],
) -> Result<(SalvageSummary, u64), LabError> {
    let accepted = oracle::all_of(acknowledged);
    let agent = Agent::of(lab, round.new_site);
    let before = oracle::fingerprint_of_payees(lab, round.lost_site).await?;
    let mut touched = oracle::unlike(&accepted, &oracle::payees_at(lab, round.lost_site).await?);
    let kept = wait_for(lab, "a kept salvage", patience, async || {
        // First the rows, then the question: so the rows are from before it was kept, or it is kept.
        let there = oracle::fingerprint_of_payees(lab, round.lost_site).await?;
        let Some(kept) = salvage::find(&agent, round).await? else {
            touched += u64::from(there != before);
            return Ok(Seen::NotYet("none".to_owned()));
        };
        Ok(Seen::Yes(kept))
    })
    .await?;
    Ok((kept, touched))
}
