//! What probes mean, as one site makes them.

use super::reader::At;
use super::resolve::{Resolver, value};
use super::rules;
use super::typed::{self, Named};
use super::values::{Address, ProbeKind};
use mainstay_core::estate::Gate;
use mainstay_core::lease::Lease;
use mainstay_core::watch::{
    BodyRule, Cadence, ClientWrite, CommandProbe, HttpProbe, PostgresProbe, Probe,
    ProbeKind as Kind, RedisProbe, SiteAddresses,
};
use mainstay_core::{ProbeName, SiteName};
use std::collections::BTreeMap;
use std::path::PathBuf;

impl Resolver<'_> {
    /// What is written; where nothing is, the `health` path of each gate's web side.
    pub(super) fn probes(
        &mut self,
        application: &typed::Application,
        gates: &BTreeMap<SiteName, Gate>,
    ) -> Option<BTreeMap<ProbeName, Probe>> {
        let lease = Lease::new(value(&application.lease)?);
        match application.probes.as_ref().filter(|table| !table.value.is_empty()) {
            Some(table) => self.map(table, |this, _, at| this.probe(&at.value, lease)),
            None => Some(of_gates(gates, lease)),
        }
    }

    fn probe(&mut self, typed: &typed::Probe, lease: Lease) -> Option<Probe> {
        let addresses = addresses(typed.addresses.as_ref());
        let kind = match typed.kind.as_ref()?.value {
            ProbeKind::Http => Kind::Http(self.web(typed, addresses)),
            ProbeKind::Tcp => Kind::Tcp(addresses),
            ProbeKind::Postgres => {
                let (store, client) = (value(&typed.store)?, self.client(typed)?);
                Kind::Postgres(PostgresProbe { store, addresses, client })
            }
            ProbeKind::Redis => Kind::Redis(self.redis(typed, addresses)?),
            ProbeKind::Command => {
                let words = typed.command.as_ref()?.value.iter().map(|word| word.value.clone());
                let mut words = words.collect::<Vec<_>>().into_iter();
                let program = words.next()?.into();
                Kind::Command(CommandProbe { program, arguments: words.collect() })
            }
        };
        let link_local = value(&typed.link_local)?;
        Some(Probe { kind, cadence: rules::cadence(typed, lease), link_local })
    }

    fn web(&mut self, typed: &typed::Probe, addresses: SiteAddresses) -> HttpProbe {
        let contains = value(&typed.body).map(BodyRule::Contains);
        let matches = value(&typed.body_matches).map(|pattern| BodyRule::Matches(pattern.0));
        HttpProbe {
            addresses,
            path: value(&typed.path).map_or_else(|| "/".to_owned(), |path| path.0),
            status: value(&typed.status).map_or(200..=299, |statuses| statuses.0),
            body: contains.or(matches),
            authority: self.authority(typed),
        }
    }

    fn client(&mut self, typed: &typed::Probe) -> Option<Option<ClientWrite>> {
        let (user, statement) = (value(&typed.user), value(&typed.statement));
        let Some((user, statement)) = user.zip(statement) else { return Some(None) };
        let password = self.secret(typed.password.as_ref().filter(|_| self.secrets))?;
        Some(Some(ClientWrite { user, password, statement }))
    }

    fn redis(&mut self, typed: &typed::Probe, addresses: SiteAddresses) -> Option<RedisProbe> {
        Some(RedisProbe {
            addresses,
            user: value(&typed.user),
            password: self.secret(typed.password.as_ref().filter(|_| self.secrets))?,
            guarded: typed.password.is_some(),
            write: value(&typed.write).unwrap_or_default(),
            authority: self.authority(typed),
        })
    }

    fn authority(&mut self, typed: &typed::Probe) -> Option<PathBuf> {
        let written = typed.authority.as_ref()?;
        let path = self.vault.path(&written.value);
        self.must_exist(written, &[&path]);
        Some(path)
    }
}

fn addresses(table: Option<&At<Named<SiteName, Address>>>) -> SiteAddresses {
    let entries = table.into_iter().flat_map(|table| &table.value);
    entries.map(|(site, at)| (site.clone(), at.value.to_string())).collect()
}

/// One probe for all gates whose health is asked for in the same way.
fn of_gates(gates: &BTreeMap<SiteName, Gate>, lease: Lease) -> BTreeMap<ProbeName, Probe> {
    let mut by_path: BTreeMap<(&str, Option<&PathBuf>), SiteAddresses> = BTreeMap::new();
    for (site, http) in gates.iter().filter_map(|(site, gate)| Some((site, gate.http.as_ref()?))) {
        let authority = http.options.tls.as_ref().map(|tls| &tls.authority);
        let addresses = by_path.entry((http.health.as_str(), authority)).or_default();
        addresses.insert(site.clone(), http.address.clone());
    }
    let probes =
        by_path.into_iter().enumerate().filter_map(|(index, ((path, authority), addresses))| {
            let name = if index == 0 { "gate".to_owned() } else { format!("gate-{}", index + 1) };
            let http = HttpProbe {
                addresses,
                path: path.to_owned(),
                status: 200..=299,
                body: None,
                authority: authority.cloned(),
            };
            // The gate's own address is asked as it is written there.
            let probe =
                Probe { kind: Kind::Http(http), cadence: Cadence::of(lease), link_local: true };
            Some((ProbeName::new(name).ok()?, probe))
        });
    probes.collect()
}
