//! A person's steps: what each kind needs and may have, where it stands, and what it may start.

use super::{entries, unknown_site};
use crate::config::duration;
use crate::config::mask;
use crate::config::problem::{Problem, code};
use crate::config::reader::At;
use crate::config::typed::runbook::Step;
use crate::config::typed::{Application, File};
use crate::config::values::{Count, WorkKind};
use mainstay_agent::steps_of;
use mainstay_core::StoreName;
use mainstay_core::runbook::RunbookName;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(3600);
const PLACEHOLDERS: [&str; 6] = ["from", "to", "epoch", "application", "execution", "key"];
/// Clients are held between the first and the last of these, for ten seconds at most.
const HELD: [&str; 5] = ["hold", "hand-over", "drain-to-end", "pin", "claim"];

pub fn check(file: &File, application: &Application, problems: &mut Vec<Problem>) {
    let Some(runbook) = &application.runbook else { return };
    let runbook = &runbook.value;
    let all = [
        (RunbookName::Failover, &runbook.failover),
        (RunbookName::Switchover, &runbook.switchover),
        (RunbookName::Failback, &runbook.failback),
    ];
    for (name, steps) in all {
        let built_in = steps_of(name).iter().map(|step| step.name().to_owned());
        let mut known: Vec<String> = built_in.collect();
        for step in steps.iter().flat_map(|list| &list.value) {
            one(file, application, step, problems);
            stands(name, step, &known, problems);
            known.extend(step.value.name.as_ref().map(|at| at.value.clone()));
        }
    }
}

fn one(file: &File, application: &Application, step: &At<Step>, problems: &mut Vec<Problem>) {
    let typed = &step.value;
    if let Some(kind) = typed.kind.as_ref().map(|kind| kind.value) {
        keys(step, kind, problems);
    }
    if let Some(to) = &typed.to {
        problems.extend(unknown_site(file, &to.value).map(|problem| to.blame(problem)));
    }
    for words in programs(typed) {
        program(file, words, problems);
    }
    texts(application, typed, problems);
    numbers(typed, problems);
    link_local(typed, problems);
    let stores: Vec<&StoreName> = entries(&application.stores).map(|(name, _)| name).collect();
    if let Some(store) = typed.store.as_ref().filter(|store| !stores.contains(&&store.value)) {
        let what = format!("there is no store `{}` in this application", store.value);
        let known: Vec<String> = stores.iter().map(ToString::to_string).collect();
        let advice = format!("stores of this application: {}", known.join(", "));
        let problem = Problem::error(code::UNKNOWN_STORE, what, advice);
        problems.push(store.blame(problem.label("no such store")));
    }
}

type Blame<'a> = Option<Box<dyn Fn(Problem) -> Problem + 'a>>;

fn blame<T>(at: &Option<At<T>>) -> Blame<'_> {
    let at = at.as_ref()?;
    Some(Box::new(move |problem| at.blame(problem)))
}

