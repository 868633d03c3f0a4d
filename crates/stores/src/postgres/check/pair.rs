//! What must be equal at a store's sites, and what must not.

use super::Seen;
use super::server::Facts;
use mainstay_core::Finding;
use std::collections::BTreeMap;

/// Each site against the first.
pub(super) fn differences(seen: &[Seen]) -> Vec<Finding> {
    let Some((first, others)) = seen.split_first() else { return Vec::new() };
    others.iter().flat_map(|other| between(first, other)).collect()
}

fn between(first: &Seen, other: &Seen) -> Vec<Finding> {
    let mut found = Vec::new();
    let (a, b) = (&first.facts, &other.facts);
    if a.major != b.major {
        found.push(Finding::error(
            "MS-PG-212",
            &other.place,
            format!("PostgreSQL {} here, {} at {}", b.version, a.version, first.place),
            "Upgrade the older one: both sites need the same major version.",
        ));
    }
    if a.encoding != b.encoding {
        found.push(Finding::error(
            "MS-PG-213",
            &other.place,
            format!("the encoding is {} here, {} at {}", b.encoding, a.encoding, first.place),
            format!(
                "Create the database anew: CREATE DATABASE ... ENCODING '{}' TEMPLATE template0;",
                a.encoding
            ),
        ));
    }
    if a.collation != b.collation {
        found.push(Finding::warning(
            "MS-PG-214",
            &other.place,
            format!("the collation is {} here, {} at {}", b.collation, a.collation, first.place),
            "Sorting may differ after a switch; create the database anew with the same locale.",
        ));
    }
    found.extend(extensions(first, other));
    found.extend(extensions(other, first));
    found
}

/// Extensions in use at `user` that `other` cannot install.
fn extensions(user: &Seen, other: &Seen) -> Vec<Finding> {
    let lacking = |facts: &Facts, name: &String| !facts.available.contains(name);
    user.facts
        .extensions
        .keys()
        .filter(|name| lacking(&other.facts, name))
        .map(|name| {
            Finding::error(
                "MS-PG-215",
                &other.place,
                format!("extension \"{name}\" is used at {} and not available here", user.place),
                format!("Install the package that brings \"{name}\" on this server's machine."),
            )
        })
        .collect()
}

/// Two endpoints, of one store or of two, that lead to the same database.
pub(super) fn one_database_twice(seen: &[Seen]) -> Vec<Finding> {
    let mut by_identity: BTreeMap<&str, &str> = BTreeMap::new();
    let mut found = Vec::new();
    for Seen { place, facts } in seen {
        match by_identity.get(facts.identity.as_str()) {
            Some(first) => found.push(Finding::error(
                "MS-PG-216",
                place,
                format!("this is the same database as {first}"),
                "Give each site of each store a database of its own: correct host, port or \
                 database.",
            )),
            None => {
                by_identity.insert(&facts.identity, place);
            }
        }
    }
    found
}
