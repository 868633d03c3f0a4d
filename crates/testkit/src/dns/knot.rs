//! Knot DNS (knot.conf(5)).

use super::{DnsServer, KEY, SECRET, ZONE, program};
use std::process::Command;

pub(super) fn prepare(server: &DnsServer) {
    let (home, port) = (server.home().display(), server.port);
    server.write(
        "knot.conf",
        &format!(
            "server:\n    rundir: \"{home}\"\n    listen: 127.0.0.1@{port}\n\
             log:\n  - target: stderr\n    any: info\n\
             database:\n    storage: \"{home}\"\n\
             key:\n  - id: {KEY}\n    algorithm: hmac-sha256\n    secret: {SECRET}\n\
             acl:\n  - id: update\n    key: {KEY}\n    action: update\n\
             zone:\n  - domain: {ZONE}\n    storage: \"{home}\"\n    file: zone\n    acl: update\n"
        ),
    );
}

pub(super) fn command(server: &DnsServer) -> Command {
    let mut command = program("usr/sbin/knotd");
    command.arg("-c").arg(server.home().join("knot.conf"));
    command
}
