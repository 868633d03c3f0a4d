//! DNSSEC as others see it: BIND as a resolver that validates, `delv`, and Knot signing.

use super::{DnsKind, DnsServer, ZONE, dig, knot, program, zone};
use std::fs;
use std::net::SocketAddr;

/// The zone around the tests' zone.
const PARENT: &str = "org";

impl DnsServer {
    /// A resolver that validates: it asks each zone's server at its address, trusts these anchors
    /// (lines as `static_ds` writes them) and keeps nothing for longer than a second.
    pub fn validating(zones: &[(&str, SocketAddr)], anchors: &str) -> Self {
        let server = Self::empty(DnsKind::Bind, ZONE);
        let (home, port) = (server.home().display(), server.port);
        let mut text = format!(
            "options {{\n  directory \"{home}\";\n  pid-file none;\n  session-keyfile none;\n  \
             lock-file none;\n  listen-on port {port} {{ 127.0.0.1; }};\n  \
             listen-on-v6 {{ none; }};\n  recursion yes;\n  dnssec-validation yes;\n  \
             max-cache-ttl 1;\n  max-ncache-ttl 1;\n  servfail-ttl 0;\n}};\ncontrols {{ }};\n\
             trust-anchors {{\n{anchors}}};\n"
        );
        for (zone, of) in zones {
            text += &format!(
                "zone \"{zone}\" {{ type forward; forward only; forwarders {{ {} port {}; }}; }};\n",
                of.ip(),
                of.port()
            );
        }
        server.write("named.conf", &text);
        server.begin()
    }

    /// All that `dig` prints when it is asked for signatures too.
    pub fn ask(&self, question: &[&str]) -> String {
        let at = SocketAddr::from(([127, 0, 0, 1], self.port));
        dig(at, &[&["+dnssec"], question].concat())
    }

    /// Knot with the same zone as ever, signed.
    pub fn signing() -> Self {
        let server = Self::empty(DnsKind::Knot, ZONE);
        server.write("zone", &zone());
        knot::prepare(&server, knot::SIGNED);
        server.begin()
    }

    /// Knot with the signed zone around the tests' zone, which it delegates. Its DS records come by
    /// `nsupdate`, after a line `zone org`.
    pub fn parent() -> Self {
        let server = Self::empty(DnsKind::Knot, PARENT);
        let lines = [
            "$TTL 1",
            "@ IN SOA ns1.org. hostmaster.org. 1 3600 900 86400 1",
            "@ IN NS ns1.org.",
            "ns1 IN A 127.0.0.1",
            "example IN NS ns1.example.org.",
            "ns1.example IN A 127.0.0.1",
            "",
        ];
        server.write("zone", &lines.join("\n"));
        knot::prepare(&server, knot::SIGNED);
        server.begin()
    }

    /// An anchor to trust that zone by, of the keys that it has now.
    pub fn anchor(&self) -> String {
        let keys = self.dig(self.zone, "DNSKEY");
        let line = |key: &String| {
            let mut words = key.splitn(4, ' ');
            let mut word = || words.next().expect("a key").to_owned();
            let (flags, protocol, algorithm, public) = (word(), word(), word(), word());
            let public = public.replace(' ', "");
            format!("  \"{}\" static-key {flags} {protocol} {algorithm} \"{public}\";\n", self.zone)
        };
        keys.iter().map(line).collect()
    }
}

/// A DS record, as a parent zone has it, as an anchor.
pub fn static_ds(record: &str) -> String {
    let words: Vec<&str> = record.split_whitespace().collect();
    let [zone, _ttl, "IN", "DS", tag, algorithm, kind, digest] = words[..] else {
        panic!("no DS record: {record}");
    };
    format!("  \"{zone}\" static-ds {tag} {algorithm} {kind} \"{digest}\";\n")
}

/// All that `delv` prints, asking the zone's server itself and trusting these anchors.
pub fn delv(at: SocketAddr, anchors: &str, arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("anchors");
    fs::write(&file, format!("trust-anchors {{\n{anchors}}};\n")).expect("the folder is ours");
    let (ip, port, root) =
        (format!("@{}", at.ip()), at.port().to_string(), format!("+root={ZONE}"));
    let mut command = program("usr/bin/delv");
    command.args([&ip, "-p", &port, &root, "-a"]).arg(&file).args(arguments);
    let output = command.output().expect("delv starts");
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    said(&output.stdout) + &said(&output.stderr)
}
