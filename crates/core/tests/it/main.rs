//! The decision under simulation: one property a file.

mod clocks;
mod conditions;
mod fencing;
mod flapping;
mod late_claim;
mod late_renewals;
mod model;
mod ones_word;
mod pausing;
mod planned_move;
mod random;
mod simulation;
mod two_sites_never_serve_at_once;
mod verdicts;
mod way_back;
mod world;
