//! Nouns, rules and the decision of Mainstay. Nothing in this crate does I/O, reads a clock,
//! draws a random number or waits: time and facts come in as arguments, effects go out as data.

pub mod decision;
pub mod epoch;
pub mod estate;
pub mod finding;
pub mod lease;
pub mod link;
pub mod name;
pub mod notifier;
pub mod pause;
pub mod people;
pub mod position;
pub mod posture;
pub mod receipt;
pub mod record;
pub mod runbook;
pub mod secret;
pub mod tick;
pub mod verdict;
pub mod watch;

pub use epoch::Epoch;
pub use finding::{Finding, Severity};
pub use link::{Lag, LinkPhase, LinkStatus, Retained};
pub use name::{
    ApplicationName, GroupName, NotifierName, PersonName, ProbeName, SiteName, StoreName,
};
pub use notifier::AlertSeverity;
pub use pause::Pause;
pub use position::Position;
pub use posture::Posture;
pub use receipt::{FenceResult, Means, Receipt, Tried};
pub use record::Record;
pub use secret::Secret;
pub use tick::Tick;
pub use verdict::Verdict;
