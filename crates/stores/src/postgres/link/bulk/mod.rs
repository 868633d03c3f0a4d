//! Many changes at once: what they come to, and the statements and values that bring them.

mod net;
mod sql;
mod values;

pub(super) use net::{Net, Update, key_hash, net};
pub(super) use sql::{BulkShape, text};
pub(super) use values::{Array, Missing, array, copy_row};
