//! The bank's answers to questions: health, an account, the totals.

use super::errors::BankError;
use super::pool::{Pool, within};
use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};

const HEALTH: &str = "SELECT current_user::text, NOT pg_is_in_recovery() \
     AND NOT current_setting('transaction_read_only')::bool \
     AND has_table_privilege('transfers', 'INSERT') FROM (SELECT 1 FROM accounts LIMIT 1) one";

const ACCOUNT: &str =
    "SELECT id, owner, balance::text, opened::text, notes FROM accounts WHERE id = $1";

const TOTALS: &str = "SELECT (SELECT count(*) FROM accounts), \
     (SELECT coalesce(sum(balance), 0)::text FROM accounts), (SELECT count(*) FROM transfers)";

/// Healthy means that a transfer could be accepted now.
pub async fn health(State(pool): State<Pool>) -> Result<Json<Value>, BankError> {
    let lent = pool.take().await?;
    let row = within(async { Ok(lent.connection().client.query_opt(HEALTH, &[]).await?) }).await?;
    lent.give_back();
    let Some(row) = row else {
        return Err(BankError::Database("there are no accounts".to_owned()));
    };
    let role: String = row.try_get(0)?;
    if !row.try_get::<_, bool>(1)? {
        return Err(BankError::ReadOnly);
    }
    Ok(Json(json!({ "ok": true, "role": role })))
}

pub async fn account(
    State(pool): State<Pool>,
    Path(id): Path<i64>,
) -> Result<Json<Value>, BankError> {
    let lent = pool.take().await?;
    let row =
        within(async { Ok(lent.connection().client.query_opt(ACCOUNT, &[&id]).await?) }).await?;
    lent.give_back();
    let row = row.ok_or(BankError::NoAccount(id))?;
    Ok(Json(json!({
        "id": row.try_get::<_, i64>(0)?,
        "owner": row.try_get::<_, Option<String>>(1)?,
        "balance": row.try_get::<_, String>(2)?,
        "opened": row.try_get::<_, Option<String>>(3)?,
        "notes": row.try_get::<_, Option<Value>>(4)?,
    })))
}

pub async fn totals(State(pool): State<Pool>) -> Result<Json<Value>, BankError> {
    let lent = pool.take().await?;
    let row = within(async { Ok(lent.connection().client.query_one(TOTALS, &[]).await?) }).await?;
    lent.give_back();
    Ok(Json(json!({
        "accounts": row.try_get::<_, i64>(0)?,
        "balance": row.try_get::<_, String>(1)?,
        "transfers": row.try_get::<_, i64>(2)?,
    })))
}
