//! Gates: one at each site that holds data, with a way to every store.

use super::{entries, one_each, tcp};
use crate::config::nearest::nearest;
use crate::config::problem::{Problem, code};
use crate::config::reader::At;
use crate::config::typed::{Application, File, Gate};
use mainstay_core::{ApplicationName, StoreName};

pub fn check(
    file: &File,
    name: &ApplicationName,
    application: &Application,
    problems: &mut Vec<Problem>,
) {
    one_each(file, &application.gates, "a gate", "and no traffic goes through it", problems);
    let stores: Vec<&StoreName> = entries(&application.stores).map(|(name, _)| name).collect();
    for (_, gate) in entries(&application.gates) {
        ways_to_stores(name, gate, &stores, problems);
        upstreams(gate, problems);
        if let Some(connections) = &gate.value.tcp {
            tcp::check(connections, problems);
        }
    }
    web_everywhere(application, problems);
}

/// Clients that go round the gate would not be stopped by it.
fn ways_to_stores(
    application: &ApplicationName,
    gate: &At<Gate>,
    stores: &[&StoreName],
    problems: &mut Vec<Problem>,
) {
    let Some(table) = &gate.value.stores else { return };
    for store in stores.iter().filter(|store| !table.value.contains_key(store)) {
        let what = format!("the gate has no address for the store `{store}`");
        let advice = format!(
            "add `{store} = \"127.0.0.1:6432\"` with a free port: clients that go round the gate \
             cannot be held during a switch"
        );
        let problem = Problem::error(code::SITE_LEFT_OUT, what, advice);
        problems.push(table.blame(problem.label(format!("`{store}` is left out"))));
    }
    for (store, address) in &table.value {
        if !stores.contains(&store) {
            problems.push(address.blame(unknown_store(application, store, stores)));
        }
    }
}

pub(super) fn unknown_store(
    application: &ApplicationName,
    store: &StoreName,
    known: &[&StoreName],
) -> Problem {
    let known: Vec<String> = known.iter().map(ToString::to_string).collect();
    let label = match nearest(store.as_str(), &known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "no such store".to_owned(),
    };
    let what = format!("the application `{application}` has no store `{store}`");
    let advice = format!("stores of {application}: {}", known.join(", "));
    Problem::error(code::UNKNOWN_STORE, what, advice).label(label)
}

fn upstreams(gate: &At<Gate>, problems: &mut Vec<Problem>) {
    let upstreams = gate.value.http.as_ref().and_then(|http| http.value.upstreams.as_ref());
    if let Some(upstreams) = upstreams.filter(|list| list.value.is_empty()) {
        let what = format!("{} is empty: no process can answer a request", upstreams.place);
        let advice = "list the application's processes at this site";
        let problem = Problem::error(code::MISSING_KEY, what, advice);
        problems.push(upstreams.blame(problem.label("empty")));
    }
}

/// A site without the web side could not take over from one that has it.
fn web_everywhere(application: &Application, problems: &mut Vec<Problem>) {
    let with = entries(&application.gates).find(|(_, gate)| gate.value.http.is_some());
    let Some((site, _)) = with else { return };
    for (other, gate) in entries(&application.gates).filter(|(_, gate)| gate.value.http.is_none()) {
        let what = format!("the gate of `{other}` has no web side, that of `{site}` has one");
        let advice = format!("add [{}.http]: `{other}` could not take over otherwise", gate.place);
        let problem = Problem::error(code::SITE_LEFT_OUT, what, advice);
        problems.push(gate.blame(problem.label("`http` is missing")));
    }
}
