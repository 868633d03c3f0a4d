//! The file as it was typed: each value with its place, nothing looked up, nothing compared. What
//! it means is in `resolve`. The comments here are the reference in `docs/reference/`.

pub mod dns;
pub mod runbook;
pub mod tcp;
mod web;

pub use web::{AccessLog, Group, HttpLimits, HttpTls, Route};

use super::people::People;
use super::reader::{At, table};
use super::values::{
    Address, BodyPattern, CookieName, CoordinatorKind, Count, DnsName, EtcdUrl, Every, KeyPrefix,
    MailAddress, NotifierWord, Number, ProbeKind, SecretReference, Statuses, StoreWord, TableName,
    TlsMode, UrlPath, UrlText, VariableName,
};
use mainstay_core::estate::{Durability, FailoverMode, SalvageRule};
use mainstay_core::notifier::MailEncryption;
use mainstay_core::people::{Force, Role};
use mainstay_core::{
    AlertSeverity, ApplicationName, GroupName, NotifierName, ProbeName, SiteName, StoreName,
};
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
        /// Zones of DNS in which names of the applications stand.
        dns: Named<DnsName, dns::Zone> = Optional;
        /// Who may do what. Without it whoever may open an agent's Unix socket may do everything:
        /// the user that runs the agent, and root.
        people: People = Optional;
        /// Programs that probes may start, each with its whole path.
        probe_commands: Vec<At<String>> = Optional;
        /// Programs that steps of runbooks may start, each with its whole path.
        step_commands: Vec<At<String>> = Optional;
        /// What must survive, each as one.
        applications: Named<ApplicationName, Application> = Required;
        /// Who is told of what is wrong, and how.
        alerts: Named<NotifierName, Alert> = Optional;
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
        /// Where its agent takes people's connections over the network, with TLS 1.3: each person
        /// shows a certificate or a token. Without it only the Unix socket is there.
        people: SocketAddr = Optional;
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
        /// How many people it takes to force a failover, which is to outweigh what would have kept
        /// the agents themselves from one. `two`: one asks for it, and an approver who is somebody
        /// else approves. `one`: an approver does it alone.
        force: Force = Default("\"two\"");
        /// How long a request for approval stands, from 1m to 1h.
        approvals_expire: Duration = Default("\"10m\"");
        /// How long the active site's right to accept writes lasts without renewal, from 3s to 5m.
        /// Shorter fails over sooner and forgives shorter pauses.
        lease: Duration = Default("\"10s\"");
        /// How long after an automatic failover no second one starts.
        cool_down: Duration = Default("\"10m\"");
        /// For how long a site must not have renewed its lease before it is stopped by the means in
        /// `fencing`: at least three renewals, and less than the lease. A site that stands still as a
        /// whole for longer is stopped although it would have come back.
        fence_after: Duration = Default("\"3s\"");
        /// How the other sites stop one from outside: several means are tried in this order. Without
        /// any a failover waits until the lease has run out.
        fencing: Named<SiteName, Vec<At<Means>>> = Optional;
        /// What the application may lose.
        objectives: Objectives = Required;
        /// The data that it cannot lose.
        stores: Named<StoreName, Store> = Required;
        /// Its proxies, one at each site that holds data: clients connect here.
        gates: Named<SiteName, Gate> = Required;
        /// Steps of one's own in its failovers and switchovers.
        runbook: runbook::Runbook = Optional;
        /// Names in DNS that lead to the active site.
        names: Named<DnsName, dns::PublishedName> = Optional;
        /// How every agent looks at the application. When left out: at the `health` path of each
        /// gate's web side.
        probes: Named<ProbeName, Probe> = Optional;
    }
}

table! {
    /// A program that stops a whole site (its agent, its gate and its databases; or the machines
    /// that they run on), and one that tells whether it is stopped. No shell reads the arguments.
    /// `{site}`, `{epoch}` and `{application}` in them stand for what they name. The two see no
    /// other environment than the one written here.
    Means {
        /// The program that stops the site, with its whole path, and its arguments. It must be safe
        /// to run twice.
        command: Vec<At<String>> = Required;
        /// The program that ends with exit status 0 when the site is stopped, and only then. It is
        /// asked again and again until `timeout`.
        confirm: Vec<At<String>> = Required;
        /// What `confirm` must print besides, such as `stopped`, where its exit status does not tell.
        expect: String = Optional;
        /// How long each of the two may take.
        timeout: Duration = Default("\"10s\"");
        /// Their environment. The fenced site itself and the witness do not read it.
        environment: Named<VariableName, SecretReference> = Optional;
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
        /// `postgres`: a PostgreSQL database. `redis`: a Redis or Valkey server.
        kind: StoreWord = Required;
        /// `postgres`: the application's roles in the database. They are locked out while the site
        /// is fenced; none of them may be a superuser.
        roles: Vec<At<String>> = Optional;
        /// Those that only read, and may do so at every site, also while the site is fenced: roles
        /// of `postgres`, ACL users of `redis`. None of them may be able to write: `mainstay check
        /// --live` tells what one may do that it must not. Those of `redis` are `off` in the
        /// server's file like `users`.
        readers: Vec<At<String>> = Optional;
        /// How old what `readers` are answered at the gates' `reads` may be, from 2s. A
        /// site that is further behind, or does not know how far, leads them elsewhere. 5s when left
        /// out.
        max_lag: Duration = Optional;
        /// `redis`: the application's ACL users. They are switched off while the site is fenced;
        /// the server's configuration or ACL file has them `off`, and Mainstay switches them on.
        users: Vec<At<String>> = Optional;
        /// `redis`: keys that are not replicated, by patterns as `KEYS` takes them.
        exclude: Vec<At<String>> = Optional;
        /// `postgres`: what may be done with rows that a lost site had accepted and the other never
        /// received: `replay-inserts`, `keep`, or `ask` for tables that are not named.
        salvage: Named<TableName, SalvageRule> = Optional;
        /// `postgres`: when changes from the other site are on the disk of the standby.
        /// `each-commit` (when left out): before anybody can see them. `together`: several times a
        /// second, which is faster; a standby that crashes gets the last of them again while the other site is there, and has lost
        /// them when it is gone.
        durability: Durability = Optional;
        /// How often a standby compares itself with the active site by itself, every row of every
        /// table or every key, gently: one session at each site, which rests half of the time. A
        /// day when left out, because it reads both servers whole, and what it finds is rare.
        /// `mainstay status` tells when the two differ. `off`: only when a person types `mainstay
        /// compare`.
        compare_every: Every = Optional;
        /// The server at each site.
        endpoints: Named<SiteName, Endpoint> = Required;
    }
}

