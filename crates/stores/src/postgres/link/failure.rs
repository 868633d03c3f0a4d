//! What can go wrong with a link, and the one place that decides whether it tries again.

use crate::postgres::connect::ConnectError;
use crate::postgres::replication::ReplicationError;
use mainstay_core::Epoch;
use mainstay_core::position::Lsn;

/// `place` is the endpoint as people write it: `host:port/database`.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Replication(#[from] ReplicationError),

    #[error("{place}: could not {doing}: {why}")]
    Sql { place: String, doing: String, why: String, sqlstate: Option<String> },

    #[error("{place} has said nothing for {seconds} s")]
    Silent { place: String, seconds: u64 },

    #[error("{place}: another session of this link moved its position from {expected}")]
    Overtaken { place: String, expected: Lsn },

    #[error(
        "{place}: this link's epoch {ours} is stale, the database has seen epoch {seen}; nothing \
         was applied; look at `mainstay status` for the active site"
    )]
    StaleEpoch { place: String, ours: Epoch, seen: Epoch },

    #[error(
        "{place}: Mainstay's tables are missing there; run `mainstay check`, then start the \
         agent of that site, which makes them"
    )]
    NotPrepared { place: String },

    #[error(
        "{place}: the publication \"mainstay\" is missing or does not publish all changes of all \
         tables, so changes may have been left out; drop it there, start that site's agent, which \
         makes it anew, and copy the target anew"
    )]
    Publication { place: String },

    /// Before a first copy nothing can be left out, and the source's own agent mends it.
    #[error("{place} is not prepared yet; that site's agent does it when it runs")]
    SourceNotPrepared { place: String },

    #[error(
        "{place}: the replication slot \"{slot}\" is gone, and with it the changes after \
         {position}; empty the target's tables and delete its row in mainstay.link, so that the \
         link copies anew"
    )]
    SlotMissing { place: String, slot: String, position: Lsn },

    #[error(
        "{place}: the replication slot \"{slot}\" was invalidated ({why}), and the changes after \
         the target's position are gone; drop the slot, empty the target's tables and delete its \
         row in mainstay.link, so that the link copies anew"
    )]
    SlotLost { place: String, slot: String, why: String },

    #[error(
        "{place}: the target is at {position}, but had confirmed {confirmed}: it was set back, \
         and the changes in between cannot be had again; copy it anew"
    )]
    TargetRewound { place: String, position: Lsn, confirmed: Lsn },

    #[error(
        "{place}: the source's history ends at {end}, before the target's position {position}: \
         the source was set back or is another server; find out which side is right, then copy anew"
    )]
    SourceRewound { place: String, end: Lsn, position: Lsn },

    #[error(
        "{place}: the source is not what it was: {what}; target and source may each have \
         transactions that the other never had, and nothing more is applied; find out which side \
         is right, then fail over to the target or copy it anew"
    )]
    SourceParted { place: String, what: String },

    #[error(
        "{place}: the replication slot \"{slot}\" exists, but the target has no position for this \
         link; if nobody needs what the slot holds, drop it with \
         `SELECT pg_drop_replication_slot('{slot}')`, and the link copies anew"
    )]
    PositionMissing { place: String, slot: String },

    #[error(
        "{place}: the table {table} already has rows, and the first copy would mix with them; \
         nothing was touched; empty the target's tables, or name another database"
    )]
    NotEmpty { place: String, table: String },

    #[error("{place}: {what}; make both sides' tables the same, then start the link again")]
    Mismatch { place: String, what: String },

    #[error(
        "{place}: the source changed a row of {table} that the target does not have ({change} \
         found {found} rows, in the transaction that ends at {position}); somebody else wrote \
         there; make the rows alike with `mainstay repair --relink`"
    )]
    RowMissing { place: String, table: String, change: &'static str, found: u64, position: Lsn },

    #[error(
        "{place} refused a change of {table}: {why}; remove what is in the way and start the link \
         again, or have the rows that differ swapped with `mainstay repair --relink`"
    )]
    Refused { place: String, table: String, why: String },

    #[error("{place}: {what}; nothing was skipped; update Mainstay, or report this")]
    NotUnderstood { place: String, what: String },

    #[error(
        "{place}: between {position} and the position up to which rows were put right, {what}; \
         see `mainstay repair --relink`; nothing of {table} is lost"
    )]
    PutRightCrossed { place: String, table: String, position: Lsn, what: &'static str },

    #[error("{place}: a transaction too large for memory cannot be kept on disk: {why}")]
    Spool { place: String, why: String },

    #[error(
        "{place}: the database has {count} large objects, and logical replication does not carry \
         them; move them into bytea columns (`UPDATE ... SET data = lo_get(reference)`), remove \
         them with `SELECT lo_unlink(oid) FROM pg_largeobject_metadata`, then start the link again"
    )]
    LargeObjects { place: String, count: i64 },

    #[error(
        "{place} is PostgreSQL {server}, and pg_dump in {folder} is of PostgreSQL {tools}, which \
         cannot read it; install the client programs of PostgreSQL {server} or newer at the \
         receiving site, then start its agent again"
    )]
    OldTools { place: String, folder: String, tools: i32, server: i32 },

    #[error(
        "{place}: the schema change at {at} was not made: {why}; it is: {statement}; mend what is \
         in its way there and type `mainstay link continue {store}`, or make both sides the same \
         by hand and type `mainstay link continue {store} --leave-out {at}`"
    )]
    SchemaChange { place: String, store: String, at: Lsn, statement: String, why: String },

    #[error("the tables could not be made at {place}: {why}; mend that, then start the link again")]
    Schema { place: String, why: String },
}

