//! The active site and the witness do not reach each other; everything else goes on.

use super::judge;
use super::stage::Stage;
use crate::clients::log::Moment;
use crate::error::LabError;
use crate::processes::{HOME, STANDBY, WITNESS};
use std::time::Duration;

/// Several leases; and as long as it takes somebody to mend a line.
const SHORT: Duration = Duration::from_secs(25);
const LONG: Duration = Duration::from_secs(600);

pub async fn play(stage: &mut Stage) -> Result<(), LabError> {
    stage.some_time().await;
    let fault = Moment::now();
    stage.spaces.cut(HOME, WITNESS)?;
    stage.say("east and the witness are cut from each other");
    // Time itself is the subject: nothing may happen for so long.
    tokio::time::sleep(if stage.long { LONG } else { SHORT }).await;
    let record = stage.record()?;
    judge::no_failover(stage, &record, HOME);
    let ways = [(HOME, "gate"), (HOME, "direct"), (STANDBY, "gate")];
    judge::none_failed(stage, &record, fault, &ways);
    stage.figure("longest_gap_ms", judge::ms(record.longest_gap_us(fault)));
    stage.figure("acknowledged", record.accepted.len() as f64);
    stage.spaces.heal()
}
