//! The decision under simulation: one property a file.

mod conditions;
mod fencing;
mod late_claim;
mod model;
mod ones_word;
mod pausing;
mod planned_move;
mod random;
mod simulation;
mod two_sites_never_serve_at_once;
mod way_back;
mod world;
