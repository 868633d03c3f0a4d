//! Why a look did not pass.

use mainstay_core::watch::Outcome;

/// More of what a server or a program said tells nobody anything.
const LONGEST: usize = 200;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FailureKind {
    /// Nothing listens there.
    Refused,
    /// No answer in time.
    Timeout,
    /// The name does not resolve, the network has no way there, or the connection broke.
    Unreachable(String),
    /// An answer with another status than the ones that pass.
    Status(u16),
    /// The answer does not hold what it must.
    Body(String),
    /// What came back is not of the protocol.
    Protocol(String),
    /// The server, or the program, says that something is wrong.
    Says(String),
    /// It was not tried: nothing is known by it.
    NotMade(String),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{address}: {}", self.kind.words())]
pub struct ProbeFailure {
    pub address: String,
    pub kind: FailureKind,
}

impl FailureKind {
    /// What somebody else said, as one short line of printable text.
    pub(super) fn says(what: &str) -> Self {
        let printable = what.trim().chars().map(|c| if c.is_control() { ' ' } else { c });
        FailureKind::Says(printable.take(LONGEST).collect())
    }

    /// None when nothing is known by it.
    pub fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Refused | Self::Timeout | Self::Unreachable(_) => Some(Outcome::Silent),
            Self::Status(_) | Self::Body(_) | Self::Protocol(_) | Self::Says(_) => {
                Some(Outcome::Failed)
            }
            Self::NotMade(_) => None,
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Refused => "connection refused".to_owned(),
            Self::Timeout => "no answer in time".to_owned(),
            Self::Unreachable(reason) => format!("cannot be reached: {reason}"),
            Self::Status(status) => format!("answered with status {status}"),
            Self::Body(wanted) => format!("answered, but not with what it must: {wanted}"),
            Self::Protocol(reason) => format!("answered, but not as it must: {reason}"),
            Self::Says(what) => format!("says: {what}"),
            Self::NotMade(reason) => format!("not tried: {reason}"),
        }
    }
}
