//! One packet in a hundred between the sites is lost, each comes late by another while, and every
//! core has something else to do.

use super::judge;
use super::stage::Stage;
use crate::clients::log::Moment;
use crate::error::LabError;
use crate::processes::HOME;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const LOST_OF_1000: u32 = 10;
/// Each way; a question and its answer take up to twice that.
const LATE: Duration = Duration::from_millis(500);
const SHORT: Duration = Duration::from_secs(60);
const LONG: Duration = Duration::from_secs(3600);

pub async fn play(stage: &mut Stage) -> Result<(), LabError> {
    let began = Moment::now();
    stage.spaces.lose(LOST_OF_1000)?;
    let late = stage.spaces.delay(LATE, stage.outcome.seed)?;
    let busy = Busy::begin();
    stage.say("1 % of the packets is lost, the others are up to 500 ms late, every core is busy");
    // Time itself is the subject: nothing may happen for so long.
    tokio::time::sleep(if stage.long { LONG } else { SHORT }).await;
    drop((busy, late));
    let record = stage.record()?;
    judge::no_failover(stage, &record, HOME);
    stage.figure("acknowledged", record.accepted.len() as f64);
    stage.figure("longest_gap_ms", judge::ms(record.longest_gap_us(began)));
    Ok(())
}

/// A thread for each core that does nothing, as fast as it can.
struct Busy(Arc<AtomicBool>);

impl Busy {
    fn begin() -> Self {
        let goes_on = Arc::new(AtomicBool::new(true));
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        for _ in 0..cores {
            let goes_on = goes_on.clone();
            std::thread::spawn(move || while goes_on.load(Ordering::Relaxed) {});
        }
        Self(goes_on)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}
