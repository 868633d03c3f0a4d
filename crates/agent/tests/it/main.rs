//! The agent's own stores, tried from outside.

mod ledger;
