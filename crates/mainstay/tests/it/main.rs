//! The binary as a person uses it: what it prints, and how it ends.

mod agents;
mod alarms;
mod asking;
mod check;
mod etcd_lost;
mod fake;
mod golden;
mod guide;
mod lab;
mod ledger;
mod live;
mod moving;
mod pausing;
mod reference;
mod repairing;
mod running;
mod sample;
mod scenes;
mod stopped;
mod up;
