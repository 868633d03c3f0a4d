//! Whether databases can be looked after, before anything is touched: everything here only reads.

mod pair;
mod readers;
mod roles;
mod server;
mod tables;

use super::fault::Fault;
use super::session::Session;
use mainstay_core::estate::{Estate, PostgresEndpoint, PostgresStore, StoreKind};
use mainstay_core::{Finding, SiteName};
use server::Facts;

/// A database that answered.
struct Seen {
    /// Where in the configuration: `applications.bank.stores.db.endpoints.west`.
    place: String,
    facts: Facts,
}

/// Every store of the estate, and no database used by two of them.
pub async fn estate(estate: &Estate) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut seen = Vec::new();
    for (application, settings) in &estate.applications {
        for (name, store) in &settings.stores {
            let StoreKind::Postgres(postgres) = &store.kind else { continue };
            let place = format!("applications.{application}.stores.{name}");
            seen.extend(store_into(&place, postgres, &mut findings).await);
        }
    }
    findings.extend(pair::one_database_twice(&seen));
    findings
}

/// One store; `place` is where it is in the configuration: `applications.bank.stores.db`.
pub async fn findings(place: &str, store: &PostgresStore) -> Vec<Finding> {
    let mut findings = Vec::new();
    let seen = store_into(place, store, &mut findings).await;
    findings.extend(pair::one_database_twice(&seen));
    findings
}

async fn store_into(place: &str, store: &PostgresStore, findings: &mut Vec<Finding>) -> Vec<Seen> {
    let mut seen = Vec::new();
    for (site, endpoint) in &store.endpoints {
        let place = endpoint_place(place, site);
        match endpoint_into(&place, endpoint, store, findings).await {
            Ok(facts) => seen.push(Seen { place, facts }),
            Err(fault) => findings.push(unanswered(&place, &fault)),
        }
    }
    let newest = seen.iter().map(|seen| seen.facts.major).max().unwrap_or_default();
    for Seen { place, facts } in &seen {
        findings.extend(tables::refused(place, &facts.generated_identities, newest));
    }
    findings.extend(pair::differences(&seen));
    seen
}

fn endpoint_place(store: &str, site: &SiteName) -> String {
    format!("{store}.endpoints.{site}")
}

async fn endpoint_into(
    place: &str,
    endpoint: &PostgresEndpoint,
    store: &PostgresStore,
    findings: &mut Vec<Finding>,
) -> Result<Facts, Fault> {
    let session = Session::open(endpoint, "check").await?;
    let facts = server::read(&session).await?;
    findings.extend(server::findings(place, endpoint, &facts));
    findings.extend(roles::findings(place, &session, &store.roles, &store.readers).await?);
    findings.extend(readers::findings(place, &session, &store.readers).await?);
    findings.extend(tables::findings(place, &session).await?);
    Ok(facts)
}

/// The error says itself what to do; it becomes what was found there.
fn unanswered(place: &str, fault: &Fault) -> Finding {
    let text = fault.to_string();
    let (what, advice) = text.rsplit_once("; ").unwrap_or((&text, "look at that server's log"));
    Finding::error(fault.code(), place, what, advice)
}
