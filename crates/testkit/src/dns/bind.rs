//! BIND (named.conf(5)).

use super::{DnsServer, KEY, SECRET, ZONE, program};
use std::process::Command;

pub(super) fn prepare(server: &DnsServer) {
    let (home, port) = (server.home().display(), server.port);
    server.write(
        "named.conf",
        &format!(
            "options {{\n  directory \"{home}\";\n  pid-file none;\n  session-keyfile none;\n  \
             lock-file none;\n  listen-on port {port} {{ 127.0.0.1; }};\n  listen-on-v6 {{ none; }};\n  \
             recursion no;\n  dnssec-validation no;\n}};\ncontrols {{ }};\n\
             key \"{KEY}\" {{ algorithm hmac-sha256; secret \"{SECRET}\"; }};\n\
             zone \"{ZONE}\" {{\n  type primary;\n  file \"zone\";\n  allow-update {{ key \"{KEY}\"; }};\n}};\n"
        ),
    );
}

pub(super) fn command(server: &DnsServer) -> Command {
    let mut command = program("usr/sbin/named");
    command.arg("-g").arg("-c").arg(server.home().join("named.conf"));
    command
}
