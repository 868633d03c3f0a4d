//! Which pairs of sites are cut from each other.

use super::Route;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;

/// Two sites, in alphabetical order: a cut has no direction.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Pair(pub String, pub String);

impl Pair {
    pub fn new(a: &str, b: &str) -> Self {
        let (a, b) = if a <= b { (a, b) } else { (b, a) };
        Self(a.to_owned(), b.to_owned())
    }

    pub fn of(route: &Route) -> Self {
        Self::new(&route.from, &route.to)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CutState {
    pub between: Pair,
    pub cut: bool,
}

/// A switch for each pair of sites; `true` while traffic flows.
#[derive(Clone)]
pub struct Switchboard {
    switches: Arc<BTreeMap<Pair, watch::Sender<bool>>>,
}

impl Switchboard {
    pub fn new(routes: &[Route]) -> Self {
        let switches = routes.iter().map(|route| (Pair::of(route), watch::Sender::new(true)));
        Self { switches: Arc::new(switches.collect()) }
    }

    pub fn watch(&self, pair: &Pair) -> watch::Receiver<bool> {
        match self.switches.get(pair) {
            Some(switch) => switch.subscribe(),
            None => watch::Sender::new(true).subscribe(),
        }
    }

    /// False when there is no such pair.
    pub fn cut(&self, pair: &Pair) -> bool {
        self.switches.get(pair).map(|switch| switch.send_replace(false)).is_some()
    }

    pub fn heal(&self) {
        for switch in self.switches.values() {
            switch.send_replace(true);
        }
    }

    pub fn state(&self) -> Vec<CutState> {
        let state = |(pair, switch): (&Pair, &watch::Sender<bool>)| CutState {
            between: pair.clone(),
            cut: !*switch.borrow(),
        };
        self.switches.iter().map(state).collect()
    }
}
