//! The Redis store against real servers. The oracle is the servers' own answers on both sides, and
//! what a client was told.

mod changes;
mod check;
mod compare;
mod copy;
mod faults;
mod readers;
mod scan;
mod standing;
mod stops;
mod world;
