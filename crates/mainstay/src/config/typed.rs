//! The file as it was typed: each value with its place, nothing looked up, nothing compared. What
//! it means is in `resolve`. The comments here are the reference in `docs/reference/`.

use super::reader::{At, table};
use super::values::{
    Address, BodyPattern, CoordinatorKind, Count, EtcdUrl, Every, KeyPrefix, PostgresKind,
    ProbeKind, SecretReference, Statuses, TableName, TlsMode, UrlPath,
};
use mainstay_core::estate::{Durability, FailoverMode, SalvageRule};
use mainstay_core::{ApplicationName, ProbeName, SiteName, StoreName};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// What stands under names that the person chooses.
pub type Named<K, V> = BTreeMap<K, At<V>>;

table! {
    /// One file for all sites: each agent and each gate is told with `--site` which one it is.
    File {
        /// The places where the applications can run, and the witness.
        sites: Named<SiteName, Site> = Required;
        /// Where the agents agree on which site is active.
        coordinator: Coordinator = Required;
        /// The certificates with which agents and gates know each other.
        tls: Tls = Required;
        /// Programs that probes may start, each with its whole path.
        probe_commands: Vec<At<String>> = Optional;
        /// What must survive, each as one.
        applications: Named<ApplicationName, Application> = Required;
    }
}

table! {
    /// A site is a place where the applications can run. A witness runs nothing but an agent: it
    /// votes, and holds no data and no credentials.
    Site {
        /// Where the other sites reach this site's agent, over mutual TLS.
        agent: Address = Required;
        /// Whether this site is a witness.
        witness: bool = Default("false");
    }
}

table! {
    /// The coordinator keeps, for each application, which site is active in which epoch.
    Coordinator {
        /// `embedded`: in the local store of one site's agent. `etcd`: in a cluster of etcd, whose
        /// members stand at the sites and at the witness; no single site is needed.
        kind: CoordinatorKind = Default("\"embedded\"");
        /// `embedded`: the site whose agent keeps it. For automatic failover this is a witness at a
        /// third place.
        site: SiteName = Optional;
        /// `etcd`: where each member takes requests: three of them, or five. They are tried in
        /// this order, and the one that answered is asked again.
        endpoints: Vec<At<EtcdUrl>> = Optional;
        /// `etcd`: what Mainstay's keys begin with, before `/` and the application's name.
        prefix: KeyPrefix = Default("\"mainstay\"");
        /// `etcd`: file with the certificates that signed the members' own, relative to this file;
        /// for `https`.
        authority: String = Optional;
        /// `etcd`: file with the certificate that Mainstay shows the members, when they ask for
        /// one.
        certificate: String = Optional;
        /// `etcd`: file with that certificate's key.
        key: String = Optional;
        /// `etcd`: Mainstay's user there, when authentication is enabled.
        user: String = Optional;
        /// `etcd`: its password. The witness needs it too.
        password: SecretReference = Optional;
    }
}

table! {
    /// Agents and gates accept only each other: both ends show a certificate.
    Tls {
        /// The folder of `ca.pem`, `<site>.pem` and `<site>.key`, relative to this file. A site's
        /// certificate names the site as its subject alternative name.
        directory: String = Required;
    }
}

table! {
    /// An application is what fails over as one: its stores, its gates and its objectives.
    Application {
        /// The site that is active first, and that failback leads to.
        home: SiteName = Required;
        /// `automatic`: the agents act by themselves when every condition holds. `approve`: they
        /// prepare and wait for a person. `manual`: nothing starts by itself.
        failover: FailoverMode = Default("\"approve\"");
        /// How long the active site's right to accept writes lasts without renewal, from 3s to 5m.
        /// Shorter fails over sooner and forgives shorter pauses.
        lease: Duration = Default("\"10s\"");
        /// How long after an automatic failover no second one starts.
        cool_down: Duration = Default("\"10m\"");
        /// What the application may lose.
        objectives: Objectives = Required;
        /// The data that it cannot lose.
        stores: Named<StoreName, Store> = Required;
        /// Its proxies, one at each site that holds data: clients connect here.
        gates: Named<SiteName, Gate> = Required;
        /// How every agent looks at the application. When left out: at the `health` path of each
        /// gate's web side.
        probes: Named<ProbeName, Probe> = Optional;
    }
}

table! {
    /// The figures that a failover is measured against.
    Objectives {
        /// The longest time without service.
        rto: Duration = Required;
        /// The longest span of acknowledged work that may be lost.
        rpo: Duration = Required;
    }
}

