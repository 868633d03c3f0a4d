//! A stream with its groups, their consumers, and what is pending.

use super::digest::Digest;
use super::side::{Side, bytes, field};
use crate::redis::fault::Fault;
use crate::redis::reply::Reply;

/// So many entries at a time.
const PAGE: usize = 500;
const PAGE_TEXT: &[u8] = b"500";

/// What a stream remembers, as every server tells it; and what servers since 7.0 tell as well.
const ALWAYS: [&str; 2] = ["length", "last-generated-id"];
const COUNTED: [&str; 2] = ["max-deleted-entry-id", "entries-added"];

/// None when it changed while it was read.
pub(super) async fn digest(side: &mut Side, key: &[u8]) -> Result<Option<Digest>, Fault> {
    let mut digest = Digest::default();
    let Some(about) = about(side, key).await? else { return Ok(None) };
    about.iter().for_each(|(name, value)| digest.add([name.as_bytes(), value]));
    if !entries(side, key, &mut digest).await? || !groups(side, key, &mut digest).await? {
        return Ok(None);
    }
    Ok(Some(digest))
}

async fn about(side: &mut Side, key: &[u8]) -> Result<Option<Vec<(&'static str, Vec<u8>)>>, Fault> {
    let counted: &[&'static str] = if side.counts_entries { &COUNTED } else { &[] };
    let answers = side.ask(&[vec![b"XINFO", &b"STREAM"[..], key]]).await?;
    let Some(answer @ Reply::Array(_)) = answers.first() else { return Ok(None) };
    let tell = |name: &&'static str| Some((*name, word(field(answer, name)?)?));
    Ok(ALWAYS.iter().chain(counted).map(tell).collect())
}

fn word(reply: &Reply) -> Option<Vec<u8>> {
    match reply {
        Reply::Number(number) => Some(number.to_string().into_bytes()),
        other => bytes(other).map(<[u8]>::to_vec),
    }
}

/// Whether all were read.
async fn entries(side: &mut Side, key: &[u8], digest: &mut Digest) -> Result<bool, Fault> {
    let mut from = b"-".to_vec();
    loop {
        let answers = side.ask(&[vec![b"XRANGE", key, &from, b"+", b"COUNT", PAGE_TEXT]]).await?;
        let Some(Reply::Array(entries)) = answers.first() else { return Ok(false) };
        for entry in entries {
            let [id, fields] = entry.items() else { return Ok(false) };
            digest.add(bytes(id).into_iter().chain(fields.items().iter().filter_map(bytes)));
        }
        match after(entries) {
            Some(next) => from = next,
            None => return Ok(true),
        }
    }
}

async fn groups(side: &mut Side, key: &[u8], digest: &mut Digest) -> Result<bool, Fault> {
    let answers = side.ask(&[vec![b"XINFO", &b"GROUPS"[..], key]]).await?;
    let Some(Reply::Array(groups)) = answers.first() else { return Ok(false) };
    for group in groups {
        let Some(name) = field(group, "name").and_then(bytes) else { return Ok(false) };
        let last = field(group, "last-delivered-id").and_then(word).unwrap_or_default();
        let read = field(group, "entries-read").filter(|_| side.counts_entries);
        let read = read.and_then(word).unwrap_or_default();
        digest.add([&b"group"[..], name, &last, &read]);
        let answers = side.ask(&[vec![b"XINFO", &b"CONSUMERS"[..], key, name]]).await?;
        let Some(Reply::Array(consumers)) = answers.first() else { return Ok(false) };
        for consumer in consumers.iter().filter_map(|it| field(it, "name").and_then(bytes)) {
            digest.add([&b"consumer"[..], name, consumer]);
        }
        if !pending(side, key, name, digest).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Who has which entries and how often they were delivered; when is told only as a time that runs.
async fn pending(
    side: &mut Side,
    key: &[u8],
    group: &[u8],
    digest: &mut Digest,
) -> Result<bool, Fault> {
    let mut from = b"-".to_vec();
    loop {
        let answers = side.ask(&[vec![b"XPENDING", key, group, &from, b"+", PAGE_TEXT]]).await?;
        let Some(Reply::Array(entries)) = answers.first() else { return Ok(false) };
        for entry in entries {
            let [id, consumer, _, deliveries] = entry.items() else { return Ok(false) };
            let parts = [id, consumer, deliveries].map(|part| word(part).unwrap_or_default());
            digest.add([&b"pending"[..], group].into_iter().chain(parts.iter().map(Vec::as_slice)));
        }
        match after(entries) {
            Some(next) => from = next,
            None => return Ok(true),
        }
    }
}

/// Where to go on after a page; none after the last one. Nothing can be asked for after the
/// greatest ID that there is.
fn after(page: &[Reply]) -> Option<Vec<u8>> {
    let last = page.get(PAGE - 1)?;
    bytes(last.items().first()?).map(|id| [b"(", id].concat())
}
