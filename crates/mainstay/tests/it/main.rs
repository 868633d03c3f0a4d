//! The binary as a person uses it: what it prints, and how it ends.

mod agents;
mod alarms;
mod alerts;
mod asking;
mod check;
mod check_probes;
mod etcd_lost;
mod fake;
mod fencing;
mod golden;
mod guide;
mod lab;
mod ledger;
mod live;
mod moving;
mod names;
mod notifiers;
mod pausing;
mod people;
mod reference;
mod repairing;
mod running;
mod sample;
mod stopped;
mod up;
mod watching;
