//! Telling people: what is told, what waits for whom, and the ways to them. No agent, no store and
//! no gate: whoever uses this says what is wrong, keeps what must not be forgotten, and does the
//! sending.

pub mod alert;
pub mod desk;
pub mod notifier;

pub use alert::{Alert, Message, Status};
pub use desk::Desk;
pub use notifier::{AlertsError, SendError, Sender};
