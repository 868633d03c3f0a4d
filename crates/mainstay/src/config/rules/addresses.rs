//! Addresses on which two things would listen.

use super::{applications, entries};
use crate::config::problem::{Problem, code};
use crate::config::reader::At;
use crate::config::typed::{File, Gate};
use crate::config::values::Address;
use mainstay_core::SiteName;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// One address at one site.
struct Use<'a> {
    site: &'a SiteName,
    /// None when the file does not say which of the machine's addresses.
    ip: Option<IpAddr>,
    port: u16,
    /// Whether Mainstay itself listens there, rather than the application or its database.
    ours: bool,
    what: String,
    blame: Box<dyn Fn(Problem) -> Problem + 'a>,
}

pub fn check(file: &File, problems: &mut Vec<Problem>) {
    let uses = uses(file);
    let one_machine = entries(&file.sites)
        .filter_map(|(_, site)| site.value.agent.as_ref())
        .all(|agent| ip(&agent.value.host).is_some_and(|ip| ip.is_loopback()));
    for (index, second) in uses.iter().enumerate() {
        let first = uses[..index].iter().find(|first| collide(first, second, one_machine));
        if let Some(first) = first {
            problems.push(taken(first, second));
        }
    }
}

fn collide(a: &Use<'_>, b: &Use<'_>, one_machine: bool) -> bool {
    let same_ip = match (a.ip, b.ip) {
        (Some(a), Some(b)) if a.is_unspecified() || b.is_unspecified() => None,
        (Some(a), Some(b)) => Some(a == b),
        _ => None,
    };
    let elsewhere = |ip: IpAddr| ip.is_loopback() && !one_machine;
    let same_machine = match same_ip {
        Some(same) => same && (a.site == b.site || !a.ip.is_some_and(elsewhere)),
        None => a.site == b.site,
    };
    a.port == b.port && same_machine && (a.ours || b.ours)
}

fn taken(first: &Use<'_>, second: &Use<'_>) -> Problem {
    let Use { port, site, .. } = second;
    let what = format!("{} and {} both take port {port} at {site}", first.what, second.what);
    let advice = "give one of them another port";
    (second.blame)(Problem::error(code::ADDRESS_TAKEN, what, advice).label("already taken"))
}

fn uses(file: &File) -> Vec<Use<'_>> {
    let mut uses = Vec::new();
    for (site, agent) in
        entries(&file.sites).filter_map(|(n, s)| Some((n, s.value.agent.as_ref()?)))
    {
        uses.push(of_address(site, agent, true, "the agent".to_owned()));
    }
    for (site, people) in
        entries(&file.sites).filter_map(|(n, s)| Some((n, s.value.people.as_ref()?)))
    {
        uses.push(of_socket(site, people, "the agent's `people`".to_owned()));
    }
    // One server answers for all zones of its address.
    let mut servers = BTreeMap::new();
    for (_, zone) in entries(&file.dns) {
        for (site, server) in entries(&zone.value.sites) {
            let listen = server.value.listen.as_ref();
            servers.extend(listen.map(|listen| ((site, listen.value), listen)));
        }
    }
    for ((site, _), listen) in servers {
        uses.push(of_socket(site, listen, "the DNS server".to_owned()));
    }
    for (_, application) in applications(file) {
        for (store, site, address) in entries(&application.stores).flat_map(|(store, at)| {
            let endpoints = entries(&at.value.endpoints);
            endpoints.filter_map(move |(site, e)| Some((store, site, e.value.address.as_ref()?)))
        }) {
            uses.push(of_address(site, address, false, format!("the database of {store}")));
        }
        for (site, gate) in entries(&application.gates) {
            of_gate(site, &gate.value, &mut uses);
        }
    }
    uses
}

fn of_gate<'a>(site: &'a SiteName, gate: &'a Gate, uses: &mut Vec<Use<'a>>) {
    if let Some(http) = gate.http.as_ref().map(|http| &http.value) {
        let groups = entries(&http.groups).filter_map(|(_, group)| group.value.upstreams.as_ref());
        for upstream in http.upstreams.iter().chain(groups).flat_map(|list| &list.value) {
            uses.push(of_address(site, upstream, false, "an upstream".to_owned()));
        }
        if let Some(listen) = &http.listen {
            uses.push(of_socket(site, listen, "the gate's web side".to_owned()));
        }
    }
    match (&gate.peer_listen, &gate.peer) {
        (Some(listen), _) => {
            uses.push(of_socket(site, listen, "the gate's `peer-listen`".to_owned()));
        }
        (None, Some(peer)) => {
            let everywhere = Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
            let what = "the gate's `peer`".to_owned();
            uses.push(Use { ip: everywhere, ..of_address(site, peer, true, what) });
        }
        (None, None) => {}
    }
    for (store, listen) in entries(&gate.stores) {
        uses.push(of_socket(site, listen, format!("the gate's address for {store}")));
    }
    for (store, listen) in entries(&gate.reads) {
        uses.push(of_socket(site, listen, format!("the gate's address for reads of {store}")));
    }
}

fn of_socket<'a>(site: &'a SiteName, at: &'a At<SocketAddr>, what: String) -> Use<'a> {
    let blame = Box::new(move |problem| at.blame(problem));
    Use { site, ip: Some(at.value.ip()), port: at.value.port(), ours: true, what, blame }
}

fn of_address<'a>(site: &'a SiteName, at: &'a At<Address>, ours: bool, what: String) -> Use<'a> {
    let blame = Box::new(move |problem| at.blame(problem));
    // What stands under a name may be another machine: only an address can collide for sure.
    let unknown = if ours { None } else { Some(NOWHERE) };
    let ip = ip(&at.value.host).or(unknown);
    Use { site, ip, port: at.value.port, ours, what, blame }
}

/// An address for documentation (RFC 5737), which nothing listens on.
const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 0));

fn ip(host: &str) -> Option<IpAddr> {
    let localhost = host.eq_ignore_ascii_case("localhost");
    if localhost { Some(IpAddr::V4(Ipv4Addr::LOCALHOST)) } else { host.parse().ok() }
}
