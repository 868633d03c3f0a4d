//! A key of the source with the position at which it is so, for one that changes too often to be
//! watched: both are read in one transaction of the server.

use super::digest::Digest;
use super::read::{self, Expires, Seen};
use super::side::{Side, bytes};
use crate::redis::fault::Fault;
use crate::redis::reply::Reply;
use crate::redis::session;
use mainstay_core::position::ReplicationOffset;

/// A key whose memory is more is not read at once: the server does nothing else meanwhile.
const MOST: i64 = 1024 * 1024;

/// The fields of a hash, and when each expires. Lua passes no more than some thousand of them; of a
/// larger hash nothing is told.
const FIELD_TIMES: &[u8] = b"local f = redis.call('HKEYS', KEYS[1]) \
    return {f, redis.call('HPEXPIRETIME', KEYS[1], 'FIELDS', #f, unpack(f))}";

/// The type of a key that can be read at once; of one that is not there, any.
pub(super) async fn kind(side: &mut Side, key: &[u8]) -> Result<Option<String>, Fault> {
    let about = read::about(side, &[key.to_vec()]).await?.pop().flatten();
    let Some(about) = about else { return Ok(Some("string".to_owned())) };
    Ok((about.memory <= MOST && read::whole(&about.kind).is_some()).then_some(about.kind))
}

/// None when it has become one of another type.
pub(super) async fn read(
    side: &mut Side,
    key: &[u8],
    kind: &str,
) -> Result<Option<(Option<Seen>, ReplicationOffset)>, Fault> {
    let Some((name, arguments)) = read::whole(kind) else { return Ok(None) };
    let mut commands: Vec<Vec<&[u8]>> = vec![
        vec![b"MULTI"],
        vec![b"TIME"],
        vec![b"TYPE", key],
        vec![side.tells_expiry(), key],
        vec![b"TIME"],
        [&[name, key], arguments].concat(),
    ];
    if kind == "hash" && side.expiring_fields {
        commands.push(vec![b"EVAL", FIELD_TIMES, b"1", key]);
    }
    commands.extend([vec![&b"INFO"[..], b"replication"], vec![b"EXEC"]]);
    let mut answers = side.ask(&commands).await?;
    let answers = answers.pop().unwrap_or(Reply::Nil);
    let [first, found, expires, last, value, times @ .., info] = answers.items() else {
        return Ok(None);
    };
    let at = side.position_in(&session::info(info.text().unwrap_or_default()))?;
    let (first, last) = (read::milliseconds(first), read::milliseconds(last));
    side.clock = last;
    let found = found.text().unwrap_or_default();
    if found == "none" {
        return Ok(Some((None, at)));
    }
    let expires = Expires::told(expires, if side.since_7 { (0, 0) } else { (first, last) });
    let digest = digest(kind, value, times.first());
    let Some(digest) = digest.filter(|_| found == kind) else { return Ok(None) };
    Ok(Some((Some(Seen { kind: kind.to_owned(), expires, digest: Some(digest) }), at)))
}

fn digest(kind: &str, value: &Reply, times: Option<&Reply>) -> Option<Digest> {
    let mut digest = Digest::default();
    match (kind, value) {
        ("string", Reply::Bulk(text)) => super::large::add_text(&mut digest, 0, text),
        (_, Reply::Array(items)) => read::add(&mut digest, kind, 0, items),
        _ => None,
    }?;
    if let Some(times) = times {
        let [fields, times] = times.items() else { return None };
        let fields: Vec<&[u8]> = fields.items().iter().filter_map(bytes).collect();
        read::add_times(&mut digest, &fields, times.items());
    }
    Some(digest)
}
