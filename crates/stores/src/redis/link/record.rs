//! The link's record at the target: one hash, in database 0, with epoch, state, position and the
//! database that the source's stream is in. Each change of it is one script, so that it is whole.
//!
//! Redis carries out a transaction to its end also when one of its commands fails. So the first
//! thing in a transaction is to note how many errors the server has given, and the last one to
//! compare: the position is moved only over commands that all succeeded, also when nobody is there
//! any more to read the answers. The state `applying` never outlives a transaction that went well.

use super::failure::LinkError;
use super::spec::LinkSpec;
use crate::redis::fault::Fault;
use crate::redis::fence::{self, Outcome};
use crate::redis::readers;
use crate::redis::reply::{self, Reply};
use crate::redis::session::Session;
use mainstay_core::Epoch;
use mainstay_core::position::ReplicationOffset;

/// Sent with their text every time: a server that lost its cache of scripts (a restart, `SCRIPT
/// FLUSH`) would fail one in the middle of a transaction.
///
/// Before a transaction, with the record watched. In another state than expected the record is
/// touched, so that the transaction that follows is not carried out. EXPIRE is allowed also when
/// the server's memory is full.
pub(super) const EXPECT: &str = "\
local r = redis.call('HMGET', KEYS[1], 'epoch', 'at', 'state') \
if r[1] == ARGV[1] and r[2] == ARGV[2] and r[3] ~= 'applying' then return redis.status_reply('OK') end \
if r[1] then redis.call('EXPIRE', KEYS[1], 1000000) redis.call('PERSIST', KEYS[1]) \
else redis.call('HSET', KEYS[1], 'state', 'gone') end \
return redis.error_reply('MAINSTAY the link has been overtaken')";

/// The first command of a transaction.
pub(super) const BEGIN: &str = "\
local e = string.match(redis.call('INFO', 'stats'), 'total_error_replies:(%d+)') \
redis.call('HSET', KEYS[1], 'state', 'applying', 'errors', e) \
return redis.status_reply('OK')";

/// The last one: the position of all that the transaction has.
pub(super) const FINISH: &str = "\
local e = string.match(redis.call('INFO', 'stats'), 'total_error_replies:(%d+)') \
if redis.call('HGET', KEYS[1], 'errors') ~= e then return redis.status_reply('FAILED') end \
redis.call('HSET', KEYS[1], 'state', ARGV[1], 'at', ARGV[2], 'db', ARGV[3]) \
return redis.status_reply('OK')";

/// FLUSHALL or FLUSHDB of database 0, which leaves Mainstay's own keys.
pub(super) const FLUSH: &str = "\
local own = {} \
for _, k in ipairs(redis.call('KEYS', 'mainstay:*')) do \
own[k] = {redis.call('DUMP', k), redis.call('PTTL', k)} end \
redis.call(ARGV[1]) \
for k, v in pairs(own) do redis.call('RESTORE', k, math.max(v[2], 0), v[1]) end \
return redis.status_reply('OK')";

/// SWAPDB with database 0, in which Mainstay's own keys stay.
pub(super) const SWAP: &str = "\
redis.call('SWAPDB', 0, ARGV[1]) \
redis.call('SELECT', ARGV[1]) \
for _, k in ipairs(redis.call('KEYS', 'mainstay:*')) do redis.call('MOVE', k, 0) end \
redis.call('SELECT', 0) \
return redis.status_reply('OK')";

/// Makes this link's epoch the record's, unless it has seen a newer one.
const CLAIM: &str = "\
local r = redis.call('HMGET', KEYS[1], 'epoch', 'state', 'at', 'db') \
if not r[1] then return {'', '', '', ''} end \
if tonumber(r[1]) > tonumber(ARGV[1]) then return r end \
redis.call('HSET', KEYS[1], 'epoch', ARGV[1]) \
r[1] = ARGV[1] \
return r";

