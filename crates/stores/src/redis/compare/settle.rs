//! Keys that seem to differ, looked at again until it is certain.

use super::read::{self, Seen};
use super::side::Side;
use super::{Follows, Kind};
use crate::redis::fault::Fault;
use crate::redis::reply::Reply;

/// How often one key is looked at that changes every time.
const TRIES: u32 = 10;

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
        } else {
            settled.extend(keys.into_iter().map(|key| (key, Verdict::Unsettled)));
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
    Ok(certain.then(|| here.iter().zip(&there).map(|(here, there)| verdict(here, there)).collect()))
}

fn verdict(here: &Option<Seen>, there: &Option<Seen>) -> Verdict {
    let Some(what) = read::difference(here, there) else { return Verdict::Equal };
    let kind = match (here, there) {
        (_, None) => Kind::Missing,
        (None, _) => Kind::Extra,
        _ => Kind::Different,
    };
    Verdict::Different(kind, what.to_owned())
}
