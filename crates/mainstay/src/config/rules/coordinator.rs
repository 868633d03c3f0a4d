//! Where the agents agree: what each kind of coordinator needs.

use super::unknown_site;
use crate::config::problem::{Problem, code};
use crate::config::reader::At;
use crate::config::typed::{Coordinator, File};
use crate::config::values::{CoordinatorKind, EtcdUrl};

pub fn check(file: &File, problems: &mut Vec<Problem>) {
    let Some(at) = &file.coordinator else { return };
    match at.value.kind.as_ref().map(|kind| kind.value) {
        Some(CoordinatorKind::Embedded) => embedded(file, at, problems),
        Some(CoordinatorKind::Etcd) => etcd(at, problems),
        None => {}
    }
}

pub fn is_embedded(coordinator: &Coordinator) -> bool {
    coordinator.kind.as_ref().is_some_and(|kind| kind.value == CoordinatorKind::Embedded)
}

fn embedded(file: &File, at: &At<Coordinator>, problems: &mut Vec<Problem>) {
    match &at.value.site {
        Some(site) => {
            problems.extend(unknown_site(file, &site.value).map(|problem| site.blame(problem)));
        }
        None => missing(at, "site", "the site whose agent keeps it", problems),
    }
    let typed = &at.value;
    let endpoints = typed.endpoints.as_ref().map(|it| it.blame(stray("endpoints", "embedded")));
    let of_etcd = [
        ("authority", &typed.authority),
        ("certificate", &typed.certificate),
        ("key", &typed.key),
        ("user", &typed.user),
    ];
    let texts = of_etcd
        .iter()
        .filter_map(|(name, written)| written.as_ref().map(|it| it.blame(stray(name, "embedded"))));
    let password = typed.password.as_ref().map(|it| it.blame(stray("password", "embedded")));
    problems.extend(endpoints.into_iter().chain(texts).chain(password));
}

fn etcd(at: &At<Coordinator>, problems: &mut Vec<Problem>) {
    let typed = &at.value;
    problems.extend(typed.site.as_ref().map(|site| site.blame(stray("site", "etcd"))));
    match &typed.endpoints {
        Some(endpoints) => members(endpoints, problems),
        None => missing(at, "endpoints", "the URL of each member", problems),
    }
    pair(("certificate", &typed.certificate), ("key", &typed.key), problems);
    match (&typed.user, &typed.password) {
        (Some(user), None) => alone(user, "user", "password", problems),
        (None, Some(password)) => alone(password, "password", "user", problems),
        _ => {}
    }
    let urls = typed.endpoints.iter().flat_map(|list| &list.value);
    let (encrypted, open): (Vec<_>, Vec<_>) = urls.partition(|url| url.value.encrypted);
    if let (Some(_), None) = (encrypted.first(), &typed.authority) {
        missing(at, "authority", "the file that verifies the members' certificates", problems);
    }
    if let (Some(url), Some(_)) = (open.first(), &typed.password) {
        let what = "the password is sent to this member in the clear";
        let advice = "write https:// and `authority`, unless the network itself is trusted";
        let problem = Problem::warning(code::WEAK_COORDINATOR, what, advice);
        problems.push(url.blame(problem.label("not encrypted")));
    }
}

fn members(endpoints: &At<Vec<At<EtcdUrl>>>, problems: &mut Vec<Problem>) {
    let list = &endpoints.value;
    for (index, url) in list.iter().enumerate() {
        let address = &url.value.address;
        if list[..index].iter().any(|earlier| earlier.value.address == *address) {
            let what = format!("{address} is written twice: each member counts once");
            let problem = Problem::error(code::ADDRESS_TAKEN, what, "write each member once");
            problems.push(url.blame(problem.label("already written")));
        }
    }
    let what = match list.len() {
        0 => return missing(endpoints, "endpoints", "the URL of each member", problems),
        1 => "one member of etcd is lost as a whole: then nobody can fail over".to_owned(),
        even if even % 2 == 0 => format!(
            "{even} members of etcd are no safer than {}: a majority of them is {}, and a cut \
             between two halves stops both",
            even - 1,
            even / 2 + 1
        ),
        _ => return,
    };
    let advice = "three members: one at each site and one at the witness";
    let problem = Problem::warning(code::WEAK_COORDINATOR, what, advice);
    problems.push(endpoints.blame(problem.label("use three")));
}

fn pair(
    (one, first): (&str, &Option<At<String>>),
    (other, second): (&str, &Option<At<String>>),
    problems: &mut Vec<Problem>,
) {
    match (first, second) {
        (Some(written), None) => alone(written, one, other, problems),
        (None, Some(written)) => alone(written, other, one, problems),
        _ => {}
    }
}

fn alone<T>(written: &At<T>, has: &str, lacks: &str, problems: &mut Vec<Problem>) {
    let what = format!("`{has}` is written, and `{lacks}` is not");
    let advice = format!("add `{lacks} = ...` under [coordinator], or remove `{has}`");
    let problem = Problem::error(code::MISSING_KEY, what, advice);
    problems.push(written.blame(problem.label(format!("`{lacks}` is missing"))));
}

fn missing<T>(at: &At<T>, key: &str, means: &str, problems: &mut Vec<Problem>) {
    let what = format!("`{key}` is missing in coordinator");
    let problem = Problem::error(code::MISSING_KEY, what, format!("add `{key} = ...`: {means}"));
    problems.push(at.blame(problem.label(format!("`{key}` is missing"))));
}

fn stray(key: &str, kind: &str) -> Problem {
    let what = format!("`{key}` means nothing with `kind = \"{kind}\"`");
    let advice = match kind {
        "etcd" => format!("remove `{key}`: the members keep it"),
        _ => format!("write `kind = \"etcd\"`, or remove `{key}`"),
    };
    Problem::error(code::UNKNOWN_KEY, what, advice).label("of the other kind")
}
