//! Values as PostgreSQL's own text, in both directions: the only form that every type has, those
//! of extensions too.

use super::salvage::Value;
use bytes::BytesMut;
use postgres_protocol::escape::escape_literal;
use std::error::Error;
use tokio_postgres::types::{Format, IsNull, ToSql, Type};

/// A parameter that the server reads by its type's input function, whatever the type.
#[derive(Debug)]
pub(crate) struct TextValue<'a>(pub Option<&'a str>);

impl ToSql for TextValue<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self.0 {
            Some(text) => {
                out.extend_from_slice(text.as_bytes());
                Ok(IsNull::No)
            }
            None => Ok(IsNull::Yes),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    postgres_types::to_sql_checked!();
}

/// A value's text; none where there is no value.
pub(crate) fn as_text(value: &Value) -> Option<&str> {
    match value {
        Value::Text(text) => Some(text),
        Value::Null | Value::Unchanged => None,
    }
}

/// A constant for SQL, of whatever type it is compared with.
pub(crate) fn literal(text: Option<&str>) -> String {
    text.map_or_else(|| "NULL".to_owned(), |text| escape_literal(text).trim_start().to_owned())
}

/// Keys for SQL's IN.
pub(crate) fn literals<K: AsRef<[String]>>(keys: &[K]) -> String {
    let row = |key: &K| {
        let values: Vec<_> = key.as_ref().iter().map(|value| literal(Some(value))).collect();
        format!("({})", values.join(", "))
    };
    keys.iter().map(row).collect::<Vec<_>>().join(", ")
}
