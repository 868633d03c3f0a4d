//! Who a gate hears: its agent, or, once a younger gate has taken over, the agent through that one.

use super::FIRST_DIRECTIVE;
use super::error::GateError;
use super::keeper::Keeper;
use super::listen::Life;
use super::shared::Shared;
use crate::control::{self, Directive, Report};
use std::io;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// How many directives may be on their way.
const WAITING: usize = 8;

/// The keeper at work. It ends when this is dropped.
#[derive(Debug)]
pub struct Obeyed {
    pub directives: mpsc::Sender<Directive>,
    pub reports: watch::Receiver<Report>,
    /// True while a younger gate listens to the agent in this one's place.
    pub replaced: watch::Sender<bool>,
    pub retired: CancellationToken,
    pub shutdown: CancellationToken,
    elder: mpsc::Sender<mpsc::Sender<Directive>>,
    _tasks: [AbortOnDropHandle<()>; 2],
}

impl Obeyed {
    pub fn start(keeper: Keeper, life: &Life) -> Self {
        let shared = Arc::clone(&keeper.shared);
        let (directives, received) = mpsc::channel(WAITING);
        let (elder, elders) = mpsc::channel(1);
        let (told, reports) = watch::channel(shared.report());
        let (replaced, waiting) = watch::channel(false);
        let hearing = hear(shared, directives.clone(), reports.clone(), waiting);
        let tasks = [
            AbortOnDropHandle::new(tokio::spawn(keeper.run(received, elders, told))),
            AbortOnDropHandle::new(tokio::spawn(hearing)),
        ];
        let (retired, shutdown) = (life.retired.clone(), life.shutdown.clone());
        Self { directives, reports, replaced, retired, shutdown, elder, _tasks: tasks }
    }

    /// Until the agent has said what to do: a gate that knows nothing takes nothing over.
    pub async fn directed(&self) -> Result<(), GateError> {
        let mut reports = self.reports.clone();
        let said = reports.wait_for(|report| report.seq > 0);
        match tokio::time::timeout(FIRST_DIRECTIVE, said).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(GateError::Handover(io::Error::other(error))),
            Err(_) => Err(GateError::Handover(io::Error::other("the agent says nothing"))),
        }
    }

    /// The gate that ran before hears what this one hears.
    pub async fn pass_on_to(&self, elder: mpsc::Sender<Directive>) {
        // The keeper lives as long as this.
        let _ = self.elder.send(elder).await;
    }
}

async fn hear(
    shared: Arc<Shared>,
    directives: mpsc::Sender<Directive>,
    reports: watch::Receiver<Report>,
    mut replaced: watch::Receiver<bool>,
) {
    let socket = control::socket(&shared.spec.state_dir);
    loop {
        if replaced.wait_for(|replaced| !replaced).await.is_err() {
            return;
        }
        tokio::select! {
            () = control::client::run(&socket, directives.clone(), reports.clone()) => {}
            // Its end is the gate's.
            _ = replaced.wait_for(|replaced| *replaced) => {}
        }
    }
}
