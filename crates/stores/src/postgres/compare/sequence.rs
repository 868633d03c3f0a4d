//! Sequences at both sides. They have no place in a snapshot, so they are told apart.

use crate::postgres::fault::Fault;
use crate::postgres::sequences;
use crate::postgres::session::Session;
use serde::{Deserialize, Serialize};

/// A sequence whose target would issue again what its source has issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceDifference {
    /// `schema.sequence`.
    pub sequence: String,
    /// The last value issued at the source.
    pub source: i64,
    /// The last value issued at the target; none when the sequence is missing there.
    pub target: Option<i64>,
}

pub(super) async fn differences(
    source: &Session,
    target: &Session,
) -> Result<Vec<SequenceDifference>, Fault> {
    let mut found = Vec::new();
    for (schema, name) in sequences::names(source).await? {
        let Some(here) = sequences::stand(source, &schema, &name).await? else { continue };
        let there = sequences::stand(target, &schema, &name).await?;
        if there.is_none_or(|there| there.is_behind(&here)) {
            found.push(SequenceDifference {
                sequence: format!("{schema}.{name}"),
                source: here.issued,
                target: there.map(|there| there.issued),
            });
        }
    }
    Ok(found)
}
