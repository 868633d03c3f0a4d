//! Rows as earlier changes of the same salvage left them: what a later change found.

use super::format::{Change, Columns, Op, Value};
use std::collections::{HashMap, HashSet};

/// Beyond this much nothing more is remembered: of a row that is not, nobody can tell whether the
/// active site changed it since.
const BYTES: usize = 64 << 20;

type Key = (String, Vec<Value>);

/// Remembers the rows that are asked for later on.
#[derive(Default)]
pub(super) struct Before {
    wanted: HashSet<Key>,
    rows: HashMap<Key, Columns>,
    bytes: usize,
}

impl Before {
    /// A chosen transaction makes this change: its row is asked for later.
    pub fn want(&mut self, change: &Change) {
        let (Op::Update | Op::Delete, None, Some(key)) = (change.op, &change.old, &change.key)
        else {
            return;
        };
        let key = name(&change.table, key);
        let size = key_size(&key.1);
        if self.bytes + size <= BYTES && self.wanted.insert(key) {
            self.bytes += size;
        }
    }

    /// The row as this change found it, where that is known.
    pub fn of<'a>(&'a self, change: &'a Change) -> Option<&'a Columns> {
        change.old.as_ref().or_else(|| self.rows.get(&name(&change.table, change.key.as_ref()?)))
    }

    /// This change was made, at the site it was salvaged from.
    pub fn note(&mut self, change: &Change) {
        if change.op == Op::Truncate {
            self.rows.retain(|(table, _), _| *table != change.table);
            self.bytes = self.wanted.iter().map(|(_, key)| key_size(key)).sum::<usize>()
                + self.rows.values().map(size).sum::<usize>();
            return;
        }
        let Some(key) = &change.key else { return };
        let before = self.rows.remove(&name(&change.table, key));
        self.bytes -= before.as_ref().map_or(0, size);
        let (Some(new), Some(after)) = (&change.new, change.new_key()) else { return };
        let row = merged(new, change.old.as_ref().or(before.as_ref()));
        let (key, size) = (name(&change.table, &after), size(&row));
        if self.wanted.contains(&key) && self.bytes + size <= BYTES {
            self.bytes += size;
            self.rows.insert(key, row);
        }
    }
}

fn name(table: &str, key: &Columns) -> Key {
    (table.to_owned(), key.0.iter().map(|(_, value)| value.clone()).collect())
}

/// What the change left as it was is as it was before.
fn merged(new: &Columns, before: Option<&Columns>) -> Columns {
    let one = |(name, value): &(String, Value)| {
        let known = before.and_then(|before| before.get(name));
        let value = match value {
            Value::Unchanged => known.unwrap_or(&Value::Unchanged),
            value => value,
        };
        (name.clone(), value.clone())
    };
    Columns(new.0.iter().map(one).collect())
}

fn size(row: &Columns) -> usize {
    row.0.iter().map(|(name, value)| name.len() + value_size(value)).sum()
}

fn key_size(key: &[Value]) -> usize {
    key.iter().map(value_size).sum()
}

/// With what the collections add to it, about.
fn value_size(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len() + 64,
        Value::Null | Value::Unchanged => 64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(op: &str, key: &str, new: &str) -> Change {
        let text =
            format!(r#"{{"table":"t","op":"{op}","key":{{"id":"{key}"}},"old":null,"new":{new}}}"#);
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_row_is_as_the_changes_before_left_it_also_under_another_key() {
        let mut before = Before::default();
        let last = change("delete", "2", "null");
        before.want(&change("update", "1", r#"{"id":"2","v":"x"}"#));
        before.want(&last);
        let found = |before: &Before, change: &Change| {
            before.of(change).and_then(|row| row.get("big").cloned())
        };
        before.note(&change("insert", "1", r#"{"id":"1","big":"long","v":"a"}"#));
        assert_eq!(
            found(&before, &change("delete", "1", "null")),
            Some(Value::Text("long".into()))
        );
        before.note(&change("update", "1", r#"{"id":"2","big":{"unchanged":true},"v":"b"}"#));
        assert_eq!(found(&before, &last), Some(Value::Text("long".into())));
        assert_eq!(found(&before, &change("delete", "1", "null")), None);
        before.note(&change("truncate", "1", "null"));
        assert_eq!(found(&before, &last), None);
        before.note(&change("insert", "9", r#"{"id":"9","big":"nobody asks","v":"a"}"#));
        assert!(before.rows.is_empty());
    }
}
