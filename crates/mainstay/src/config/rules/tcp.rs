//! How clients connect to stores: what can be meant.

use crate::config::problem::{Problem, code};
use crate::config::reader::At;
use crate::config::typed::tcp::Tcp;
use std::time::Duration;

/// A pool that connects more often than this does little else.
const SHORTEST_AGE: Duration = Duration::from_secs(1);

pub fn check(at: &At<Tcp>, problems: &mut Vec<Problem>) {
    let typed = &at.value;
    match (&typed.certificate, &typed.key) {
        (Some(written), None) => problems.push(half(at, written, "certificate", "key")),
        (None, Some(written)) => problems.push(half(at, written, "key", "certificate")),
        _ => {}
    }
    let through = typed.through.as_ref().filter(|through| through.value);
    if let (Some(through), Some(_)) = (through, &typed.certificate) {
        let what = "a certificate is shown to nobody where encryption passes through".to_owned();
        let advice = "remove `through`, or `certificate` and `key`";
        let problem = Problem::error(code::BAD_VALUE, what, advice);
        problems.push(through.blame(problem.label("beside a certificate")));
    }
    if let Some(age) = typed.max_age.as_ref().filter(|age| age.value < SHORTEST_AGE) {
        let what = "clients of connections that end within a second only connect".to_owned();
        let advice = "write \"30m\", or remove `max-age`";
        let problem = Problem::error(code::OUT_OF_RANGE, what, advice);
        problems.push(age.blame(problem.label("too short")));
    }
}

fn half(at: &At<Tcp>, written: &At<String>, has: &str, lacks: &str) -> Problem {
    let what = format!("`{has}` is written, and `{lacks}` is not");
    let advice = format!("add `{lacks} = ...` under [{}], or remove `{has}`", at.place);
    let problem = Problem::error(code::MISSING_KEY, what, advice);
    written.blame(problem.label(format!("`{lacks}` is missing")))
}