table! {
    /// A store is data with one endpoint at each site that holds data.
    Store {
        /// What it is.
        kind: PostgresKind = Required;
        /// The application's roles in the database. They are locked out while the site is fenced;
        /// none of them may be a superuser.
        roles: Vec<At<String>> = Required;
        /// What may be done with rows that a lost site had accepted and the other never received:
        /// `replay-inserts`, `keep`, or `ask` for tables that are not named.
        salvage: Named<TableName, SalvageRule> = Optional;
        /// When changes from the other site are on the disk of the standby. `each-commit`: before
        /// anybody can see them. `together`: several times a second, which is faster; a standby
        /// that crashes gets the last of them again while the other site is there, and has lost
        /// them when it is gone.
        durability: Durability = Default("\"each-commit\"");
        /// How often a standby compares itself with the active site by itself, every row of every
        /// table, gently: one process at each site, which rests half of the time. A day, because it
        /// reads both databases whole, and what it finds is rare. `mainstay status` tells when the
        /// two differ. `off`: only when a person types `mainstay compare`.
        compare_every: Every = Default("\"1d\"");
        /// The database at each site.
        endpoints: Named<SiteName, Endpoint> = Required;
    }
}

table! {
    /// One PostgreSQL database as Mainstay reaches it, directly and not through a gate.
    Endpoint {
        /// The server.
        address: Address = Required;
        /// The database.
        database: String = Required;
        /// Mainstay's own superuser there.
        user: String = Default("\"mainstay\"");
        /// Its password; left out where the server asks for none.
        password: SecretReference = Optional;
        /// `verify-full`: encrypted, and the server's name checked against `authority`. `disable`:
        /// not encrypted.
        tls: TlsMode = Default("\"verify-full\"");
        /// File with the certificates that `verify-full` trusts, relative to this file.
        authority: String = Optional;
    }
}

table! {
    /// The gate of one site: the application's requests and connections go through it, to the site
    /// that is active.
    Gate {
        /// How long a request or a connection is held while the active site changes.
        hold: Duration = Default("\"10s\"");
        /// Where the other sites' gates reach this one, over mutual TLS.
        peer: Address = Required;
        /// Where it listens for them; the port of `peer` on all interfaces when left out.
        peer_listen: SocketAddr = Optional;
        /// The application's web requests.
        http: Http = Optional;
        /// For each store the address at which the application connects to it.
        stores: Named<StoreName, SocketAddr> = Required;
    }
}

table! {
    /// The web requests of one gate.
    Http {
        /// Where the gate listens for clients.
        listen: SocketAddr = Required;
        /// The same, as the other sites reach it to probe it.
        address: Address = Required;
        /// The application's processes at this site.
        upstreams: Vec<At<Address>> = Required;
        /// A path that answers 2xx when the application works.
        health: UrlPath = Default("\"/health\"");
    }
}

table! {
    /// A probe is one way to look at the application. Every agent makes it of every site that holds
    /// data, its own included, and of each the way that clients take; a witness makes those that
    /// need no credentials. A site is healthy while all its probes pass.
    Probe {
        /// `http`: a GET that is answered as it must be. `tcp`: a connection that is accepted.
        /// `postgres`: a write that is committed. `redis`: a PING that is answered. `command`: a
        /// program that ends with status 0.
        kind: ProbeKind = Required;
        /// `http`, `tcp`, `redis`: where it looks at each site that holds data. `postgres`: the
        /// same, such as the gate's address; the store's own endpoint when left out.
        addresses: Named<SiteName, Address> = Optional;
        /// From one look to the next, from 100ms. A tenth of the lease, and at most 1s, when left
        /// out.
        interval: Duration = Optional;
        /// How long one look may take. One and a half times as long as the usual `interval` when
        /// left out.
        timeout: Duration = Optional;
        /// So many looks in a row of the other outcome change what is concluded, from 1 to 100.
        /// Before the lease is over, a loss must be noticed: `interval` + (`threshold` - 1) times
        /// the longer of `interval` and `timeout` + `timeout` is shorter than that.
        threshold: Count = Default("2");
        /// `http`: what is asked for; `/` when left out.
        path: UrlPath = Optional;
        /// `http`: which statuses pass; `200-299` when left out. A redirect is never followed.
        status: Statuses = Optional;
        /// `http`: text that the first 64 KiB of the answer must hold.
        body: String = Optional;
        /// `http`: a regular expression that they must match.
        body_matches: BodyPattern = Optional;
        /// `http`, `redis`: file with the certificates that signed the server's, relative to this
        /// file; with it, the probe is made over TLS.
        authority: String = Optional;
        /// `postgres`: the store that is written to, in `mainstay.heartbeat`.
        store: StoreName = Optional;
        /// `redis`: the user, where the server has users.
        user: String = Optional;
        /// `redis`: the password.
        password: SecretReference = Optional;
        /// `redis`: whether `mainstay:probe` may be set, for a minute each time; a PING alone does
        /// not tell that the server takes writes.
        write: bool = Optional;
        /// `command`: the program, which must stand in `probe-commands`, and its arguments. It runs
        /// without a shell, with MAINSTAY_APPLICATION, MAINSTAY_PROBE, MAINSTAY_SITE and PATH as
        /// its whole environment, and is killed with all that it started when its time is over.
        command: Vec<At<String>> = Optional;
        /// Whether addresses in 169.254.0.0/16 and fe80::/10 may be asked. There clouds hand out
        /// a machine's own credentials.
        link_local: bool = Default("false");
    }
}
