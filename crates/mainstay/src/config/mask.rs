//! Errors show lines of the file. A secret that was written into it must not come out that way, so
//! what may be one is covered with asterisks, byte for byte, which keeps every place right.

use super::values::SecretReference;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The text of the file as errors may show it.
pub fn mask(text: &str, tree: &DeTable<'_>) -> String {
    let mut covered = text.as_bytes().to_vec();
    let mut spans = Vec::new();
    collect(tree, &mut spans);
    spans.extend(suspicious_lines(text));
    for span in spans {
        for byte in covered.get_mut(span).into_iter().flatten().filter(|byte| **byte != b'\n') {
            *byte = b'*';
        }
    }
    String::from_utf8(covered).unwrap_or_default()
}

/// A connection string with a password in it, for instance.
pub fn may_hold_secret(value: &str) -> bool {
    value.contains('@') || value.contains("password")
}

fn collect(table: &DeTable<'_>, spans: &mut Vec<Range<usize>>) {
    for (key, value) in table.iter() {
        collect_value(key.get_ref(), value, spans);
    }
}

fn collect_value(key: &str, value: &Spanned<DeValue<'_>>, spans: &mut Vec<Range<usize>>) {
    match value.get_ref() {
        DeValue::Table(table) => collect(table, spans),
        DeValue::Array(array) => array.iter().for_each(|value| collect_value(key, value, spans)),
        DeValue::String(text) if SecretReference::of(text).is_some() => {}
        DeValue::String(text) if may_hold_secret(text) => spans.push(value.span()),
        _ if names_secret(key) => spans.push(value.span()),
        _ => {}
    }
}

/// Lines that the parser may have given up on: everything after the `=` of a secret's key, over
/// several lines when that is how the string begins.
fn suspicious_lines(text: &str) -> Vec<Range<usize>> {
    let mut start = 0;
    let mut spans = Vec::new();
    for line in text.split_inclusive('\n') {
        let after = line.find('=').map_or(line.len(), |equals| equals + 1);
        let value = line[after..].trim_start();
        if is_suspicious(line[..after].trim_end_matches('='), value.trim_end()) {
            let begin = start + line.len() - value.len();
            spans.push(begin..begin + length(&text[begin..], value));
        }
        start += line.len();
    }
    spans
}

fn is_suspicious(key: &str, value: &str) -> bool {
    let is_reference =
        |part: &str| SecretReference::of(part.trim().trim_matches(['"', '\''])).is_some();
    // One, or a list of them.
    let references = value.trim_matches(['[', ']']).split(',').all(is_reference);
    !references && (names_secret(key) || holds_more_than_addresses(value))
}

/// A URL with more than a host and a port: a password, or a path that is one.
fn holds_more_than_addresses(value: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
    let after = |text: &'_ str| text.split_once("://").map(|(_, rest)| rest.to_owned());
    let mut urls = value.split(['"', '\'']).filter_map(after);
    urls.any(|rest| !rest.strip_suffix('/').unwrap_or(&rest).chars().all(plain))
}

/// How far the value reaches from its beginning.
fn length(rest: &str, value: &str) -> usize {
    let quotes = ["\"\"\"", "\'\'\'"].into_iter().find(|quotes| value.starts_with(quotes));
    let end = quotes.map(|quotes| rest[3..].find(quotes).map_or(rest.len(), |end| end + 6));
    end.unwrap_or(value.len())
}

/// Also a misspelt `password`, whose value an "unknown key" must not show.
fn names_secret(key: &str) -> bool {
    let key = key.rsplit('.').next().unwrap_or(key).trim().to_lowercase();
    let parts = ["pass", "pwd", "secret", "token", "credential", "signing"];
    parts.iter().any(|part| key.contains(part))
        || super::nearest::nearest(&key, &["password".to_owned()]).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_may_be_a_secret_is_covered_and_nothing_moves() {
        let text = "a = 1\npassword = 'canary'\npasword = \"canary\"\nx.db_pass = [\"canary\"]\n\
                    url = \"postgres://u:canary@h\"\nb = { token = \"canary\" }\n\
                    hook = \"https://h/canary\"\n\
                    e = [\"https://etcd.east:2379\", \"http://[::1]:2379/\"]\n\
                    signing-keys = [\"canary\"]\nsigning-keys = [\"file:a.key\", canary]\n\
                    signing-keys = [\"file:a.key\", 'file:b.key']\n\
                    password = \"\"\"\ncanary\n\"\"\"\npassword = \"env:OK\"\npassword = canary ñ\n";
        let (tree, _) = DeTable::parse_recoverable(text);
        let masked = mask(text, tree.get_ref());
        assert!(!masked.contains("canary"), "{masked}");
        assert!(masked.contains("env:OK"), "{masked}");
        assert!(masked.contains("[\"file:a.key\", 'file:b.key']"), "{masked}");
        assert!(masked.contains("\"https://etcd.east:2379\", \"http://[::1]:2379/\""), "{masked}");
        assert_eq!(masked.len(), text.len());
        assert_eq!(masked.lines().count(), text.lines().count());
    }
}
