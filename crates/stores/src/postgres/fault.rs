//! What can go wrong when Mainstay asks a database for something.

use super::connect::ConnectError;
use super::replication::ReplicationError;
use mainstay_core::Epoch;
use mainstay_core::position::Lsn;
use std::path::PathBuf;

/// `place` is the endpoint as people write it: `host:port/database`.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error(transparent)]
    Connect(#[from] ConnectError),

    #[error("{0}; it is safe to try again")]
    Replication(#[from] ReplicationError),

    #[error("{place}: could not {doing}: {why}")]
    Sql { place: String, doing: &'static str, why: String, sqlstate: Option<String> },

    #[error(
        "{place}: could not {doing}: Mainstay's tables are missing there; run `mainstay check --live`, then start the agent of that site, which makes them"
    )]
    NotPrepared { place: String, doing: &'static str },

    #[error(
        "{place}: the publication \"mainstay\" does not publish all changes of all tables; drop it there with `DROP PUBLICATION mainstay`, and start the agent again, which makes it anew"
    )]
    Publication { place: String },

    #[error(
        "{place}: nothing was prepared: as soon as all tables are published, this server refuses UPDATE and DELETE of {tables}, because their replica identity has generated columns; give each of them a primary key without generated columns and type ALTER TABLE ... REPLICA IDENTITY DEFAULT, then start the agent again"
    )]
    GeneratedIdentity { place: String, tables: String },

    #[error(
        "{place}: epoch {asked} is stale, the database has seen epoch {seen}; nothing was changed; look at `mainstay status` for the active site"
    )]
    StaleEpoch { place: String, asked: Epoch, seen: Epoch },

    #[error(
        "{place} is not opened in epoch {epoch}: the right to do so ran out meanwhile, or somebody \
         fenced it; it is looked at again"
    )]
    OpenedTooLate { place: String, epoch: Epoch },

    #[error(
        "{place}: role \"{role}\" cannot be fenced: {why}; name another role in `roles` of the store"
    )]
    RoleUnfit { place: String, role: String, why: &'static str },

    #[error("{place}: role \"{role}\" does not exist; create it there as it is at the other sites")]
    RoleMissing { place: String, role: String },

    #[error(
        "{place}: not fenced: sessions of the application's roles did not end within {seconds} s (process ids {pids:?}); end these processes on that machine, then fence again"
    )]
    SessionsRemain { place: String, seconds: u64, pids: Vec<i32> },

    #[error(
        "{place}: not fenced: prepared transactions of the application's roles are left ({gids}); decide each by COMMIT PREPARED or ROLLBACK PREPARED as a superuser, then fence again"
    )]
    PreparedRemain { place: String, gids: String },

    #[error(
        "{place}: there is no replication slot \"{slot}\"; what it would have held is not known; copy the database anew from the active site"
    )]
    SlotMissing { place: String, slot: String },

    #[error(
        "{place}: replication slot \"{slot}\" was invalidated, the history it needs is gone; drop it and copy the database anew from the active site"
    )]
    SlotLost { place: String, slot: String },

    #[error(
        "{place}: replication slot \"{slot}\" is in use by process {pid}; stop the link that reads it, then try again"
    )]
    SlotBusy { place: String, slot: String, pid: i32 },

    #[error(
        "{place}: replication slot \"{slot}\" is not Mainstay's: {why}; drop it by hand if nobody needs it"
    )]
    SlotForeign { place: String, slot: String, why: String },

    #[error("{place}: sequence {sequence} does not exist; create it there as it is at the source")]
    SequenceMissing { place: String, sequence: String },

    #[error(
        "{place}: the salvage would not be whole: slot \"{slot}\" was confirmed up to {confirmed}, but only {after} was applied; keep that site as it is and compare both sides by hand"
    )]
    SalvageGap { place: String, slot: String, confirmed: Lsn, after: Lsn },

    #[error(
        "{place}: its history ends at {end}, before {after}, which the other site has: it lost what it had promised to keep; copy it anew from the active site"
    )]
    HistoryLost { place: String, end: Lsn, after: Lsn },

    #[error(
        "the salvage cannot be read at line {line}: {why}; take it again while the slot is still there"
    )]
    SalvageDamaged { line: u64, why: String },

    #[error("the salvage cannot be read from {path}: {why}; mend the folder, then try again")]
    SalvageUnreadable { path: PathBuf, why: std::io::Error },

    #[error(
        "{place}: replayed no further: the site was closed meanwhile, or another holds the epoch; look at `mainstay status`, and replay at the active site"
    )]
    NotOpen { place: String },

    #[error("the salvage has no transaction {lsn}; copy its position from `mainstay salvage show`")]
    NotInSalvage { lsn: Lsn },

    #[error(
        "the salvaged transaction {lsn} was replayed, so it cannot be rejected; undo at the active site what it did, if it should not be there"
    )]
    AlreadyReplayed { lsn: Lsn },

    #[error("the salvage cannot be written: {0}; make room or mend the folder, then take it again")]
    SalvageUnwritable(#[source] std::io::Error),

    #[error("{place}: cannot decode the history: {why}; nothing was skipped")]
    Decode { place: String, why: String },

    #[error(
        "rows cannot be put right one by one: the salvage {why}; copy {table} anew from the active site"
    )]
    NotPutRight { table: String, why: &'static str },

    #[error("{place}: rows of {table} cannot be put right: {why}")]
    PutRightRefused { place: String, table: String, why: String },

    #[error(
        "{place}: no snapshot within {seconds} s, because a transaction there has been writing for longer; end it (pg_stat_activity, oldest xact_start) or wait for it, then try again"
    )]
    NoSnapshot { place: String, seconds: u64 },

    #[error(
        "{place}: nothing was compared to the end, so equality is unknown: {why}; run the comparison again"
    )]
    ComparisonInterrupted { place: String, why: String },

    #[error(
        "what the comparison found cannot be written: {0}; make room or mend the state folder, then run it again"
    )]
    DifferencesUnwritable(#[source] std::io::Error),

    #[error(
        "{place}: the repair stopped: {why}; what is in its record so far is done; run it again"
    )]
    RepairInterrupted { place: String, why: String },

    #[error(
        "the record of a repair cannot be written: {0}; nothing is changed without it; make room or mend the state folder, then run it again"
    )]
    RepairUnwritable(#[source] std::io::Error),

    #[error(
        "no delta is possible: of {table}, {why}; make both sides' tables alike, or copy the database anew from the active site"
    )]
    NoDelta { table: String, why: String },

    #[error("a file of a repair cannot be read at line {line}: {why}; run the repair again")]
    RepairUnreadable { line: u64, why: String },
}

