//! Stores, their endpoints and roles.

use super::{applications, entries, one_each, store_kinds};
use crate::config::problem::{Problem, code};
use crate::config::reader::At;
use crate::config::typed::{Application, Endpoint, File, Store};
use crate::config::values::{StoreWord, TlsMode};
use mainstay_core::ApplicationName;
use std::collections::BTreeMap;

pub fn check(
    file: &File,
    name: &ApplicationName,
    application: &Application,
    problems: &mut Vec<Problem>,
) {
    if let Some(table) = application.stores.as_ref().filter(|table| table.value.is_empty()) {
        let what = format!("the application `{name}` has no store: there is nothing to replicate");
        let advice = format!("add [applications.{name}.stores.<name>]");
        problems.push(table.blame(Problem::error(code::MISSING_KEY, what, advice).label("empty")));
    }
    for (_, store) in entries(&application.stores) {
        let why = "and must not know a database's address or password";
        one_each(file, &store.value.endpoints, "an endpoint", why, problems);
        store_kinds::check(store, problems);
        users(&store.value, problems);
        for (_, endpoint) in entries(&store.value.endpoints) {
            tls(endpoint, problems);
        }
    }
}

/// As whom the application connects: its roles in PostgreSQL, its ACL users in Redis.
fn users(store: &Store, problems: &mut Vec<Problem>) {
    let redis = store.kind.as_ref().is_some_and(|kind| kind.value == StoreWord::Redis);
    let (named, one, own) = match redis {
        true => (&store.users, "users", "give the application an ACL user of its own"),
        false => (
            &store.roles,
            "roles",
            "give the application a role of its own, without superuser rights",
        ),
    };
    let Some(roles) = named else { return };
    if roles.value.is_empty() {
        let what = format!("{} is empty: a fence would lock nobody out", roles.place);
        let advice = format!("name the {one} with which the application connects");
        problems.push(roles.blame(Problem::error(code::MISSING_KEY, what, advice).label("empty")));
    }
    let users: Vec<&str> = entries(&store.endpoints)
        .filter_map(|(_, endpoint)| endpoint.value.user.as_ref())
        .map(|user| user.value.as_str())
        .collect();
    for role in roles.value.iter().filter(|role| users.contains(&role.value.as_str())) {
        let what =
            format!("`{}` is Mainstay's own user: a fence would lock Mainstay out", role.value);
        let problem = Problem::error(code::LOCKS_ITSELF_OUT, what, own);
        problems.push(role.blame(problem.label("also the `user` of an endpoint")));
    }
}

fn tls(endpoint: &At<Endpoint>, problems: &mut Vec<Problem>) {
    let verifies = endpoint.value.tls.as_ref().is_some_and(|tls| tls.value == TlsMode::VerifyFull);
    if verifies && endpoint.value.authority.is_none() {
        let what = format!("{} has no `authority` to verify the server with", endpoint.place);
        let advice = "add `authority = \"ca.pem\"` with the certificate that signed the server's, \
                      or `tls = \"disable\"` where the network itself is trusted";
        let problem = Problem::error(code::MISSING_KEY, what, advice);
        problems.push(endpoint.blame(problem.label("`authority` is missing")));
    }
}

/// Two endpoints that are one database: a link would copy it onto itself, and a fence of one would
/// fence the other.
pub fn shared_databases(file: &File, problems: &mut Vec<Problem>) {
    let mut seen: BTreeMap<(String, u16, &str), &At<Endpoint>> = BTreeMap::new();
    let stores = applications(file).flat_map(|(_, application)| entries(&application.stores));
    for (_, endpoint) in stores.flat_map(|(_, store)| entries(&store.value.endpoints)) {
        let Some(key) = identity(&endpoint.value) else { continue };
        match seen.get(&key) {
            Some(first) => problems.push(shared(first, endpoint, &key)),
            None => drop(seen.insert(key, endpoint)),
        }
    }
}

/// A server of Redis is one whatever its databases are.
fn identity(endpoint: &Endpoint) -> Option<(String, u16, &str)> {
    let address = &endpoint.address.as_ref()?.value;
    let host = match address.host.to_lowercase().as_str() {
        "localhost" | "::1" => "127.0.0.1".to_owned(),
        host => host.trim_end_matches('.').to_owned(),
    };
    let database = endpoint.database.as_ref().map_or("", |at| at.value.as_str());
    Some((host, address.port, database))
}

fn shared(first: &At<Endpoint>, second: &At<Endpoint>, key: &(String, u16, &str)) -> Problem {
    let (host, port, database) = key;
    let what = format!(
        "{} is the same database as {}: {database}{}{host}:{port}",
        second.place,
        first.place,
        if database.is_empty() { "" } else { " at " },
    );
    let advice = "give each store its own database, and each site its own server";
    let at = second.value.address.as_ref().and_then(|address| address.span.clone());
    let problem = Problem::error(code::SHARED_DATABASE, what, advice).label("already taken");
    problem.place(second.place.clone()).span(at)
}
