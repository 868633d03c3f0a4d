//! Values that are read in portions, so that memory stays bounded.

use super::digest::Digest;
use super::read::{add, add_expiring};
use super::side::{Side, bytes};
use crate::redis::fault::Fault;
use crate::redis::reply::Reply;

/// So much of a string at a time.
const TEXT: usize = 512 * 1024;
/// So many elements of a list, and of others about as many.
const ITEMS: u64 = 500;

/// None when the value changed while it was read, or is of a type that is not known.
pub(super) async fn digest(
    side: &mut Side,
    key: &[u8],
    kind: &str,
) -> Result<Option<Digest>, Fault> {
    match kind {
        "string" => string(side, key).await,
        "list" => list(side, key).await,
        "set" => by_cursor(side, key, kind, b"SSCAN", b"SCARD").await,
        "zset" => by_cursor(side, key, kind, b"ZSCAN", b"ZCARD").await,
        "hash" => by_cursor(side, key, kind, b"HSCAN", b"HLEN").await,
        other => {
            let key = key.escape_ascii();
            Err(side.interrupted(format!("the key {key} has the type {other}, of a module")))
        }
    }
}

/// Adds some of a string, which begins at a whole number of portions.
pub(super) fn add_text(digest: &mut Digest, from: u64, text: &[u8]) -> Option<()> {
    for (place, portion) in (from..).zip(text.chunks(TEXT)) {
        digest.add_at(place, portion);
    }
    Some(())
}

async fn string(side: &mut Side, key: &[u8]) -> Result<Option<Digest>, Fault> {
    let mut digest = Digest::default();
    for portion in 0_u64.. {
        let from = portion * TEXT as u64;
        let (from, to) = (from.to_string(), (from + TEXT as u64 - 1).to_string());
        let command = vec![b"GETRANGE", key, from.as_bytes(), to.as_bytes()];
        match side.ask(&[command]).await?.first().and_then(bytes) {
            Some([]) => break,
            Some(text) => add_text(&mut digest, portion, text),
            None => return Ok(None),
        };
    }
    Ok(Some(digest))
}

async fn list(side: &mut Side, key: &[u8]) -> Result<Option<Digest>, Fault> {
    let mut digest = Digest::default();
    loop {
        let from = digest.items();
        let (start, end) = (from.to_string(), (from + ITEMS - 1).to_string());
        let command = vec![b"LRANGE", key, start.as_bytes(), end.as_bytes()];
        match side.ask(&[command]).await?.first() {
            Some(Reply::Array(items)) if items.is_empty() => return Ok(Some(digest)),
            Some(Reply::Array(items)) if add(&mut digest, "list", from, items).is_some() => {}
            _ => return Ok(None),
        }
    }
}

/// A cursor tells each item that stays at least once. When it told as many as there are, it told
/// each once.
async fn by_cursor(
    side: &mut Side,
    key: &[u8],
    kind: &str,
    scan: &[u8],
    count: &[u8],
) -> Result<Option<Digest>, Fault> {
    let (mut digest, mut cursor) = (Digest::default(), "0".to_owned());
    let mut told = 0;
    let portion = ITEMS.to_string();
    loop {
        let command = vec![scan, key, cursor.as_bytes(), b"COUNT", portion.as_bytes()];
        let answers = side.ask(&[command]).await?;
        let Some([next, items]) = answers.first().map(Reply::items) else { return Ok(None) };
        let before = digest.items();
        if add(&mut digest, kind, 0, items.items()).is_none() {
            return Ok(None);
        }
        told += digest.items() - before;
        if kind == "hash" && side.expiring_fields {
            add_expiring(side, key, items.items(), &mut digest).await?;
        }
        cursor = next.text().unwrap_or("0").to_owned();
        if cursor == "0" {
            break;
        }
    }
    let there = side.ask(&[vec![count, key]]).await?;
    let there = there.first().and_then(Reply::number);
    Ok((there == i64::try_from(told).ok()).then_some(digest))
}