/// What a link does about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It heals by itself: connect again, after a while.
    Retry,
    /// It does not: stop until a person has acted, with this documented code.
    Stop(&'static str),
}

impl LinkError {
    /// The same changes may be accepted when they are applied more carefully: one batch at a time,
    /// or change by change. `guarded`: locks were not waited for.
    pub(super) fn depends_on_manner(&self, guarded: bool) -> bool {
        match self {
            LinkError::RowMissing { .. }
            | LinkError::Refused { .. }
            | LinkError::NotUnderstood { .. }
            | LinkError::PutRightCrossed { .. } => true,
            _ => guarded && self.is_lock(),
        }
    }

    /// lock_not_available, deadlock_detected
    pub(super) fn is_lock(&self) -> bool {
        let LinkError::Sql { sqlstate: Some(code), .. } = self else { return false };
        matches!(code.as_str(), "55P03" | "40P01")
    }

    /// The policy for every error of a link, in one place. What is not known to heal by itself
    /// stops the link: a link that stands still is seen, one that skips is not.
    pub fn verdict(&self) -> Verdict {
        use Verdict::{Retry, Stop};
        match self {
            LinkError::Connect(error) => connect_verdict(error),
            LinkError::Replication(ReplicationError::Connect(error)) => connect_verdict(error),
            LinkError::Replication(ReplicationError::Lost { .. }) => Retry,
            LinkError::Replication(ReplicationError::LeftOut { .. }) => Stop("MS-PG-104"),
            LinkError::Publication { .. } => Stop("MS-PG-104"),
            LinkError::Replication(ReplicationError::Refused { sqlstate, .. }) => {
                match sqlstate.as_str() {
                    // object_not_in_prerequisite_state, undefined_file: the slot was invalidated,
                    // or the files that it needs are gone.
                    "55000" | "58P01" => Stop("MS-PG-121"),
                    // undefined_object: of slot and publication.
                    "42704" => Stop("MS-PG-120"),
                    other => sqlstate_verdict(other),
                }
            }
            LinkError::Replication(
                ReplicationError::Protocol { .. } | ReplicationError::Decode { .. },
            ) => Stop("MS-PG-210"),
            LinkError::Sql { sqlstate: None, .. } => Retry,
            LinkError::Sql { sqlstate: Some(code), .. } => sqlstate_verdict(code),
            LinkError::Silent { .. }
            | LinkError::Overtaken { .. }
            | LinkError::Spool { .. }
            | LinkError::SourceNotPrepared { .. } => Retry,
            LinkError::NotPrepared { .. } => Stop("MS-PG-103"),
            LinkError::StaleEpoch { .. } => Stop("MS-PG-110"),
            LinkError::SlotMissing { .. } => Stop("MS-PG-120"),
            LinkError::SlotLost { .. } => Stop("MS-PG-121"),
            LinkError::TargetRewound { .. } => Stop("MS-PG-203"),
            LinkError::SourceRewound { .. } | LinkError::SourceParted { .. } => Stop("MS-PG-204"),
            LinkError::PositionMissing { .. } => Stop("MS-PG-205"),
            LinkError::NotEmpty { .. } => Stop("MS-PG-206"),
            LinkError::Mismatch { .. } => Stop("MS-PG-207"),
            LinkError::RowMissing { .. } => Stop("MS-PG-208"),
            LinkError::Refused { .. } => Stop("MS-PG-209"),
            LinkError::NotUnderstood { .. } => Stop("MS-PG-210"),
            LinkError::PutRightCrossed { .. } => Stop("MS-PG-211"),
            LinkError::LargeObjects { .. } => Stop("MS-PG-213"),
            LinkError::OldTools { .. } => Stop("MS-PG-218"),

            LinkError::SchemaChange { .. } => Stop("MS-PG-214"),
            LinkError::Schema { why, .. } if tells_of_loss(why) => Retry,
            LinkError::Schema { .. } => Stop("MS-PG-212"),
        }
    }
}

