//! Addresses for reads, and the roles that may use them.

use super::entries;
use super::gates::unknown_store;
use crate::config::problem::{Problem, code};
use crate::config::reader::At;
use crate::config::typed::{Application, Store};
use crate::config::values::StoreWord;
use mainstay_core::{ApplicationName, StoreName};
use std::net::SocketAddr;
use std::time::Duration;

/// A standby asks once a second how far the active site is: nothing is known to be younger.
const SHORTEST_LAG: Duration = Duration::from_secs(2);

pub fn check(name: &ApplicationName, application: &Application, problems: &mut Vec<Problem>) {
    for (_, store) in entries(&application.stores) {
        readers(&store.value, problems);
    }
    for (_, gate) in entries(&application.gates) {
        for (store, address) in entries(&gate.value.reads) {
            way(name, application, store, address, problems);
        }
    }
}

fn readers(store: &Store, problems: &mut Vec<Problem>) {
    if let Some(lag) = store.max_lag.as_ref().filter(|lag| lag.value < SHORTEST_LAG) {
        let what = "a standby knows how old its data is once a second, so that readers would be \
                    led to and fro";
        let problem = Problem::error(code::OUT_OF_RANGE, what, "write \"2s\" or more");
        problems.push(lag.blame(problem.label("too short")));
    }
    let Some(readers) = &store.readers else {
        if let Some(lag) = &store.max_lag {
            let what = "`max-lag` is a bound on what `readers` are answered, and there are none";
            let advice = "add `readers = [...]`, or remove `max-lag`";
            let problem = Problem::error(code::MISSING_KEY, what, advice);
            problems.push(lag.blame(problem.label("without `readers`")));
        }
        return;
    };
    for reader in &readers.value {
        problems.extend(is_more(store, reader).map(|problem| reader.blame(problem)));
    }
}

/// A reader is let in where the application itself is shut out.
fn is_more(store: &Store, reader: &At<String>) -> Option<Problem> {
    let (key, advice) = match is_redis(store) {
        true => ("users", "give those that only read an ACL user of their own, with `+@read`"),
        false => {
            ("roles", "give those that only read a role of their own, with SELECT and nothing more")
        }
    };
    let theirs = store.roles.iter().chain(&store.users).flat_map(|names| &names.value);
    if theirs.into_iter().any(|name| name.value == reader.value) {
        let what = format!(
            "`{}` is one of the application's {key}: a fence would lock it out, and let it in as \
             a reader",
            reader.value
        );
        let problem = Problem::error(code::BAD_VALUE, what, advice);
        return Some(problem.label(format!("also in `{key}`")));
    }
    let own = entries(&store.endpoints)
        .filter_map(|(_, endpoint)| endpoint.value.user.as_ref())
        .any(|user| user.value == reader.value);
    own.then(|| {
        let what = format!("`{}` is Mainstay's own user, which may do everything", reader.value);
        let problem = Problem::error(code::BAD_VALUE, what, advice);
        problem.label("also the `user` of an endpoint")
    })
}

fn way(
    name: &ApplicationName,
    application: &Application,
    store: &StoreName,
    address: &At<SocketAddr>,
    problems: &mut Vec<Problem>,
) {
    let found = entries(&application.stores).find(|(known, _)| *known == store);
    let Some((_, at)) = found else {
        let known: Vec<_> = entries(&application.stores).map(|(name, _)| name).collect();
        problems.push(address.blame(unknown_store(name, store, &known)));
        return;
    };
    let none = at.value.readers.as_ref().is_none_or(|readers| readers.value.is_empty());
    if none {
        let (whom, reader, with) = match is_redis(&at.value) {
            true => ("users", format!("{name}-reader"), "an ACL user that may only read"),
            false => ("roles", format!("{name}_reader"), "a role that may only SELECT"),
        };
        let what =
            format!("`{store}` has no `readers`: a standby refuses the application's own {whom}");
        let advice = format!("add `readers = [\"{reader}\"]` to [{}], with {with}", at.place);
        let problem = Problem::error(code::MISSING_KEY, what, advice);
        problems.push(address.blame(problem.label("nobody could log in")));
    }
}

fn is_redis(store: &Store) -> bool {
    store.kind.as_ref().is_some_and(|kind| kind.value == StoreWord::Redis)
}
