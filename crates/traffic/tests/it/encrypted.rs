//! A server that takes encrypted connections only.

use super::postgres::connect;
use super::support::certificates::Authority;
use super::support::site::{LONG, Pair, db_name};
use mainstay_core::estate::TlsFiles;
use mainstay_testkit::{Options, Postgres};
use nix::unistd::{Uid, User, chown};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tokio_postgres::error::SqlState;

const HOLD: Duration = Duration::from_secs(1);

/// PostgreSQL wants its key to be its own and nobody else's.
pub fn give_to_server(folder: &TempDir, key: &Path) {
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("ours")
    };
    mode(folder.path(), 0o755);
    mode(key, 0o600);
    if Uid::effective().is_root() {
        let find = |name| User::from_name(name).expect("the user database can be read");
        let user = find("postgres").or_else(|| find("mainstay-test")).expect("testkit's user");
        chown(key, Some(user.uid), Some(user.gid)).expect("root may");
    }
}

pub fn server(files: &TlsFiles) -> Postgres {
    let path = |path: &Path| path.to_str().expect("plain").to_owned();
    let options = Options::default()
        .fsync(false)
        .set("ssl", "on")
        .set("ssl_cert_file", &path(&files.certificate))
        .set("ssl_key_file", &path(&files.key));
    Postgres::start(options)
}

async fn gate(server: &Postgres, authority: &Path) -> Pair {
    let authority = authority.to_owned();
    let pair = Pair::start_with(HOLD, [server.port(), 1], |spec| {
        let store = spec.stores.get_mut(&db_name()).expect("there");
        store.authority = Some(authority.clone());
    })
    .await;
    pair.east.serve(1, LONG).await;
    pair
}

#[tokio::test]
async fn the_gate_encrypts_towards_the_server_and_verifies_it() {
    let folder = TempDir::new().unwrap();
    let files = Authority::new().issue("127.0.0.1", folder.path());
    give_to_server(&folder, &files.key);
    let server = server(&files);

    let pair = gate(&server, &files.authority).await;
    let client = connect(&server, pair.east.db).await.unwrap();
    let query = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    assert!(client.query_one(query, &[]).await.unwrap().get::<_, bool>(0));
    pair.east.hold(1, LONG).await;
    pair.east.report(|report| report.drained).await;

    let other = TempDir::new().unwrap();
    let stranger = Authority::new().issue("127.0.0.1", other.path());
    let pair = gate(&server, &stranger.authority).await;
    let error = connect(&server, pair.east.db).await.err().unwrap();
    assert_eq!(error.code(), Some(&SqlState::CANNOT_CONNECT_NOW), "{error:?}");
}
