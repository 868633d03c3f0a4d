//! What this site's server is to do, taken from the estate.

use super::zone::Zones;
use crate::dns::DnsError;
use mainstay_core::estate::{DnsKind, Estate};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub struct ServerSpec {
    pub(super) listen: BTreeSet<SocketAddr>,
    pub(super) zones: Zones,
    pub(super) state_dir: PathBuf,
}

impl ServerSpec {
    /// None where this site has no server of any zone.
    pub fn from_estate(estate: &Estate, state_dir: &Path) -> Result<Option<Self>, DnsError> {
        let own = estate.dns.values().filter_map(|zone| match &zone.kind {
            DnsKind::Own { at, .. } => Some(at.get(&estate.here)?.listen),
            DnsKind::Rfc2136 { .. }
            | DnsKind::Route53(_)
            | DnsKind::Cloudflare(_)
            | DnsKind::Azure(_) => None,
        });
        let listen: BTreeSet<SocketAddr> = own.collect();
        if listen.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self { listen, zones: Zones::of(estate)?, state_dir: state_dir.to_owned() }))
    }
}
