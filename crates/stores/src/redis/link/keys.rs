//! Which keys a link replicates, and where a command has its keys.

use super::spec::OWN_KEYS;
use crate::redis::reply::Reply;
use foldhash::HashMap;

/// Where a command has its keys, as the source's `COMMAND` tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Positions {
    /// None: the command has no keys at places that are known beforehand.
    first: Option<usize>,
    /// Counted from the end when negative.
    last: i64,
    step: usize,
    /// A command of an administrator: no server replicates it.
    pub admin: bool,
}

impl Positions {
    /// The indexes of the arguments that are keys; the command's name is argument 0.
    pub fn of(&self, arguments: usize) -> impl Iterator<Item = usize> + use<> {
        let end = if self.last < 0 { arguments as i64 + self.last } else { self.last };
        let end = end.clamp(-1, arguments as i64 - 1);
        let first = self.first.unwrap_or(usize::MAX);
        let range = first..usize::try_from(end + 1).unwrap_or(0);
        range.step_by(self.step.max(1))
    }

    pub fn has_one_key(&self) -> bool {
        self.first.is_some_and(|first| self.last == first as i64)
    }

    pub fn has_keys(&self) -> bool {
        self.first.is_some()
    }
}

/// All commands of the source, by their names in lower case.
#[derive(Debug, Default)]
pub(super) struct Table(HashMap<Vec<u8>, Positions>);

impl Table {
    /// From the answer to `COMMAND` (Redis, "COMMAND": name, arity, flags, first, last, step).
    pub fn read(answer: &Reply) -> Self {
        let command = |item: &Reply| {
            let fields = item.items();
            let number = |at: usize| fields.get(at).and_then(Reply::number);
            let flags = fields.get(2).map(Reply::items).unwrap_or_default();
            let positions = Positions {
                first: number(3).and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0),
                last: number(4)?,
                step: number(5).and_then(|n| usize::try_from(n).ok())?,
                admin: flags.iter().any(|flag| flag.text() == Some("admin")),
            };
            Some((fields.first()?.text()?.to_ascii_lowercase().into_bytes(), positions))
        };
        Table(answer.items().iter().filter_map(command).collect())
    }

    /// `name` in lower case.
    pub fn find(&self, name: &[u8]) -> Option<Positions> {
        self.0.get(name).copied()
    }
}

/// Which keys are not replicated.
#[derive(Debug)]
pub struct Filter {
    exclude: Vec<Vec<u8>>,
}

impl Filter {
    pub fn new(exclude: &[String]) -> Self {
        Self { exclude: exclude.iter().map(|pattern| pattern.clone().into_bytes()).collect() }
    }

    /// Mainstay's own keys belong to their server.
    pub fn excludes(&self, key: &[u8]) -> bool {
        key.starts_with(OWN_KEYS.as_bytes())
            || self.exclude.iter().any(|pattern| matches(pattern, key))
    }

    /// Nothing but Mainstay's own keys.
    pub fn is_plain(&self) -> bool {
        self.exclude.is_empty()
    }
}

/// Redis's glob patterns ("KEYS"): `*`, `?`, `[a-c]`, `[^a]` and `\` before a letter that is meant.
fn matches(pattern: &[u8], key: &[u8]) -> bool {
    let (mut p, mut k) = (0, 0);
    // Where to go on when what follows the last star did not match.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let stepped = match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p, k));
                p += 1;
                continue;
            }
            Some(_) => key.get(k).and_then(|byte| one(&pattern[p..], *byte)),
            None if k == key.len() => return true,
            None => None,
        };
        match (stepped, &mut retry) {
            (Some(length), _) => (p, k) = (p + length, k + 1),
            (None, Some((star, from))) if *from < key.len() => {
                *from += 1;
                (p, k) = (*star + 1, *from);
            }
            (None, _) => return false,
        }
    }
}

/// Whether the first item of `pattern` is `byte`, and then that item's length.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [b'?', ..] => Some(1),
        [b'\\', meant, ..] => (*meant == byte).then_some(2),
        [b'[', rest @ ..] => class(rest, byte).map(|length| length + 1),
        [plain, ..] => (*plain == byte).then_some(1),
        [] => None,
    }
}

/// After `[`: whether the class has `byte`, and then its length with the closing bracket. One that
/// is not closed ends with the pattern.
fn class(rest: &[u8], byte: u8) -> Option<usize> {
    let not = rest.first() == Some(&b'^');
    let mut at = usize::from(not);
    let mut found = false;
    loop {
        match rest.get(at..).unwrap_or_default() {
            [] => return (found != not).then_some(at),
            [b']', ..] => return (found != not).then_some(at + 1),
            [b'\\', meant, ..] => {
                found |= *meant == byte;
                at += 2;
            }
            [from, b'-', to, ..] => {
                found |= (*from.min(to)..=*from.max(to)).contains(&byte);
                at += 3;
            }
            [plain, ..] => {
                found |= *plain == byte;
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_redis_matches_them() {
        let yes = [
            ("*", ""),
            ("session:*", "session:7"),
            ("a?c", "abc"),
            ("[a-c]x", "bx"),
            ("[^a]x", "bx"),
            ("\\*", "*"),
            ("*a*b", "xaxaxb"),
            ("h[ae]llo", "hello"),
            ("a*", "a"),
            ("**b", "ab"),
        ];
        let no = [
            ("", "a"),
            ("session:*", "sessions"),
            ("a?c", "ac"),
            ("[a-c]x", "dx"),
            ("[^a]x", "ax"),
            ("\\*", "x"),
            ("*a*b", "xaxax"),
            ("h[ae]llo", "hillo"),
            ("a", "ab"),
        ];
        for (pattern, key) in yes {
            assert!(matches(pattern.as_bytes(), key.as_bytes()), "{pattern} {key}");
        }
        for (pattern, key) in no {
            assert!(!matches(pattern.as_bytes(), key.as_bytes()), "{pattern} {key}");
        }
    }

    #[test]
    fn keys_are_where_the_command_has_them() {
        let at = |first, last, step, arguments| {
            let first = Some(first).filter(|first| *first > 0);
            Positions { first, last, step, admin: false }.of(arguments).collect::<Vec<_>>()
        };
        assert_eq!(at(1, 1, 1, 3), [1], "SET k v");
        assert_eq!(at(1, -1, 1, 4), [1, 2, 3], "DEL a b c");
        assert_eq!(at(1, -1, 2, 5), [1, 3], "MSET a 1 b 2");
        assert_eq!(at(0, 0, 0, 2), [0usize; 0], "PUBLISH c m");
        assert_eq!(at(2, 2, 1, 2), [0usize; 0], "an argument that is missing");
        assert_eq!(at(1, -3, 1, 1), [0usize; 0], "an argument that is missing");
    }
}
