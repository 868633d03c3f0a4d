//! Nouns, rules and the decision of Mainstay. Nothing in this crate does I/O, reads a clock,
//! draws a random number or waits: time and facts come in as arguments, effects go out as data.

pub mod epoch;
pub mod estate;
pub mod finding;
pub mod link;
pub mod name;
pub mod position;
pub mod receipt;
pub mod secret;
pub mod tick;

pub use epoch::Epoch;
pub use finding::{Finding, Severity};
pub use link::{Lag, LinkPhase, LinkStatus};
pub use name::{ApplicationName, SiteName, StoreName};
pub use position::Position;
pub use receipt::Receipt;
pub use secret::Secret;
pub use tick::Tick;
