//! What the file means, as one site sees it. By now every problem of the text itself is reported;
//! what is left is what surrounds the file: secrets and certificates. None means that a problem was
//! reported.

mod dns;
mod redis;
mod runbook;
mod tcp;
mod web;

pub use dns::zone_of;

use super::load::Look;
use super::people::People as TypedPeople;
use super::problem::{Problem, code};
use super::reader::At;
use super::secrets::Vault;
use super::typed::{self, Named};
use super::values::{Address, CoordinatorKind, EtcdUrl, SecretReference, StoreWord, TlsMode};
use mainstay_core::estate::{
    Application, CoordinatorPlace, Durability, Estate, Etcd, EtcdEndpoint, EtcdUser, FenceMeans,
    Gate, Objectives, PostgresEndpoint, PostgresStore, PostgresTls, Site, Store, StoreKind,
    TlsFiles,
};
use mainstay_core::people::{People, Person};
use mainstay_core::{ApplicationName, PersonName, Secret, SiteName, StoreName};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How old what readers are answered may be, where nothing is written.
const MAX_LAG: Duration = Duration::from_secs(5);
/// How often a standby compares itself where nothing is written.
const COMPARED: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) struct Resolver<'a> {
    /// Whose view it is.
    eyes: &'a SiteName,
    pub(super) vault: &'a Vault<'a>,
    /// False at a witness, and where nobody needs them.
    pub(super) secrets: bool,
    pub(super) witness: bool,
    /// Whether it is known which site this is: then its own certificates are looked for.
    own: bool,
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
    let mut resolver = Resolver { eyes, vault, secrets, witness, own: here.is_some(), problems };
    let application =
        |resolver: &mut Resolver<'_>, name: &_, at: &_| resolver.application(file, name, at);
    let applications = resolver.map(file.applications.as_ref()?, application);
    let zones = resolver.zones(file);
    let coordinator = resolver.coordinator(&file.coordinator.as_ref()?.value);
    let tls = resolver.tls(file.tls.as_ref()?, eyes);
    // Without `here` the file is checked for every site: then tokens matter if any takes people.
    let takes = |name: &SiteName| here.is_none_or(|here| here == name);
    let doors =
        sites.value.iter().filter(|(name, site)| takes(name) && site.value.people.is_some());
    let door = doors.count() > 0;
    let people = match &file.people {
        Some(people) => Some(resolver.people(&people.value, door)?),
        None => None,
    };
    let alerts = match &file.alerts {
        Some(alerts) => resolver.map(alerts, Resolver::notifier),
        None => Some(BTreeMap::new()),
    };
    Some(Estate {
        here: eyes.clone(),
        sites: sites.value.iter().map(site).collect::<Option<_>>()?,
        coordinator: coordinator?,
        tls: tls?,
        dns: zones?,
        people,
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
    let people = value(&at.value.people);
    Some((name.clone(), Site { witness, agent: address(&at.value.agent)?, people }))
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
    pub(super) fn map<K: Ord + Clone, T, R>(
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
        file: &typed::File,
        name: &ApplicationName,
        at: &At<typed::Application>,
    ) -> Option<Application> {
        let typed = &at.value;
        let stores = self.map(typed.stores.as_ref()?, Self::store);
        let objectives = &typed.objectives.as_ref()?.value;
        let gates = self.map(typed.gates.as_ref()?, Self::gate)?;
        Some(Application {
            name: name.clone(),
            home: value(&typed.home)?,
            failover: value(&typed.failover)?,
            force: value(&typed.force)?,
            approvals_expire: value(&typed.approvals_expire)?,
            objectives: Objectives { rto: value(&objectives.rto)?, rpo: value(&objectives.rpo)? },
            lease: value(&typed.lease)?,
            cool_down: value(&typed.cool_down)?,
            fencing: match &typed.fencing {
                Some(fencing) => self.map(fencing, Self::means)?,
                None => BTreeMap::new(),
            },
            fence_after: value(&typed.fence_after)?,
            stores: stores?,
            probes: self.probes(typed, &gates)?,
            gates,
            runbooks: self.runbooks(typed)?,
            names: dns::names(file, typed)?,
        })
    }

    fn means(
        &mut self,
        fenced: &SiteName,
        at: &At<Vec<At<typed::Means>>>,
    ) -> Option<Vec<FenceMeans>> {
        let secrets = self.secrets && fenced != self.eyes;
        let words = |at: &At<Vec<At<String>>>| at.value.iter().map(|it| it.value.clone()).collect();
        let one = |at: &At<typed::Means>| {
            let typed = &at.value;
            let environment = typed.environment.iter().filter(|_| secrets);
            let mut read = BTreeMap::new();
            for (name, reference) in environment.flat_map(|table| &table.value) {
                read.insert(name.0.clone(), self.secret(Some(reference))??);
            }
            Some(FenceMeans {
                command: words(typed.command.as_ref()?),
                confirm: words(typed.confirm.as_ref()?),
                expect: value(&typed.expect),
                timeout: value(&typed.timeout)?,
                environment: read,
            })
        };
        at.value.iter().map(one).collect()
    }

    fn store(&mut self, name: &StoreName, at: &At<typed::Store>) -> Option<Store> {
        let kind = match at.value.kind.as_ref()?.value {
            StoreWord::Postgres => StoreKind::Postgres(self.postgres_store(at)?),
            StoreWord::Redis => StoreKind::Redis(self.redis_store(at)?),
        };
        Some(Store { name: name.clone(), kind })
    }

    fn postgres_store(&mut self, at: &At<typed::Store>) -> Option<PostgresStore> {
        let endpoints = self.map(at.value.endpoints.as_ref()?, Self::endpoint);
        let salvage = at.value.salvage.iter().flat_map(|table| &table.value);
        let names = |at: &At<Vec<At<String>>>| at.value.iter().map(|it| it.value.clone()).collect();
        Some(PostgresStore {
            roles: names(at.value.roles.as_ref()?),
            readers: at.value.readers.as_ref().map(names).unwrap_or_default(),
            max_lag: value(&at.value.max_lag).unwrap_or(MAX_LAG),
            salvage: salvage.map(|(table, rule)| (table.0.clone(), rule.value)).collect(),
            durability: value(&at.value.durability).unwrap_or(Durability::EachCommit),
            compare_every: self.compare_every(&at.value),
            endpoints: endpoints?,
        })
    }

    fn compare_every(&self, store: &typed::Store) -> Option<Duration> {
        value(&store.compare_every).map_or(Some(COMPARED), |every| every.0)
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

    /// Tokens are read only where they are shown: at a site that takes people's connections.
    fn people(&mut self, typed: &TypedPeople, door: bool) -> Option<People> {
        let authority = typed.authority.as_ref().map(|written| {
            let path = self.vault.path(&written.value);
            if door {
                self.must_exist(written, &[&path]);
            }
            path
        });
        let tokens = door && self.vault.look == Look::Everywhere;
        let person = |resolver: &mut Self, (name, at): (&PersonName, &At<typed::Person>)| {
            let written = at.value.token.as_ref().filter(|_| tokens);
            let token = resolver.secret(written)?;
            if let (Some(written), Some(token)) = (written, &token) {
                resolver.problems.extend(weak(token).map(|problem| written.blame(problem)));
            }
            let user = value(&at.value.user).unwrap_or_else(|| name.to_string());
            Some((name.clone(), Person { role: value(&at.value.role)?, user, token }))
        };
        let read: Vec<_> = typed.by_name.iter().map(|one| person(self, one)).collect();
        let by_name: BTreeMap<_, _> = read.into_iter().collect::<Option<_>>()?;
        self.problems.extend(shared_token(&by_name));
        Some(People { authority, group: value(&typed.group), by_name })
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
                Some(PostgresTls::VerifyFull { authority: self.server_authority(endpoint)? })
            }
        }
    }

    fn server_authority(&mut self, endpoint: &typed::Endpoint) -> Option<PathBuf> {
        let written = endpoint.authority.as_ref()?;
        let authority = self.vault.path(&written.value);
        if !self.witness {
            self.must_exist(written, &[&authority]);
        }
        Some(authority)
    }

    fn tls(&mut self, at: &At<typed::Tls>, here: &SiteName) -> Option<TlsFiles> {
        let written = at.value.directory.as_ref()?;
        let directory = self.vault.path(&written.value);
        let authority = directory.join("ca.pem");
        let certificate = directory.join(format!("{here}.pem"));
        let key = directory.join(format!("{here}.key"));
        let own = self.own.then_some([&certificate, &key]);
        let needed: Vec<&Path> = std::iter::once(&authority)
            .chain(own.into_iter().flatten())
            .map(PathBuf::as_path)
            .collect();
        self.must_exist(written, &needed);
        Some(TlsFiles { authority, certificate, key })
    }

    fn gate(&mut self, site: &SiteName, at: &At<typed::Gate>) -> Option<Gate> {
        let typed = &at.value;
        let peer = &typed.peer.as_ref()?.value;
        let everywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, peer.port));
        let stores = &typed.stores.as_ref()?.value;
        let reads = typed.reads.iter().flat_map(|table| &table.value);
        Some(Gate {
            http: match &typed.http {
                Some(http) => Some(self.web_side(site, http)?),
                None => None,
            },
            stores: stores.iter().map(|(name, listen)| (name.clone(), listen.value)).collect(),
            reads: reads.map(|(name, listen)| (name.clone(), listen.value)).collect(),
            tcp: typed
                .tcp
                .as_ref()
                .map_or_else(Default::default, |at| tcp::options(self.vault, &at.value)),
            peer_listen: value(&typed.peer_listen).unwrap_or(everywhere),
            peer: peer.to_string(),
            hold: value(&typed.hold)?,
        })
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

