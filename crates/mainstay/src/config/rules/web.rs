//! The web side of gates: what its parts say of each other.

use super::{entries, is_witness, unknown_site};
use crate::config::problem::{Problem, code};
use crate::config::reader::At;
use crate::config::typed::{Application, File, Http, HttpLimits, Named};
use crate::config::values::Number;
use mainstay_core::SiteName;
use std::time::Duration;

pub fn check(file: &File, application: &Application, problems: &mut Vec<Problem>) {
    for (_, gate) in entries(&application.gates) {
        let Some(http) = &gate.value.http else { continue };
        routes(&http.value, problems);
        if let Some(weights) = &http.value.weights {
            shares(file, weights, problems);
        }
        if let Some(limits) = &http.value.limits {
            bounds(&limits.value, problems);
        }
    }
}

fn routes(http: &Http, problems: &mut Vec<Problem>) {
    for (name, group) in entries(&http.groups) {
        let empty = group.value.upstreams.as_ref().filter(|list| list.value.is_empty());
        problems.extend(empty.map(|list| {
            let what = format!("the group `{name}` has no upstream: nothing can answer");
            let advice = "list its processes at this site";
            list.blame(Problem::error(code::MISSING_KEY, what, advice).label("empty"))
        }));
    }
    let routes = http.routes.iter().flat_map(|routes| &routes.value);
    for group in routes.filter_map(|route| route.value.group.as_ref()) {
        let known: Vec<_> = entries(&http.groups).map(|(name, _)| name.to_string()).collect();
        if !known.iter().any(|name| name == group.value.as_str()) {
            let what = format!("there is no group `{}`", group.value);
            let advice = format!("groups of this gate: {}", known.join(", "));
            let problem = Problem::error(code::UNKNOWN_GROUP, what, advice);
            problems.push(group.blame(problem.label("no such group")));
        }
    }
}

fn shares(file: &File, weights: &At<Named<SiteName, Number>>, problems: &mut Vec<Problem>) {
    for (site, share) in &weights.value {
        problems.extend(unknown_site(file, site).map(|problem| share.blame(problem)));
        if is_witness(file, site) == Some(true) {
            let what = format!("the witness `{site}` cannot take a share of the requests");
            let problem = Problem::error(code::WITNESS_WITH_DATA, what, "remove this line");
            problems.push(share.blame(problem.label("a witness")));
        }
    }
    let sum: u64 = weights.value.values().fold(0, |sum, at| sum.saturating_add(at.value.0));
    if !(1..=1_000_000).contains(&sum) {
        let what = format!("the shares come to {sum}");
        let advice = "write shares that come to at least 1, such as 95 and 5";
        let problem = Problem::error(code::OUT_OF_RANGE, what, advice);
        problems.push(weights.blame(problem.label("out of range")));
    }
}

/// A bound of nothing would refuse everything; hyper wants buffers of 8 KiB at least.
fn bounds(limits: &HttpLimits, problems: &mut Vec<Problem>) {
    let numbers = [
        (&limits.connections, 1, 1_000_000),
        (&limits.head, 8192, 1 << 20),
        (&limits.headers, 10, 1000),
        (&limits.body, 1, u64::MAX),
    ];
    for (at, least, most) in numbers {
        problems.extend(at.as_ref().and_then(|at| out_of(at, at.value.0, least, most)));
    }
    let times = [&limits.head_time, &limits.idle_time, &limits.body_idle, &limits.answer_time];
    for at in times.into_iter().flatten().filter(|at| at.value < Duration::from_millis(100)) {
        let what = format!("{} is shorter than 100ms", at.place);
        let problem = Problem::error(code::OUT_OF_RANGE, what, "write a longer time");
        problems.push(at.blame(problem.label("too short")));
    }
}

fn out_of<T>(at: &At<T>, number: u64, least: u64, most: u64) -> Option<Problem> {
    if (least..=most).contains(&number) {
        return None;
    }
    let what = format!("{} is {number}, which is not from {least} to {most}", at.place);
    let problem = Problem::error(code::OUT_OF_RANGE, what, "write a number from this range");
    Some(at.blame(problem.label("out of range")))
}
