//! Published names: a zone for each, and an answer for each site.

mod policies;
mod signing;
mod zones;

use super::{applications, data_sites, entries, is_witness, unknown_site};
use crate::config::duration;
use crate::config::problem::{Problem, code};
use crate::config::reader::At;
use crate::config::resolve::zone_of;
use crate::config::typed::dns::PublishedName;
use crate::config::typed::{Application, File};
use crate::config::values::{DnsName, DnsProvider};
use std::collections::BTreeMap;
use std::time::Duration;

/// What resolvers honour: shorter is asked again at once, longer outlives any disaster.
const TTL: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(24 * 60 * 60);

pub fn check(file: &File, problems: &mut Vec<Problem>) {
    zones::check(file, problems);
    let mut seen: BTreeMap<&DnsName, &At<PublishedName>> = BTreeMap::new();
    for (_, application) in applications(file) {
        for (name, at) in entries(&application.names) {
            in_a_zone(file, name, at, problems);
            policies::check(file, application, (name, at), problems);
            at_every_site(file, name, at, problems);
            ttl(application, at, problems);
            ttl_at_cloudflare(file, name, at, problems);
            if let Some(first) = seen.insert(name, at) {
                let what = format!("{} is published by {} too", name.0, first.place);
                let advice = "a name follows one application: remove it from the other";
                let problem = Problem::error(code::ADDRESS_TAKEN, what, advice);
                problems.push(at.blame(problem.label("already taken")));
            }
        }
    }
}

fn in_a_zone(file: &File, name: &DnsName, at: &At<PublishedName>, problems: &mut Vec<Problem>) {
    if zone_of(file, name).is_some() {
        return;
    }
    let what = format!("{} stands in none of the zones of this file", name.0);
    let zones: Vec<&str> = entries(&file.dns).map(|(zone, _)| zone.0.as_str()).collect();
    let parent = name.0.split_once('.').map_or(name.0.as_str(), |(_, parent)| parent);
    let known = if zones.is_empty() { "none".to_owned() } else { zones.join(", ") };
    let advice = format!("add [dns.\"{parent}\"] with its servers; zones of this file: {known}");
    let problem = Problem::error(code::UNKNOWN_ZONE, what, advice);
    problems.push(at.blame(problem.label("in no zone")));
}

/// A site without an address could not take over: DNS would have to answer with nothing.
fn at_every_site(file: &File, name: &DnsName, at: &At<PublishedName>, problems: &mut Vec<Problem>) {
    let Some(table) = &at.value.addresses else { return };
    for (site, list) in &table.value {
        problems.extend(unknown_site(file, site).map(|problem| list.blame(problem)));
        if is_witness(file, site) == Some(true) {
            let what = format!("{} is to lead to the witness `{site}`", name.0);
            let advice = "remove this line: nothing can run at a witness";
            let problem = Problem::error(code::WITNESS_WITH_DATA, what, advice);
            problems.push(list.blame(problem.label("a witness")));
        }
    }
    for site in data_sites(file) {
        let list = table.value.get(site);
        if list.is_none_or(|list| list.value.is_empty()) {
            let what = format!("{} has no address for the site `{site}`", name.0);
            let advice = format!(
                "add `{site} = [\"192.0.2.10\"]` to its addresses: when `{site}` is active, DNS \
                 would have to answer with nothing"
            );
            let problem = Problem::error(code::SITE_LEFT_OUT, what, advice);
            let problem = problem.label(format!("`{site}` is left out"));
            problems.push(
                list.map_or_else(|| table.blame(problem.clone()), |l| l.blame(problem.clone())),
            );
        }
    }
}

fn ttl(application: &Application, at: &At<PublishedName>, problems: &mut Vec<Problem>) {
    let Some(ttl) = &at.value.ttl else { return };
    if !TTL.contains(&ttl.value) || ttl.value.subsec_nanos() != 0 {
        let what = format!("a TTL of {} is out of range", duration::write(ttl.value));
        let advice = "write 1s to 1d in whole seconds; 30s suits most";
        let problem = Problem::error(code::OUT_OF_RANGE, what, advice);
        problems.push(ttl.blame(problem.label("not within 1s to 1d")));
        return;
    }
    let rto = application.objectives.as_ref().and_then(|at| at.value.rto.as_ref());
    let Some(rto) = rto.filter(|rto| ttl.value > rto.value) else { return };
    let what = format!(
        "resolvers may keep an answer for {}, longer than the RTO of {}: who asked just before a \
         site is lost goes on trying it for so long",
        duration::write(ttl.value),
        duration::write(rto.value)
    );
    let advice = "shorten `ttl`, or have clients know the gates of both sites";
    let problem = Problem::warning(code::OBJECTIVE_OUT_OF_REACH, what, advice);
    problems.push(ttl.blame(problem.label("longer than the RTO")));
}

/// "Between 60 and 86400, with the minimum reduced to 30 for Enterprise zones" (Cloudflare's API).
fn ttl_at_cloudflare(
    file: &File,
    name: &DnsName,
    at: &At<PublishedName>,
    problems: &mut Vec<Problem>,
) {
    let kind = policies::kind_of_zone(file, name);
    let Some(ttl) = at.value.ttl.as_ref().filter(|_| kind == Some(DnsProvider::Cloudflare)) else {
        return;
    };
    let written = duration::write(ttl.value);
    if ttl.value < Duration::from_secs(30) {
        let what = format!("Cloudflare takes no TTL of {written}");
        let problem = Problem::error(code::OUT_OF_RANGE, what, "write 60s; Enterprise zones: 30s");
        problems.push(ttl.blame(problem.label("under 30s")));
    } else if ttl.value < Duration::from_secs(60) {
        let what = format!("Cloudflare takes a TTL of {written} for Enterprise zones only");
        let advice = "write `ttl = \"60s\"` unless this zone is one";
        let problem = Problem::warning(code::OUT_OF_RANGE, what, advice);
        problems.push(ttl.blame(problem.label("under 60s")));
    }
}
