//! Requests to whichever member answers.

use super::trouble::{self, Trouble};
use super::wire::{Answer, StatusAnswer, TokenAnswer};
use crate::coordinator::CoordinatorError;
use crate::error::AgentError;
use crate::line::Line;
use crate::peer::tls;
use bytes::Bytes;
use http::Method;
use mainstay_core::estate::{Etcd, EtcdEndpoint, EtcdUser};
use rustls::{ClientConfig, RootCertStore};
use serde::Serialize;
use serde_json::json;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Well under the renewal's period, so that a lost packet costs one renewal and not the lease.
const WHOLE: Duration = Duration::from_millis(900);
/// One member's part of it, so that a silent one leaves time for another.
const ATTEMPT: Duration = Duration::from_millis(600);

pub struct Cluster {
    lines: Vec<(EtcdEndpoint, Line)>,
    user: Option<EtcdUser>,
    token: Mutex<Option<String>>,
    /// The member that is asked first: the one that answered last.
    first: AtomicUsize,
    /// The cluster that answered first; 0 before. A member of another one is not asked.
    id: AtomicU64,
}

/// One member's answer.
pub struct Asked<A> {
    pub answer: A,
    /// What members said that were asked before, and that may have done what they were asked.
    pub silent: Vec<String>,
}

impl Cluster {
    pub fn new(etcd: &Etcd) -> Result<Self, AgentError> {
        let tls = encryption(etcd)?;
        let line = |at: &EtcdEndpoint| {
            let host = at.host.as_str();
            let address = match host.contains(':') {
                true => format!("[{host}]:{}", at.port),
                false => format!("{host}:{}", at.port),
            };
            let tls = tls.clone().filter(|_| at.encrypted);
            (at.clone(), Line::new(address, host.to_owned(), tls))
        };
        Ok(Self {
            lines: etcd.endpoints.iter().map(line).collect(),
            user: etcd.user.clone(),
            token: Mutex::default(),
            first: AtomicUsize::default(),
            id: AtomicU64::default(),
        })
    }

    pub fn endpoints(&self) -> impl Iterator<Item = (usize, &EtcdEndpoint)> {
        self.lines.iter().enumerate().map(|(index, (endpoint, _))| (index, endpoint))
    }

    /// Asks one member after the other until one answers. A silent member costs its part of the
    /// time once; the next question begins with another one.
    pub async fn ask<A: Answer>(
        &self,
        path: &str,
        question: &impl Serialize,
    ) -> Result<Asked<A>, CoordinatorError> {
        let body = Bytes::from(serde_json::to_vec(question).map_err(super::silent)?);
        let ends = Instant::now() + WHOLE;
        let mut silent = Vec::new();
        for _ in 0..self.lines.len() {
            let rest = ends.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                break;
            }
            let index = self.first.load(Relaxed);
            let asking = self.with_token::<A>(index, path, &body);
            let answer = self.within(rest.min(ATTEMPT), asking).await;
            let ours = |answer: A| self.belong_to(answer.header().cluster_id).map(|()| answer);
            match answer.and_then(ours) {
                Ok(answer) => return Ok(Asked { answer, silent }),
                // What an earlier member made of it is unknown.
                Err(Trouble::Cluster(why)) if silent.is_empty() => {
                    return Err(CoordinatorError::Unusable(why));
                }
                Err(why) => silent.push(format!("{}: {why}", self.lines[index].0)),
            }
            let next = (index + 1) % self.lines.len();
            // Another question may have moved on already.
            let _ = self.first.compare_exchange(index, next, Relaxed, Relaxed);
        }
        Err(CoordinatorError::Silent(silent.join("; ")))
    }

    /// Asks just this member how it is; nobody needs a token for that.
    pub async fn status(&self, index: usize, patience: Duration) -> Result<StatusAnswer, Trouble> {
        let nothing = Bytes::from_static(b"{}");
        let asking = self.exchange(index, "/v3/maintenance/status", &nothing, None);
        let answer: StatusAnswer = self.within(patience, asking).await?;
        // A member alone says nothing of which cluster is ours.
        match self.id.load(Relaxed) {
            0 => Ok(answer),
            known => same(known, answer.header.cluster_id).map(|()| answer),
        }
    }

    async fn within<A>(
        &self,
        patience: Duration,
        asking: impl Future<Output = Result<A, Trouble>>,
    ) -> Result<A, Trouble> {
        timeout(patience, asking).await.unwrap_or_else(|_| {
            Err(Trouble::Member(format!("nothing within {} ms", patience.as_millis())))
        })
    }

    /// A member of another cluster has another record: two sites could each find themselves
    /// active.
    fn belong_to(&self, id: u64) -> Result<(), Trouble> {
        match self.id.compare_exchange(0, id, Relaxed, Relaxed) {
            Ok(_) => Ok(()),
            Err(known) => same(known, id),
        }
    }

    /// A token ends by itself, or with the member that gave it; then another one is asked for.
    async fn with_token<A: Answer>(
        &self,
        index: usize,
        path: &str,
        body: &Bytes,
    ) -> Result<A, Trouble> {
        let token = self.token(index).await?;
        match self.exchange(index, path, body, token.as_deref()).await {
            Err(Trouble::Token) => {
                self.forget(token);
                let token = self.token(index).await?;
                self.exchange(index, path, body, token.as_deref()).await
            }
            answer => answer,
        }
    }

    /// None where none is needed.
    async fn token(&self, index: usize) -> Result<Option<String>, Trouble> {
        let kept = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(user) = self.user.as_ref().filter(|_| kept.is_none()) else { return Ok(kept) };
        let password = user.password.as_ref().map_or("", |password| password.expose());
        let question = json!({"name": user.name, "password": password}).to_string();
        let path = "/v3/auth/authenticate";
        let answer = self.exchange::<TokenAnswer>(index, path, &question.into(), None).await;
        let token = match answer {
            Ok(answer) => answer.token,
            Err(Trouble::NoAuthentication) => return Ok(None),
            Err(why) => return Err(why),
        };
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token.clone());
        Ok(Some(token))
    }

    /// Unless another question has replaced it already.
    fn forget(&self, stale: Option<String>) {
        let mut token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        if *token == stale {
            *token = None;
        }
    }

    async fn exchange<A: Answer>(
        &self,
        index: usize,
        path: &str,
        body: &Bytes,
        token: Option<&str>,
    ) -> Result<A, Trouble> {
        let line = &self.lines[index].1;
        let answered = line.exchange(Method::POST, path, token, body.clone()).await;
        let (status, answer) = answered.map_err(Trouble::Member)?;
        if !status.is_success() {
            return Err(trouble::of(status, &answer));
        }
        serde_json::from_slice(&answer)
            .map_err(|why| Trouble::Member(format!("an unreadable answer: {why}")))
    }
}

fn same(known: u64, id: u64) -> Result<(), Trouble> {
    if known == id {
        return Ok(());
    }
    Err(Trouble::Member(format!(
        "it belongs to the cluster {id:x}, not to {known:x} as before; after a restore restart \
         this agent"
    )))
}

fn encryption(etcd: &Etcd) -> Result<Option<Arc<ClientConfig>>, AgentError> {
    let Some(authority) = &etcd.authority else { return Ok(None) };
    let roots: RootCertStore = tls::authority(authority)?;
    let builder = ClientConfig::builder().with_root_certificates(roots);
    let config = match &etcd.identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => builder
            .with_client_auth_cert(tls::certificates(certificate)?, tls::private_key(key)?)
            .map_err(|why| tls::bad(certificate, why))?,
    };
    Ok(Some(Arc::new(config)))
}
