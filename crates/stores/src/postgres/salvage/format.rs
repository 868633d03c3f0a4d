//! A salvaged transaction in words: what the lines of a salvage file are made of.

use mainstay_core::position::Lsn;
use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// What is known of a transaction before its changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The system identifier of the cluster that committed it.
    pub system: String,
    /// Where its commit record begins there.
    pub commit_lsn: Lsn,
    /// When it was committed, in microseconds since the Unix epoch, by that site's clock.
    pub commit_micros: i64,
    pub xid: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Op {
    Insert,
    Update,
    Delete,
    Truncate,
}

/// One row's change, or the truncation of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// `schema.table`.
    pub table: String,
    pub op: Op,
    /// The row before the change (after it, for an insert), by its key's columns in their order;
    /// none when the table has no key.
    pub key: Option<Columns>,
    /// The whole row before the change, where the table's replica identity is full.
    pub old: Option<Columns>,
    pub new: Option<Columns>,
}

impl Change {
    /// The key's columns' names.
    pub fn key_columns(&self) -> impl Iterator<Item = &str> {
        self.key.iter().flat_map(Columns::names)
    }

    /// The key of the row after the change: what the change did not touch, it left.
    pub fn new_key(&self) -> Option<Columns> {
        let (key, new) = (self.key.as_ref()?, self.new.as_ref()?);
        let after = |(name, before): &(String, Value)| {
            let value = match new.get(name) {
                None | Some(Value::Unchanged) => before.clone(),
                Some(value) => value.clone(),
            };
            (name.clone(), value)
        };
        Some(Columns(key.0.iter().map(after).collect()))
    }
}

/// A value as PostgreSQL writes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Value {
    Null,
    /// Stored out of line and left as it was: the history does not hold it.
    Unchanged,
    Text(String),
}

/// JSON has no third kind of absence, so an unchanged value is an object.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct UnchangedMark {
    unchanged: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Json {
    Text(String),
    Mark(UnchangedMark),
    Null,
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_none(),
            Value::Text(text) => serializer.serialize_str(text),
            Value::Unchanged => UnchangedMark { unchanged: true }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Json::deserialize(deserializer)? {
            Json::Null => Ok(Value::Null),
            Json::Text(text) => Ok(Value::Text(text)),
            Json::Mark(UnchangedMark { unchanged: true }) => Ok(Value::Unchanged),
            Json::Mark(_) => {
                Err(de::Error::custom("a value that is neither changed nor unchanged"))
            }
        }
    }
}

/// Columns of a row with their values, in the table's order: a JSON object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Columns(pub Vec<(String, Value)>);

impl Columns {
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(column, _)| column == name).map(|(_, value)| value)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

impl Serialize for Columns {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Columns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Columns;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the columns of a row")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Columns, A::Error> {
                let mut columns = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    columns.push(entry);
                }
                Ok(Columns(columns))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_reads_back_as_it_was_written_in_the_same_order() {
        let text = concat!(
            r#"{"table":"public.t","op":"update","key":{"z":"1","a":"2"},"old":null,"#,
            r#""new":{"z":"1","a":"3","big":{"unchanged":true},"gone":null}}"#
        );
        let change: Change = serde_json::from_str(text).unwrap();
        assert_eq!(change.new_key().unwrap().get("a"), Some(&Value::Text("3".into())));
        assert_eq!(change.new.as_ref().unwrap().get("big"), Some(&Value::Unchanged));
        assert_eq!(serde_json::to_string(&change).unwrap(), text);
    }
}
