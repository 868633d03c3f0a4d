//! BIND as a resolver that asks one server for everything.

use super::{DnsKind, DnsServer, ZONE, program};
use std::net::SocketAddr;

impl DnsServer {
    /// A resolver that asks the server at this address, and keeps what it says for its TTL.
    pub fn resolver(of: SocketAddr) -> Self {
        let server = Self::empty(DnsKind::Bind, ZONE);
        let (home, port) = (server.home().display(), server.port);
        server.write(
            "named.conf",
            &format!(
                "options {{\n  directory \"{home}\";\n  pid-file none;\n  session-keyfile none;\n  \
                 lock-file none;\n  listen-on port {port} {{ 127.0.0.1; }};\n  \
                 listen-on-v6 {{ none; }};\n  recursion yes;\n  dnssec-validation no;\n  \
                 forward only;\n  forwarders {{ {} port {}; }};\n}};\ncontrols {{ }};\n",
                of.ip(),
                of.port()
            ),
        );
        server.begin()
    }
}

/// All that `dig` prints of the server at this address.
pub fn dig(at: SocketAddr, arguments: &[&str]) -> String {
    let (ip, port) = (format!("@{}", at.ip()), at.port().to_string());
    let mut command = program("usr/bin/dig");
    command.args([&ip, "-p", &port, "+time=2", "+tries=2"]).args(arguments);
    let output = command.output().expect("dig starts");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
