//! `POST /transfers`: money moves by one inserted row; the database's trigger moves both balances.

use super::errors::BankError;
use super::pool::{Connection, Lent, Pool, within};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_postgres::types::Json as Jsonb;
use uuid::Uuid;

/// The id makes a repeated request harmless: the row of the first one stands.
pub const INSERT: &str = "INSERT INTO transfers (id, from_account, to_account, amount, memo, signature) \
     VALUES ($1::uuid, $2::bigint, $3::bigint, $4::text::numeric, $5::jsonb, \
     sha256(convert_to(concat_ws('|', $1::uuid, $2::bigint, $3::bigint, $4::text), 'UTF8'))) \
     ON CONFLICT (id) DO NOTHING RETURNING number";

const FIND: &str = "SELECT number, from_account = $2 AND to_account = $3 \
     AND amount = $4::text::numeric AS same FROM transfers WHERE id = $1";

#[derive(Debug, Clone, Deserialize)]
pub struct Transfer {
    id: Uuid,
    from: i64,
    to: i64,
    /// A decimal number as text: money is never a float.
    amount: String,
    #[serde(default)]
    memo: Value,
}

#[derive(Debug, Serialize)]
pub struct Accepted {
    id: Uuid,
    number: i64,
}

pub async fn post(
    State(pool): State<Pool>,
    Json(transfer): Json<Transfer>,
) -> Result<(StatusCode, Json<Accepted>), BankError> {
    check(&transfer)?;
    let number = match attempt(&transfer, pool.take().await?).await {
        // The connection broke: whether the row was committed is unknown, and the id makes it
        // safe to ask again on a fresh one.
        Err(error) if error.is_connection() => attempt(&transfer, pool.take_fresh().await?).await?,
        outcome => outcome?,
    };
    Ok((StatusCode::CREATED, Json(Accepted { id: transfer.id, number })))
}

fn check(transfer: &Transfer) -> Result<(), BankError> {
    let plain = transfer.amount.len() <= 20
        && transfer.amount.chars().all(|c| c.is_ascii_digit() || c == '.');
    if !plain || transfer.amount.is_empty() {
        return Err(BankError::Refused(format!("{:?} is not an amount", transfer.amount)));
    }
    if transfer.from == transfer.to {
        return Err(BankError::Refused("both accounts are the same".to_owned()));
    }
    Ok(())
}

async fn attempt(transfer: &Transfer, lent: Lent) -> Result<i64, BankError> {
    let number = within(insert(transfer, lent.connection())).await?;
    lent.give_back();
    Ok(number)
}

/// Returns after COMMIT: a single statement is its own transaction.
async fn insert(transfer: &Transfer, connection: &Connection) -> Result<i64, BankError> {
    let memo = Jsonb(if transfer.memo.is_null() { json!({}) } else { transfer.memo.clone() });
    let Transfer { id, from, to, amount, .. } = transfer;
    let inserted = connection
        .client
        .query_opt(&connection.insert_transfer, &[id, from, to, amount, &memo])
        .await?;
    match inserted {
        Some(row) => Ok(row.try_get(0)?),
        None => find(transfer, connection).await,
    }
}

async fn find(transfer: &Transfer, connection: &Connection) -> Result<i64, BankError> {
    let Transfer { id, from, to, amount, .. } = transfer;
    let row = connection.client.query_one(FIND, &[id, from, to, amount]).await?;
    if row.try_get::<_, bool>("same")? {
        Ok(row.try_get("number")?)
    } else {
        Err(BankError::Conflict)
    }
}
