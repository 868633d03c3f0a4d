//! Who may ask an agent for what, and what takes two: the real binary, real sockets, certificates as
//! an admin would issue them.

mod approving;
pub mod certificates;
mod knowing;
mod office;
mod reloading;
mod roles;
mod showing;
