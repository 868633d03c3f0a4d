//! The binary as a person uses it: what it prints, and how it ends.

mod check;
mod golden;
mod reference;