/// Whoever can try them without end must not come to its end.
const SHORTEST_TOKEN: usize = 32;

fn weak(token: &Secret) -> Option<Problem> {
    let length = token.expose().chars().count();
    let plain = token.expose().chars().all(|c| c.is_ascii_graphic());
    let why = match (length < SHORTEST_TOKEN, plain) {
        (false, true) => return None,
        (true, _) => format!("has {length} characters, fewer than {SHORTEST_TOKEN}"),
        (false, false) => "holds spaces, control characters or letters beyond ASCII".to_owned(),
    };
    let advice = "make one: openssl rand -hex 32";
    Some(Problem::error(code::WEAK_TOKEN, format!("the token {why}"), advice).label("too weak"))
}

fn shared_token(people: &BTreeMap<PersonName, Person>) -> Option<Problem> {
    let tokens: Vec<_> =
        people.iter().filter_map(|(n, it)| Some((n, it.token.as_ref()?))).collect();
    let twice = tokens.iter().enumerate().find_map(|(index, (name, token))| {
        let other = tokens[..index].iter().find(|(_, other)| other == token);
        other.map(|(other, _)| (other, name))
    });
    let (one, other) = twice?;
    let what = format!("{one} and {other} have the same token: nobody could tell them apart");
    let advice = "give each a token of their own: openssl rand -hex 32";
    Some(Problem::error(code::ONE_PERSON_TWICE, what, advice).place("people"))
}
