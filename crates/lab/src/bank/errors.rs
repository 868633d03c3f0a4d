//! What can go wrong in the bank, and what its clients are told.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

#[derive(Debug, thiserror::Error)]
pub enum BankError {
    /// The connection is gone or could not be made: the same request may be tried again.
    #[error("the bank's database does not answer: {0}")]
    Unreachable(String),
    #[error("the bank's database does not accept writes")]
    ReadOnly,
    #[error("there is no account {0}")]
    NoAccount(i64),
    #[error("the transfer is not possible: {0}")]
    Refused(String),
    #[error("another transfer has this id already")]
    Conflict,
    #[error("the bank's database reports: {0}")]
    Database(String),
}

impl BankError {
    /// Whether a fresh connection may succeed where this one failed.
    pub fn is_connection(&self) -> bool {
        matches!(self, BankError::Unreachable(_))
    }

    fn status(&self) -> StatusCode {
        match self {
            BankError::Unreachable(_) | BankError::ReadOnly => StatusCode::SERVICE_UNAVAILABLE,
            BankError::NoAccount(_) => StatusCode::NOT_FOUND,
            BankError::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
            BankError::Conflict => StatusCode::CONFLICT,
            BankError::Database(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for BankError {
    fn into_response(self) -> Response {
        (self.status(), Json(json!({ "error": self.to_string() }))).into_response()
    }
}

impl From<tokio_postgres::Error> for BankError {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(db) = error.as_db_error() else {
            return BankError::Unreachable(error.to_string());
        };
        // PostgreSQL manual, appendix A: classes 08 (connection), 57P (operator intervention),
        // 23 and 22 (the data's fault), 25006 (read-only transaction).
        let code = db.code().code();
        match code {
            "25006" => BankError::ReadOnly,
            _ if code.starts_with("08") || code.starts_with("57P") => {
                BankError::Unreachable(db.message().to_owned())
            }
            _ if code.starts_with("23") || code.starts_with("22") => {
                BankError::Refused(db.message().to_owned())
            }
            _ => BankError::Database(format!("{} ({code})", db.message())),
        }
    }
}
