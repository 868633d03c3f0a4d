//! Names: what a name answers, and by which policy.

use crate::config::problem::{Problem, code};
use crate::config::reader::At;
use crate::config::resolve::zone_of;
use crate::config::rules::{data_sites, entries, is_witness, unknown_site};
use crate::config::typed::dns::PublishedName;
use crate::config::typed::{Application, File, Named};
use crate::config::values::{Count, DnsName, DnsProvider};
use mainstay_core::SiteName;

pub fn check(
    file: &File,
    application: &Application,
    (name, at): (&DnsName, &At<PublishedName>),
    problems: &mut Vec<Problem>,
) {
    let PublishedName { addresses, alias, weights, networks, health_checks, .. } = &at.value;
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
    let kind = kind_of_zone(file, name);
    let own = kind == Some(DnsProvider::Own);
    let route53 = kind == Some(DnsProvider::Route53);
    of_sites(("weights", "\"own\" or \"route53\""), weights, file, own || route53, problems);
    of_sites(("networks", "\"own\""), networks, file, own, problems);
    of_sites(("health-checks", "\"route53\""), health_checks, file, route53, problems);
    if let (true, Some(weights)) = (route53, weights) {
        spread_by_route53(weights, health_checks.is_some(), problems);
    }
    if let Some(checks) = health_checks {
        of_every_site(file, checks, problems);
    }
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

pub fn kind_of_zone(file: &File, name: &DnsName) -> Option<DnsProvider> {
    let zone = zone_of(file, name);
    let mut zones = entries(&file.dns).filter(|(other, _)| Some(*other) == zone);
    zones.next()?.1.value.kind.as_ref().map(|kind| kind.value)
}

fn spread_by_route53(
    weights: &At<Named<SiteName, Count>>,
    checked: bool,
    problems: &mut Vec<Problem>,
) {
    if !checked {
        let what = format!(
            "{} takes `health-checks` at Route 53: it would go on leading clients to a lost site",
            weights.place
        );
        let advice = "add `health-checks` with the id of a health check for each site's gate";
        problems.push(weights.blame(Problem::error(code::MISSING_KEY, what, advice)));
    }
    for weight in weights.value.values().filter(|weight| weight.value.0 > 255) {
        let what = format!("{} is over 255, the largest weight of Route 53", weight.place);
        let advice = "write 0 to 255; only their proportion counts";
        problems.push(weight.blame(Problem::error(code::OUT_OF_RANGE, what, advice)));
    }
}

/// One without a health check would count as healthy for ever.
fn of_every_site<T>(file: &File, checks: &At<Named<SiteName, T>>, problems: &mut Vec<Problem>) {
    for site in data_sites(file).filter(|site| !checks.value.contains_key(*site)) {
        let what = format!("{} has none for the site `{site}`", checks.place);
        let advice = format!("add `{site} = \"<id>\"`: without one it counts as healthy for ever");
        problems.push(checks.blame(Problem::error(code::SITE_LEFT_OUT, what, advice)));
    }
}

fn of_sites<T>(
    (key, kinds): (&str, &str),
    table: &Option<At<Named<SiteName, T>>>,
    file: &File,
    known: bool,
    problems: &mut Vec<Problem>,
) {
    let Some(table) = table else { return };
    if !known {
        let what = format!("`{key}` takes a zone of kind {kinds}: other servers do not know it");
        let advice = "remove it, or write another `kind` for the zone";
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
