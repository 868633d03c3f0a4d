//! Keys that seem to differ, looked at again until it is certain.

use super::read::{self, Seen};
use super::side::Side;
use super::{Follows, Held, Kind, at_once};
use crate::redis::fault::Fault;
use crate::redis::reply::Reply;

/// How often one key is looked at that changes every time.
const TRIES: u32 = 2;
/// And how often then while the link stands still: it can become one of another type meanwhile.
const EXACT_TRIES: u32 = 3;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Equal,
    /// What differs, in a few words.
    Different(Kind, String),
    /// It changed each time while it was looked at.
    Unsettled,
}

/// Looks at the keys together; where one of them changed meanwhile, at each half of them.
pub(super) async fn settle(
    source: &mut Side,
    target: &mut Side,
    link: &impl Follows,
    keys: Vec<Vec<u8>>,
) -> Result<Vec<(Vec<u8>, Verdict)>, Fault> {
    let mut settled = Vec::with_capacity(keys.len());
    let mut left = vec![(keys, 0)];
    while let Some((mut keys, tries)) = left.pop() {
        if keys.is_empty() {
            continue;
        }
        if let Some(verdicts) = look(source, target, link, &keys).await? {
            settled.extend(keys.into_iter().zip(verdicts));
        } else if keys.len() > 1 {
            let half = keys.split_off(keys.len() / 2);
            left.extend([(keys, 0), (half, 0)]);
        } else if tries < TRIES {
            left.push((keys, tries + 1));
        } else if let Some(key) = keys.pop() {
            let verdict = exactly(source, target, link, &key).await?;
            settled.push((key, verdict.unwrap_or(Verdict::Unsettled)));
        }
    }
    Ok(settled)
}

/// The source's keys stay what they were from before they are read until after the target's are, or
/// there is no verdict: `WATCH` tells of every change between, also of one back to what was. And the
/// target has all by then that made them what they are.
async fn look(
    source: &mut Side,
    target: &mut Side,
    link: &impl Follows,
    keys: &[Vec<u8>],
) -> Result<Option<Vec<Verdict>>, Fault> {
    let watch: Vec<&[u8]> =
        [&b"WATCH"[..]].into_iter().chain(keys.iter().map(Vec::as_slice)).collect();
    source.call(&watch).await?;
    let here = read::keys(source, keys).await?;
    let at = source.position().await?;
    link.reach(at).await.map_err(|why| target.interrupted(why))?;
    let there = read::keys(target, keys).await?;
    let answers = source.ask(&[vec!["MULTI"], vec!["PING"], vec!["EXEC"]]).await?;
    let unchanged = matches!(answers.last(), Some(Reply::Array(_)));
    // A cursor can tell an element twice while the server moves it: it is read again.
    let whole = |seen: &Option<Seen>| seen.as_ref().is_none_or(|seen| seen.digest.is_some());
    let certain = unchanged && here.iter().chain(&there).all(whole);
    let judge = Judge::of(source, target);
    let verdicts = here.iter().zip(&there).map(|(here, there)| judge.verdict(here, there));
    Ok(certain.then(|| verdicts.collect()))
}

/// The source's key as it is at a position that is told with it, the target's while the link stands
/// still exactly there. None for a key that is too large to be read at once, or of several parts.
async fn exactly(
    source: &mut Side,
    target: &mut Side,
    link: &impl Follows,
    key: &[u8],
) -> Result<Option<Verdict>, Fault> {
    for _ in 0..EXACT_TRIES {
        let Some(kind) = at_once::kind(source, key).await? else { return Ok(None) };
        let held = link.hold().await;
        let mut held = held.map_err(|why| target.interrupted(why))?;
        let Some((here, at)) = at_once::read(source, key, &kind).await? else { continue };
        held.advance_to(at).await.map_err(|why| target.interrupted(why))?;
        let there = read::keys(target, &[key.to_vec()]).await?;
        if !held.still_stands() {
            let why = "the link went on, because all that was received is needed";
            return Err(target.interrupted(why.to_owned()));
        }
        let judge = Judge::of(source, target);
        return Ok(there.first().map(|there| judge.verdict(&here, there)));
    }
    Ok(None)
}

/// What has to be known of both servers beside what they have.
struct Judge {
    exact_times: bool,
    source_clock: i64,
    target_clock: i64,
}

impl Judge {
    fn of(source: &Side, target: &Side) -> Self {
        let exact_times = source.sends_times();
        Self { exact_times, source_clock: source.clock, target_clock: target.clock }
    }

    /// A key that only one side has does not differ when it has expired by the other's clock: no two
    /// clocks agree, and both will remove it.
    fn verdict(&self, here: &Option<Seen>, there: &Option<Seen>) -> Verdict {
        match (here, there) {
            (Some(here), None) if here.expires.passed(self.target_clock) => return Verdict::Equal,
            (None, Some(there)) if there.expires.passed(self.source_clock) => {
                return Verdict::Equal;
            }
            _ => {}
        }
        let Some(what) = read::difference(here, there, self.exact_times) else {
            return Verdict::Equal;
        };
        let kind = match (here, there) {
            (_, None) => Kind::Missing,
            (None, _) => Kind::Extra,
            _ => Kind::Different,
        };
        Verdict::Different(kind, what.to_owned())
    }
}
