//! What etcd's errors mean here, and what to type next.

use super::wire::ErrorAnswer;
use http::StatusCode;

/// Why a member did not do what it was asked to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// This member's trouble; whether it was done is unknown, and another member may do better.
    #[error("{0}")]
    Member(String),
    /// The token is not, or no longer, good.
    #[error("it takes no token")]
    Token,
    /// Authentication is not enabled.
    #[error("authentication is not enabled")]
    NoAuthentication,
    /// Every member would answer this, and nothing was changed.
    #[error("{0}")]
    Cluster(String),
}

/// Codes are gRPC's, texts those of etcd's `api/v3rpc/rpctypes/error.go`.
pub fn of(status: StatusCode, body: &[u8]) -> Trouble {
    let Ok(ErrorAnswer { code, message }) = serde_json::from_slice::<ErrorAnswer>(body) else {
        return Trouble::Member(format!(
            "HTTP status {status}, not an answer of etcd 3.4 or newer"
        ));
    };
    let says = |what: &str| message.contains(what);
    if says("invalid auth token") || says("revision of auth store is old") {
        return Trouble::Token;
    }
    if says("authentication is not enabled") {
        return Trouble::NoAuthentication;
    }
    let advice = match code {
        8 if says("space exceeded") => {
            "etcdctl compact, etcdctl defrag and etcdctl alarm disarm, or give it more with \
             --quota-backend-bytes"
        }
        7 => "give the user a role with readwrite on the prefix: etcdctl role grant-permission",
        3 if says("authentication failed") => "write its `user` and `password` under [coordinator]",
        3 if says("user name is empty") => {
            "it asks for a user: write `user` and `password` under [coordinator]"
        }
        15 => "etcdctl alarm list; replace the member whose data are corrupt",
        _ => return Trouble::Member(message),
    };
    Trouble::Cluster(format!("{message}; {advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(code: u32, message: &str) -> Trouble {
        let body = serde_json::json!({"error": message, "code": code, "message": message});
        of(StatusCode::BAD_REQUEST, body.to_string().as_bytes())
    }

    #[test]
    fn only_what_another_member_would_answer_too_ends_the_search() {
        let another = trouble(14, "etcdserver: no leader");
        assert_eq!(another, Trouble::Member("etcdserver: no leader".to_owned()));
        let busy = trouble(8, "etcdserver: too many requests");
        assert!(matches!(busy, Trouble::Member(_)), "{busy:?}");
        let full = trouble(8, "etcdserver: mvcc: database space exceeded");
        assert!(matches!(&full, Trouble::Cluster(why) if why.contains("defrag")), "{full:?}");
        assert_eq!(trouble(16, "etcdserver: invalid auth token"), Trouble::Token);
        let page = of(StatusCode::NOT_FOUND, b"Not Found");
        assert!(matches!(&page, Trouble::Member(why) if why.contains("404")), "{page:?}");
    }
}
