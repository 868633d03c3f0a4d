//! One entry and its hash.

use mainstay_core::SiteName;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub number: u64,
    /// Microseconds since the Unix epoch, on the writing site's clock.
    pub micros: i64,
    pub site: SiteName,
    /// What kind of entry: `decision`, `step-intent`, `step-done`, `receipt`, `verdict`, ...
    pub kind: String,
    /// The application; empty when the entry is about the agent itself.
    pub application: String,
    /// JSON text, kept to the letter, since the hash covers it.
    pub body: String,
    /// Hash of the entry before, in hexadecimal; of the first one, 64 zeros.
    pub previous: String,
    pub hash: String,
}

pub const NO_PREVIOUS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// BLAKE3 over every field with its length before it, so that no two entries have the same bytes.
pub fn hash(entry: &Entry) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"mainstay ledger 1");
    hasher.update(&entry.number.to_le_bytes());
    hasher.update(&entry.micros.to_le_bytes());
    let texts =
        [entry.site.as_str(), &entry.kind, &entry.application, &entry.body, &entry.previous];
    for text in texts {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}
