//! The configuration of the simulated sites.

use mainstay_core::estate::{
    Application, CoordinatorPlace, Durability, Estate, FailoverMode, Gate, HttpGate, Objectives,
    PostgresEndpoint, PostgresStore, PostgresTls, Site, Store, StoreKind, TlsFiles,
};
use mainstay_core::lease::Lease;
use mainstay_core::people::{Force, People, Person, Role};
use mainstay_core::watch::{Cadence, HttpProbe, Probe, ProbeKind};
use mainstay_core::{ApplicationName, PersonName, ProbeName, Secret, SiteName, StoreName};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

pub const NAMES: [&str; 3] = ["east", "west", "witness"];
const LEASE: Duration = Duration::from_secs(6);
/// A site that lost power is followed within so many milliseconds: the lease with its margin, and
/// what detection, fence, drain and promotion take beside it.
pub const FOLLOWED: u64 = 6_120 + 4_000;
/// The witness is off so long before an older copy of the record is brought back.
pub const RESTORE: u64 = 8_000;
const RPO: Duration = Duration::from_secs(3);
pub const COOL_DOWN: Duration = Duration::from_secs(20);
/// What a failover by itself may lose: the objective, and what a site may accept after its last
/// right was seen, with clocks that differ.
pub const LOSS_BOUND: Duration = Duration::from_millis(3_000 + 3_000 + 500);

pub fn application() -> ApplicationName {
    ApplicationName::new("bank").expect("a name")
}

/// What the one person shows; names and logins would be asked of the machine.
pub const TOKEN: &str = "the simulated person's own token";

fn people() -> People {
    let token = Some(Secret::new(TOKEN));
    let person = Person { role: Role::Admin, user: "ana".to_owned(), token };
    let ana = PersonName::new("ana").expect("a name");
    People { by_name: BTreeMap::from([(ana, person)]), ..People::default() }
}

fn probe() -> Probe {
    let addresses = (0..2).map(|site| (name(site), NAMES[site].to_owned())).collect();
    let (path, status) = ("/health".to_owned(), 200..=299);
    let http = HttpProbe { addresses, path, status, body: None, authority: None };
    let cadence = Cadence::of(Lease::new(LEASE));
    Probe { kind: ProbeKind::Http(http), cadence, link_local: false }
}

fn name(site: usize) -> SiteName {
    SiteName::new(NAMES[site]).expect("a name")
}

pub fn estate(here: usize) -> Estate {
    let site = |site: usize| {
        let agent = NAMES[site].to_owned();
        (name(site), Site { witness: site == 2, agent, people: None })
    };
    let bank = Application {
        name: application(),
        home: name(0),
        failover: FailoverMode::Automatic,
        objectives: Objectives { rto: Duration::from_secs(60), rpo: RPO },
        lease: LEASE,
        cool_down: COOL_DOWN,
        force: Force::One,
        fencing: BTreeMap::new(),
        fence_after: LEASE,
        approvals_expire: Duration::from_secs(600),
        runbooks: BTreeMap::new(),
        names: BTreeMap::new(),
        probes: BTreeMap::from([(ProbeName::new("web").expect("a name"), probe())]),
        stores: BTreeMap::from([store()]),
        gates: (0..2).map(|site| (name(site), gate(site))).collect(),
    };
    Estate {
        here: name(here),
        sites: (0..3).map(site).collect(),
        coordinator: CoordinatorPlace::Embedded { site: name(2) },
        tls: TlsFiles {
            authority: PathBuf::new(),
            certificate: PathBuf::new(),
            key: PathBuf::new(),
        },
        dns: BTreeMap::new(),
        alerts: BTreeMap::new(),
        people: Some(people()),
        applications: BTreeMap::from([(application(), bank)]),
    }
}

fn store() -> (StoreName, Store) {
    let db = StoreName::new("db").expect("a name");
    let endpoint = |site: usize| PostgresEndpoint {
        host: NAMES[site].to_owned(),
        port: 5432,
        database: "bank".to_owned(),
        user: "mainstay".to_owned(),
        password: None,
        tls: PostgresTls::Disable,
    };
    let kind = StoreKind::Postgres(PostgresStore {
        roles: vec!["bank".to_owned()],
        readers: Vec::new(),
        max_lag: Duration::from_secs(5),
        salvage: BTreeMap::new(),
        durability: Durability::EachCommit,
        compare_every: None,
        endpoints: (0..2).map(|site| (name(site), endpoint(site))).collect(),
    });
    (db.clone(), Store { name: db, kind })
}

fn gate(site: usize) -> Gate {
    let listen = "127.0.0.1:1".parse().expect("an address");
    Gate {
        http: Some(HttpGate {
            listen,
            address: NAMES[site].to_owned(),
            upstreams: vec![NAMES[site].to_owned()],
            health: "/health".to_owned(),
            options: Default::default(),
        }),
        stores: BTreeMap::new(),
        reads: BTreeMap::new(),
        tcp: Default::default(),
        peer_listen: listen,
        peer: NAMES[site].to_owned(),
        hold: Duration::from_secs(10),
    }
}
