//! Names: what a name answers, and by which policy.

use crate::config::problem::{Problem, code};
use crate::config::reader::At;
use crate::config::resolve::zone_of;
use crate::config::rules::{entries, is_witness, unknown_site};
use crate::config::typed::dns::PublishedName;
use crate::config::typed::{Application, File, Named};
use crate::config::values::{DnsName, DnsProvider};
use mainstay_core::SiteName;

pub fn check(
    file: &File,
    application: &Application,
    (name, at): (&DnsName, &At<PublishedName>),
    problems: &mut Vec<Problem>,
) {
    let PublishedName { addresses, alias, weights, networks, .. } = &at.value;
    match (addresses, alias) {
        (None, None) => {
            let what = format!("`addresses` is missing in {}", at.place);
            let advice = "write the addresses of each site, or `alias = \"<another name>\"`";
            problems.push(at.blame(Problem::error(code::MISSING_KEY, what, advice)));
        }
        (Some(_), Some(alias)) => problems.push(alias.blame(both("alias", "addresses"))),
        (None, Some(alias)) => stands_for(application, alias, problems),
        (Some(_), None) => {}
    }
    if let (Some(_), Some(networks)) = (weights, networks) {
        problems.push(networks.blame(both("networks", "weights")));
    }
    let own = of_own_zone(file, name);
    of_sites("weights", weights, file, own, problems);
    of_sites("networks", networks, file, own, problems);
    let useless = weights.as_ref().filter(|it| it.value.values().all(|it| it.value.0 == 0));
    problems.extend(useless.map(|weights| {
        let what = format!("no site in {} has a weight over 0", weights.place);
        weights.blame(Problem::error(code::OUT_OF_RANGE, what, "give at least one site a weight"))
    }));
}

fn both(one: &str, other: &str) -> Problem {
    let what = format!("`{one}` and `{other}` exclude each other");
    Problem::error(code::UNKNOWN_KEY, what, "remove one of the two").label("one too many")
}

fn stands_for(application: &Application, alias: &At<DnsName>, problems: &mut Vec<Problem>) {
    let of = entries(&application.names).find(|(name, _)| **name == alias.value);
    if of.is_none_or(|(_, of)| of.value.alias.is_some()) {
        let what = format!("{} is no name of this application with addresses", alias.value.0);
        let advice = "write one of its names that is no alias itself";
        let problem = Problem::error(code::BAD_VALUE, what, advice);
        problems.push(alias.blame(problem.label("not understood")));
    }
}

fn of_own_zone(file: &File, name: &DnsName) -> bool {
    let zone = zone_of(file, name);
    let mut zones = entries(&file.dns).filter(|(other, _)| Some(*other) == zone);
    zones.any(|(_, it)| it.value.kind.as_ref().is_some_and(|it| it.value == DnsProvider::Own))
}

fn of_sites<T>(
    key: &str,
    table: &Option<At<Named<SiteName, T>>>,
    file: &File,
    own: bool,
    problems: &mut Vec<Problem>,
) {
    let Some(table) = table else { return };
    if !own {
        let what = format!("`{key}` takes a zone of kind \"own\": other servers give one answer");
        let advice = "remove it, or have Mainstay answer for the zone";
        problems.push(table.blame(Problem::error(code::UNKNOWN_KEY, what, advice)));
    }
    for site in table.value.keys() {
        problems.extend(unknown_site(file, site).map(|problem| table.blame(problem)));
        if is_witness(file, site) == Some(true) {
            let what = format!("{} names the witness `{site}`", table.place);
            let advice = "remove it: nothing can run at a witness";
            problems.push(table.blame(Problem::error(code::WITNESS_WITH_DATA, what, advice)));
        }
    }
}
