//! Act one: everything starts, and the bank is filled.

use super::narrator::Narrator;
use crate::bank::schema;
use crate::current::CurrentLab;
use crate::error::LabError;
use crate::processes::{
    self, database_error, initialise, make_roles, start_network, start_postgres, start_site,
    write_configuration,
};
use futures::future::try_join_all;

pub async fn bring_up(lab: &CurrentLab, narrator: &Narrator) -> Result<(), LabError> {
    let sites: Vec<&str> = lab.plan.data_sites().map(|(site, _)| site).collect();
    try_join_all(sites.iter().map(|site| start_database(lab, site))).await?;
    narrator.say(&format!("PostgreSQL runs at {}", sites.join(" and ")));
    let opened = fill(lab).await?;
    narrator.say(&format!("the bank has {opened} accounts at {}", processes::HOME));
    write_configuration(&lab.plan, &lab.folder, &lab.secrets)?;
    start_network(&lab.plan, &lab.folder).await?;
    // The witness first: it keeps the coordinator, when that is embedded.
    start_site(&lab.plan, &lab.folder, processes::WITNESS, &lab.secrets).await?;
    let starts = sites.iter().map(|site| start_site(&lab.plan, &lab.folder, site, &lab.secrets));
    try_join_all(starts).await?;
    narrator.say("agents, gates and banks run");
    Ok(())
}

async fn start_database(lab: &CurrentLab, site: &str) -> Result<(), LabError> {
    let CurrentLab { plan, folder, secrets } = lab;
    initialise(plan, folder, site, secrets).await?;
    start_postgres(plan, folder, site, secrets).await?;
    make_roles(plan, folder, site, secrets).await
}

/// As the database's owner, at home only: the link brings it to the other site.
async fn fill(lab: &CurrentLab) -> Result<u64, LabError> {
    let failed = |error| database_error(&lab.folder, processes::HOME, error);
    let owner = processes::connect_as_owner(&lab.plan, &lab.folder, &lab.secrets).await?;
    schema::create(&owner).await.map_err(failed)?;
    schema::fill(&owner, lab.plan.wanted.accounts).await.map_err(failed)
}
