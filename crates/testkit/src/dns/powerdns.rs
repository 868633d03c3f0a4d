//! PowerDNS with its SQLite backend (its manual, "Dynamic DNS Update").

use super::{DnsServer, KEY, SECRET, ZONE, libraries, program, run};
use crate::parts::dns_folder;
use std::process::Command;

const SCHEMA: &str = "usr/share/doc/pdns-backend-sqlite3/schema.sqlite3.sql";

pub(super) fn prepare(server: &DnsServer) {
    let (home, port) = (server.home().display(), server.port);
    let modules = libraries(&dns_folder()).join("pdns");
    server.write(
        "pdns.conf",
        &format!(
            "launch=gsqlite3\ngsqlite3-database={home}/zone.db\nmodule-dir={}\nsocket-dir={home}\n\
             local-address=127.0.0.1\nlocal-port={port}\ndnsupdate=yes\n\
             allow-dnsupdate-from=127.0.0.0/8\nwebserver=no\nguardian=no\ndaemon=no\n\
             consistent-backends=no\nquery-cache-ttl=0\ncache-ttl=0\nnegquery-cache-ttl=0\n",
            modules.display()
        ),
    );
    let schema =
        std::fs::read_to_string(dns_folder().join(SCHEMA)).expect("PowerDNS has its schema");
    let database = rusqlite::Connection::open(server.home().join("zone.db"));
    let database = database.expect("the folder is ours");
    database.execute_batch(&schema).expect("the schema is SQLite's");
    let zone = server.home().join("zone");
    pdnsutil(server, &["load-zone", ZONE, &zone.display().to_string()]);
    pdnsutil(server, &["import-tsig-key", KEY, "hmac-sha256", SECRET]);
    pdnsutil(server, &["set-meta", ZONE, "TSIG-ALLOW-DNSUPDATE", KEY]);
}

fn pdnsutil(server: &DnsServer, arguments: &[&str]) {
    let config = format!("--config-dir={}", server.home().display());
    run(program("usr/bin/pdnsutil").arg(config).args(arguments));
}

pub(super) fn command(server: &DnsServer) -> Command {
    let mut command = program("usr/sbin/pdns_server");
    command.arg(format!("--config-dir={}", server.home().display()));
    command
}
