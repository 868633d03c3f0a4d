//! What each kind of store needs and may have.

use super::entries;
use crate::config::problem::{Problem, code};
use crate::config::reader::At;
use crate::config::typed::{Endpoint, Store};
use crate::config::values::StoreWord;

pub fn check(store: &At<Store>, problems: &mut Vec<Problem>) {
    let typed = &store.value;
    let Some(kind) = typed.kind.as_ref().map(|kind| kind.value) else { return };
    let (postgres, redis) = (kind == StoreWord::Postgres, kind == StoreWord::Redis);
    let keys = [
        ("roles", blame(&typed.roles), postgres),
        ("readers", blame(&typed.readers), true),
        ("max-lag", blame(&typed.max_lag), true),
        ("users", blame(&typed.users), redis),
        ("exclude", blame(&typed.exclude), redis),
        ("salvage", blame(&typed.salvage), postgres),
        ("durability", blame(&typed.durability), postgres),
        ("compare-every", blame(&typed.compare_every), postgres || redis),
    ];
    stray(kind, &keys, problems);
    let needed = if postgres { "roles" } else { "users" };
    let words = "a list of strings, as whom the application connects";
    missing(store, needed, words, &keys, problems);
    for (_, endpoint) in entries(&typed.endpoints) {
        let keys = [("database", blame(&endpoint.value.database), postgres)];
        stray(kind, &keys, problems);
        if postgres {
            missing(endpoint, "database", "a string", &keys, problems);
        } else {
            password(endpoint, problems);
        }
    }
}

type Blame<'a> = Box<dyn Fn(Problem) -> Problem + 'a>;
/// A key, where it is written, and whether stores of this kind have it.
type Key<'a> = (&'static str, Option<Blame<'a>>, bool);

fn blame<T>(at: &Option<At<T>>) -> Option<Blame<'_>> {
    let at = at.as_ref()?;
    Some(Box::new(move |problem| at.blame(problem)))
}

fn stray(kind: StoreWord, keys: &[Key<'_>], problems: &mut Vec<Problem>) {
    let word = match kind {
        StoreWord::Postgres => "postgres",
        StoreWord::Redis => "redis",
    };
    for (key, written, known) in keys {
        let Some(blame) = written.as_ref().filter(|_| !known) else { continue };
        let what = format!("`{key}` means nothing with `kind = \"{word}\"`");
        let problem = Problem::error(code::UNKNOWN_KEY, what, "remove it");
        problems.push(blame(problem.label("of another kind")));
    }
}

fn missing<T>(
    table: &At<T>,
    needed: &str,
    words: &str,
    keys: &[Key<'_>],
    problems: &mut Vec<Problem>,
) {
    if keys.iter().all(|(key, written, _)| *key != needed || written.is_some()) {
        return;
    }
    let what = format!("`{needed}` is missing in {}", table.place);
    let advice = format!("add `{needed} = ...`: {words}");
    let problem = Problem::error(code::MISSING_KEY, what, advice);
    problems.push(table.blame(problem.label(format!("`{needed}` is missing"))));
}

/// A Redis user without a password lets in everybody who reaches the server, past every fence.
fn password(endpoint: &At<Endpoint>, problems: &mut Vec<Problem>) {
    if endpoint.value.password.is_some() {
        return;
    }
    let what = format!("{} has no `password`: anybody could act as Mainstay there", endpoint.place);
    let advice =
        "add `password = \"env:NAME\"`, and give the user that password in the server's ACL";
    let problem = Problem::error(code::MISSING_KEY, what, advice);
    problems.push(endpoint.blame(problem.label("`password` is missing")));
}
