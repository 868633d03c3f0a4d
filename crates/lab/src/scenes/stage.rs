//! What every scene needs: a lab whose sites are apart, writers at both, and a place for figures.

use super::outcome::Outcome;
use super::record::{Accepted, Record};
use crate::clients::log::Moment;
use crate::current::CurrentLab;
use crate::error::{Doing, LabError};
use crate::network::spaces::Spaces;
use crate::processes::{
    self, DATABASE, HOME, LabPlan, STANDBY, WITNESS, connect_as_superuser, database_error,
    start_writer,
};
use crate::scenario::{Agent, Narrator, Seen, bring_up, until_the_link_follows, wait_for};
use mainstay_agent::types::ApplicationStatus;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::collections::HashSet;
use std::time::Duration;

/// Longest wait for what has to come.
pub const PATIENCE: Duration = Duration::from_secs(90);

pub struct Stage {
    pub lab: CurrentLab,
    pub spaces: Spaces,
    pub narrator: Narrator,
    /// The seed's choices.
    pub random: StdRng,
    /// As it takes hours, not minutes.
    pub long: bool,
    pub outcome: Outcome,
}

impl Stage {
    pub fn new(lab: CurrentLab, narrator: Narrator, long: bool) -> Self {
        let LabPlan { wanted, spaces, .. } = &lab.plan;
        let random = StdRng::seed_from_u64(wanted.seed);
        let spaces = Spaces::named(spaces.as_deref().unwrap_or_default());
        let outcome = Outcome { seed: wanted.seed, ..Outcome::default() };
        Self { lab, spaces, narrator, random, long, outcome }
    }

    /// Everything runs, the standby follows, and writes are accepted by every way that leads to
    /// the active site.
    pub async fn up(&mut self) -> Result<(), LabError> {
        bring_up(&self.lab, &self.narrator).await?;
        let table = "CREATE TABLE public.written (id text PRIMARY KEY, \
                     at timestamptz NOT NULL DEFAULT clock_timestamp()); \
                     GRANT ALL ON public.written TO bank";
        self.sql(HOME, table).await?;
        until_the_link_follows(&self.lab, STANDBY).await?;
        self.until("the table is at the standby", async |stage| {
            stage.ids(STANDBY).await.map(|_| true)
        })
        .await?;
        self.start_writers()?;
        self.until("writes are accepted by every way", async |stage| {
            let record = stage.record()?;
            let ways: HashSet<&str> = record
                .accepted
                .iter()
                .filter_map(|it| it.id.rsplit_once('-'))
                .map(|it| it.0)
                .collect();
            Ok(ways.len() == 3)
        })
        .await?;
        until_the_link_follows(&self.lab, STANDBY).await?;
        self.say("writers write at both sites, through the gates and past them");
        Ok(())
    }

    fn start_writers(&self) -> Result<(), LabError> {
        let CurrentLab { plan, folder, secrets } = &self.lab;
        let writers = folder.writers();
        std::fs::create_dir_all(&writers).doing(|| format!("make {}", writers.display()))?;
        for (site, place) in plan.data_sites() {
            let gate = Some(place.gate_database);
            start_writer(plan, folder, site, gate, place.postgres, ("bank", &secrets.bank))?;
        }
        Ok(())
    }

    pub fn say(&self, what: &str) {
        self.narrator.say(what);
    }

    /// Something has to hold; the run goes on when it does not.
    pub fn expect(&mut self, holds: bool, what: impl Into<String>) {
        if !holds {
            let what = what.into();
            self.say(&format!("MISSED: {what}"));
            self.outcome.missed.push(what);
        }
    }

    pub fn figure(&mut self, name: &str, value: f64) {
        self.say(&format!("{}: {value}", name.replace('_', " ")));
        self.outcome.figures.insert(name.to_owned(), value);
    }

    pub fn record(&self) -> Result<Record, LabError> {
        let folder = self.lab.folder.writers();
        Record::read(&folder).doing(|| format!("read {}", folder.display()))
    }

    pub async fn status(&self, site: &str) -> Result<ApplicationStatus, LabError> {
        Agent::of(&self.lab, site).bank().await
    }

    /// Statements at a site's database, past the gate, as someone whom Mainstay never fences.
    pub async fn sql(&self, site: &str, sql: &str) -> Result<Vec<String>, LabError> {
        self.sql_in(DATABASE, site, sql).await
    }

    pub async fn sql_in(
        &self,
        database: &str,
        site: &str,
        sql: &str,
    ) -> Result<Vec<String>, LabError> {
        let CurrentLab { plan, folder, secrets } = &self.lab;
        let client = connect_as_superuser(plan, folder, site, secrets, database).await?;
        let told = client.simple_query(sql).await;
        let told = told.map_err(|error| database_error(folder, site, error))?;
        let row = |message: &tokio_postgres::SimpleQueryMessage| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        };
        Ok(told.iter().filter_map(row).collect())
    }

    /// The writers' rows that a site has.
    pub async fn ids(&self, site: &str) -> Result<HashSet<String>, LabError> {
        Ok(self.sql(site, "SELECT id FROM public.written").await?.into_iter().collect())
    }

    pub async fn until(
        &self,
        what: &str,
        mut holds: impl AsyncFnMut(&Self) -> Result<bool, LabError>,
    ) -> Result<(), LabError> {
        wait_for(&self.lab, what, PATIENCE, async || {
            Ok(match holds(self).await? {
                true => Seen::Yes(()),
                false => Seen::NotYet("not so".to_owned()),
            })
        })
        .await
    }

    /// Waits until the site has accepted a write that was sent after that moment.
    pub async fn accepted_by(&self, site: &str, after: Moment) -> Result<Accepted, LabError> {
        wait_for(&self.lab, &format!("a write that {site} accepts"), PATIENCE, async || {
            Ok(match self.record()?.first_by(site, after) {
                Some(accepted) => Seen::Yes(accepted.clone()),
                None => Seen::NotYet("none yet".to_owned()),
            })
        })
        .await
    }

    /// The lost site is back: both are proved equal.
    pub async fn until_equal(&self, site: &str) -> Result<(), LabError> {
        self.until(&format!("{site} is back, proved equal"), async |stage| {
            let status = stage.status(site).await?;
            let equal = |it: &mainstay_agent::types::EqualityView| {
                serde_json::to_string(it).is_ok_and(|text| text.contains("\"equal\""))
            };
            Ok(!status.equality.is_empty() && status.equality.iter().all(equal))
        })
        .await
    }

    /// A moment of the seed's: any phase of the renewals.
    pub async fn some_time(&mut self) {
        use rand::Rng;
        let wait = Duration::from_micros(self.random.random_range(500_000..3_500_000));
        tokio::time::sleep(wait).await;
    }

    pub fn all_sites() -> [&'static str; 3] {
        [HOME, STANDBY, WITNESS]
    }

    pub async fn start(&self, site: &str) -> Result<(), LabError> {
        let CurrentLab { plan, folder, secrets } = &self.lab;
        processes::start_site(plan, folder, site, secrets).await
    }
}
