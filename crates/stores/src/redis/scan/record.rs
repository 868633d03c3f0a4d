//! The link's record at the target, the same key as that of a link that streams: an epoch that a
//! stale link is refused by. Its state says that no copy was completed, so that a link that streams
//! later begins with one.

use crate::redis::compare::side::Side;
use crate::redis::link::{LinkError, LinkSpec};
use crate::redis::reply::Reply;
use mainstay_core::Epoch;

/// Answers with the epoch seen, or with how many keys are in the way.
const CLAIM: &str = "\
local seen = redis.call('HGET', KEYS[1], 'epoch') \
if seen and tonumber(seen) > tonumber(ARGV[1]) then return {'epoch', seen} end \
if not seen and ARGV[2] == '0' and redis.call('DBSIZE') > 0 then \
return {'keys', redis.call('DBSIZE')} end \
redis.call('DEL', KEYS[1]) \
redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'state', 'copying', 'at', 'scan', 'db', 0) \
return {'ours', ''}";

/// Makes this link's epoch the record's, unless it has seen a newer one.
pub(super) async fn claim(target: &mut Side, spec: &LinkSpec) -> Result<(), LinkError> {
    let epoch = spec.epoch.number().to_string();
    let replace = if spec.replace { "1" } else { "0" };
    target.select(0).await?;
    let answer = target.call(&["EVAL", CLAIM, "1", &spec.record(), &epoch, replace]).await?;
    let field = |at: usize| answer.items().get(at);
    let number = field(1).and_then(Reply::number).and_then(|it| u64::try_from(it).ok());
    let place = || target.place().to_owned();
    match (field(0).and_then(Reply::text), number) {
        (Some("ours"), _) => Ok(()),
        (Some("keys"), Some(keys)) => Err(LinkError::NotEmpty { place: place(), keys }),
        (Some("epoch"), Some(seen)) => Err(stale(place(), spec.epoch, seen)),
        _ => Err(super::odd(target.place(), "its record of the link cannot be read")),
    }
}

pub(super) fn stale(place: String, ours: Epoch, seen: u64) -> LinkError {
    LinkError::StaleEpoch { place, ours, seen: Epoch::new(seen) }
}
