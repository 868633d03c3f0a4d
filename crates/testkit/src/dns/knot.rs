//! Knot DNS (knot.conf(5)).

use super::{DnsServer, KEY, SECRET, program};
use std::process::Command;

/// `policy`: of the zone's signing, or nothing.
pub(super) fn prepare(server: &DnsServer, policy: &str) {
    let (home, port, zone) = (server.home().display(), server.port, server.zone);
    server.write(
        "knot.conf",
        &format!(
            "server:\n    rundir: \"{home}\"\n    listen: 127.0.0.1@{port}\n\
             log:\n  - target: stderr\n    any: info\n\
             database:\n    storage: \"{home}\"\n\
             key:\n  - id: {KEY}\n    algorithm: hmac-sha256\n    secret: {SECRET}\n\
             acl:\n  - id: update\n    key: {KEY}\n    action: update\n\
             policy:\n  - id: one-key\n    algorithm: ecdsap256sha256\n    \
             single-type-signing: on\n\
             zone:\n  - domain: {zone}\n    storage: \"{home}\"\n    file: zone\n    acl: update\n{policy}"
        ),
    );
}

/// Signed when it is loaded and changed, by a key of its own.
pub(super) const SIGNED: &str = "    dnssec-signing: on\n    dnssec-policy: one-key\n";

pub(super) fn command(server: &DnsServer) -> Command {
    let mut command = program("usr/sbin/knotd");
    command.arg("-c").arg(server.home().join("knot.conf"));
    command
}
