//! What one run of a scene came to.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    pub scene: String,
    pub seed: u64,
    /// What did not hold; empty when all did.
    pub missed: Vec<String>,
    /// By name; the last part of a name is its unit.
    pub figures: BTreeMap<String, f64>,
    pub took_s: f64,
    /// The machine's load average over a minute, at the end.
    pub load: f64,
}

impl Outcome {
    pub fn terminal(&self) -> String {
        let mut text = format!("scene {} with seed {}\n", self.scene, self.seed);
        for (name, value) in &self.figures {
            text.push_str(&format!("  {:<28} {value}\n", name.replace('_', " ")));
        }
        for missed in &self.missed {
            text.push_str(&format!("  MISSED: {missed}\n"));
        }
        if self.missed.is_empty() {
            text.push_str("  everything held");
        }
        text
    }
}