impl Fault {
    /// The documented code of this error: a page in `docs/errors`.
    pub fn code(&self) -> &'static str {
        match self {
            Fault::Connect(error) | Fault::Replication(ReplicationError::Connect(error)) => {
                error.code()
            }
            Fault::Replication(ReplicationError::LeftOut { .. }) => "MS-PG-104",
            Fault::Replication(_) => "MS-PG-106",
            Fault::Sql { .. } => "MS-PG-102",
            Fault::NotPrepared { .. } => "MS-PG-103",
            Fault::Publication { .. } => "MS-PG-104",
            Fault::GeneratedIdentity { .. } => "MS-PG-317",
            Fault::StaleEpoch { .. } => "MS-PG-110",
            Fault::OpenedTooLate { .. } => "MS-PG-115",
            Fault::RoleUnfit { .. } => "MS-PG-111",
            Fault::RoleMissing { .. } => "MS-PG-112",
            Fault::SessionsRemain { .. } => "MS-PG-113",
            Fault::PreparedRemain { .. } => "MS-PG-114",
            Fault::SlotMissing { .. } => "MS-PG-120",
            Fault::SlotLost { .. } => "MS-PG-121",
            Fault::SlotBusy { .. } => "MS-PG-122",
            Fault::SlotForeign { .. } => "MS-PG-123",
            Fault::SequenceMissing { .. } => "MS-PG-130",
            Fault::SalvageGap { .. } => "MS-PG-140",
            Fault::HistoryLost { .. } => "MS-PG-146",
            Fault::SalvageDamaged { .. } | Fault::SalvageUnreadable { .. } => "MS-PG-141",
            Fault::NotInSalvage { .. } => "MS-PG-147",
            Fault::AlreadyReplayed { .. } => "MS-PG-148",
            Fault::NotOpen { .. } => "MS-PG-149",
            Fault::SalvageUnwritable(_) => "MS-PG-142",
            Fault::Decode { .. } => "MS-PG-143",
            Fault::NotPutRight { .. } => "MS-PG-144",
            Fault::PutRightRefused { .. } => "MS-PG-145",
            Fault::NoSnapshot { .. } => "MS-PG-107",
            Fault::ComparisonInterrupted { .. } => "MS-PG-150",
            Fault::DifferencesUnwritable(_) => "MS-PG-151",
            Fault::RepairInterrupted { .. } => "MS-PG-152",
            Fault::RepairUnwritable(_) => "MS-PG-153",
            Fault::NoDelta { .. } => "MS-PG-155",
            Fault::RepairUnreadable { .. } => "MS-PG-154",
        }
    }
}
