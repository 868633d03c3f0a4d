//! The configuration: read as typed, checked by rules, resolved to what one site sees. All that is
//! wrong with a file is told at once.

pub mod duration;
mod load;
mod mask;
mod nearest;
mod notifiers;
mod people;
mod probe_values;
pub mod problem;
mod reader;
pub mod reference;
mod render;
mod resolve;
mod resolve_probes;
mod rules;
mod secrets;
mod typed;
mod values;

pub use load::{Checked, Look, Options, check};
pub use render::{finding, render};
