//! The bank's tables and its first accounts, made by the owner of the database.

use tokio_postgres::{Client, Error};

/// Every account begins with this much; money only moves between accounts.
pub const FIRST_BALANCE: &str = "1000.00";

pub async fn create(owner: &Client) -> Result<(), Error> {
    owner.batch_execute(include_str!("schema.sql")).await
}

/// Opens the accounts 1 to `accounts`.
pub async fn fill(owner: &Client, accounts: i64) -> Result<u64, Error> {
    let insert = format!(
        "INSERT INTO accounts (id, owner, balance, opened, notes) \
         SELECT n, 'customer ' || n, {FIRST_BALANCE}, \
         timestamptz '1871-01-18 12:00+00' + n * interval '1 hour 7 minutes', \
         jsonb_build_object('branch', n % 97, 'tags', jsonb_build_array('lab', n % 7)) \
         FROM generate_series(1, $1::bigint) n"
    );
    let opened = owner.execute(&insert, &[&accounts]).await?;
    owner.batch_execute("ANALYZE accounts").await?;
    Ok(opened)
}
