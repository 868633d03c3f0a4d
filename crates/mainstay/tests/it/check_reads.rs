//! `mainstay check` of addresses for reads and of those that may use them.

use crate::check::told;

const ROLES: &str = "roles = [\"bank\"]\n";
const STORES: &str = "[applications.bank.gates.east.stores]\n";

/// The example with this for the store and for east's gate.
fn told_of(name: &str, store: &str, reads: &str) {
    let store = format!("{ROLES}{store}");
    let gate = format!("[applications.bank.gates.east.reads]\n{reads}\n{STORES}");
    told(&format!("reads-{name}"), &[(ROLES, store.as_str()), (STORES, gate.as_str())], &[]);
}

#[test]
fn readers_and_their_address_can_be_written() {
    told_of(
        "good",
        "readers = [\"bank_reader\"]\nmax-lag = \"10s\"\n",
        "db = \"127.0.0.1:6440\"\n",
    );
}

#[test]
fn an_address_without_readers_is_refused() {
    told_of("nobody", "", "db = \"127.0.0.1:6440\"\n");
}

#[test]
fn a_reader_that_is_one_of_the_applications_roles_or_mainstay_itself_is_refused() {
    told_of("more", "readers = [\"bank\", \"mainstay\"]\n", "db = \"127.0.0.1:6440\"\n");
}

#[test]
fn a_bound_that_nothing_keeps_is_refused() {
    told_of("young", "readers = [\"bank_reader\"]\nmax-lag = \"1s\"\n", "");
    told_of("alone", "max-lag = \"1m\"\n", "");
}

#[test]
fn an_unknown_store_and_a_taken_port_are_refused() {
    let reads = "db = \"127.0.0.1:6432\"\nbd = \"127.0.0.1:6440\"\n";
    told_of("taken", "readers = [\"bank_reader\"]\n", reads);
}

/// The same with a Redis store beside it.
fn told_of_redis(name: &str, readers: &str) {
    let endpoint = |site: &str| {
        format!(
            "[applications.bank.stores.cache.endpoints.{site}]\n\
             address = \"{site}.example:6379\"\npassword = \"env:BANK_DB_PASSWORD\"\n\
             tls = \"disable\"\n"
        )
    };
    let store = format!(
        "[applications.bank.stores.cache]\nkind = \"redis\"\nusers = [\"app\"]\n{readers}{}{}\
         [applications.bank.stores.db]\n",
        endpoint("east"),
        endpoint("west")
    );
    let way = "cache = \"127.0.0.1:6439\"\n";
    let gate =
        format!("[applications.bank.gates.east.reads]\ncache = \"127.0.0.1:6440\"\n{STORES}{way}");
    let other = "[applications.bank.gates.west.stores]\n";
    let edits = [
        ("[applications.bank.stores.db]\n", store.as_str()),
        (STORES, gate.as_str()),
        (other, &format!("{other}{way}")),
    ];
    told(&format!("reads-redis{name}"), &edits, &[]);
}

#[test]
fn a_redis_server_has_readers_too() {
    told_of_redis("", "readers = [\"app-reader\"]\nmax-lag = \"10s\"\n");
}

#[test]
fn readers_of_redis_that_are_nobody_or_more_are_refused() {
    told_of_redis("-nobody", "");
    told_of_redis("-more", "readers = [\"app\", \"mainstay\"]\n");
}
