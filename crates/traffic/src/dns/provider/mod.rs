//! Those who hold zones, one file each: what stands at a name there, and changing it under the
//! condition that nobody else did meanwhile.

mod azure;
mod cloudflare;
mod http;
mod rfc2136;
mod route53;

use super::{Answer, DnsError, Note, Published, Wanted, look};
use azure::Azure;
use cloudflare::Cloudflare;
use mainstay_core::estate::{DnsKind, DnsZone};
use rfc2136::Rfc2136;
use route53::Route53;
use tokio::sync::OnceCell;

/// One way to change a zone.
trait Provider {
    /// What a change has to name of what it replaces.
    type Standing;

    /// For people.
    fn place(&self) -> String;

    /// What stands at the name now.
    async fn standing(&self, name: &str) -> Result<(Answer, Self::Standing), DnsError>;

    fn is(&self, answer: &Answer, _standing: &Self::Standing, wanted: &Wanted) -> bool {
        answer.is(wanted)
    }

    /// Nothing when what stands there is not what `standing` was. All or nothing, or else the note
    /// before the addresses: then whoever looks next goes on with it.
    async fn change(
        &self,
        wanted: &Wanted,
        answer: &Answer,
        standing: &Self::Standing,
    ) -> Result<(), DnsError>;

    /// The zone's servers, `host:port`, where the provider knows them.
    async fn servers(&self) -> Result<Vec<String>, DnsError>;
}

/// A zone as its provider's API or its servers take changes to it.
pub struct Publisher {
    zone: DnsZone,
    way: Way,
    servers: OnceCell<Vec<String>>,
}

enum Way {
    /// Mainstay's own servers follow their gates by themselves.
    Own,
    Rfc2136(Rfc2136),
    Route53(Box<Route53>),
    Cloudflare(Box<Cloudflare>),
    Azure(Box<Azure>),
}

impl Publisher {
    pub fn new(zone: &DnsZone) -> Self {
        let way = match &zone.kind {
            DnsKind::Own { .. } => Way::Own,
            DnsKind::Rfc2136 { key } => Way::Rfc2136(Rfc2136::new(zone, key.clone())),
            DnsKind::Route53(spec) => Way::Route53(Box::new(Route53::new(&zone.zone, spec))),
            DnsKind::Cloudflare(spec) => {
                Way::Cloudflare(Box::new(Cloudflare::new(&zone.zone, spec)))
            }
            DnsKind::Azure(spec) => Way::Azure(Box::new(Azure::new(&zone.zone, spec))),
        };
        Self { zone: zone.clone(), way, servers: OnceCell::new() }
    }

    pub fn zone(&self) -> &DnsZone {
        &self.zone
    }

    /// Whether asking what stands there costs requests that its provider counts.
    pub fn by_api(&self) -> bool {
        matches!(self.way, Way::Route53(_) | Way::Cloudflare(_) | Way::Azure(_))
    }

    /// Has the zone answer as wanted, unless a newer epoch is published there. Safe to do twice;
    /// when no answer comes, whether it was done is unknown and looking tells.
    pub async fn publish(
        &self,
        wanted: &Wanted,
        still: impl Fn() -> bool,
    ) -> Result<Published, DnsError> {
        match &self.way {
            Way::Own => Ok(Published::AsItWas),
            Way::Rfc2136(it) => publish(it, wanted, still).await,
            Way::Route53(it) => publish(&**it, wanted, still).await,
            Way::Cloudflare(it) => publish(&**it, wanted, still).await,
            Way::Azure(it) => publish(&**it, wanted, still).await,
        }
    }

    /// What each of the zone's servers answers now. Where none of them can be asked, what the
    /// provider's API tells, under a name that says so.
    pub async fn answers(&self, name: &str) -> Vec<(String, Result<Answer, DnsError>)> {
        let servers = match self.servers().await {
            Ok(servers) => servers,
            Err(why) => return vec![(self.place(), Err(why))],
        };
        let looks = servers.iter().map(async |server| (server.clone(), look(server, name).await));
        let answers = futures::future::join_all(looks).await;
        let silent = |answer: &(_, _)| matches!(answer.1, Err(DnsError::Silent { .. }));
        if !self.by_api() || !answers.iter().all(silent) {
            return answers;
        }
        let answer = match &self.way {
            Way::Route53(it) => it.standing(name).await.map(|(answer, _)| answer),
            Way::Cloudflare(it) => it.standing(name).await.map(|(answer, _)| answer),
            Way::Azure(it) => it.standing(name).await.map(|(answer, _)| answer),
            Way::Own | Way::Rfc2136(_) => return answers,
        };
        vec![(format!("{} (no server of the zone can be asked)", self.place()), answer)]
    }

    /// As the configuration names them, or else the provider.
    pub async fn servers(&self) -> Result<Vec<String>, DnsError> {
        if !self.zone.servers.is_empty() {
            return Ok(self.zone.servers.clone());
        }
        let found = self.servers.get_or_try_init(async || match &self.way {
            Way::Own => Ok(Vec::new()),
            Way::Rfc2136(it) => it.servers().await,
            Way::Route53(it) => it.servers().await,
            Way::Cloudflare(it) => it.servers().await,
            Way::Azure(it) => it.servers().await,
        });
        found.await.cloned()
    }

    fn place(&self) -> String {
        match &self.way {
            Way::Own => "Mainstay's own servers".to_owned(),
            Way::Rfc2136(it) => it.place(),
            Way::Route53(it) => it.place(),
            Way::Cloudflare(it) => it.place(),
            Way::Azure(it) => it.place(),
        }
    }
}

async fn publish<P: Provider>(
    provider: &P,
    wanted: &Wanted,
    still: impl Fn() -> bool,
) -> Result<Published, DnsError> {
    let (answer, standing) = provider.standing(&wanted.name).await?;
    if provider.is(&answer, &standing, wanted) {
        return Ok(Published::AsItWas);
    }
    if let Some(note) = &answer.note {
        may_replace(&provider.place(), note, wanted)?;
    }
    if !still() {
        return Err(DnsError::NotActive { name: wanted.name.clone() });
    }
    provider.change(wanted, &answer, &standing).await?;
    Ok(Published::Changed)
}

fn may_replace(server: &str, standing: &Note, wanted: &Wanted) -> Result<(), DnsError> {
    let (name, server) = (wanted.name.clone(), server.to_owned());
    if standing.application != wanted.note.application {
        return Err(DnsError::Foreign { name, server, of: standing.application.to_string() });
    }
    let newer = standing.epoch > wanted.note.epoch;
    let disputed = standing.epoch == wanted.note.epoch && standing.site != wanted.note.site;
    if newer || disputed {
        let (published, ours) = (standing.epoch, wanted.note.epoch);
        return Err(DnsError::Stale { name, server, published, ours });
    }
    Ok(())
}
