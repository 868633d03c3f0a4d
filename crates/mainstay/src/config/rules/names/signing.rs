//! Signed zones: how many keys, where they stand, and which zones cannot be signed.

use crate::config::problem::{Problem, code};
use crate::config::reader::At;
use crate::config::rules::entries;
use crate::config::typed::File;
use crate::config::typed::dns::Zone;
use crate::config::values::{DnsName, DnsProvider, SecretReference};

/// While one replaces the other. More only make answers longer.
const MOST: usize = 2;

pub fn check(file: &File, (name, zone): (&DnsName, &At<Zone>), problems: &mut Vec<Problem>) {
    let Some(keys) = &zone.value.signing_keys else { return };
    if !(1..=MOST).contains(&keys.value.len()) {
        let what = format!("{} names {} keys", keys.place, keys.value.len());
        let advice = "name one key, or two while one replaces the other; without the line the zone \
                      is not signed";
        let problem = Problem::error(code::OUT_OF_RANGE, what, advice);
        problems.push(keys.blame(problem.label("not one or two")));
    }
    for key in &keys.value {
        if let SecretReference::Variable(_) = key.value {
            let what = "a signing key stands in a file, not in an environment variable";
            let advice = format!("write \"file:<path>\"; make it: mainstay dns key new {}", name.0);
            let problem = Problem::error(code::BAD_VALUE, what, advice + " --out FILE");
            problems.push(key.blame(problem.label("not a file")));
        }
    }
    for (other, it) in entries(&file.dns).filter(|(other, _)| *other != name) {
        let own = it.value.kind.as_ref().is_some_and(|kind| kind.value == DnsProvider::Own);
        if own && (other.is_in(name) || name.is_in(other)) {
            let what = format!(
                "{} is to be signed, and {}, which Mainstay answers for too, is inside or around \
                 it: one server cannot be on both sides of a delegation here",
                name.0, other.0
            );
            let advice = "put the names of both into one zone, or give them zones side by side";
            let problem = Problem::error(code::BAD_VALUE, what, advice);
            problems.push(keys.blame(problem.label("cannot be signed")));
        }
    }
}
