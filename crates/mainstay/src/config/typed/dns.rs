//! Zones of DNS, and the applications' names in them.

use crate::config::reader::{At, table};
use crate::config::typed::Named;
use crate::config::values::{
    Address, Count, DnsName, DnsProvider, ProviderId, ResourceGroup, SecretReference,
};
use mainstay_core::SiteName;
use mainstay_core::estate::{Network, TsigAlgorithm};
use mainstay_core::notifier::HttpUrl;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

table! {
    /// A zone of DNS in which names of applications stand, under the zone's name. Either its servers
    /// stay who they are, and Mainstay changes the applications' names there and nothing else; or
    /// Mainstay itself answers for the zone.
    Zone {
        /// `rfc2136`: changed by dynamic updates, as Knot, BIND, PowerDNS and others take them.
        /// `own`: the gate's process of each site answers for it; the parent zone delegates it
        /// there. `route53`, `cloudflare`, `azure`: changed by the API of Amazon Route 53, of
        /// Cloudflare or of Azure DNS.
        kind: DnsProvider = Default("\"rfc2136\"");
        /// Every server that answers for the zone: a name counts as moved when all of them say so.
        /// `rfc2136`: needed; the first takes the changes. `route53`, `cloudflare`, `azure`: those
        /// that the provider names, when left out.
        servers: Vec<At<Address>> = Optional;
        /// `rfc2136`: the key that changes are signed with.
        key: UpdateKey = Optional;
        /// `own`: the server at each site that holds data.
        sites: Named<SiteName, OwnServer> = Optional;
        /// `own`: the mail address of who looks after the zone, with a dot instead of the @, as SOA
        /// records have it; `hostmaster.<zone>` when left out.
        contact: DnsName = Optional;
        /// `own`: the file with the key that answers are signed with (DNSSEC), the same at every
        /// site; two while one replaces the other. `mainstay dns key new` makes one. Not signed when
        /// left out.
        signing_keys: Vec<At<SecretReference>> = Optional;
        /// `route53`: the hosted zone, and who may change it.
        route53: Route53Zone = Optional;
        /// `cloudflare`: the zone, and who may change it.
        cloudflare: CloudflareZone = Optional;
        /// `azure`: where the zone is, and who may change it.
        azure: AzureZone = Optional;
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
    /// A hosted zone of Amazon Route 53. Without a key, the role of the machine (EC2's metadata
    /// service, IMDSv2) may change it.
    Route53Zone {
        /// The hosted zone's id, such as `Z0123456789ABC`. When left out, the one public zone of
        /// that name.
        zone_id: ProviderId = Optional;
        /// That requests are signed for.
        region: ProviderId = Default("\"us-east-1\"");
        /// The access key's id.
        access_key: SecretReference = Optional;
        /// The secret access key.
        secret_key: SecretReference = Optional;
        /// Of a key that ends by itself.
        session_token: SecretReference = Optional;
        /// Where the API is asked. Other partitions of AWS have others.
        endpoint: HttpUrl = Default("\"https://route53.amazonaws.com\"");
    }
}

table! {
    /// A zone at Cloudflare.
    CloudflareZone {
        /// The zone's id. When left out, the zone of that name.
        zone_id: ProviderId = Optional;
        /// An API token that may edit the zone's DNS (and, without `zone-id`, read the zone).
        token: SecretReference = Required;
        /// Where the API is asked.
        endpoint: HttpUrl = Default("\"https://api.cloudflare.com/client/v4\"");
    }
}

table! {
    /// A public zone of Azure DNS. Without a secret, the identity of the machine (Azure's metadata
    /// service) may change it.
    AzureZone {
        /// The id of the subscription that the zone is in.
        subscription: ProviderId = Required;
        /// The resource group that the zone is in.
        resource_group: ResourceGroup = Required;
        /// The id of the tenant (the directory) of the client.
        tenant: ProviderId = Optional;
        /// The application's client id. Without a secret: which of several identities of the machine.
        client_id: ProviderId = Optional;
        /// The value of a client secret of that application.
        client_secret: SecretReference = Optional;
        /// Where the API is asked. Sovereign clouds have others.
        endpoint: HttpUrl = Default("\"https://management.azure.com\"");
        /// Where the client logs in. Sovereign clouds have others.
        login: HttpUrl = Default("\"https://login.microsoftonline.com\"");
    }
}

table! {
    /// Mainstay's own DNS server at one site. It answers over UDP and TCP.
    OwnServer {
        /// Where it listens. On a machine with several addresses name the one that resolvers ask:
        /// answers have to come from there.
        listen: SocketAddr = Required;
        /// Its name, as the parent zone's NS records have it.
        name: DnsName = Required;
        /// Where resolvers reach it, at port 53: what the parent zone has as glue.
        addresses: Vec<At<IpAddr>> = Required;
    }
}

table! {
    /// A name, in quotes, that answers with the active site's addresses. Beside it stands a TXT
    /// record, `_mainstay.<name>`, which says of which epoch the answer is.
    PublishedName {
        /// How long a resolver may keep an answer, from 1s to 1d, in whole seconds.
        ttl: Duration = Default("\"30s\"");
        /// For each site that holds data where clients reach it: its gate.
        addresses: Named<SiteName, Vec<At<IpAddr>>> = Optional;
        /// Instead of `addresses`: another name of the application, whose answers this one gives
        /// too. Unlike a CNAME record it can stand at the zone's own name.
        alias: DnsName = Optional;
        /// In a zone of kind `own` or `route53`: how often each site's addresses are the answer, in
        /// proportion. Sites that this one does not reach are left out; at Route 53 (where a weight
        /// is 0 to 255) those that `health-checks` find unhealthy. Without it the answer is always
        /// the active site.
        weights: Named<SiteName, Count> = Optional;
        /// In a zone of kind `route53`: the id of a health check of Route 53 for each site's gate. It
        /// answers with another site's addresses by itself while the active one's is unhealthy.
        health_checks: Named<SiteName, ProviderId> = Optional;
        /// In a zone of kind `own`: the networks whose clients are led to each site while it is
        /// there. The smallest network decides; all others are led to the active site. Where
        /// clients are is what their resolver says (EDNS client subnet), or else where it is itself.
        networks: Named<SiteName, Vec<At<Network>>> = Optional;
    }
}
