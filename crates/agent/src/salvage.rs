//! What a fenced site had accepted and the standby never received: taken, kept here and at the
//! active site, replayed there.

use crate::act::progress::Progress;
use crate::api::types::{ReplaySummary, Return, SalvageSummary};
use crate::application::Application;
use crate::error::Refused;
use crate::peer::Peer;
use crate::peer::messages::Done;
use bytes::Bytes;
use mainstay_core::estate::{SalvageRule, StoreKind};
use mainstay_stores::postgres::link::LinkSpec;
use mainstay_stores::postgres::{applied, salvage};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::time::Duration;

/// A salvage goes to the active site in pieces of this size.
pub const PIECE: usize = 1 << 20;
const TIMEOUT: Duration = Duration::from_secs(30);

/// Takes the salvage of one store and keeps it at both sites. What is kept is never taken again:
/// the old slot may be gone by now. A crash before that has it taken anew; the slot is not moved.
pub async fn take(
    application: &Application,
    returning: &Return,
    former: &LinkSpec,
    reverse: &LinkSpec,
) -> Result<SalvageSummary, String> {
    let id = id(application, returning);
    let memory = &application.context.memory;
    let kept = memory.one_salvage(&application.spec.name, &id).await;
    if let Some(kept) = kept.map_err(|why| why.to_string())?
        && path(application, &id).exists()
    {
        return Ok(kept);
    }
    let received =
        applied::read(&reverse.source, &former.name()).await.map_err(|w| w.to_string())?;
    let received = received.ok_or_else(|| {
        format!("{} does not know how far it had applied; the salvage cannot be told", reverse.from)
    })?;
    let path = path(application, &id);
    let draft = path.with_extension("draft");
    let file = create(&draft).map_err(|why| why.to_string())?;
    let mut writer = BufWriter::new(file);
    let progress = Progress::of(application, &returning.store);
    let mut counted = progress.counts(&mut writer);
    let summary = salvage::take(&former.source, &former.slot(), received.position, &mut counted)
        .await
        .map_err(|why| why.to_string())?;
    finish(writer, &draft, &path).map_err(|why| why.to_string())?;
    let kept = SalvageSummary {
        id,
        application: application.spec.name.clone(),
        store: returning.store.clone(),
        site: application.here().clone(),
        epoch: returning.epoch,
        transactions: summary.transactions,
        changes: summary.changes,
        first_commit_micros: summary.first_commit_micros,
        last_commit_micros: summary.last_commit_micros,
        replay: None,
        rpo_exact_s: Some(span(received.commit_micros, summary.last_commit_micros)),
    };
    send(application, &kept, reverse).await?;
    keep(application, &kept).await?;
    Ok(kept)
}

/// Acknowledged work that was missing: from the last commit that had arrived to the last one made.
fn span(last_applied: Option<i64>, last_made: Option<i64>) -> f64 {
    match (last_applied, last_made) {
        (Some(applied), Some(made)) => {
            Duration::from_micros(made.saturating_sub(applied).max(0).unsigned_abs()).as_secs_f64()
        }
        _ => 0.0,
    }
}

fn id(application: &Application, returning: &Return) -> String {
    let (name, store) = (&application.spec.name, &returning.store);
    format!("{name}-{store}-{}-{}", returning.epoch, application.here())
}

/// Where a salvage of this name is kept here. The name came from outside: only its plain
/// characters count.
fn path(application: &Application, id: &str) -> PathBuf {
    let plain: String =
        id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(200).collect();
    application.context.salvage_folder().join(format!("{plain}.jsonl"))
}

fn create(path: &std::path::Path) -> std::io::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    File::create(path)
}