/// PostgreSQL's tools tell by words alone that their connection was lost or not to be had.
fn tells_of_loss(complaint: &str) -> bool {
    const WORDS: [&str; 6] = [
        "server closed the connection",
        "terminating connection",
        "connection to server",
        "could not receive data from server",
        "could not send data to server",
        "no connection to the server",
    ];
    // It is gone with the connection that held it.
    if complaint.contains("could not import the requested snapshot")
        || complaint.contains("invalid snapshot identifier")
        || (complaint.contains("snapshot \"") && complaint.contains("does not exist"))
    {
        return true;
    }
    let refused = ["authentication failed", "does not exist", "no pg_hba.conf entry"];
    WORDS.iter().any(|words| complaint.contains(words))
        && !refused.iter().any(|words| complaint.contains(words))
}

fn connect_verdict(error: &ConnectError) -> Verdict {
    match error {
        ConnectError::Unreachable { .. } => Verdict::Retry,
        ConnectError::Refused { sqlstate, .. } => match sqlstate_verdict(sqlstate) {
            Verdict::Retry => Verdict::Retry,
            Verdict::Stop(_) => Verdict::Stop(error.code()),
        },
        ConnectError::Tls { .. } | ConnectError::Authority { .. } => Verdict::Stop(error.code()),
    }
}

/// Whether a statement that PostgreSQL refused with this code may succeed later.
pub(super) fn heals(code: &str) -> bool {
    sqlstate_verdict(code) == Verdict::Retry
}

/// PostgreSQL manual, "PostgreSQL Error Codes".
fn sqlstate_verdict(code: &str) -> Verdict {
    const OPERATOR_INTERVENTION: [&str; 5] = ["57014", "57P01", "57P02", "57P03", "57P05"];
    let heals = code.starts_with("08") // connection exception
        || code.starts_with("53") // insufficient resources: disk, memory, connections
        || code.starts_with("40") // serialization failure, deadlock
        || OPERATOR_INTERVENTION.contains(&code)
        || matches!(code, "55006" | "55P03") // object in use, lock not available
        || matches!(code, "25006" | "25P03" | "25P04") // read-only, session time limits
        || matches!(code, "55000" | "58030"); // not in the state for it (recovery), I/O error
    if heals { Verdict::Retry } else { Verdict::Stop("MS-PG-209") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sql(code: &str) -> LinkError {
        let (place, doing, why) = ("p".to_owned(), "d".to_owned(), "w".to_owned());
        LinkError::Sql { place, doing, why, sqlstate: Some(code.to_owned()) }
    }

    #[test]
    fn what_heals_by_itself_is_tried_again_and_nothing_else() {
        for code in ["08006", "53100", "53300", "57P01", "57P03", "40P01", "55006", "25006"] {
            assert_eq!(sql(code).verdict(), Verdict::Retry, "{code}");
        }
        for code in ["23505", "22P02", "42P01", "XX001", "XX000", "0A000", "57P04"] {
            assert!(matches!(sql(code).verdict(), Verdict::Stop(_)), "{code}");
        }
    }

    #[test]
    fn an_invalidated_slot_is_never_tried_again() {
        let refused = |sqlstate: &str| {
            LinkError::Replication(ReplicationError::Refused {
                place: "p".to_owned(),
                doing: "to stream".to_owned(),
                why: "w".to_owned(),
                sqlstate: sqlstate.to_owned(),
            })
        };
        assert_eq!(refused("55000").verdict(), Verdict::Stop("MS-PG-121"));
        assert_eq!(refused("42704").verdict(), Verdict::Stop("MS-PG-120"));
        assert_eq!(refused("55006").verdict(), Verdict::Retry);
    }

    #[test]
    fn a_tool_that_lost_its_connection_is_run_again_and_one_that_failed_is_not() {
        let schema = |why: &str| LinkError::Schema { place: "p".to_owned(), why: why.to_owned() };
        let lost = schema("pg_dump failed: server closed the connection unexpectedly");
        assert_eq!(lost.verdict(), Verdict::Retry);
        let gone =
            schema("pg_dump failed: ERROR:  snapshot \"00000086-00000003-1\" does not exist");
        assert_eq!(gone.verdict(), Verdict::Retry);
        let failed = schema("pg_restore failed: ERROR: role \"bank\" does not exist");
        assert_eq!(failed.verdict(), Verdict::Stop("MS-PG-212"));
    }

    #[test]
    fn a_bad_certificate_or_password_stops_and_a_dead_server_does_not() {
        let place = || "p".to_owned();
        let tls = ConnectError::Tls { place: place(), why: place() };
        assert_eq!(LinkError::from(tls).verdict(), Verdict::Stop("MS-PG-105"));
        let password =
            ConnectError::Refused { place: place(), why: place(), sqlstate: "28P01".into() };
        assert_eq!(LinkError::from(password).verdict(), Verdict::Stop("MS-PG-101"));
        let dead = ConnectError::Unreachable { place: place(), why: place() };
        assert_eq!(LinkError::from(dead).verdict(), Verdict::Retry);
    }
}
