//! Many values at once: as an array parameter, as the text of COPY.

use bytes::{BufMut, Bytes, BytesMut};
use mainstay_wire::pgoutput::Value;
use std::error::Error;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};

/// A column's values for `unnest`.
#[derive(Debug)]
pub(in super::super) struct Array {
    format: Format,
    bytes: Bytes,
}

impl ToSql for Array {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_slice(&self.bytes);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        match self.format {
            Format::Text => Format::Text,
            Format::Binary => Format::Binary,
        }
    }

    to_sql_checked!();
}

/// A value that a change did not bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Missing;

fn text(value: &Value) -> Result<Option<&Bytes>, Missing> {
    match value {
        Value::Null => Ok(None),
        Value::Text(bytes) => Ok(Some(bytes)),
        Value::UnchangedToast | Value::Binary(_) => Err(Missing),
    }
}

/// PostgreSQL's numbers of the types int8, int2 and int4, and the bytes of their values.
fn integer_width(type_id: u32) -> Option<usize> {
    match type_id {
        20 => Some(8),
        21 => Some(2),
        23 => Some(4),
        _ => None,
    }
}

/// `type_id` is that of the elements. Integers go in binary, which is cheaper to read; all others
/// as text, which each type's own input function reads.
pub(in super::super) fn array<'a>(
    type_id: u32,
    values: impl Iterator<Item = &'a Value> + Clone,
) -> Result<Array, Missing> {
    match integer_width(type_id) {
        Some(width) => integers(type_id, width, values),
        None => literal(values),
    }
}

/// PostgreSQL's `array_recv`: dimensions, whether nulls, element type, length, lower bound, values.
fn integers<'a>(
    type_id: u32,
    width: usize,
    values: impl Iterator<Item = &'a Value> + Clone,
) -> Result<Array, Missing> {
    let count = values.clone().count();
    let mut out = BytesMut::with_capacity(20 + count * (4 + width));
    out.put_i32(1);
    out.put_i32(1);
    out.put_u32(type_id);
    out.put_i32(i32::try_from(count).unwrap_or(i32::MAX));
    out.put_i32(1);
    for value in values {
        let Some(digits) = text(value)? else {
            out.put_i32(-1);
            continue;
        };
        let number = std::str::from_utf8(digits).ok().and_then(|d| d.parse::<i64>().ok());
        let number = number.ok_or(Missing)?;
        out.put_i32(width as i32);
        out.put_int(number, width);
    }
    Ok(Array { format: Format::Binary, bytes: out.freeze() })
}

/// PostgreSQL manual, "Array Input and Output Syntax": every value quoted.
fn literal<'a>(values: impl Iterator<Item = &'a Value>) -> Result<Array, Missing> {
    let mut out = BytesMut::with_capacity(1024);
    out.put_u8(b'{');
    for (n, value) in values.enumerate() {
        if n > 0 {
            out.put_u8(b',');
        }
        match text(value)? {
            None => out.put_slice(b"NULL"),
            Some(bytes) => {
                out.put_u8(b'"');
                escape(bytes, |b| matches!(b, b'"' | b'\\').then_some(b), &mut out);
                out.put_u8(b'"');
            }
        }
    }
    out.put_u8(b'}');
    Ok(Array { format: Format::Text, bytes: out.freeze() })
}

/// A row for `COPY ... FROM STDIN` (PostgreSQL manual, COPY, "Text Format").
pub(in super::super) fn copy_row(row: &[Value], out: &mut BytesMut) -> Result<(), Missing> {
    for (n, value) in row.iter().enumerate() {
        if n > 0 {
            out.put_u8(b'\t');
        }
        match text(value)? {
            None => out.put_slice(b"\\N"),
            Some(bytes) => escape(bytes, copy_escape, out),
        }
    }
    out.put_u8(b'\n');
    Ok(())
}

fn copy_escape(byte: u8) -> Option<u8> {
    match byte {
        b'\\' => Some(b'\\'),
        b'\n' => Some(b'n'),
        b'\r' => Some(b'r'),
        b'\t' => Some(b't'),
        _ => None,
    }
}

/// Copies runs that need no escape whole; an escaped byte is a backslash and its letter.
fn escape(bytes: &[u8], letter: impl Fn(u8) -> Option<u8>, out: &mut BytesMut) {
    let mut rest = bytes;
    while let Some((at, letter)) =
        rest.iter().enumerate().find_map(|(at, byte)| letter(*byte).map(|l| (at, l)))
    {
        out.put_slice(&rest[..at]);
        out.put_slice(&[b'\\', letter]);
        rest = &rest[at + 1..];
    }
    out.put_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(texts: &[Option<&'static str>]) -> Vec<Value> {
        let value = |text: &Option<&'static str>| match text {
            None => Value::Null,
            Some(text) => Value::Text(Bytes::from_static(text.as_bytes())),
        };
        texts.iter().map(value).collect()
    }

    #[test]
    fn integers_go_in_binary_and_a_value_that_is_none_is_refused() {
        let row = values(&[Some("-2"), None]);
        let array = array(21, row.iter()).unwrap();
        let header = [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 21, 0, 0, 0, 2, 0, 0, 0, 1];
        let body = [0, 0, 0, 2, 0xff, 0xfe, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(array.bytes, [&header[..], &body[..]].concat());
        assert!(super::array(23, values(&[Some("x")]).iter()).is_err());
    }

    #[test]
    fn texts_are_quoted_and_null_is_not() {
        let row = values(&[Some("a\"b\\c,{}"), None, Some("NULL"), Some("")]);
        let array = array(25, row.iter()).unwrap();
        assert_eq!(array.bytes, &br#"{"a\"b\\c,{}",NULL,"NULL",""}"#[..]);
    }

    #[test]
    fn a_copied_row_escapes_what_has_a_meaning_in_it() {
        let mut out = BytesMut::new();
        copy_row(&values(&[Some("a\tb\nc\rd\\N"), None, Some("")]), &mut out).unwrap();
        assert_eq!(out, &b"a\\tb\\nc\\rd\\\\N\t\\N\t\n"[..]);
        assert!(copy_row(&[Value::UnchangedToast], &mut out).is_err());
    }
}
