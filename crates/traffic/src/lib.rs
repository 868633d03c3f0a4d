//! What moves and watches the application's traffic: the gate of a site, the line between an
//! agent and its gate, and probes.

pub mod control;
pub mod dns;
pub mod gate;
pub mod line;
pub mod probe;
pub mod tick;
