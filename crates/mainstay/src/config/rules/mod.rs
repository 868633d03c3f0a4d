//! What must hold between the parts of a file. Each rule reports all that breaks it and goes on
//! with what it can read.

mod addresses;
mod alerts;
mod coordinator;
mod failover;
mod fencing;
mod gates;
mod names;
mod people;
mod probes;
mod reads;
mod runbook;
mod sites;
mod store_kinds;
mod stores;
mod tcp;
mod web;

pub use probes::cadence;

use super::nearest::nearest;
use super::problem::{Problem, code};
use super::reader::At;
use super::typed::{Application, File, Named};
use mainstay_core::{ApplicationName, SiteName};

/// Checks everything.
pub fn all(file: &File, problems: &mut Vec<Problem>) {
    sites::check(file, problems);
    coordinator::check(file, problems);
    for (name, application) in applications(file) {
        stores::check(file, name, application, problems);
        gates::check(file, name, application, problems);
        reads::check(name, application, problems);
        web::check(file, application, problems);
        failover::check(file, application, problems);
        fencing::check(file, application, problems);
        probes::check(file, application, problems);
        runbook::check(file, application, problems);
    }
    names::check(file, problems);
    people::check(file, problems);
    stores::shared_databases(file, problems);
    addresses::check(file, problems);
    alerts::check(file, problems);
}

/// The entries of a table that may be missing.
fn entries<K: Ord, V>(table: &Option<At<Named<K, V>>>) -> impl Iterator<Item = (&K, &At<V>)> {
    table.iter().flat_map(|table| table.value.iter())
}

fn applications(file: &File) -> impl Iterator<Item = (&ApplicationName, &Application)> {
    entries(&file.applications).map(|(name, application)| (name, &application.value))
}

/// None for a site that the file does not have.
fn is_witness(file: &File, name: &SiteName) -> Option<bool> {
    let (_, site) = entries(&file.sites).find(|(known, _)| *known == name)?;
    Some(site.value.witness.as_ref().is_some_and(|witness| witness.value))
}

/// The sites that hold data.
fn data_sites(file: &File) -> impl Iterator<Item = &SiteName> {
    entries(&file.sites).map(|(name, _)| name).filter(|name| is_witness(file, name) == Some(false))
}

/// The problem that a name is none of a site, if it is none.
fn unknown_site(file: &File, name: &SiteName) -> Option<Problem> {
    if is_witness(file, name).is_some() {
        return None;
    }
    let known: Vec<String> = entries(&file.sites).map(|(name, _)| name.to_string()).collect();
    let label = match nearest(name.as_str(), &known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "no such site".to_owned(),
    };
    let what = format!("there is no site `{name}`");
    let advice = format!("sites of this file: {}; or add [sites.{name}]", known.join(", "));
    Some(Problem::error(code::UNKNOWN_SITE, what, advice).label(label))
}

/// Reports names of tables that are no data sites, and data sites that have no table.
fn one_each<V>(
    file: &File,
    table: &Option<At<Named<SiteName, V>>>,
    what: &str,
    why: &str,
    problems: &mut Vec<Problem>,
) {
    let Some(table) = table else { return };
    for (site, entry) in &table.value {
        problems.extend(unknown_site(file, site).map(|problem| entry.blame(problem)));
        if is_witness(file, site) == Some(true) {
            let text = format!("the witness `{site}` has {what}");
            let advice = format!("remove this table: a witness only votes, {why}");
            let problem = Problem::error(code::WITNESS_WITH_DATA, text, advice);
            problems.push(entry.blame(problem.label("a witness")));
        }
    }
    for site in data_sites(file).filter(|site| !table.value.contains_key(site)) {
        let text = format!("{} has no table for the site `{site}`", table.place);
        let advice =
            format!("add [{}.{site}]: every site that holds data needs {what}", table.place);
        let problem = Problem::error(code::SITE_LEFT_OUT, text, advice);
        problems.push(table.blame(problem.label(format!("`{site}` is left out"))));
    }
}
