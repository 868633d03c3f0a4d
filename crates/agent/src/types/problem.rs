//! What can be wrong, in one place: each kind with its stable name and how urgent it is. Alerts and
//! metrics go by the name; people read the words.

use mainstay_core::AlertSeverity;
use serde::{Deserialize, Serialize};

/// One thing that is wrong. Kind and subject stay the same while the words change, and are the
/// same at every site that sees it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Problem {
    pub kind: ProblemKind,
    pub severity: AlertSeverity,
    /// What it is about: a site, a link, an execution; never a figure that changes.
    pub subject: String,
    pub what: String,
    pub advice: String,
}

impl Problem {
    pub fn new(
        kind: ProblemKind,
        subject: impl ToString,
        what: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        let (subject, what, advice) = (subject.to_string(), what.into(), advice.into());
        Self { kind, severity: kind.severity(), subject, what, advice }
    }
}

macro_rules! kinds {
    ($($(#[doc = $about:literal])+ $kind:ident = $name:literal, $severity:ident;)+) => {
        /// What can be wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        pub enum ProblemKind {
            $($(#[doc = $about])+ #[serde(rename = $name)] $kind,)+
        }

        impl ProblemKind {
            pub const ALL: &[Self] = &[$(Self::$kind,)+];

            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)+
                }
            }

            pub fn severity(self) -> AlertSeverity {
                match self {
                    $(Self::$kind => AlertSeverity::$severity,)+
                }
            }

            /// What it means, for the guide.
            pub fn about(self) -> &'static str {
                match self {
                    $(Self::$kind => concat!($($about,)+).trim_ascii(),)+
                }
            }
        }
    };
}

kinds! {
    /// The coordinator answers what nobody can go by.
    CoordinatorUnusable = "coordinator-unusable", Critical;
    /// The coordinator does not answer: nothing can move.
    CoordinatorSilent = "coordinator-silent", Critical;
    /// The active site is gone, and a person is asked for the word.
    Asking = "asking", Critical;
    /// The active site does not renew its lease, and no failover follows by itself.
    Suspect = "suspect", Critical;
    /// The active site is lost while the other one is on its way back.
    LostWhileReturning = "lost-while-returning", Critical;
    /// The active site is gone, and a failover follows.
    FailoverFollows = "failover-follows", Critical;
    /// The active site's lease ran out: it accepts no writes.
    Fenced = "fenced", Critical;
    /// The coordinator forgot an epoch: nothing is done.
    Regressed = "regressed", Critical;
    /// Something stands in the way of preparing a database.
    NotPrepared = "not-prepared", Critical;
    /// A site's own store does not answer its agent.
    StoreTrouble = "store-trouble", Critical;
    /// A site's databases could not be opened, fenced or prepared.
    DatabaseTrouble = "database-trouble", Warning;
    /// The ledger cannot be written: nothing automatic is begun.
    LedgerTrouble = "ledger-trouble", Critical;
    /// Nothing would fence the databases if the agent stopped.
    NoWatchdog = "no-watchdog", Warning;
    /// The source soon drops history that a link needs.
    HistoryScarce = "history-scarce", Critical;
    /// A link stopped for good, until a person mends it.
    LinkStopped = "link-stopped", Critical;
    /// A link is further behind than its bound, or nobody knows how far: it may have lost its source.
    LinkBehind = "link-behind", Warning;
    /// A standby differs from the active site.
    Differs = "differs", Critical;
    /// An execution is past the point of no return and cannot go on.
    ExecutionStuck = "execution-stuck", Critical;
    /// A lost site is on its way back; nothing is asked.
    Returning = "returning", Info;
    /// A way back waits for a person, or found differences.
    ReturnWaits = "return-waits", Warning;
    /// Salvaged transactions wait for a person to decide.
    SalvageWaits = "salvage-waits", Warning;
    /// A failover to a site would fail at a step, or go on without it.
    NotReady = "not-ready", Warning;
    /// A site cannot be reached from another.
    SiteUnreachable = "site-unreachable", Warning;
    /// A person asked for a failover that takes another person's word.
    ApprovalWaits = "approval-waits", Warning;
    /// A means to stop a site from outside cannot be started.
    MeansMissing = "means-missing", Warning;
    /// A name in DNS does not lead to the active site at every server.
    NameWrong = "name-wrong", Warning;
    /// Clients fail although every probe passes.
    ClientsFail = "clients-fail", Critical;
    /// A clock runs too fast or too slow: nothing fails over by itself.
    ClockOff = "clock-off", Critical;
    /// Health comes and goes: nothing fails over by itself for a while.
    Flapping = "flapping", Warning;
    /// The active site's renewals are late.
    RenewalsLate = "renewals-late", Info;
    /// The lease is not the same in every site's configuration.
    LeaseUnlike = "lease-unlike", Warning;
    /// A role in `readers` could write: it is shut out of standbys.
    ReaderUnfit = "reader-unfit", Warning;
    /// A notifier does not deliver.
    NotifierFails = "notifier-fails", Warning;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_written_as_it_is_named() {
        for kind in ProblemKind::ALL {
            assert_eq!(serde_json::json!(kind), kind.name());
        }
        assert_eq!(ProblemKind::NotifierFails.name(), mainstay_alerts::desk::FAILS);
    }
}
