//! Zones of DNS, and the applications' names in them.

use crate::config::reader::{At, table};
use crate::config::typed::Named;
use crate::config::values::{Address, DnsProvider, SecretReference};
use mainstay_core::SiteName;
use mainstay_core::estate::TsigAlgorithm;
use std::net::IpAddr;
use std::time::Duration;

table! {
    /// A zone of DNS in which names of applications stand, under the zone's name. Its servers stay
    /// who they are; Mainstay changes the applications' names there and nothing else.
    Zone {
        /// How it is changed. `rfc2136`: by dynamic updates, as Knot, BIND, PowerDNS and others
        /// take them.
        kind: DnsProvider = Default("\"rfc2136\"");
        /// Every server that answers for the zone. The first takes the changes; a name counts as
        /// moved when all of them say so.
        servers: Vec<At<Address>> = Required;
        /// The key that changes are signed with.
        key: UpdateKey = Optional;
        /// Resolvers that `mainstay dns trace` asks besides the servers.
        resolvers: Vec<At<Address>> = Optional;
    }
}

table! {
    /// A TSIG key (RFC 8945): without one, servers would know who may change the zone by address
    /// only.
    UpdateKey {
        /// Its name, as the servers have it.
        name: String = Required;
        /// How messages are signed with it.
        algorithm: TsigAlgorithm = Default("\"hmac-sha256\"");
        /// The key itself, in base64, as `tsig-keygen` or `keymgr -t` write it.
        secret: SecretReference = Required;
    }
}

table! {
    /// A name, in quotes, that answers with the active site's addresses. Beside it stands a TXT
    /// record, `_mainstay.<name>`, which says of which epoch the answer is.
    PublishedName {
        /// How long a resolver may keep an answer, from 1s to 1d, in whole seconds.
        ttl: Duration = Default("\"30s\"");
        /// For each site that holds data where clients reach it: its gate.
        addresses: Named<SiteName, Vec<At<IpAddr>>> = Required;
    }
}