table! {
    /// One server of a store as Mainstay reaches it, directly and not through a gate.
    Endpoint {
        /// The server.
        address: Address = Required;
        /// `postgres`: the database.
        database: String = Optional;
        /// Mainstay's own user there, which may do everything: a superuser of PostgreSQL, or an ACL
        /// user of Redis with all keys and all commands.
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
        /// For stores with `readers` a second address, for those that only read: it leads to this
        /// site's own database while that is no older than `max-lag`, else to another one that is
        /// not, else to the active site's.
        reads: Named<StoreName, SocketAddr> = Optional;
        /// What these connections may do.
        tcp: tcp::Tcp = Optional;
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
        /// Certificate and key with which the gate speaks TLS. Without them clients speak plain
        /// HTTP: 1.1, or 2 by prior knowledge.
        tls: HttpTls = Optional;
        /// As in `groups`, for `upstreams`.
        check: UrlPath = Optional;
        /// As in `groups`, for `upstreams`.
        sticky: CookieName = Optional;
        /// More of the application's processes at this site, for the requests that `routes` name.
        groups: Named<GroupName, Group> = Optional;
        /// Which requests go to which group.
        routes: Vec<At<Route>> = Optional;
        /// Each site's share of the requests that only read (GET, HEAD, OPTIONS); all others go to
        /// the active site, and so does what a site cannot take. Without it every request does.
        weights: Named<SiteName, Number> = Optional;
        /// Bounds on what clients can make the gate do.
        limits: HttpLimits = Optional;
        /// A line for each request.
        log: AccessLog = Optional;
    }
}

table! {
    /// One person, who is known on the Unix socket by the login, and over the network by a
    /// certificate that names the person, or by the token. The user that runs the agent, and root,
    /// are admins on the socket: the agent's state is theirs anyway.
    Person {
        /// `viewer`: looks. `operator`: compares, repairs, pauses, switches over, and fails over
        /// where nothing is forced. `approver`: also gives the word that `failover = "approve"`
        /// waits for, and approves what others ask for. `admin`: everything.
        role: Role = Required;
        /// The Unix login; the person's name when left out.
        user: String = Optional;
        /// What the person shows over the network without a certificate: at least 32 characters. Only
        /// the agents of sites with `people` read it.
        token: SecretReference = Optional;
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
        /// `postgres`: the store that is written to; in `mainstay.heartbeat`, by Mainstay's own
        /// user, where no `statement` is written.
        store: StoreName = Optional;
        /// `postgres`: what is committed as the application does it: one statement, by `user`, at
        /// `addresses`. What it writes is replicated as anything else.
        statement: String = Optional;
        /// `redis`: the user, where the server has users. `postgres`: whose `statement` it is.
        user: String = Optional;
        /// `redis`, `postgres`: the password.
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

table! {
    /// A notifier: one way to people. Every agent tells by it, the witness's too, so each needs its
    /// secrets; what several agents see is told by one of them.
    Alert {
        /// `webhook`: JSON by POST. `command`: a program of each site's machine, which reads JSON.
        /// `email`: by a mail server. `alertmanager`: Prometheus's.
        kind: NotifierWord = Required;
        /// Only these applications; all of them when left out.
        applications: Vec<At<ApplicationName>> = Optional;
        /// What is less urgent is not told.
        least: AlertSeverity = Default("\"warning\"");
        /// How often what lasts is told again; `1h` when left out, and `1m` for `alertmanager`,
        /// which forgets what it is not told again.
        every: Every = Optional;
        /// `webhook`, `alertmanager`: where to. Where its path is a secret, `env:NAME` or
        /// `file:PATH` says where the whole URL is kept. Redirects are not followed, and link-local
        /// addresses are refused.
        url: UrlText = Optional;
        /// `webhook`: what the messages are signed with (HMAC-SHA256).
        secret: SecretReference = Optional;
        /// `webhook`, `alertmanager`, `email`: file with the certificates that are trusted instead
        /// of the machine's, relative to this file.
        authority: String = Optional;
        /// `command`: the program, as an absolute path, and its arguments. No shell reads them.
        run: Vec<At<String>> = Optional;
        /// `email`: the mail server.
        server: Address = Optional;
        /// `email`: `starttls`: nothing is sent unless the server encrypts. `tls`: from the first
        /// byte. `none`: for a mail server on the same machine.
        encryption: MailEncryption = Default("\"starttls\"");
        /// `email`: Mainstay's user there, when the server wants one.
        user: String = Optional;
        /// `email`: its password.
        password: SecretReference = Optional;
        /// `email`: from whom.
        from: MailAddress = Optional;
        /// `email`: to whom.
        to: Vec<At<MailAddress>> = Optional;
    }
}
