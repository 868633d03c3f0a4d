//! What a fenced site had accepted and the standby never received: taken, kept here and at the
//! active site, decided there.

mod decide;
mod inexact;
mod look;
mod waiting;

pub use decide::{reject, replay};
pub use inexact::{repair_sides, take_rows};
pub use look::{Pieces, script, sides};
pub use waiting::keep_counted;

use crate::act::progress::Progress;
use crate::application::Application;
use crate::peer::Peer;
use crate::peer::messages::Done;
use crate::types::{Return, SalvageSummary};
use bytes::Bytes;
use mainstay_stores::postgres::fault::Fault;
use mainstay_stores::postgres::link::LinkSpec;
use serde_json::json;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::time::Duration;

/// A salvage goes to the active site in pieces of this size.
pub const PIECE: usize = 1 << 20;
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why there is no salvage.
pub enum NotTaken {
    /// The history that would tell it is gone; trying again changes nothing.
    NotWhole(String),
    Failed(String),
}

impl From<String> for NotTaken {
    fn from(why: String) -> Self {
        NotTaken::Failed(why)
    }
}

impl From<Fault> for NotTaken {
    fn from(fault: Fault) -> Self {
        let gone = match &fault {
            Fault::SlotMissing { slot, .. } => format!("its replication slot {slot} is gone"),
            Fault::SlotLost { slot, .. } => {
                format!("its replication slot {slot} was invalidated, and the history with it")
            }
            Fault::SalvageGap { confirmed, after, .. } => {
                format!("its slot begins at {confirmed}, and only {after} had arrived")
            }
            Fault::HistoryLost { end, after, .. } => {
                format!("its history ends at {end}, before {after}, which had arrived")
            }
            other => return NotTaken::Failed(other.to_string()),
        };
        NotTaken::NotWhole(gone)
    }
}

/// Takes the salvage of one store and keeps it at both sites. What is kept is never taken again:
/// the old slot may be gone by now. A crash before that has it taken anew; the slot is not moved.
pub async fn take(
    application: &Application,
    returning: &Return,
    former: &LinkSpec,
    reverse: &LinkSpec,
) -> Result<SalvageSummary, NotTaken> {
    let id = id(application, returning);
    let memory = &application.context.memory;
    let kept = memory.one_salvage(&application.spec.name, &id).await;
    if let Some(kept) = kept.map_err(|why| why.to_string())?
        && path(application, &id).exists()
    {
        return Ok(kept);
    }
    let stores = &application.context.stores;
    let received = stores.applied(&reverse.source, &former.name()).await;
    let received = received.map_err(|why| why.to_string())?;
    let received = received.ok_or_else(|| {
        NotTaken::NotWhole(format!("{} does not know how far it had applied", reverse.from))
    })?;
    let path = path(application, &id);
    let draft = path.with_extension("draft");
    let file = create(&draft).map_err(|why| why.to_string())?;
    let mut writer = BufWriter::new(file);
    let progress = Progress::of(application, &returning.store);
    let mut counted = progress.counts(&mut writer);
    let (slot, after) = (former.slot(), received.position);
    let summary = stores.take_salvage(&former.source, &slot, after, &mut counted).await?;
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
        inexact: None,
        replay: None,
        states: None,
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
    application.learn(|known| known.salvage_changes += 1);
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
