//! The end of a link, when its target is promoted. From then on the target has a history of its
//! own, and so has the source: what the link had applied is no place to go on from, and would bring
//! the target's own writes a second time.
//!
//! Invariant: a promoted server has no record of a link to it.

use super::fault::Fault;
use super::link::{LinkSpec, OWN_KEYS};
use super::reply;
use super::session::Session;
use mainstay_core::position::ReplicationOffset;

/// Leaves word of how far the link came, for the source's way back, and removes its record. Doing
/// it again is safe.
pub async fn leave(link: &LinkSpec, reached: ReplicationOffset) -> Result<(), Fault> {
    let doing = "end the link";
    let mut session = Session::open(&link.target, "promote").await?;
    let (word, record) = (word(link), link.record());
    let mut bytes = Vec::new();
    reply::encode(&mut bytes, &["MULTI"]);
    reply::encode(&mut bytes, &["SET", &word, &reached.to_string()]);
    reply::encode(&mut bytes, &["DEL", &record]);
    reply::encode(&mut bytes, &["EXEC"]);
    for answer in session.pipeline(doing, &bytes, 4).await? {
        if let reply::Reply::Error(why) = answer {
            return Err(session.refused(doing, why));
        }
    }
    Ok(())
}

/// Removes the link's record, so that the link copies everything again. It must not run.
pub async fn forget(link: &LinkSpec) -> Result<(), Fault> {
    let mut session = Session::open(&link.target, "copy again").await?;
    session.call("have the link copy again", &["DEL", &link.record()]).await.map(drop)
}

/// How far the link had come when its target was promoted; none where nobody knows any more.
pub async fn read(link: &LinkSpec) -> Result<Option<ReplicationOffset>, Fault> {
    let mut session = Session::open(&link.target, "return").await?;
    let kept = session.call("read how far the link came", &["GET", &word(link)]).await?;
    let parts = kept.text().and_then(|text| text.split_once(':'));
    let parsed = parts.and_then(|(history, offset)| {
        Some(ReplicationOffset { history: history.parse().ok()?, offset: offset.parse().ok()? })
    });
    Ok(parsed)
}

fn word(link: &LinkSpec) -> String {
    format!("{OWN_KEYS}reached:{}", link.name())
}
