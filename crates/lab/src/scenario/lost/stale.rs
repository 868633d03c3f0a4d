//! A client that has the returning site's own database address from before, and tries to write.

use crate::current::CurrentLab;
use crate::error::{Doing, LabError};
use crate::processes::connect_as_application;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const PAUSE: Duration = Duration::from_millis(40);

pub struct Stale {
    stop: CancellationToken,
    work: JoinHandle<Result<(u64, u64), LabError>>,
}

impl Stale {
    pub fn begin(lab: &CurrentLab, site: &'static str) -> Result<Self, LabError> {
        let stop = CancellationToken::new();
        let work = tokio::spawn(insist(lab.clone(), site, stop.clone()));
        Ok(Self { stop, work })
    }

    /// Attempts that a database answered, and writes that it accepted.
    pub async fn end(self) -> Result<(u64, u64), LabError> {
        self.stop.cancel();
        let doing = || "write as a stale client".to_owned();
        self.work.await.map_err(std::io::Error::other).doing(doing)?
    }
}

async fn insist(
    lab: CurrentLab,
    site: &'static str,
    stop: CancellationToken,
) -> Result<(u64, u64), LabError> {
    let place = lab.plan.data(site)?;
    let (mut attempts, mut accepted) = (0, 0);
    while !stop.is_cancelled() {
        let row = -1 - i64::try_from(attempts).unwrap_or(i64::MAX - 1);
        let insert =
            format!("INSERT INTO payees (id, name, written_by) VALUES ({row}, 's', {row})");
        let outcome = match connect_as_application(place, &lab.secrets).await {
            Ok(client) => client.batch_execute(&insert).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => (attempts, accepted) = (attempts + 1, accepted + 1),
            Err(error) if error.as_db_error().is_some() => attempts += 1,
            // Nobody listens there yet.
            Err(_) => {}
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok((attempts, accepted))
}
