//! Keys as they are at one server, each read by the commands of its type.

use super::digest::Digest;
use super::side::{Side, bytes};
use super::{large, stream};
use crate::redis::fault::Fault;
use crate::redis::reply::Reply;

/// A key whose memory is less is read in one piece.
const SMALL: i64 = 64 * 1024;

/// A key as it was seen at one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::redis) struct Seen {
    pub(super) kind: String,
    pub(super) expires: Expires,
    /// None: it changed while it was read.
    pub(super) digest: Option<Digest>,
}

/// When a key expires, in milliseconds since 1970: between these two, which are the same where the
/// server says it. None: never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Expires(Option<(i64, i64)>);

impl Expires {
    /// As a server tells it, from a time between these two.
    pub(super) fn told(answer: &Reply, times: (i64, i64)) -> Self {
        let at = answer.number().filter(|at| *at >= 0);
        Self(at.map(|at| (times.0 + at, times.1 + at)))
    }

    fn same(self, other: Self, exact: bool) -> bool {
        match (self.0, other.0) {
            (None, None) => true,
            (Some((from, to)), Some((other_from, other_to))) => {
                !exact || (from <= other_to && other_from <= to)
            }
            _ => false,
        }
    }

    /// Whether that is over by another server's clock.
    pub(super) fn passed(self, clock: i64) -> bool {
        self.0.is_some_and(|(from, _)| from <= clock)
    }
}

/// Whether both saw the same; of a key that neither has too.
pub(in crate::redis) fn same(one: &Option<Seen>, other: &Option<Seen>) -> bool {
    difference(one, other, true).is_none()
}

/// What differs first, in a few words. Where times are not `exact`, only whether a key expires
/// counts.
pub(super) fn difference(
    one: &Option<Seen>,
    other: &Option<Seen>,
    exact: bool,
) -> Option<&'static str> {
    match (one, other) {
        (None, None) => None,
        (Some(one), Some(other)) if one.kind != other.kind => Some("its type"),
        (Some(one), Some(other)) if one.digest.is_none() || one.digest != other.digest => {
            Some("its value")
        }
        (Some(one), Some(other)) if !one.expires.same(other.expires, exact) => {
            Some("when it expires")
        }
        (Some(_), Some(_)) => None,
        _ => Some("only one side has it"),
    }
}

/// What is asked of every key before its value.
pub(super) struct About {
    pub(super) kind: String,
    expires: Expires,
    pub(super) memory: i64,
}

/// Each key as it is, in the order of `keys`; none where there is no such key.
pub(in crate::redis) async fn keys(
    side: &mut Side,
    keys: &[Vec<u8>],
) -> Result<Vec<Option<Seen>>, Fault> {
    let about = about(side, keys).await?;
    let small = |about: &Option<About>| {
        about.as_ref().is_some_and(|about| about.memory < SMALL && whole(&about.kind).is_some())
    };
    let commands: Vec<Vec<&[u8]>> = keys
        .iter()
        .zip(&about)
        .filter(|(_, about)| small(about))
        .filter_map(|(key, about)| {
            let (name, arguments) = whole(&about.as_ref()?.kind)?;
            Some([&[name, key.as_slice()], arguments].concat())
        })
        .collect();
    let mut answers = side.ask(&commands).await?.into_iter();
    let mut seen = Vec::with_capacity(keys.len());
    for (key, about) in keys.iter().zip(about) {
        let is_small = small(&about);
        let Some(about) = about else {
            seen.push(None);
            continue;
        };
        let digest = match (is_small, about.kind.as_str()) {
            (true, kind) => {
                let answer = answers.next().unwrap_or(Reply::Nil);
                small_digest(side, key, kind, &answer).await?
            }
            (false, "stream") => stream::digest(side, key).await?,
            (false, kind) => large::digest(side, key, kind).await?,
        };
        seen.push(Some(Seen { kind: about.kind, expires: about.expires, digest }));
    }
    Ok(seen)
}

