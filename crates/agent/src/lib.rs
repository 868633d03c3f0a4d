//! One site's loop: observe, let the core decide, make the effects; and what surrounds it: the
//! coordinator, the runbook's journal, the ledger and the API.

pub mod api;