/// What is written of the keys that only some kinds have, and whether they need it.
fn written(step: &Step) -> [(&'static str, Blame<'_>, &'static [WorkKind], bool); 20] {
    use WorkKind::{Approve, Deploy, Http, Notify, Repoint, Run, Scale, Verify, Wait, Warm};
    [
        ("command", blame(&step.command), &[Run, Scale], true),
        ("probe", blame(&step.probe), &[Run, Scale], false),
        ("undo", blame(&step.undo), &[Run, Scale], false),
        ("environment", blame(&step.environment), &[Run, Scale, Repoint, Deploy], false),
        ("address", blame(&step.address), &[Http, Warm, Verify], false),
        ("method", blame(&step.method), &[Http, Verify], false),
        ("path", blame(&step.path), &[Http, Verify], false),
        ("body", blame(&step.body), &[Http, Verify], false),
        ("status", blame(&step.status), &[Http, Verify], false),
        ("authority", blame(&step.authority), &[Http, Verify], false),
        ("file", blame(&step.file), &[Repoint], true),
        ("variables", blame(&step.variables), &[Repoint], true),
        ("reload", blame(&step.reload), &[Repoint], false),
        ("list", blame(&step.list), &[Warm], true),
        ("store", blame(&step.store), &[Verify], false),
        ("query", blame(&step.query), &[Verify], false),
        ("version", blame(&step.version), &[Deploy], true),
        ("wanted", blame(&step.wanted), &[Deploy], true),
        ("span", blame(&step.span), &[Wait], true),
        ("text", blame(&step.text), &[Approve, Notify], true),
    ]
}

fn keys(step: &At<Step>, kind: WorkKind, problems: &mut Vec<Problem>) {
    let keys = written(&step.value);
    for (key, written, kinds, _) in &keys {
        let Some(blame) = written.as_ref().filter(|_| !kinds.contains(&kind)) else { continue };
        let what = format!("`{key}` means nothing with `kind = \"{}\"`", kind.word());
        let known = keys.iter().filter(|(_, _, kinds, _)| kinds.contains(&kind));
        let known: Vec<&str> = known.map(|(key, ..)| *key).collect();
        let advice = format!("remove it; this kind has: {}", known.join(", "));
        problems
            .push(blame(Problem::error(code::UNKNOWN_KEY, what, advice).label("of another kind")));
    }
    let needed = keys.iter().filter(|(_, written, kinds, needed)| {
        *needed && kinds.contains(&kind) && written.is_none()
    });
    let mut missing: Vec<&str> = needed.map(|(key, ..)| *key).collect();
    let typed = &step.value;
    let judged = typed.expect.is_some() || typed.at_least.is_some();
    match kind {
        WorkKind::Http | WorkKind::Warm if typed.address.is_none() => missing.push("address"),
        WorkKind::Verify if typed.address.is_none() && typed.store.is_none() => {
            missing.push("address");
        }
        WorkKind::Verify if typed.store.is_some() && typed.query.is_none() => missing.push("query"),
        WorkKind::Verify if typed.store.is_some() && !judged => missing.push("expect"),
        _ => {}
    }
    for key in missing {
        let what = format!("`{key}` is missing in {}", step.place);
        let advice = format!("add `{key}`: a step of this kind needs it");
        let problem = Problem::error(code::MISSING_KEY, what, advice);
        problems.push(step.blame(problem.label(format!("`{key}` is missing"))));
    }
    if let (WorkKind::Verify, Some(_), Some(store)) = (kind, &typed.address, &typed.store) {
        let what = "`address` and `store` are both written";
        let problem = Problem::error(code::UNKNOWN_KEY, what, "keep one, or write two steps");
        problems.push(store.blame(problem.label("the second")));
    }
}

/// Exactly one place, next to a step that stands before this one in the file or is built in.
fn stands(name: RunbookName, step: &At<Step>, known: &[String], problems: &mut Vec<Problem>) {
    let typed = &step.value;
    names(step, known, problems);
    let places = [("after", &typed.after), ("before", &typed.before), ("instead", &typed.instead)];
    let written: Vec<(&str, &At<String>)> =
        places.into_iter().filter_map(|(key, at)| Some((key, at.as_ref()?))).collect();
    let [(key, anchor)] = written.as_slice() else {
        let what = format!("{} needs exactly one of `after`, `before` and `instead`", step.place);
        let advice = format!("name one of: {}", known.join(", "));
        let problem = Problem::error(code::STEP_PLACE, what, advice);
        return problems.push(step.blame(problem.label("where does it stand?")));
    };
    for named in typed.needs.iter().flat_map(|list| &list.value).chain([*anchor]) {
        if !known.contains(&named.value) {
            let what = format!("there is no step `{}` in {name} before this one", named.value);
            let advice = format!("steps up to here: {}", known.join(", "));
            let problem = Problem::error(code::UNKNOWN_STEP, what, advice);
            problems.push(named.blame(problem.label("no such step")));
        }
    }
    let held = HELD
        .iter()
        .position(|step| *step == anchor.value)
        .filter(|_| name != RunbookName::Failover);
    let inside = held.is_some_and(|at| match *key {
        "after" => at + 1 < HELD.len(),
        _ => at > 0,
    });
    let why = match *key {
        "instead" if anchor.value != "verify" => {
            format!("`{}` keeps what must always be true: nothing can take its place", anchor.value)
        }
        _ if inside => "between `hold` and `claim` nothing can be added: the clients are held \
                        there, and the active site takes over again after ten seconds"
            .to_owned(),
        _ => return,
    };
    let advice = "put it after `claim` or later, or before `hold`; `verify` can be replaced";
    let problem = Problem::error(code::STEP_PLACE, why, advice);
    problems.push(anchor.blame(problem.label("not here")));
}

fn names(step: &At<Step>, known: &[String], problems: &mut Vec<Problem>) {
    let Some(name) = &step.value.name else { return };
    let why = match StoreName::new(name.value.as_str()) {
        Err(why) => why.to_string(),
        Ok(_) if known.contains(&name.value) => {
            format!("there is a step `{}` already", name.value)
        }
        Ok(_) => return,
    };
    let problem = Problem::error(code::BAD_VALUE, why, "give it a name of its own");
    problems.push(name.blame(problem.label("not a new name")));
}

fn programs(step: &Step) -> impl Iterator<Item = &At<Vec<At<String>>>> {
    let all = [&step.command, &step.probe, &step.undo, &step.reload, &step.version, &step.wanted];
    all.into_iter().flatten()
}

fn program(file: &File, words: &At<Vec<At<String>>>, problems: &mut Vec<Problem>) {
    let Some(program) = words.value.first() else {
        let problem = Problem::error(
            code::MISSING_KEY,
            format!("{} is empty", words.place),
            "write the program first, with its whole path",
        );
        return problems.push(words.blame(problem.label("empty")));
    };
    let mut allowed = file.step_commands.iter().flat_map(|list| &list.value);
    if !program.value.starts_with('/') {
        let what = format!("the program `{}` is not written with its whole path", program.value);
        let advice = "begin it with /: it is started without a shell and without PATH";
        let problem = Problem::error(code::COMMAND_NOT_ALLOWED, what, advice);
        problems.push(program.blame(problem.label("not a whole path")));
    } else if !allowed.any(|allowed| allowed.value == program.value) {
        let what = format!("the program `{}` is not allowed", program.value);
        let advice =
            format!("add it at the top of the file: step-commands = [{:?}]", program.value);
        let problem = Problem::error(code::COMMAND_NOT_ALLOWED, what, advice);
        problems.push(program.blame(problem.label("not in `step-commands`")));
    }
    for word in words.value.iter().filter(|word| mask::may_hold_secret(&word.value)) {
        let what = format!("{} may hold a secret; arguments are kept in the ledger", word.place);
        let advice = "hand it over in `environment`, by env:NAME or file:PATH";
        let problem = Problem::error(code::LITERAL_SECRET, what, advice);
        problems.push(word.blame(problem.label("may hold a secret (hidden)")));
    }
}

/// What cannot be written as it stands, and placeholders that stand for nothing.
fn texts(application: &Application, step: &Step, problems: &mut Vec<Problem>) {
    let single = [&step.file, &step.text, &step.body].into_iter().flatten();
    let variables = step.variables.iter().flat_map(|table| table.value.values());
    let words = programs(step).flat_map(|words| &words.value);
    for at in single.chain(variables).chain(words) {
        let gate = |name: &str| {
            let store = name.strip_prefix("gate.");
            store.is_some_and(|store| {
                entries(&application.stores).any(|(name, _)| name.as_str() == store)
            })
        };
        let unknown =
            placeholders(&at.value).find(|name| !PLACEHOLDERS.contains(name) && !gate(name));
        let why = match unknown {
            Some(name) => format!("`{{{name}}}` stands for nothing in {}", at.place),
            None if at.value.contains(['\0', '\n', '\r']) => {
                format!("{} holds the end of a line, or a zero byte", at.place)
            }
            None => continue,
        };
        let advice = "{from}, {to}, {epoch}, {application}, {execution}, {key} and {gate.STORE} \
                      stand for what they name";
        problems.push(at.blame(Problem::error(code::BAD_VALUE, why, advice)));
    }
    if let Some(file) = step.file.as_ref().filter(|file| !file.value.starts_with('/')) {
        let what = format!("{}: {:?} is not a whole path", file.place, file.value);
        let problem = Problem::error(code::BAD_VALUE, what, "begin it with /");
        problems.push(file.blame(problem.label("does not begin with /")));
    }
    let methods = ["GET", "HEAD", "POST", "PUT", "DELETE"];
    if let Some(method) = step.method.as_ref().filter(|it| !methods.contains(&it.value.as_str())) {
        let what = format!("{:?} is not a method that can stand here", method.value);
        let problem = Problem::error(code::BAD_VALUE, what, "write GET, HEAD, POST, PUT or DELETE");
        problems.push(method.blame(problem.label("not a method")));
    }
}

/// The words between braces that look like a placeholder; braces of JSON do not.
fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    let plain = |name: &&str| {
        let letter = |c: char| c.is_ascii_lowercase() || c == '.' || c == '-';
        !name.is_empty() && name.chars().all(letter)
    };
    text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|it| it.0).filter(plain)
}

