//! The demo bank: a plain HTTP application on a PostgreSQL database. It knows nothing of
//! Mainstay; all it is given is where its database is and where it listens.

mod errors;
mod pool;
mod reads;
pub mod schema;
mod server;
mod transfers;

pub use server::{BankConfig, run};
