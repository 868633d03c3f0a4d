//! Zones: what each kind needs.

use super::signing;
use crate::config::problem::{Problem, code};
use crate::config::reader::At;
use crate::config::rules::{data_sites, entries, is_witness, unknown_site};
use crate::config::typed::dns::{AzureZone, Route53Zone, Zone};
use crate::config::typed::{File, Named};
use crate::config::values::DnsProvider;
use mainstay_core::SiteName;

pub fn check(file: &File, problems: &mut Vec<Problem>) {
    for (name, zone) in entries(&file.dns) {
        signing::check(file, (name, zone), problems);
        match zone.value.kind.as_ref().map(|kind| kind.value) {
            Some(DnsProvider::Rfc2136) => rfc2136(zone, problems),
            Some(DnsProvider::Own) => own(file, zone, problems),
            Some(DnsProvider::Route53) => route53(zone, problems),
            Some(DnsProvider::Cloudflare) if zone.value.cloudflare.is_none() => {
                let advice = "write `cloudflare = { token = \"file:cloudflare-token\" }` there";
                problems.push(zone.blame(missing(zone, "cloudflare", advice)));
            }
            Some(DnsProvider::Azure) => azure(zone, problems),
            Some(DnsProvider::Cloudflare) | None => {}
        }
        strays(&zone.value, problems);
    }
}

/// Keys that only other kinds of zones know.
fn strays(zone: &Zone, problems: &mut Vec<Problem>) {
    use DnsProvider::{Azure, Cloudflare, Own, Rfc2136, Route53};
    let Some(kind) = zone.kind.as_ref().map(|kind| kind.value) else { return };
    let found = [
        zone.sites.as_ref().filter(|_| kind != Own).map(|at| at.blame(stray("sites", kind))),
        zone.contact.as_ref().filter(|_| kind != Own).map(|at| at.blame(stray("contact", kind))),
        zone.key.as_ref().filter(|_| kind != Rfc2136).map(|at| at.blame(stray("key", kind))),
        zone.signing_keys
            .as_ref()
            .filter(|_| kind != Own)
            .map(|at| at.blame(stray("signing-keys", kind))),
        zone.route53
            .as_ref()
            .filter(|_| kind != Route53)
            .map(|at| at.blame(stray("route53", kind))),
        zone.cloudflare
            .as_ref()
            .filter(|_| kind != Cloudflare)
            .map(|at| at.blame(stray("cloudflare", kind))),
        zone.azure.as_ref().filter(|_| kind != Azure).map(|at| at.blame(stray("azure", kind))),
    ];
    problems.extend(found.into_iter().flatten());
}

fn route53(zone: &At<Zone>, problems: &mut Vec<Problem>) {
    let Some(table) = &zone.value.route53 else { return };
    let Route53Zone { access_key, secret_key, session_token, .. } = &table.value;
    let lacks = match (access_key, secret_key, session_token) {
        (None, Some(_), _) | (None, None, Some(_)) => "access-key",
        (Some(_), None, _) => "secret-key",
        _ => return,
    };
    let what = format!("`{lacks}` is missing in {}", table.place);
    let advice = "write both halves of the key; or neither, and the machine's role may change DNS";
    problems.push(table.blame(Problem::error(code::MISSING_KEY, what, advice).label("incomplete")));
}

fn azure(zone: &At<Zone>, problems: &mut Vec<Problem>) {
    let Some(table) = &zone.value.azure else {
        let advice =
            "write `azure = { subscription = \"<id>\", resource-group = \"<name>\" }` there";
        problems.push(zone.blame(missing(zone, "azure", advice)));
        return;
    };
    let AzureZone { tenant, client_id, client_secret, .. } = &table.value;
    let lacks = match (tenant, client_id, client_secret) {
        (Some(_), _, None) => "client-secret",
        (None, _, Some(_)) => "tenant",
        (_, None, Some(_)) => "client-id",
        _ => return,
    };
    let what = format!("`{lacks}` is missing in {}", table.place);
    let advice = "write `tenant`, `client-id` and `client-secret`; or none of them, and the machine's \
                  identity may change DNS (with `client-id` alone: that one of several)";
    problems.push(table.blame(Problem::error(code::MISSING_KEY, what, advice).label("incomplete")));
}

fn rfc2136(zone: &At<Zone>, problems: &mut Vec<Problem>) {
    match &zone.value.servers {
        None => problems.push(zone.blame(missing(zone, "servers", "name the zone's servers"))),
        Some(servers) if servers.value.is_empty() => {
            let what = format!("{} is empty: nobody could be told of a change", servers.place);
            let problem = Problem::error(code::MISSING_KEY, what, "name the zone's servers");
            problems.push(servers.blame(problem.label("empty")));
        }
        Some(_) => {}
    }
}

fn own(file: &File, zone: &At<Zone>, problems: &mut Vec<Problem>) {
    let Zone { servers, sites, .. } = &zone.value;
    problems.extend(servers.as_ref().map(|it| it.blame(stray("servers", DnsProvider::Own))));
    let Some(sites) = sites else {
        let advice = "name the server of each site that holds data";
        problems.push(zone.blame(missing(zone, "sites", advice)));
        return;
    };
    for (site, server) in &sites.value {
        problems.extend(unknown_site(file, site).map(|problem| server.blame(problem)));
        if is_witness(file, site) == Some(true) {
            let what = format!("the witness `{site}` is to answer DNS");
            let advice = "remove it: a witness has no gate, and the gate's process answers";
            let problem = Problem::error(code::WITNESS_WITH_DATA, what, advice);
            problems.push(server.blame(problem.label("a witness")));
        }
        let none = server.value.addresses.as_ref().filter(|list| list.value.is_empty());
        problems.extend(none.map(|list| {
            let what = format!("{} is empty: no resolver would find the server", list.place);
            let advice = "write where resolvers reach it";
            list.blame(Problem::error(code::MISSING_KEY, what, advice).label("empty"))
        }));
    }
    at_every_site(file, sites, problems);
}

/// The names have to go on being found when the other site is gone.
fn at_every_site<T>(file: &File, sites: &At<Named<SiteName, T>>, problems: &mut Vec<Problem>) {
    for site in data_sites(file).filter(|site| !sites.value.contains_key(*site)) {
        let what = format!("{} has no server at the site `{site}`", sites.place);
        let advice = format!("add one at `{site}`: it answers when the others are gone");
        let problem = Problem::error(code::SITE_LEFT_OUT, what, advice);
        problems.push(sites.blame(problem.label(format!("`{site}` is left out"))));
    }
}

fn missing(zone: &At<Zone>, key: &str, advice: &str) -> Problem {
    let what = format!("`{key}` is missing in {}", zone.place);
    Problem::error(code::MISSING_KEY, what, advice).label("incomplete")
}

fn stray(key: &str, kind: DnsProvider) -> Problem {
    let kind = kind.word();
    let what = format!("`{key}` means nothing in a zone of kind \"{kind}\"");
    Problem::error(code::UNKNOWN_KEY, what, "remove it, or write another `kind`").label("not used")
}