fn numbers(step: &Step, problems: &mut Vec<Problem>) {
    if let Some(at) = step.timeout.as_ref().filter(|at| !TIMEOUT.contains(&at.value)) {
        let what = format!("a timeout of {} is out of range", duration::write(at.value));
        let problem = Problem::error(code::OUT_OF_RANGE, what, "write 100ms to 1h");
        problems.push(at.blame(problem.label("not within 100ms to 1h")));
    }
    let counts = [
        (&step.tries, 1..=100),
        (&step.concurrency, 1..=256),
        (&step.most_failures, 1..=1_000_000),
    ];
    for (at, range) in counts {
        let Some(at) = at.as_ref().filter(|at| !range.contains(&at.value.0)) else { continue };
        let Count(number) = at.value;
        let (least, most) = (range.start(), range.end());
        let what = format!("{}: {number} is out of range", at.place);
        let problem = Problem::error(code::OUT_OF_RANGE, what, format!("write {least} to {most}"));
        problems.push(at.blame(problem.label(format!("not within {least} to {most}"))));
    }
}

fn link_local(step: &Step, problems: &mut Vec<Problem>) {
    if step.link_local.as_ref().is_some_and(|told| told.value) {
        return;
    }
    let Some(address) = &step.address else { return };
    let link_local = match address.value.host.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
        Ok(IpAddr::V4(v4)) => v4.is_link_local(),
        Ok(IpAddr::V6(v6)) => v6.is_unicast_link_local(),
        Err(_) => false,
    };
    if link_local {
        let what = format!("{} is an address of the link itself", address.value);
        let advice = "there clouds hand out a machine's own credentials; if nothing of the kind is \
                      there, write `link-local = true`";
        let problem = Problem::error(code::LINK_LOCAL, what, advice);
        problems.push(address.blame(problem.label("link-local")));
    }
}
