//! What can go wrong when Mainstay asks a Redis server for something.

use super::connect::ConnectError;
use super::reply;
use mainstay_core::Epoch;

/// `place` is the endpoint as people write it: `host:port`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error(transparent)]
    Connect(#[from] ConnectError),

    #[error("{place}: the connection was lost while Mainstay was to {doing}: {why}; try again")]
    Lost { place: String, doing: &'static str, why: String },

    #[error("{place}: could not {doing}: {why}; mend what the server complains of, then try again")]
    Refused { place: String, doing: &'static str, why: String },

    #[error(
        "{place}: epoch {asked} is stale, the server has seen epoch {seen}; nothing was changed; \
         look at `mainstay status` for the active site"
    )]
    StaleEpoch { place: String, asked: Epoch, seen: Epoch },

    #[error(
        "{place} is not opened in epoch {epoch}: the right to do so ran out meanwhile, or somebody \
         fenced it; it is looked at again"
    )]
    OpenedTooLate { place: String, epoch: Epoch },

    #[error(
        "{place}: ACL user \"{user}\" cannot be fenced: Mainstay itself logs in as it; name \
         another user in `users` of the store"
    )]
    UserUnfit { place: String, user: String },

    #[error(
        "{place}: ACL user \"{user}\" does not exist; create it there as it is at the other sites"
    )]
    UserMissing { place: String, user: String },

    #[error(
        "{place}: not fenced: connections of the application's users did not end within {seconds} \
         s ({left}); see what keeps the server busy, then fence again"
    )]
    ConnectionsRemain { place: String, seconds: u64, left: String },

    #[error(
        "{place}: the comparison cannot go on: {why}; its answer is unknown; mend that, then run it again"
    )]
    ComparisonInterrupted { place: String, why: String },
}

impl Fault {
    /// The documented code of this error: a page in `docs/errors`.
    pub fn code(&self) -> &'static str {
        match self {
            Fault::Connect(error) => error.code(),
            Fault::Lost { .. } => "MS-RD-103",
            Fault::Refused { .. } => "MS-RD-102",
            Fault::StaleEpoch { .. } => "MS-RD-110",
            Fault::UserUnfit { .. } => "MS-RD-111",
            Fault::UserMissing { .. } => "MS-RD-112",
            Fault::ConnectionsRemain { .. } => "MS-RD-113",
            Fault::OpenedTooLate { .. } => "MS-RD-115",
            Fault::ComparisonInterrupted { .. } => "MS-RD-150",
        }
    }

    /// It answered, and a fence is out of the question as things are.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Fault::StaleEpoch { .. } | Fault::UserUnfit { .. })
    }

    /// It may go well when it is tried again.
    pub fn heals(&self) -> bool {
        match self {
            Fault::Connect(error) => error.heals(),
            Fault::Lost { .. } => true,
            Fault::Refused { why, .. } => reply::heals(why),
            Fault::OpenedTooLate { .. }
            | Fault::ConnectionsRemain { .. }
            | Fault::ComparisonInterrupted { .. } => true,
            Fault::StaleEpoch { .. } | Fault::UserUnfit { .. } | Fault::UserMissing { .. } => false,
        }
    }
}
