//! The shipped decision, explored exhaustively: every order of everything that can happen to two
//! sites and a witness within a budget of faults.

mod budget;
mod explore;
mod families;
mod fencing;
mod invariants;
mod liveness;
mod moves;
mod page;
mod planned;
mod round;
mod step;
mod view;
mod world;
