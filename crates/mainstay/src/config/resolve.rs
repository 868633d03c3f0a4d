//! What the file means, as one site sees it. By now every problem of the text itself is reported;
//! what is left is what surrounds the file: secrets and certificates. None means that a problem was
//! reported.

use super::load::Look;
use super::problem::{Problem, code};
use super::reader::At;
use super::secrets::Vault;
use super::typed::{self, Named};
use super::values::{Address, CoordinatorKind, EtcdUrl, PostgresKind, SecretReference, TlsMode};
use mainstay_core::estate::{
    Application, CoordinatorPlace, Estate, Etcd, EtcdEndpoint, EtcdUser, Gate, HttpGate,
    Objectives, PostgresEndpoint, PostgresStore, PostgresTls, Site, Store, StoreKind, TlsFiles,
};
use mainstay_core::{ApplicationName, Secret, SiteName, StoreName};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

pub(super) struct Resolver<'a> {
    pub(super) vault: &'a Vault<'a>,
    /// False at a witness, and where nobody needs them.
    secrets: bool,
    witness: bool,
    pub(super) problems: &'a mut Vec<Problem>,
}

/// The estate as `here` sees it; without `here`, as the first site that holds data sees it, and
/// then no site's own certificate is looked for.
pub fn resolve(
    file: &typed::File,
    here: Option<&SiteName>,
    vault: &Vault<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Estate> {
    let sites = file.sites.as_ref()?;
    let witness = match here {
        Some(here) => is_witness(sites, here, problems)?,
        None => false,
    };
    let first = sites.value.iter().find(|(_, site)| !flagged_witness(&site.value));
    let eyes = here.or(first.map(|(name, _)| name))?;
    let secrets = !witness && vault.look == Look::Everywhere;
    let mut resolver = Resolver { vault, secrets, witness, problems };
    let applications = resolver.map(file.applications.as_ref()?, Resolver::application);
    let coordinator = resolver.coordinator(&file.coordinator.as_ref()?.value);
    let tls = resolver.tls(file.tls.as_ref()?, eyes, here.is_some());
    let alerts = match &file.alerts {
        Some(alerts) => resolver.map(alerts, Resolver::notifier),
        None => Some(BTreeMap::new()),
    };
    Some(Estate {
        here: eyes.clone(),
        sites: sites.value.iter().map(site).collect::<Option<_>>()?,
        coordinator: coordinator?,
        tls: tls?,
        applications: applications?,
        alerts: alerts?,
    })
}

fn is_witness(
    sites: &At<Named<SiteName, typed::Site>>,
    here: &SiteName,
    problems: &mut Vec<Problem>,
) -> Option<bool> {
    let site = sites.value.get(here);
    if site.is_none() {
        let known: Vec<_> = sites.value.keys().map(ToString::to_string).collect();
        let what = format!("there is no site `{here}` in the file, but --site names it");
        let advice = format!("--site is one of: {}", known.join(", "));
        problems.push(Problem::error(code::SITE_NOT_CHOSEN, what, advice).place("sites"));
    }
    site.map(|site| flagged_witness(&site.value))
}

fn flagged_witness(site: &typed::Site) -> bool {
    site.witness.as_ref().is_some_and(|witness| witness.value)
}

fn site((name, at): (&SiteName, &At<typed::Site>)) -> Option<(SiteName, Site)> {
    let witness = at.value.witness.as_ref()?.value;
    Some((name.clone(), Site { witness, agent: address(&at.value.agent)? }))
}

fn address(at: &Option<At<Address>>) -> Option<String> {
    at.as_ref().map(|at| at.value.to_string())
}

/// The value without its place.
pub(super) fn value<T: Clone>(at: &Option<At<T>>) -> Option<T> {
    at.as_ref().map(|at| at.value.clone())
}

impl Resolver<'_> {
    /// All entries, so that each can report; None when one is incomplete.
    fn map<K: Ord + Clone, T, R>(
        &mut self,
        table: &At<Named<K, T>>,
        mut one: impl FnMut(&mut Self, &K, &At<T>) -> Option<R>,
    ) -> Option<BTreeMap<K, R>> {
        let all: Vec<_> =
            table.value.iter().map(|(key, at)| (key.clone(), one(self, key, at))).collect();
        all.into_iter().map(|(key, value)| Some((key, value?))).collect()
    }

    fn application(
        &mut self,
        name: &ApplicationName,
        at: &At<typed::Application>,
    ) -> Option<Application> {
        let typed = &at.value;
        let stores = self.map(typed.stores.as_ref()?, Self::store);
        let objectives = &typed.objectives.as_ref()?.value;
        Some(Application {
            name: name.clone(),
            home: value(&typed.home)?,
            failover: value(&typed.failover)?,
            objectives: Objectives { rto: value(&objectives.rto)?, rpo: value(&objectives.rpo)? },
            lease: value(&typed.lease)?,
            cool_down: value(&typed.cool_down)?,
            stores: stores?,
            gates: self.map(typed.gates.as_ref()?, |_, _, gate_at| gate(&gate_at.value))?,
        })
    }

    fn store(&mut self, name: &StoreName, at: &At<typed::Store>) -> Option<Store> {
        let PostgresKind::Postgres = at.value.kind.as_ref()?.value;
        let endpoints = self.map(at.value.endpoints.as_ref()?, Self::endpoint);
        let salvage = at.value.salvage.iter().flat_map(|table| &table.value);
        let kind = StoreKind::Postgres(PostgresStore {
            roles: at.value.roles.as_ref()?.value.iter().map(|role| role.value.clone()).collect(),
            salvage: salvage.map(|(table, rule)| (table.0.clone(), rule.value)).collect(),
            durability: value(&at.value.durability)?,
            compare_every: value(&at.value.compare_every)?.0,
            endpoints: endpoints?,
        });
        Some(Store { name: name.clone(), kind })
    }

    fn endpoint(&mut self, _: &SiteName, at: &At<typed::Endpoint>) -> Option<PostgresEndpoint> {
        let password = self.secret(at.value.password.as_ref().filter(|_| self.secrets));
        let tls = self.postgres_tls(&at.value);
        let address = &at.value.address.as_ref()?.value;
        Some(PostgresEndpoint {
            host: address.host.clone(),
            port: address.port,
            database: value(&at.value.database)?,
            user: value(&at.value.user)?,
            password: password?,
            tls: tls?,
        })
    }

    fn coordinator(&mut self, typed: &typed::Coordinator) -> Option<CoordinatorPlace> {
        match typed.kind.as_ref()?.value {
            CoordinatorKind::Embedded => {
                Some(CoordinatorPlace::Embedded { site: value(&typed.site)? })
            }
            CoordinatorKind::Etcd => Some(CoordinatorPlace::Etcd(self.etcd(typed)?)),
        }
    }

    /// A witness reads these too: it has to see the record as everybody does.
    fn etcd(&mut self, typed: &typed::Coordinator) -> Option<Etcd> {
        let files = [&typed.authority, &typed.certificate, &typed.key];
        for written in files.into_iter().flatten() {
            self.must_exist(written, &[&self.vault.path(&written.value)]);
        }
        let path = |at: &Option<At<String>>| Some(self.vault.path(&at.as_ref()?.value));
        let (authority, identity) =
            (path(&typed.authority), path(&typed.certificate).zip(path(&typed.key)));
        let everywhere = self.vault.look == Look::Everywhere;
        let password = self.secret(typed.password.as_ref().filter(|_| everywhere))?;
        let endpoint = |at: &At<EtcdUrl>| {
            let EtcdUrl { encrypted, address } = at.value.clone();
            EtcdEndpoint { encrypted, host: address.host, port: address.port }
        };
        Some(Etcd {
            endpoints: typed.endpoints.as_ref()?.value.iter().map(endpoint).collect(),
            prefix: value(&typed.prefix)?.0,
            authority,
            identity,
            user: value(&typed.user).map(|name| EtcdUser { name, password }),
        })
    }

    pub(super) fn secret(
        &mut self,
        reference: Option<&At<SecretReference>>,
    ) -> Option<Option<Secret>> {
        match reference.map(|reference| self.vault.read(reference)) {
            None => Some(None),
            Some(Ok(secret)) => Some(Some(secret)),
            Some(Err(problem)) => {
                self.problems.push(*problem);
                None
            }
        }
    }

    fn postgres_tls(&mut self, endpoint: &typed::Endpoint) -> Option<PostgresTls> {
        match endpoint.tls.as_ref()?.value {
            TlsMode::Disable => Some(PostgresTls::Disable),
            TlsMode::VerifyFull => {
                let written = endpoint.authority.as_ref()?;
                let authority = self.vault.path(&written.value);
                if !self.witness {
                    self.must_exist(written, &[&authority]);
                }
                Some(PostgresTls::VerifyFull { authority })
            }
        }
    }

    fn tls(&mut self, at: &At<typed::Tls>, here: &SiteName, own: bool) -> Option<TlsFiles> {
        let written = at.value.directory.as_ref()?;
        let directory = self.vault.path(&written.value);
        let authority = directory.join("ca.pem");
        let certificate = directory.join(format!("{here}.pem"));
        let key = directory.join(format!("{here}.key"));
        let own = own.then_some([&certificate, &key]);
        let needed: Vec<&Path> = std::iter::once(&authority)
            .chain(own.into_iter().flatten())
            .map(PathBuf::as_path)
            .collect();
        self.must_exist(written, &needed);
        Some(TlsFiles { authority, certificate, key })
    }

    pub(super) fn must_exist(&mut self, written: &At<String>, paths: &[&Path]) {
        let missing = paths.iter().filter_map(|path| {
            let why = self.vault.file_exists(path).err()?;
            Some(format!("{}: {why}", path.display()))
        });
        let missing: Vec<String> = missing.collect();
        if missing.is_empty() {
            return;
        }
        let what = format!("cannot read {}", missing.join("; "));
        let advice = "put the file there, readable for the user of mainstay (docs/errors/\
                      MS-CFG-015.md shows how to make one); to check the file where it is not at \
                      hand: mainstay check --file-only";
        let problem = Problem::error(code::TLS_FILE_MISSING, what, advice);
        self.problems.push(written.blame(problem.label("cannot be read")));
    }
}

fn gate(typed: &typed::Gate) -> Option<Gate> {
    let peer = &typed.peer.as_ref()?.value;
    let everywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, peer.port));
    let stores = &typed.stores.as_ref()?.value;
    Some(Gate {
        http: match &typed.http {
            Some(http) => Some(web(&http.value)?),
            None => None,
        },
        stores: stores.iter().map(|(name, listen)| (name.clone(), listen.value)).collect(),
        peer_listen: value(&typed.peer_listen).unwrap_or(everywhere),
        peer: peer.to_string(),
        hold: value(&typed.hold)?,
    })
}

fn web(typed: &typed::Http) -> Option<HttpGate> {
    Some(HttpGate {
        listen: value(&typed.listen)?,
        address: address(&typed.address)?,
        upstreams: typed.upstreams.as_ref()?.value.iter().map(|at| at.value.to_string()).collect(),
        health: value(&typed.health)?.0,
    })
}
