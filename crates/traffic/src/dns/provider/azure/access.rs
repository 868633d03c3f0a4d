//! Who asks: a client with a secret (OAuth 2.0, RFC 6749, section 4.4), or the machine's own identity
//! as its metadata service tells it. Either gets a token, which is shown with each request.

use super::{API, sets};
use crate::dns::DnsError;
use crate::dns::provider::http::{Api, Reply};
use bytes::Bytes;
use form_urlencoded::Serializer;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, request};
use mainstay_core::Secret;
use mainstay_core::estate::{Azure as Spec, AzureAccess};
use mainstay_core::notifier::HttpUrl;
use serde::Deserialize;
use serde_json::Value;
use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A token is fetched anew so long before it ends, or when half of its time is over.
const EARLY: Duration = Duration::from_secs(5 * 60);
/// They last for an hour or, a machine's, for a day; whatever is told, none is kept for longer.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
const LOGIN: &str = "Microsoft's login service";
const METADATA: &str = "/metadata/identity/oauth2/token";

pub(super) struct Access {
    way: Way,
    /// What the token is for: the API, without a path.
    resource: String,
    known: Mutex<Option<Known>>,
}

enum Way {
    Client {
        login: Api,
        tenant: String,
        id: String,
        /// None at a witness.
        secret: Option<Secret>,
    },
    Machine {
        metadata: Api,
        /// Which of several identities.
        client: Option<String>,
    },
}

#[derive(Clone)]
struct Known {
    token: Secret,
    until: Instant,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    /// In seconds; the metadata service writes them as a text.
    expires_in: Value,
}

impl Access {
    pub fn new(spec: &Spec) -> Self {
        let way = match &spec.access {
            AzureAccess::Client { login, tenant, id, secret } => Way::Client {
                login: Api::new(LOGIN, login),
                tenant: tenant.clone(),
                id: id.clone(),
                secret: secret.clone(),
            },
            AzureAccess::Machine { metadata, client } => Way::Machine {
                metadata: Api::new("the machine's metadata service", metadata),
                client: client.clone(),
            },
        };
        Self { way, resource: resource(&spec.endpoint), known: Mutex::new(None) }
    }

    /// The token, since it is not good any more.
    pub fn forget(&self) {
        *self.known() = None;
    }

    pub async fn show(&self, request: request::Builder) -> Result<request::Builder, DnsError> {
        let token = self.token().await?;
        Ok(request.header(AUTHORIZATION, format!("Bearer {}", token.expose())))
    }

    async fn token(&self) -> Result<Secret, DnsError> {
        let now = Instant::now();
        let kept = self.known().clone().filter(|known| known.until > now);
        if let Some(known) = kept {
            return Ok(known.token);
        }
        let granted = match &self.way {
            Way::Client { login, tenant, id, secret } => {
                let secret = secret.as_ref().ok_or_else(|| missing("its secret is not here"))?;
                self.log_in(login, tenant, (id, secret)).await?
            }
            Way::Machine { metadata, client } => self.ask(metadata, client.as_deref()).await?,
        };
        let token = Secret::new(granted.access_token);
        let lasts = seconds(&granted.expires_in).min(LONGEST);
        let until = now + lasts.saturating_sub(EARLY).max(lasts / 2);
        *self.known() = Some(Known { token: token.clone(), until });
        Ok(token)
    }

    async fn log_in(
        &self,
        login: &Api,
        tenant: &str,
        (id, secret): (&str, &Secret),
    ) -> Result<Granted, DnsError> {
        let form = Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", id)
            .append_pair("client_secret", secret.expose())
            .append_pair("scope", &format!("{}/.default", self.resource))
            .finish();
        let request = login
            .request(Method::POST, &format!("/{tenant}/oauth2/v2.0/token"))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Bytes::from(form))
            .map_err(|why| missing(format!("the tenant stands in no path: {why}")))?;
        let reply = login.send(request).await?;
        if reply.status.is_success() {
            login.content();
            return granted(&reply).ok_or_else(|| login.unreadable("it is no token"));
        }
        let why = format!("{}: {}", reply.status, sets::login_error(&reply));
        match reply.status.is_server_error() {
            true => Err(DnsError::ApiSilent { api: LOGIN, why }),
            false => {
                Err(DnsError::ApiRefused { api: LOGIN, what: format!("the client {id}"), why })
            }
        }
    }

    async fn ask(&self, metadata: &Api, client: Option<&str>) -> Result<Granted, DnsError> {
        let query = Serializer::new(String::new())
            .append_pair("api-version", "2018-02-01")
            .append_pair("resource", &self.resource)
            .extend_pairs(client.map(|client| ("client_id", client)))
            .finish();
        let request = metadata
            .request(Method::GET, &format!("{METADATA}?{query}"))
            .header("Metadata", "true")
            .body(Bytes::new())
            .map_err(missing)?;
        let reply = metadata.send(request).await.map_err(missing)?;
        let status = reply.status;
        match status.is_success() {
            true => granted(&reply).ok_or_else(|| missing("the metadata service told no token")),
            false => Err(missing(format!(
                "the metadata service answered {status}: has the machine an identity?"
            ))),
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Option<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What cannot be read may hold the token, so why is not told.
fn granted(reply: &Reply) -> Option<Granted> {
    serde_json::from_slice(&reply.body).ok()
}

fn seconds(told: &Value) -> Duration {
    let text = told.as_str().and_then(|text| text.parse().ok());
    Duration::from_secs(told.as_u64().or(text).unwrap_or(0))
}

/// `https://management.azure.com`
fn resource(endpoint: &HttpUrl) -> String {
    let (scheme, usual) = if endpoint.encrypted { ("https", 443) } else { ("http", 80) };
    match endpoint.port == usual {
        true => format!("{scheme}://{}", endpoint.host),
        false => format!("{scheme}://{}", endpoint.authority()),
    }
}

pub(super) fn missing(why: impl Display) -> DnsError {
    DnsError::Credentials { api: API, why: why.to_string() }
}
