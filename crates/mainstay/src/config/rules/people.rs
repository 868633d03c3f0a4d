//! People: whether each is one, and whether there are enough of them.

use super::{applications, entries};
use crate::config::problem::{Problem, code};
use crate::config::reader::At;
use crate::config::typed::{File, Person};
use mainstay_core::PersonName;
use mainstay_core::people::{Force, Role};
use std::time::Duration;

/// Shorter, and nobody can answer in time; longer, and what was seen is not what is.
const EXPIRE: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(3600);

pub fn check(file: &File, problems: &mut Vec<Problem>) {
    for (name, person) in people(file) {
        named_as_a_site(file, name, person, problems);
        one_login_twice(file, name, person, problems);
    }
    nobody_to_tell(file, problems);
    for (_, application) in applications(file) {
        if let Some(expire) = application.approvals_expire.as_ref() {
            expires(expire, problems);
        }
        if let Some(force) = application.force.as_ref().filter(|it| it.value == Force::Two) {
            second_person(file, force, problems);
        }
    }
}

fn people(file: &File) -> impl Iterator<Item = (&PersonName, &At<Person>)> {
    file.people.iter().flat_map(|people| people.value.by_name.iter())
}

fn login<'a>(name: &'a PersonName, person: &'a Person) -> &'a str {
    person.user.as_ref().map_or(name.as_str(), |user| &user.value)
}

/// A certificate that names one must not be taken for one of the other.
fn named_as_a_site(
    file: &File,
    name: &PersonName,
    person: &At<Person>,
    problems: &mut Vec<Problem>,
) {
    if entries(&file.sites).any(|(site, _)| site.as_str() == name.as_str()) {
        let what = format!("`{name}` is a site, and cannot be a person too");
        let problem = Problem::error(code::ONE_PERSON_TWICE, what, "call the person otherwise");
        problems.push(person.blame(problem.label("the name of a site")));
    }
}

/// Whoever is two people can approve what they asked for themselves.
fn one_login_twice(
    file: &File,
    name: &PersonName,
    person: &At<Person>,
    problems: &mut Vec<Problem>,
) {
    let own = login(name, &person.value);
    let earlier = people(file).take_while(|(other, _)| *other != name);
    let mut same = earlier.filter(|(other, it)| login(other, &it.value) == own);
    if let Some((other, _)) = same.next() {
        let what = format!("{other} and {name} are both the Unix login `{own}`");
        let advice = "write another `user`, or one person instead of two";
        let problem = Problem::error(code::ONE_PERSON_TWICE, what, advice);
        problems.push(person.blame(problem.label("the same login")));
    }
}

fn nobody_to_tell(file: &File, problems: &mut Vec<Problem>) {
    let doors = entries(&file.sites).filter_map(|(_, site)| site.value.people.as_ref());
    let shown = |people: &crate::config::people::People| {
        people.authority.is_some() || people.by_name.values().any(|it| it.value.token.is_some())
    };
    if file.people.as_ref().is_some_and(|people| shown(&people.value)) {
        return;
    }
    for door in doors {
        let what = "people can connect here, and nobody can say who they are";
        let advice = "add [people] with `authority`, or a `token` for each person; or remove this";
        let problem = Problem::error(code::MISSING_KEY, what, advice);
        problems.push(door.blame(problem.label("nobody is let in")));
    }
}

fn expires(expire: &At<Duration>, problems: &mut Vec<Problem>) {
    if !EXPIRE.contains(&expire.value) {
        let what = "`approvals-expire` is out of range";
        let problem = Problem::error(code::OUT_OF_RANGE, what, "write 1m to 1h; 10m suits most");
        problems.push(expire.blame(problem.label("not within 1m to 1h")));
    }
}

/// In the worst hour it must not turn out that nobody can give the second word.
fn second_person(file: &File, force: &At<Force>, problems: &mut Vec<Problem>) {
    let of = |least: Role| {
        let able = people(file)
            .filter(move |(_, it)| it.value.role.as_ref().is_some_and(|role| role.value >= least));
        able.count()
    };
    if of(Role::Approver) >= 1 && of(Role::Operator) >= 2 {
        return;
    }
    let what = "a forced failover takes two people, and [people] does not name an operator and an \
                approver besides";
    let advice = "name them (docs/guides/people.md), or write `force = \"one\"`";
    let problem = Problem::warning(code::NO_SECOND_PERSON, what, advice);
    problems.push(force.blame(problem.label("nobody for the second word")));
}
