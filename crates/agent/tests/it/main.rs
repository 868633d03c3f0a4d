//! The agent's own stores and its coordinators, tried from outside.
//!
//! `cfg(test)` tells the lints that helpers of tests are tests too.

#[cfg(test)]
mod battery;
#[cfg(test)]
mod certificates;
#[cfg(test)]
mod etcd;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod sim;
