//! The first copy: everything that the source has, whatever happens meanwhile.

use super::world::{Load, World, count, same, stopped, streams};
use mainstay_core::estate::RedisTls;
use mainstay_stores::redis::link;
use mainstay_testkit::{RedisKind, RedisOptions, RedisServer};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::path::{Path, PathBuf};

#[tokio::test(flavor = "multi_thread")]
async fn every_type_and_encoding_is_copied_between_servers_of_all_versions() {
    use RedisKind::{Redis6, Redis7, Valkey9};
    let pairs = [
        (Redis6, Redis7, "no"),
        (Redis7, Redis7, "yes"),
        (Redis7, Valkey9, "no"),
        (Valkey9, Valkey9, "yes"),
    ];
    for (from, to, diskless) in pairs {
        let options = RedisOptions::of(from).set("repl-diskless-sync", diskless);
        let world = World::with(options, RedisOptions::of(to));
        world.source.write_every_encoding();
        let link = world.streaming().await;
        let both = world.both(&link).await;
        assert!(both[0].lines().count() > 50, "{}", both[0]);
        same(both, &format!("{from:?} to {to:?}, diskless {diskless}"));
        link.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_during_the_copy_is_there_once_also_in_large_values() {
    copy_under_load(10_000_000, 20_000).await;
}

/// A string of 512 MB less what is appended, and five million members.
#[tokio::test(flavor = "multi_thread")]
async fn soak_what_is_written_during_the_copy_is_there_once_also_in_the_largest_values() {
    copy_under_load(536_000_000, 5_000_000).await;
}

async fn copy_under_load(length: u64, members: u64) {
    let world = World::new(RedisKind::Redis7, RedisKind::Redis7);
    let mut client = world.source.client();
    client.run(&["SETRANGE", "large", &(length - 3).to_string(), "end"]);
    let fill = "for i = 1, ARGV[1] do redis.call('ZADD', 'members', i, 'member ' .. i) end";
    client.run(&["EVAL", fill, "0", &members.to_string()]);
    let load = Load::start(&world.source, |client, n| {
        count(client, n);
        client.run(&["ZINCRBY", "members", "1", &format!("member {}", n % 500 + 1)]);
        client.run(&["APPEND", "large", "x"]);
    });
    let link = world.streaming().await;
    assert!(load.end() > 0);
    same(world.both(&link).await, "in the end");
    assert_eq!(world.synchronised().0, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_with_keys_of_its_own_is_not_touched_unless_that_is_asked_for() {
    let world = World::new(RedisKind::Redis7, RedisKind::Redis7);
    world.source.client().run(&["SET", "key", "theirs"]);
    world.target.client().run(&["SET", "other", "ours"]);
    world.target.client().run(&["SET", "mainstay:site", "kept"]);
    let before = world.target.dump();
    let link = link::start(world.spec());
    assert_eq!(stopped(&link).await.0, "MS-RD-206");
    assert_eq!(world.target.dump(), before);
    drop(link);

    let link = link::start(link::LinkSpec { replace: true, ..world.spec() });
    streams(&link).await;
    same(world.both(&link).await, "in the end");
    assert_eq!(world.target.client().run(&["GET", "mainstay:site"]).text(), "kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_user_and_its_password_the_same_is_copied() {
    let user = "mainstay on >word ~* &* +@all";
    let options = || RedisOptions::of(RedisKind::Redis7).user(user).password("other");
    let world = World::with(options(), options());
    let source: &RedisServer = &world.source;
    source.write_every_encoding();
    let mut spec = world.spec();
    for endpoint in [&mut spec.source, &mut spec.target] {
        endpoint.user = Some("mainstay".to_owned());
        endpoint.password = Some(mainstay_core::Secret::new("word"));
    }
    let link = link::start(spec.clone());
    streams(&link).await;
    same(world.both(&link).await, "in the end");
    link.stop().await;

    spec.source.password = Some(mainstay_core::Secret::new("wrong"));
    let (code, reason) = stopped(&link::start(spec)).await;
    assert_eq!(code, "MS-RD-101");
    assert!(!reason.contains("wrong:") && reason.contains("WRONGPASS"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_the_servers_are_verified_and_the_same_is_copied() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let folder = tempfile::tempdir().expect("a folder");
    let [ours, strange] = ["ours", "strange"].map(|name| authority(folder.path(), name));
    let options = |host| RedisOptions::of(RedisKind::Redis7).tls(certificate(&ours, host));
    let world = World::with(options("127.0.0.1"), options("127.0.0.1"));
    world.source.write_every_encoding();
    let link = world.streaming().await;
    same(world.both(&link).await, "over TLS");
    link.stop().await;

    let mut spec = world.spec();
    spec.target.tls = RedisTls::VerifyFull { authority: strange.1 };
    let (code, reason) = stopped(&link::start(spec)).await;
    assert_eq!(code, "MS-RD-105", "{reason}");
    let mut spec = world.spec();
    spec.source.host = "localhost".to_owned();
    let (code, reason) = stopped(&link::start(spec)).await;
    assert_eq!(code, "MS-RD-105", "{reason}");
}

type Authority = (CertifiedIssuer<'static, KeyPair>, PathBuf);

fn authority(folder: &Path, name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority");
    let path = folder.join(name);
    std::fs::write(&path, issuer.pem()).expect("the folder is ours");
    (issuer, path)
}

/// Certificate, key and authority, as the server takes them.
fn certificate((issuer, path): &Authority, host: &str) -> [PathBuf; 3] {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec![host.to_owned()]).expect("a name");
    let certificate = params.signed_by(&key, issuer).expect("a certificate");
    let files = [path.with_extension("crt"), path.with_extension("key"), path.clone()];
    std::fs::write(&files[0], certificate.pem()).expect("the folder is ours");
    std::fs::write(&files[1], key.serialize_pem()).expect("the folder is ours");
    files
}
