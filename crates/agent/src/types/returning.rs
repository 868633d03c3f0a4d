//! The way back of a lost site.

use super::SalvageSummary;
use mainstay_core::{ApplicationName, Epoch, Position, StoreName};
use serde::{Deserialize, Serialize};

/// The way back of a site that was failed over from. Each phase survives a crash of the agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Return {
    pub phase: ReturnPhase,
    /// The epoch during which this site returns.
    pub epoch: Epoch,
    /// The store being worked on.
    pub store: StoreName,
    /// Salvage taken here: its id and counts.
    pub salvage: Option<SalvageSummary>,
    /// Rows put right from the active site.
    pub rows_put_right: Option<u64>,
    /// Those rows are as the active site had them here.
    #[serde(default)]
    pub put_right_until: Option<Position>,
    /// The last comparison found differences. What it found is not outweighed by anybody.
    #[serde(default)]
    pub differs: bool,
    /// Because of that everything was copied a second time.
    #[serde(default)]
    pub copied_again: bool,
    /// How this site gets what it lacks; none until that is known.
    #[serde(default)]
    pub means: Option<ReturnMeans>,
    /// Why by these means: what was found at the active site.
    #[serde(default)]
    pub because: String,
    /// How far the phase is; never kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<ReturnProgress>,
    /// What happened last, or what is asked of a person.
    pub detail: String,
    /// A person's reason for going on although the salvage cannot be whole.
    #[serde(default)]
    pub inexact: Option<String>,
    /// What a person has to type before it goes on.
    #[serde(default)]
    pub asked: Option<String>,
}

impl Return {
    /// A way back of which nothing is done yet.
    pub fn begun(epoch: Epoch, store: StoreName) -> Self {
        Self {
            phase: ReturnPhase::Fencing,
            epoch,
            store,
            salvage: None,
            rows_put_right: None,
            put_right_until: None,
            differs: false,
            copied_again: false,
            means: None,
            because: String::new(),
            progress: None,
            detail: String::new(),
            inexact: None,
            asked: None,
        }
    }
}

/// A full copy is never made when a delta will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReturnMeans {
    /// The rows that the salvage names, and the changes since the promotion.
    Delta,
    FullCopy,
}

/// What is done in a phase right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReturnProgress {
    /// Transactions read from the old slot so far; their number is not known before.
    Salvaged { transactions: u64 },
    /// Rows put right, of those that the salvage names.
    PutRight { rows: u64, of: u64 },
    /// The reverse link has so much of the active site's history still to apply. The seconds
    /// follow from the speed so far, and are none while it does not come nearer.
    CatchingUp { bytes_left: u64, seconds_left: Option<u64> },
    /// Both sites are read and compared.
    Comparing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReturnPhase {
    /// Making sure that this site's database is fenced.
    Fencing,
    /// Taking from the old slot what the other site never received.
    Salvaging,
    /// Making the rows that the salvage names equal to the active site's.
    PuttingRight,
    /// The reverse link streams; comparison has not yet proved both sides equal.
    Streaming,
    /// Proved equal at a position: failback is possible.
    Ready,
}

/// Body of `POST /v1/return/continue`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ReturnRequest {
    pub application: Option<ApplicationName>,
    pub store: Option<StoreName>,
    pub reason: String,
}
