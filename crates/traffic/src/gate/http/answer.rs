//! What the gate itself says to HTTP clients.

use super::body::GateBody;
use super::headers::REFUSED;
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use serde_json::json;

/// Why a request was not answered by an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// Held for its whole time.
    NotServed(String),
    TooManyHeld,
    NoUpstream,
    /// Sent, and then the connection broke: the outcome is not known.
    Broken(String),
    /// The gate closed while the request was under way.
    CutOff,
    BadRequest(&'static str),
    /// Passed on by another gate that is not entitled to.
    Refused(&'static str),
    /// The head has too many fields.
    LongHead,
    /// The body is longer than allowed.
    LongBody,
    /// The body stands still.
    SlowBody,
    /// The upstream takes longer than allowed.
    SlowAnswer,
}

impl Problem {
    fn status(&self) -> StatusCode {
        match self {
            Problem::Broken(_) => StatusCode::BAD_GATEWAY,
            Problem::LongHead => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Problem::LongBody => StatusCode::PAYLOAD_TOO_LARGE,
            Problem::SlowBody => StatusCode::REQUEST_TIMEOUT,
            Problem::SlowAnswer => StatusCode::GATEWAY_TIMEOUT,
            Problem::BadRequest(_) => StatusCode::BAD_REQUEST,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Problem::NotServed(_) => "MS-GATE-010",
            Problem::TooManyHeld => "MS-GATE-011",
            Problem::NoUpstream => "MS-GATE-012",
            Problem::Broken(_) => "MS-GATE-013",
            Problem::CutOff => "MS-GATE-014",
            Problem::Refused(_) => "MS-GATE-015",
            Problem::BadRequest(_) => "MS-GATE-016",
            Problem::LongHead | Problem::LongBody => "MS-GATE-030",
            Problem::SlowBody => "MS-GATE-031",
            Problem::SlowAnswer => "MS-GATE-032",
        }
    }

    pub fn message(&self) -> String {
        match self {
            Problem::NotServed(reason) => {
                format!("The application is not served at this moment: {reason}. Try again.")
            }
            Problem::TooManyHeld => "Too many requests are waiting already. Try again.".to_owned(),
            Problem::NoUpstream => {
                "No process of the application accepts a connection. Try again.".to_owned()
            }
            Problem::Broken(reason) => format!(
                "The application's process went away before it answered ({reason}). Whether the \
                 request took effect is not known."
            ),
            Problem::CutOff => "The gate closed before the request was answered. Whether it took \
                 effect is not known."
                .to_owned(),
            Problem::Refused(reason) => format!("The gate does not take this: {reason}."),
            Problem::BadRequest(reason) => format!("The request is not acceptable: {reason}."),
            Problem::LongHead => "The request has too many header fields.".to_owned(),
            Problem::LongBody => "The request's body is too long.".to_owned(),
            Problem::SlowBody => "The rest of the request's body did not come.".to_owned(),
            Problem::SlowAnswer => "The application did not answer in time. Whether the request \
                 took effect is not known."
                .to_owned(),
        }
    }

    /// No upstream saw the request: another gate may hold it and try again.
    fn undelivered(&self) -> bool {
        matches!(self, Problem::NotServed(_) | Problem::Refused(_))
    }

    /// What comes after it on the connection is not to be read as a request.
    fn closes(&self) -> bool {
        use Problem::{BadRequest, LongBody, LongHead, SlowBody};
        matches!(self, BadRequest(_) | LongHead | LongBody | SlowBody)
    }

    pub fn answer(&self) -> Response<GateBody> {
        let body = json!({ "code": self.code(), "message": self.message() }).to_string();
        let mut response = Response::new(GateBody::own(Bytes::from(body)));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self.status() == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.closes() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if self.undelivered() {
            headers.insert(REFUSED, HeaderValue::from_static("undelivered"));
        }
        response
    }
}
