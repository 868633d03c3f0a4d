//! The way back of a Redis store: a copy of all that this site has is kept, then the link makes it a
//! copy of the active site's. Redis keeps no history that would tell what the other never received:
//! how much that was is told, and the kept copy has it.

use super::returning::{must_be_promoted, prove, step};
use crate::act::{databases, links};
use crate::application::Application;
use crate::stores::Compared;
use crate::types::{Return, ReturnMeans, ReturnPhase};
use mainstay_core::record::Cause;
use mainstay_core::{LinkPhase, Position, SiteName};
use mainstay_stores::redis::link::LinkSpec;
use mainstay_stores::redis::{copy, probe, reached};
use std::cmp::Ordering;
use std::path::PathBuf;
use std::sync::Arc;

pub async fn advance(
    application: &Arc<Application>,
    returning: &mut Return,
    active: &SiteName,
) -> Result<(), String> {
    let here = application.here();
    let spec = |from, to| {
        links::redis_spec(application, &returning.store, from, to, returning.epoch)
            .ok_or_else(|| format!("{} has no endpoint at both sites", returning.store))
    };
    let (former, reverse) = (spec(here, active)?, spec(active, here)?);
    match returning.phase {
        ReturnPhase::Fencing => {
            databases::fence_all(application, returning.epoch).await?;
            let detail = "this site's stores accept no writes of the application".to_owned();
            step(application, returning, ReturnPhase::Salvaging, detail).await
        }
        ReturnPhase::Salvaging | ReturnPhase::PuttingRight => {
            must_be_promoted(application, returning.epoch, active)?;
            keep_copy(application, returning, &former, &reverse).await
        }
        ReturnPhase::Streaming => streaming(application, returning, &reverse).await,
        ReturnPhase::Ready => Ok(()),
    }
}

/// Nothing is overwritten here before all of it is in a file: the link replaces nothing before the
/// next phase is durable, so that after a crash the copy can be taken again.
async fn keep_copy(
    application: &Application,
    returning: &mut Return,
    former: &LinkSpec,
    reverse: &LinkSpec,
) -> Result<(), String> {
    let path = path(application, returning);
    let kept = copy::take(&former.source, &path).await.map_err(|why| why.to_string())?;
    let reached = reached::read(former).await.map_err(|why| why.to_string())?;
    let lost = reached.and_then(|at| Position::Redis(at).bytes_to(Position::Redis(kept.position)));
    let lost = match lost {
        _ if handed_over(application) => {
            "all that this site had accepted was handed over".to_owned()
        }
        // The server's own and Mainstay's looks at it make history, too.
        Some(bytes) => format!("at most {bytes} bytes of its history never arrived"),
        None => "how much of its history never arrived is not known".to_owned(),
    };
    let now = probe::end(&reverse.source).await.map_err(|why| why.to_string())?;
    returning.put_right_until = Some(Position::Redis(now));
    returning.means = Some(ReturnMeans::FullCopy);
    returning.because = format!("{lost}; what this site had is kept in {}", path.display());
    let detail = "the link copies everything".to_owned();
    step(application, returning, ReturnPhase::Streaming, detail).await
}

/// A planned move drained the link to the very end.
fn handed_over(application: &Application) -> bool {
    let known = application.known();
    known.facts.record.as_ref().is_some_and(|seen| seen.record.cause == Cause::Switchover)
}

fn path(application: &Application, returning: &Return) -> PathBuf {
    let Return { epoch, store, .. } = returning;
    let name = format!("{}-{store}-{epoch}-{}.rdb", application.spec.name, application.here());
    application.context.state.join("salvage").join(name)
}

/// The copy is complete when it has passed what the active site had when it was asked for. Then both
/// sites are compared.
async fn streaming(
    application: &Arc<Application>,
    returning: &mut Return,
    reverse: &LinkSpec,
) -> Result<(), String> {
    let status = {
        let known = application.known();
        known.links.get(&returning.store).map(|link| link.status.clone())
    };
    let status = status.ok_or("the reverse link is not running yet")?;
    // Positions of another history are of a copy that was made since.
    let until = returning.put_right_until;
    let passed = status.applied.is_some_and(|applied| {
        until.is_some_and(|until| applied.partial_cmp(&until) != Some(Ordering::Less))
    });
    if status.phase != LinkPhase::Streaming || !passed {
        return Err(format!("the reverse link is {}, lag {}", status.phase.name(), status.lag));
    }
    let compared = prove(application, returning).await?;
    if returning.differs && returning.copied_again {
        let at = compared.position();
        return Err(format!("the sides differ at {at}: see `mainstay compare`; failback waits"));
    }
    if returning.differs {
        return copy_again(application, returning, reverse, &compared).await;
    }
    // Nothing differs: a key that nobody can hold still keeps no site from being of use.
    let detail = match compared.unknown() {
        None => format!("equal to the active site at {}", compared.position()),
        Some(why) => format!("nothing differs, and whether all is equal is unknown: {why}"),
    };
    step(application, returning, ReturnPhase::Ready, detail).await
}

/// All that this site had is kept, so the copy is made anew: once, for what differs after that too
/// has a reason, such as a server that evicts keys.
async fn copy_again(
    application: &Arc<Application>,
    returning: &mut Return,
    reverse: &LinkSpec,
    compared: &Compared,
) -> Result<(), String> {
    let unlinked = links::Unlinked::new(application, &returning.store).await;
    reached::forget(reverse).await.map_err(|why| why.to_string())?;
    let now = probe::end(&reverse.source).await.map_err(|why| why.to_string())?;
    returning.put_right_until = Some(Position::Redis(now));
    (returning.differs, returning.copied_again) = (false, true);
    let (keys, at) = (compared.differences(), compared.position());
    let detail = format!("{keys} keys differed at {at}; the link copies everything again");
    let stepped = step(application, returning, ReturnPhase::Streaming, detail).await;
    drop(unlinked);
    stepped
}
