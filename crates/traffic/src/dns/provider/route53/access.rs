//! Who asks: a key of the configuration, or the role of the machine (EC2 User Guide, "Use IMDSv2");
//! each request is signed with it.

use super::{API, signature};
use crate::dns::DnsError;
use crate::dns::provider::http::Api;
use bytes::Bytes;
use http::{Method, Request};
use jiff::{SignedDuration, Timestamp};
use mainstay_core::Secret;
use mainstay_core::estate::{AwsAccess, AwsKey};
use serde::Deserialize;
use std::fmt::Display;
use std::sync::{Mutex, PoisonError};

/// A role's key is fetched anew so long before it ends.
const EARLY: SignedDuration = SignedDuration::from_mins(5);
const ROLE: &str = "/latest/meta-data/iam/security-credentials/";
/// Of a session with the metadata service; it is used at once.
const SESSION: &str = "60";

pub(super) enum Access {
    /// None at a witness.
    Key(Option<AwsKey>),
    Instance {
        metadata: Api,
        known: Mutex<Option<(AwsKey, Timestamp)>>,
    },
}

/// What the metadata service tells of a role.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Role {
    access_key_id: String,
    secret_access_key: String,
    token: String,
    expiration: Timestamp,
}

impl Access {
    pub fn new(spec: &AwsAccess) -> Self {
        match spec {
            AwsAccess::Key(key) => Self::Key(key.clone()),
            AwsAccess::Instance { metadata } => Self::Instance {
                metadata: Api::new("the machine's metadata service", metadata),
                known: Mutex::new(None),
            },
        }
    }

    /// What was known of a role, since it is not good any more.
    pub fn forget(&self) {
        if let Self::Instance { known, .. } = self {
            *known.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    pub async fn sign(
        &self,
        request: Request<Bytes>,
        region: &str,
    ) -> Result<Request<Bytes>, DnsError> {
        let key = self.key().await?;
        signature::sign(request, &key, (region, "route53"), Timestamp::now()).map_err(missing)
    }

    async fn key(&self) -> Result<AwsKey, DnsError> {
        let (metadata, known) = match self {
            Self::Key(key) => return key.clone().ok_or_else(|| missing("its secret is not here")),
            Self::Instance { metadata, known } => (metadata, known),
        };
        let kept = known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((key, end)) = kept
            && end > Timestamp::now() + EARLY
        {
            return Ok(key);
        }
        let role = fetch(metadata).await?;
        let key = AwsKey {
            id: Secret::new(role.access_key_id),
            secret: Secret::new(role.secret_access_key),
            session: Some(Secret::new(role.token)),
        };
        let told = (key.clone(), role.expiration);
        *known.lock().unwrap_or_else(PoisonError::into_inner) = Some(told);
        Ok(key)
    }
}

async fn fetch(metadata: &Api) -> Result<Role, DnsError> {
    let lasts = ("x-aws-ec2-metadata-token-ttl-seconds", SESSION);
    let session = ask(metadata, Method::PUT, "/latest/api/token", lasts).await?;
    let shown = ("x-aws-ec2-metadata-token", session.as_str());
    let role = ask(metadata, Method::GET, ROLE, shown).await?;
    let name = role.lines().next().unwrap_or_default();
    let told = ask(metadata, Method::GET, &format!("{ROLE}{name}"), shown).await?;
    // What cannot be read may hold the key, so it is not shown.
    serde_json::from_str(&told).map_err(|_| missing("the metadata service's answer is no key"))
}

async fn ask(
    metadata: &Api,
    method: Method,
    path: &str,
    (header, value): (&str, &str),
) -> Result<String, DnsError> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(http::header::HOST, metadata.url.authority())
        .header(header, value)
        .body(Bytes::new())
        .map_err(|_| missing("the metadata service's session is not one"))?;
    let reply = metadata.send(request).await.map_err(missing)?;
    match reply.status.is_success() {
        true => Ok(reply.text().into_owned()),
        false => {
            let status = reply.status;
            Err(missing(format!("the metadata service answered {status}: has the machine a role?")))
        }
    }
}

fn missing(why: impl Display) -> DnsError {
    DnsError::Credentials { api: API, why: why.to_string() }
}