pub(super) async fn about(side: &mut Side, keys: &[Vec<u8>]) -> Result<Vec<Option<About>>, Fault> {
    let expires = side.tells_expiry();
    let mut commands: Vec<Vec<&[u8]>> = vec![vec![b"TIME"]];
    for key in keys {
        commands.push(vec![b"TYPE", key]);
        commands.push(vec![expires, key]);
        commands.push(vec![b"MEMORY", b"USAGE", key]);
    }
    commands.push(vec![b"TIME"]);
    let answers = side.ask(&commands).await?;
    let [first, of_keys @ .., last] = answers.as_slice() else { return Ok(Vec::new()) };
    side.clock = milliseconds(last);
    // A server without PEXPIRETIME tells what is left, at some time between these two.
    let times = if side.since_7 { (0, 0) } else { (milliseconds(first), milliseconds(last)) };
    let about = |answers: &[Reply]| {
        let kind = answers[0].text().filter(|kind| *kind != "none")?.to_owned();
        let expires = Expires::told(&answers[1], times);
        // Where it is not known the key is read in portions.
        let memory = answers[2].number().unwrap_or(i64::MAX);
        Some(About { kind, expires, memory })
    };
    Ok(of_keys.chunks_exact(3).map(about).collect())
}

pub(super) fn milliseconds(time: &Reply) -> i64 {
    let part = |at: usize| time.items().get(at).and_then(Reply::number).unwrap_or(0);
    part(0) * 1000 + part(1) / 1000
}

/// The command that reads a small value in one piece, and what follows the key.
pub(super) fn whole(kind: &str) -> Option<(&'static [u8], &'static [&'static [u8]])> {
    Some(match kind {
        "string" => (b"GET", &[]),
        "list" => (b"LRANGE", &[b"0", b"-1"]),
        "set" => (b"SMEMBERS", &[]),
        "zset" => (b"ZRANGE", &[b"0", b"-1", b"WITHSCORES"]),
        "hash" => (b"HGETALL", &[]),
        _ => return None,
    })
}

async fn small_digest(
    side: &mut Side,
    key: &[u8],
    kind: &str,
    answer: &Reply,
) -> Result<Option<Digest>, Fault> {
    let mut digest = Digest::default();
    let added = match (kind, answer) {
        ("string", Reply::Bulk(text)) => large::add_text(&mut digest, 0, text),
        (_, Reply::Array(items)) => add(&mut digest, kind, 0, items),
        // It has become another key, or none.
        _ => None,
    };
    if kind == "hash" && side.expiring_fields {
        add_expiring(side, key, answer.items(), &mut digest).await?;
    }
    Ok(added.map(|()| digest))
}

/// Adds items of a value as its reading commands tell them. None when they are not such.
pub(super) fn add(digest: &mut Digest, kind: &str, from: u64, items: &[Reply]) -> Option<()> {
    match kind {
        "list" => {
            for (place, item) in (from..).zip(items) {
                digest.add_at(place, bytes(item)?);
            }
        }
        "set" => {
            for item in items {
                digest.add([bytes(item)?]);
            }
        }
        "hash" => {
            for pair in items.chunks(2) {
                digest.add([bytes(&pair[0])?, bytes(pair.get(1)?)?]);
            }
        }
        // Each version writes the same number in its own way.
        "zset" => {
            for pair in items.chunks(2) {
                let score: f64 = pair.get(1)?.text()?.parse().ok()?;
                digest.add([bytes(&pair[0])?, &score.to_bits().to_le_bytes()[..]]);
            }
        }
        _ => return None,
    }
    Some(())
}

/// When fields of a hash expire, of those that do.
pub(super) async fn add_expiring(
    side: &mut Side,
    key: &[u8],
    pairs: &[Reply],
    digest: &mut Digest,
) -> Result<(), Fault> {
    let fields: Vec<&[u8]> = pairs.iter().step_by(2).filter_map(bytes).collect();
    for fields in fields.chunks(500) {
        let count = fields.len().to_string();
        let head: [&[u8]; 4] = [b"HPEXPIRETIME", key, b"FIELDS", count.as_bytes()];
        let answers = side.ask(&[[&head[..], fields].concat()]).await?;
        add_times(digest, fields, answers.first().map(Reply::items).unwrap_or_default());
    }
    Ok(())
}

pub(super) fn add_times(digest: &mut Digest, fields: &[&[u8]], times: &[Reply]) {
    for (field, at) in fields.iter().zip(times) {
        if let Some(at) = at.number().filter(|at| *at >= 0) {
            digest.add([*field, &at.to_le_bytes()[..], b"expires"]);
        }
    }
}
