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
        found.push(Finding::warning(
            "MS-PG-312",
            &other.place,
            format!("PostgreSQL {} here, {} at {}", b.version, a.version, first.place),
            "Upgrade the older one: a switch changes what the application runs on, and what only \
             the newer one knows cannot be replicated to the older.",
        ));
    }
    if a.encoding != b.encoding {
        found.push(Finding::error(
            "MS-PG-313",
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
            "MS-PG-314",
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
                "MS-PG-315",
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
                "MS-PG-316",
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

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(site: &str, change: impl FnOnce(&mut Facts)) -> Seen {
        let mut facts = Facts::example(site);
        change(&mut facts);
        Seen { place: site.to_owned(), facts }
    }

    fn codes(change: impl FnOnce(&mut Facts)) -> Vec<String> {
        let found = differences(&[seen("east", |_| {}), seen("west", change)]);
        found.into_iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn what_must_be_equal_at_both_sites_is_named_when_it_is_not() {
        assert!(codes(|_| {}).is_empty());
        assert_eq!(codes(|facts| facts.major = 17), ["MS-PG-312"]);
        assert_eq!(codes(|facts| facts.encoding = "LATIN1".into()), ["MS-PG-313"]);
        assert_eq!(codes(|facts| facts.collation = "de_DE.utf8 c".into()), ["MS-PG-314"]);
        assert_eq!(codes(|facts| facts.available.clear()), ["MS-PG-315"]);
    }
}