fn finish(
    mut writer: BufWriter<File>,
    draft: &std::path::Path,
    path: &std::path::Path,
) -> std::io::Result<()> {
    writer.flush()?;
    writer.get_ref().sync_all()?;
    std::fs::rename(draft, path)?;
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

async fn keep(application: &Application, kept: &SalvageSummary) -> Result<(), String> {
    application.context.memory.keep_salvage(kept).await.map_err(|why| why.to_string())?;
    application.enter("salvage", json!(kept)).await.map_err(|why| why.to_string())
}

/// Sends the salvage to the active site, whose agent keeps it durably before it says so.
async fn send(
    application: &Application,
    kept: &SalvageSummary,
    reverse: &LinkSpec,
) -> Result<(), String> {
    let peer = application.context.peers.get(&reverse.from);
    let peer =
        peer.ok_or_else(|| format!("{} is not a site of the configuration", reverse.from))?;
    let mut file = File::open(path(application, &kept.id)).map_err(|why| why.to_string())?;
    let mut offset = 0;
    loop {
        let mut piece = vec![0; PIECE];
        let length = file.read(&mut piece).map_err(|why| why.to_string())?;
        piece.truncate(length);
        // The first piece goes even when it is empty: it begins the file anew over there.
        if length == 0 && offset > 0 {
            break;
        }
        let target = format!("/v1/peer/salvage/{}/{}?offset={offset}", kept.application, kept.id);
        put(peer, &target, Bytes::from(piece)).await?;
        offset += length;
        if length == 0 {
            break;
        }
    }
    let done: Result<Done, _> = peer.post("/v1/peer/salvage", kept, TIMEOUT).await;
    done.map(drop).map_err(|why| why.to_string())
}

async fn put(peer: &Peer, target: &str, piece: Bytes) -> Result<(), String> {
    let done: Result<Done, _> = peer.put_bytes(target, piece, TIMEOUT).await;
    done.map(drop).map_err(|why| why.to_string())
}

/// Takes in one piece from the returning site.
pub fn take_piece(
    application: &Application,
    id: &str,
    offset: u64,
    piece: &[u8],
) -> std::io::Result<()> {
    let draft = path(application, id).with_extension("draft");
    let mut file =
        if offset == 0 { create(&draft)? } else { File::options().write(true).open(&draft)? };
    file.seek(SeekFrom::Start(offset))?;
    file.write_all(piece)
}

/// All pieces are here: keeps the salvage.
pub async fn take_whole(application: &Application, kept: &SalvageSummary) -> Result<(), String> {
    let path = path(application, &kept.id);
    let draft = path.with_extension("draft");
    let file = File::options().append(true).create(true).open(&draft);
    let file = file.map_err(|why| why.to_string())?;
    finish(BufWriter::new(file), &draft, &path).map_err(|why| why.to_string())?;
    keep(application, kept).await
}

pub fn open(application: &Application, id: &str) -> Result<BufReader<File>, String> {
    let path = path(application, id);
    let file = File::open(&path);
    file.map(BufReader::new).map_err(|why| format!("cannot read {}: {why}", path.display()))
}

/// Replays at this, the active site, what the rules say is safe.
pub async fn replay(application: &Application, id: &str) -> Result<ReplaySummary, Refused> {
    let failed = |why: String| {
        Refused::new("MS-AGENT-020", why, "see `mainstay salvage list` and `mainstay status`")
    };
    let kept = application.context.memory.salvage(&application.spec.name).await;
    let kept = kept.map_err(|why| failed(why.to_string()))?;
    let mut kept = kept
        .into_iter()
        .find(|kept| kept.id == id)
        .ok_or_else(|| failed(format!("there is no salvage {id:?} at this site")))?;
    let (endpoint, rules) = target(application, &kept).map_err(failed)?;
    application
        .enter("replay-begun", json!({"salvage": id}))
        .await
        .map_err(|w| failed(w.to_string()))?;
    let lines = open(application, id).map_err(failed)?;
    let done = salvage::replay(endpoint, lines, rules).await;
    let done = done.map_err(|why| failed(why.to_string()))?;
    let replay = ReplaySummary {
        transactions: done.transactions,
        rows_inserted: done.rows_inserted,
        already_there: done.already_there,
        kept: done.kept,
        asked: done.asked_total,
    };
    kept.replay = Some(replay.clone());
    keep(application, &kept).await.map_err(failed)?;
    Ok(replay)
}

type Target<'a> = (&'a mainstay_core::estate::PostgresEndpoint, &'a BTreeMap<String, SalvageRule>);

fn target<'a>(application: &'a Application, kept: &SalvageSummary) -> Result<Target<'a>, String> {
    let active = {
        let known = application.known();
        known.facts.record.as_ref().map(|seen| seen.record.active.clone())
    };
    if active.as_ref() != Some(application.here()) {
        let active = active.map_or("the active site".to_owned(), |site| site.to_string());
        return Err(format!(
            "a salvage is replayed at {active}, and this is {}",
            application.here()
        ));
    }
    let store = application.spec.stores.get(&kept.store);
    let Some(StoreKind::Postgres(postgres)) = store.map(|store| &store.kind) else {
        return Err(format!("{} is not a store of the configuration", kept.store));
    };
    let endpoint = postgres.endpoints.get(application.here());
    Ok((endpoint.ok_or("this site has no endpoint of the store")?, &postgres.salvage))
}
