//! The customers' programs that keep the list of payees, as the acts need them.

use crate::clients::payees::{Payees, PayeesConfig};
use crate::current::CurrentLab;
use crate::error::{Doing, LabError};
use crate::oracle;
use crate::processes::DATABASE;
use crate::scenario::stage::Stage;
use crate::scenario::wait::{Seen, wait_for};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(60);

pub struct Desk {
    state: State,
}

enum State {
    Idle(Payees),
    Busy(CancellationToken, JoinHandle<std::io::Result<Payees>>),
    /// After an error.
    Broken,
}

impl Desk {
    /// They know the addresses of both gates, and begin with the active site's.
    pub fn open(lab: &CurrentLab) -> Result<Self, LabError> {
        let database = |(_, place): (_, &crate::processes::DataSite)| {
            let mut config = tokio_postgres::Config::new();
            config
                .host(place.gate_database.ip().to_string())
                .port(place.gate_database.port())
                .user("bank")
                .password(&lab.secrets.bank)
                .dbname(DATABASE)
                .application_name("payees")
                .connect_timeout(Duration::from_secs(5));
            config
        };
        let config = PayeesConfig {
            folder: lab.folder.payees(),
            databases: lab.plan.data_sites().map(database).collect(),
            keepers: lab.plan.wanted.workers.into(),
            seed: lab.plan.wanted.seed,
        };
        let payees = Payees::open(config).doing(doing)?;
        Ok(Self { state: State::Idle(payees) })
    }

    pub async fn prepare(&mut self, rows: u64) -> Result<(), LabError> {
        let payees = self.idle()?.prepare(rows).await.doing(doing)?;
        self.state = State::Idle(payees);
        Ok(())
    }

    pub async fn mix(&mut self, transactions: u64) -> Result<(), LabError> {
        let payees = self.idle()?.mix(transactions).await.doing(doing)?;
        self.state = State::Idle(payees);
        Ok(())
    }

    pub fn go_on(&mut self) -> Result<(), LabError> {
        let (payees, stop) = (self.idle()?, CancellationToken::new());
        let work = tokio::spawn(payees.go_on(stop.clone()));
        self.state = State::Busy(stop, work);
        Ok(())
    }

    /// Returns when every transaction under way has met its fate.
    pub async fn pause(&mut self) -> Result<(), LabError> {
        let State::Busy(stop, work) = std::mem::replace(&mut self.state, State::Broken) else {
            return Err(broken());
        };
        stop.cancel();
        let ended = tokio::time::timeout(PATIENCE, work).await.map_err(std::io::Error::other);
        let payees = ended.doing(doing)?.map_err(std::io::Error::other).doing(doing)?;
        self.state = State::Idle(payees.doing(doing)?);
        Ok(())
    }

    fn idle(&mut self) -> Result<Payees, LabError> {
        match std::mem::replace(&mut self.state, State::Broken) {
            State::Idle(payees) => Ok(payees),
            State::Busy(..) | State::Broken => Err(broken()),
        }
    }
}

fn broken() -> LabError {
    let source = std::io::Error::other("they are at work, or have failed before");
    LabError::System { what: doing(), source }
}

fn doing() -> String {
    "keep the list of payees".to_owned()
}

/// Nobody writes payees meanwhile.
pub async fn until_arrived(stage: &Stage<'_>, rows: u64) -> Result<(), LabError> {
    let (lab, site) = (stage.lab, stage.roles.other);
    wait_for(lab, "the payees at the other site", PATIENCE, async || {
        let there = oracle::payees_at(lab, site).await?.len() as u64;
        Ok(match there == rows {
            true => Seen::Yes(()),
            false => Seen::NotYet(format!("{there} of {rows}")),
        })
    })
    .await
}
