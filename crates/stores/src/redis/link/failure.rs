//! What can go wrong with a link, and the one place that decides whether it tries again.

use crate::redis::fault::Fault;
use crate::redis::reply;
use mainstay_core::Epoch;

/// `place` is the endpoint as people write it: `host:port`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    #[error(transparent)]
    Server(#[from] Fault),

    #[error("{place}: the connection was lost: {why}")]
    Lost { place: String, why: String },

    #[error("{place} has said nothing for {seconds} s")]
    Silent { place: String, seconds: u64 },

    #[error("{place}: another session of this link moved its position")]
    Overtaken { place: String },

    #[error("{place} cannot be applied to now: {why}")]
    NotNow { place: String, why: String },

    #[error(
        "{place}: this link's epoch {ours} is stale, the server has seen epoch {seen}; nothing \
         was applied; look at `mainstay status` for the active site"
    )]
    StaleEpoch { place: String, ours: Epoch, seen: Epoch },

    #[error(
        "{place} has {keys} keys and no record of this link, and the first copy would remove \
         them; nothing was touched; empty it with FLUSHALL, or name another server"
    )]
    NotEmpty { place: String, keys: u64 },

    #[error(
        "{place} refused a command of the source: {why}; nothing is skipped; remove what is in \
         the way, then delete the key \"{record}\" and all others there, so that the link copies \
         anew"
    )]
    Refused { place: String, why: String, record: String },

    #[error("{place}: {what}; nothing was skipped; update Mainstay, or report this")]
    NotUnderstood { place: String, what: String },

    #[error(
        "{place} writes values of version {source_version}, which {target} cannot read (it reads \
         up to {target_version}): {what}; update the target to the source's version"
    )]
    TooNew { place: String, target: String, source_version: u16, target_version: u16, what: String },

    #[error(
        "{place} came back with no data, while the target has {keys} keys; nothing was removed \
         there; fail over to the target, or, if the source is right, empty the target with \
         FLUSHALL"
    )]
    SourceEmpty { place: String, keys: u64 },

    #[error(
        "{place} does not let Mainstay replicate: {why}; give its user the commands PSYNC and \
         REPLCONF, or use a server that allows replication"
    )]
    ReplicationBlocked { place: String, why: String },

    #[error(
        "{place}: the source ran {command}, which has keys that are excluded and keys that are \
         not ({keys}); nothing was skipped; change `exclude` of the store, then start the link \
         again"
    )]
    Mixed { place: String, command: String, keys: String },
}

/// What a link does about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It heals by itself: connect again, after a while.
    Retry,
    /// A person is needed; the code has a page in `docs/errors`.
    Stop(&'static str),
}

impl LinkError {
    /// Everything that can stop a link, in one place. What is not known to heal by itself stops
    /// the link: a link that stands still is seen, one that skips is not.
    pub fn verdict(&self) -> Verdict {
        use Verdict::{Retry, Stop};
        match self {
            LinkError::Server(fault) if fault.heals() => Retry,
            LinkError::Server(fault) => Stop(fault.code()),
            LinkError::Lost { .. }
            | LinkError::Silent { .. }
            | LinkError::Overtaken { .. }
            | LinkError::NotNow { .. } => Retry,
            LinkError::StaleEpoch { .. } => Stop("MS-RD-110"),
            LinkError::NotEmpty { .. } => Stop("MS-RD-206"),
            LinkError::Refused { .. } => Stop("MS-RD-209"),
            LinkError::NotUnderstood { .. } => Stop("MS-RD-210"),
            LinkError::TooNew { .. } => Stop("MS-RD-211"),
            LinkError::SourceEmpty { .. } => Stop("MS-RD-204"),
            LinkError::ReplicationBlocked { .. } => Stop("MS-RD-212"),
            LinkError::Mixed { .. } => Stop("MS-RD-213"),
        }
    }

    /// An error that the target answered a replicated command with.
    pub(super) fn of_target(place: &str, record: &str, why: String) -> Self {
        let place = place.to_owned();
        if reply::heals(&why) {
            return LinkError::NotNow { place, why };
        }
        LinkError::Refused { place, why, record: record.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redis::connect::ConnectError;

    #[test]
    fn what_heals_by_itself_is_tried_again_and_nothing_else() {
        let target = |why: &str| LinkError::of_target("p", "r", why.to_owned()).verdict();
        for why in ["LOADING Redis is loading", "READONLY You can't", "OOM command", "MISCONF x"] {
            assert_eq!(target(why), Verdict::Retry, "{why}");
        }
        for why in
            ["WRONGTYPE Operation", "ERR unknown command 'X'", "NOPERM no", "ERR no such key"]
        {
            assert_eq!(target(why), Verdict::Stop("MS-RD-209"), "{why}");
        }
    }

    #[test]
    fn a_bad_certificate_or_password_stops_and_a_dead_server_does_not() {
        let verdict = |error: ConnectError| LinkError::from(Fault::from(error)).verdict();
        let (place, why) = (|| "p".to_owned(), || "WRONGPASS no".to_owned());
        let tls = ConnectError::Tls { place: place(), why: why() };
        assert_eq!(verdict(tls), Verdict::Stop("MS-RD-105"));
        let password = ConnectError::Refused { place: place(), why: why() };
        assert_eq!(verdict(password), Verdict::Stop("MS-RD-101"));
        let dead = ConnectError::Unreachable { place: place(), why: why() };
        assert_eq!(verdict(dead), Verdict::Retry);
    }
}
