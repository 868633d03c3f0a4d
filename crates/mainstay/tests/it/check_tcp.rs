//! `mainstay check` of how clients connect to stores.

use crate::check::told;

/// The example with this for the connections through east's gate.
fn told_of(name: &str, tcp: &str) {
    let gate = "[applications.bank.gates.east.stores]\n";
    let with = format!("[applications.bank.gates.east.tcp]\n{tcp}\n{gate}");
    told(&format!("tcp-{name}"), &[(gate, with.as_str())], &[]);
}

#[test]
fn encryption_and_age_can_be_written() {
    let tcp = "certificate = \"tls/databases.pem\"\nkey = \"tls/east.key\"\nmax-age = \"30m\"\n";
    told_of("good", tcp);
    told_of("through", "through = true\n");
}

#[test]
fn a_certificate_without_its_key_is_refused() {
    told_of("half", "certificate = \"tls/databases.pem\"\n");
}

#[test]
fn a_certificate_where_encryption_passes_through_is_refused() {
    let tcp = "certificate = \"tls/databases.pem\"\nkey = \"tls/east.key\"\nthrough = true\n";
    told_of("both", tcp);
}

#[test]
fn an_age_that_would_only_have_clients_connect_is_refused() {
    told_of("young", "max-age = \"10ms\"\n");
}
