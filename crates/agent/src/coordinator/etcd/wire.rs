//! etcd's messages as its JSON gateway takes and gives them (etcd manual, "Why gRPC gateway"):
//! bytes are base64, 64-bit numbers are strings, and what is zero or empty is left out.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

/// What every answer begins with.
pub trait Answer: DeserializeOwned {
    fn header(&self) -> &Header;
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Header {
    #[serde(deserialize_with = "number")]
    pub cluster_id: u64,
    #[serde(deserialize_with = "number")]
    pub member_id: u64,
    #[serde(deserialize_with = "number")]
    pub revision: u64,
}

#[derive(Debug, Deserialize)]
#[serde(default)]
#[derive(Default)]
pub struct KeyValue {
    #[serde(deserialize_with = "bytes")]
    pub key: Vec<u8>,
    #[serde(deserialize_with = "bytes")]
    pub value: Vec<u8>,
    #[serde(deserialize_with = "number")]
    pub mod_revision: u64,
}

/// Without `serializable` the read is linearizable.
#[derive(Debug, Serialize)]
pub struct RangeQuestion {
    #[serde(serialize_with = "base64")]
    pub key: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RangeAnswer {
    pub header: Header,
    pub kvs: Vec<KeyValue>,
}

/// If every comparison holds, all of `success` is done, otherwise all of `failure`.
#[derive(Debug, Serialize)]
pub struct TxnQuestion {
    compare: Vec<Value>,
    success: Vec<Value>,
    failure: Vec<Value>,
}

impl TxnQuestion {
    /// Puts `next` in the place of exactly `old`, last changed at `revision` (0: there is none), or
    /// else reads what stands.
    pub fn replace(key: String, revision: u64, old: Option<Vec<u8>>, next: &str) -> Self {
        let key = STANDARD.encode(key);
        let compare = |target: &str, name: &str, value: String| json!({"key": key, "target": target, "result": "EQUAL", name: value});
        let revision = compare("MOD", "mod_revision", revision.to_string());
        let old = old.map(|old| compare("VALUE", "value", STANDARD.encode(old)));
        let put = json!({"request_put": {"key": key, "value": STANDARD.encode(next)}});
        Self {
            compare: std::iter::once(revision).chain(old).collect(),
            success: vec![put],
            failure: vec![json!({"request_range": {"key": key}})],
        }
    }

    /// May this user write there? No key has this revision, so nothing is changed.
    pub fn never(key: String) -> Self {
        Self::replace(key, i64::MAX.cast_unsigned(), None, "")
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct TxnAnswer {
    pub header: Header,
    pub succeeded: bool,
    responses: Vec<TxnResponse>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TxnResponse {
    response_range: RangeAnswer,
}

impl TxnAnswer {
    /// What was there instead of the expected.
    pub fn stands(&self) -> Option<&KeyValue> {
        self.responses.first()?.response_range.kvs.first()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct StatusAnswer {
    pub header: Header,
    pub version: String,
    #[serde(deserialize_with = "number")]
    pub leader: u64,
    /// Alarms that are on, in words.
    pub errors: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct MembersAnswer {
    pub header: Header,
    pub members: Vec<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct TokenAnswer {
    pub header: Header,
    pub token: String,
}

/// `code` is gRPC's.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ErrorAnswer {
    pub code: u32,
    pub message: String,
}

macro_rules! answers {
    ($($type:ty),+) => {$(
        impl Answer for $type {
            fn header(&self) -> &Header {
                &self.header
            }
        }
    )+};
}
answers!(RangeAnswer, TxnAnswer, StatusAnswer, MembersAnswer, TokenAnswer);

fn number<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    String::deserialize(from)?.parse().map_err(D::Error::custom)
}

fn bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    STANDARD.decode(String::deserialize(from)?).map_err(D::Error::custom)
}

fn base64<S: Serializer>(text: &str, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&STANDARD.encode(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As etcd 3.5.1 wrote it.
    #[test]
    fn what_stands_is_read_from_a_transaction_that_was_not_made() {
        let text = r#"{"header":{"cluster_id":"324952591200643719","member_id":"3319814642761637952",
            "revision":"2","raft_term":"2"},"responses":[{"response_range":{"header":{"revision":"2"},
            "kvs":[{"key":"L20vYmFuaw==","create_revision":"2","mod_revision":"2","version":"1",
            "value":"eA=="}],"count":"1"}}]}"#;
        let answer: TxnAnswer = serde_json::from_str(text).unwrap();
        assert!(!answer.succeeded);
        assert_eq!(answer.header.cluster_id, 324_952_591_200_643_719);
        let stands = answer.stands().unwrap();
        assert_eq!((stands.mod_revision, stands.value.as_slice()), (2, b"x".as_slice()));
    }

    #[test]
    fn a_key_that_is_not_there_is_an_answer_without_one() {
        let answer: RangeAnswer = serde_json::from_str(r#"{"header":{"revision":"1"}}"#).unwrap();
        assert!(answer.kvs.is_empty());
    }
}