/// Empties the server for a first copy, and notes that one goes on.
const EMPTY: &str = "\
local seen = redis.call('HGET', KEYS[1], 'epoch') \
if seen and tonumber(seen) > tonumber(ARGV[1]) then return seen end \
local own = {} \
for _, k in ipairs(redis.call('KEYS', 'mainstay:*')) do \
own[k] = {redis.call('DUMP', k), redis.call('PTTL', k)} end \
redis.call('FLUSHALL') \
for k, v in pairs(own) do redis.call('RESTORE', k, math.max(v[2], 0), v[1]) end \
redis.call('DEL', KEYS[1]) \
redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'state', 'copying', 'at', ARGV[2], 'db', 0) \
return ARGV[1]";

/// What the target knows of the link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AtTarget {
    Nothing,
    /// A first copy began and did not end.
    Copying,
    Position {
        at: ReplicationOffset,
        db: u32,
    },
}

/// One script as a command.
pub(super) fn script(to: &mut Vec<u8>, text: &str, record: &str, arguments: &[&str]) {
    let mut command = vec!["EVAL", text, "1", record];
    command.extend(arguments);
    reply::encode(to, &command);
}

pub(super) async fn claim(target: &mut Session, spec: &LinkSpec) -> Result<AtTarget, LinkError> {
    let epoch = spec.epoch.number().to_string();
    let command = ["EVAL", CLAIM, "1", &spec.record(), &epoch];
    let answer = target.call("claim the link's record", &command).await?;
    let field = |at: usize| answer.items().get(at).and_then(Reply::text).unwrap_or_default();
    if field(0).is_empty() && field(1).is_empty() {
        return Ok(AtTarget::Nothing);
    }
    refuse_newer(target, spec, field(0))?;
    match field(1) {
        "streaming" => {
            let not_understood = |what: &str| LinkError::NotUnderstood {
                place: target.place().to_owned(),
                what: format!("the link's record there has {what}"),
            };
            let at = position(field(2)).ok_or_else(|| not_understood("no position"))?;
            let db = field(3).parse().map_err(|_| not_understood("no database"))?;
            Ok(AtTarget::Position { at, db })
        }
        "copying" => Ok(AtTarget::Copying),
        _ => Err(LinkError::Refused {
            place: target.place().to_owned(),
            why: "one of the last transaction failed, and its others were carried out".to_owned(),
            record: spec.record(),
        }),
    }
}

/// Removes every key that is not Mainstay's, and functions; `copy` names this copy. Readers are shut
/// out at the same instant.
pub(super) async fn empty(
    target: &mut Session,
    spec: &LinkSpec,
    copy: &str,
) -> Result<(), LinkError> {
    let epoch = spec.epoch.number().to_string();
    let doing = "empty the target for the first copy";
    let mut commands = match spec.readers.is_empty() {
        true => Vec::new(),
        false => readers::shutting(target, &spec.readers).await?,
    };
    commands.push(fence::owned(&["EVAL", EMPTY, "1", &spec.record(), &epoch, copy]));
    let answer = match fence::transaction(target, doing, &commands).await? {
        Outcome::Done(mut answers) => answers.pop(),
        Outcome::Changed => None,
        Outcome::NotTaken(why) => return Err(target.refused(doing, why).into()),
    };
    let seen = answer.as_ref().and_then(Reply::text).unwrap_or_default();
    refuse_newer(target, spec, seen)?;
    match target.call("remove the target's functions", &["FUNCTION", "FLUSH"]).await {
        // A server of before version 7.0 has none.
        Err(Fault::Refused { why, .. }) if why.contains("unknown command") => Ok(()),
        outcome => outcome.map(drop).map_err(LinkError::from),
    }
}

fn refuse_newer(target: &Session, spec: &LinkSpec, seen: &str) -> Result<(), LinkError> {
    match seen.parse().map(Epoch::new) {
        Ok(seen) if seen > spec.epoch => {
            let place = target.place().to_owned();
            Err(LinkError::StaleEpoch { place, ours: spec.epoch, seen })
        }
        _ => Ok(()),
    }
}

/// As positions are written: `history:offset`.
fn position(text: &str) -> Option<ReplicationOffset> {
    let (history, offset) = text.split_once(':')?;
    Some(ReplicationOffset { history: history.parse().ok()?, offset: offset.parse().ok()? })
}
