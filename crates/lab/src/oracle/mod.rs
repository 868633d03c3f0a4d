//! What really happened: from the clients' logs and from both databases, asked directly. Nothing
//! here reads what Mainstay says of itself, neither its API nor its tables.

mod databases;
mod dump;
mod figures;
mod payees;
mod record;

pub use databases::{CommitSpan, Tally, accepted_by, commits_accepted_by, tally, transfers_at};
pub use dump::dumps_are_equal;
pub use figures::{
    acknowledged_per_second, longest_pause_s, lost, overlap_ms, rpo_s, rto_s, unaccounted,
};
pub use payees::{
    Payee, PayeeLog, Payees, all_of, expected, fingerprint_of_payees, payees_at, unlike,
};
pub use record::{ClientRecord, Lost};
