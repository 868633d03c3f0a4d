//! Whether the means to stop a site from outside can be used as they are written.

use super::{entries, is_witness, unknown_site};
use crate::config::duration;
use crate::config::problem::{Problem, code};
use crate::config::reader::At;
use crate::config::typed::{Application, File, Means};
use mainstay_core::lease::Lease;
use std::time::Duration;

const TIMEOUT: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(600);
const PLACEHOLDERS: [&str; 3] = ["site", "epoch", "application"];

pub fn check(file: &File, application: &Application, problems: &mut Vec<Problem>) {
    for (site, at) in entries(&application.fencing) {
        problems.extend(unknown_site(file, site).map(|problem| at.blame(problem)));
        if is_witness(file, site) == Some(true) {
            let what = format!("the witness `{site}` is never active, so nobody has to stop it");
            let advice = "remove this table: means are for sites that hold data";
            let problem = Problem::error(code::WITNESS_WITH_DATA, what, advice);
            problems.push(at.blame(problem.label("a witness")));
        }
        for means in &at.value {
            one(&means.value, problems);
        }
    }
    if application.fencing.is_some() {
        patience(application, problems);
    }
}

fn one(means: &Means, problems: &mut Vec<Problem>) {
    for words in [&means.command, &means.confirm].into_iter().flatten() {
        match words.value.first() {
            Some(program) if program.value.starts_with('/') => {}
            Some(program) => problems.push(relative(program)),
            None => problems.push(bad(words, format!("{} is empty", words.place))),
        }
        for word in &words.value {
            let unknown = placeholders(&word.value).find(|it| !PLACEHOLDERS.contains(it));
            problems.extend(unknown.map(|name| {
                bad(word, format!("`{{{name}}}` stands for nothing in {}", word.place))
            }));
        }
    }
    if let Some(timeout) = means.timeout.as_ref().filter(|it| !TIMEOUT.contains(&it.value)) {
        let what = format!("a timeout of {} is out of range", duration::write(timeout.value));
        let advice = "write 100ms to 10m; the lease runs out meanwhile in any case";
        let problem = Problem::error(code::OUT_OF_RANGE, what, advice);
        problems.push(timeout.blame(problem.label("not within 100ms to 10m")));
    }
}

fn relative(program: &At<String>) -> Problem {
    let what = format!("{}: {:?} is not a whole path", program.place, program.value);
    let advice = "write the program's path from /, such as \"/usr/bin/aws\": it is started without \
                  a shell and without PATH";
    program.blame(Problem::error(code::BAD_VALUE, what, advice).label("does not begin with /"))
}

fn bad<T>(at: &At<T>, what: String) -> Problem {
    let advice = "write the program and its arguments, each in quotes; {site}, {epoch} and \
                  {application} stand for what they name";
    at.blame(Problem::error(code::BAD_VALUE, what, advice))
}

/// The words between braces that look like a placeholder; braces of JSON do not.
fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    let plain = |name: &&str| !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase());
    text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|it| it.0).filter(plain)
}

/// Sooner, and a lost packet or two look like a lost site; later, and the lease has run out.
fn patience(application: &Application, problems: &mut Vec<Problem>) {
    let (Some(after), Some(lease)) = (&application.fence_after, &application.lease) else { return };
    let least = Lease::new(lease.value).suspicious_after();
    if after.value < least || after.value >= lease.value {
        let (least, most) = (duration::write(least), duration::write(lease.value));
        let what = format!(
            "`fence-after` of {} is out of range with a lease of {most}",
            duration::write(after.value)
        );
        let advice = format!(
            "write {least}, which is three renewals, or more; less than the lease of {most}, after \
             which nobody waits for a fence"
        );
        let problem = Problem::error(code::OUT_OF_RANGE, what, advice);
        problems.push(after.blame(problem.label(format!("not within {least} to {most}"))));
    }
}
