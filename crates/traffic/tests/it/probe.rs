//! Probes against real servers, and servers that play foul.

use super::support::certificates::Authority;
use super::support::upstream::{Record, Upstream};
use mainstay_core::lease::Lease;
use mainstay_core::watch::{
    BodyRule, Cadence, CommandProbe, HttpProbe, Probe, ProbeKind, RedisProbe, SiteAddresses,
};
use mainstay_core::{ApplicationName, ProbeName, Secret, SiteName};
use mainstay_testkit::free_port;
use mainstay_traffic::probe::{Asked, FailureKind, Prober};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const TIMEOUT: Duration = Duration::from_secs(5);

fn east() -> SiteName {
    SiteName::new("east").expect("a name")
}

fn at(address: &str) -> SiteAddresses {
    [(east(), address.to_owned())].into()
}

fn web(address: &str, path: &str) -> HttpProbe {
    HttpProbe {
        addresses: at(address),
        path: path.to_owned(),
        status: 200..=299,
        body: None,
        authority: None,
    }
}

pub fn redis(address: &str) -> RedisProbe {
    RedisProbe {
        addresses: at(address),
        user: None,
        password: None,
        guarded: false,
        write: false,
        authority: None,
    }
}

fn probe(kind: ProbeKind) -> Probe {
    let cadence = Cadence { timeout: TIMEOUT, ..Cadence::of(Lease::new(TIMEOUT)) };
    Probe { kind, cadence, link_local: false }
}

/// Why a look fails; none when it passes.
async fn look(probe: Probe) -> Option<FailureKind> {
    let name = ProbeName::new("web").expect("a name");
    let application = ApplicationName::new("bank").expect("a name");
    let asked = Asked { application: &application, probe: &name, site: &east() };
    let prober = Prober::new(&probe).expect("it can be made");
    prober.look(&asked).await.err().map(|failure| failure.kind)
}

async fn look_at_web(http: HttpProbe) -> Option<FailureKind> {
    look(probe(ProbeKind::Http(http))).await
}

pub async fn look_at_redis(redis: RedisProbe) -> Option<FailureKind> {
    look(probe(ProbeKind::Redis(redis))).await
}

async fn run(program: &str, arguments: &[&str]) -> Option<FailureKind> {
    look(probe(command(program, arguments))).await
}

fn command(program: &str, arguments: &[&str]) -> ProbeKind {
    let arguments = arguments.iter().map(ToString::to_string).collect();
    ProbeKind::Command(CommandProbe { program: program.into(), arguments })
}

pub fn says(failure: Option<FailureKind>) -> String {
    match failure {
        Some(FailureKind::Says(what)) => what,
        other => panic!("{other:?}"),
    }
}

/// Answers the first connection with these bytes and closes, or keeps it open when there are none.
async fn server(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it is bound").to_string();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).await;
        if answer.is_empty() {
            std::future::pending::<()>().await;
        }
        let _ = stream.write_all(answer).await;
    });
    address
}

/// Expects these bytes, one after the other, and gives each its answer.
async fn scripted(script: &'static [(&'static str, &'static str)]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it is bound").to_string();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        for (expected, answer) in script {
            let mut read = vec![0; expected.len()];
            stream.read_exact(&mut read).await.expect("as many bytes");
            assert_eq!(String::from_utf8_lossy(&read), *expected);
            stream.write_all(answer.as_bytes()).await.expect("it listens");
        }
    });
    address
}

#[tokio::test]
async fn any_2xx_is_healthy_and_nothing_else_is() {
    let upstream = Upstream::start("east", Record::default()).await;
    let address = upstream.address.to_string();
    for status in [200, 204] {
        assert_eq!(look_at_web(web(&address, &format!("/status/{status}"))).await, None);
    }
    for status in [301, 404, 500, 503] {
        let failure = look_at_web(web(&address, &format!("/status/{status}"))).await;
        assert_eq!(failure, Some(FailureKind::Status(status)));
    }
    let teapot = HttpProbe { status: 400..=418, ..web(&address, "/status/404") };
    assert_eq!(look_at_web(teapot).await, None);
    assert_eq!(look(probe(ProbeKind::Tcp(at(&address)))).await, None);
}

#[tokio::test]
async fn a_redirect_is_not_followed_wherever_it_leads() {
    let record = Record::default();
    let upstream = Upstream::start("east", record.clone()).await;
    let answer = format!(
        "HTTP/1.1 302 Found\r\nlocation: http://{}/\r\ncontent-length: 0\r\n\r\n",
        upstream.address
    );
    let address = server(Box::leak(answer.into_boxed_str()).as_bytes()).await;
    assert_eq!(look_at_web(web(&address, "/")).await, Some(FailureKind::Status(302)));
    assert!(record.lock().expect("no panic").is_empty(), "the redirect was followed");
}

#[tokio::test]
async fn the_answer_must_hold_what_it_must_in_its_first_64_kib() {
    let upstream = Upstream::start("east", Record::default()).await;
    let address = upstream.address.to_string();
    let asks = |rule: BodyRule, path| HttpProbe { body: Some(rule), ..web(&address, path) };
    let holds = |text: &str| BodyRule::Contains(text.to_owned());
    let fits = |text: &str| BodyRule::Matches(text.to_owned());
    assert_eq!(look_at_web(asks(holds("east:"), "/")).await, None);
    assert_eq!(look_at_web(asks(fits("^e[a-z]+:$"), "/")).await, None);
    for rule in [holds("west:"), fits("^west")] {
        let failure = look_at_web(asks(rule, "/")).await;
        assert!(matches!(failure, Some(FailureKind::Body(_))), "{failure:?}");
    }
    assert_eq!(look_at_web(asks(fits("^x{1,9}"), "/big/100000000")).await, None);
    let endless = b"HTTP/1.1 200 OK\r\ncontent-length: 70000\r\n\r\n";
    let tail = [endless.as_slice(), &[b'x'; 65_530], b"well well well"].concat();
    let address = server(Box::leak(tail.into_boxed_slice())).await;
    let failure = look_at_web(HttpProbe { body: Some(holds("well well")), ..web(&address, "/") });
    assert!(matches!(failure.await, Some(FailureKind::Body(_))), "it is beyond what is read");
}

#[tokio::test]
async fn a_port_where_nothing_listens_is_refused() {
    let address = format!("127.0.0.1:{}", free_port());
    assert_eq!(look(probe(ProbeKind::Tcp(at(&address)))).await, Some(FailureKind::Refused));
    assert_eq!(look_at_web(web(&address, "/")).await, Some(FailureKind::Refused));
    assert_eq!(look_at_redis(redis(&address)).await, Some(FailureKind::Refused));
}

#[tokio::test]
async fn silence_is_a_timeout_and_a_hang_up_or_nonsense_is_told_apart() {
    let mut short = probe(ProbeKind::Http(web(&server(b"").await, "/")));
    short.cadence.timeout = Duration::from_millis(200);
    assert_eq!(look(short).await, Some(FailureKind::Timeout));
    let failure = look_at_web(web(&server(b"220 mail ready\r\n").await, "/")).await;
    assert!(matches!(failure, Some(FailureKind::Protocol(_))), "{failure:?}");
    let failure = look_at_web(web(&server(b"HTTP/1.1 20").await, "/")).await;
    assert!(matches!(failure, Some(FailureKind::Unreachable(_))), "{failure:?}");
    let failure = look(probe(ProbeKind::Tcp(at("no-such-name.invalid:1")))).await;
    assert!(matches!(failure, Some(FailureKind::Unreachable(_))), "{failure:?}");
}

#[tokio::test]
async fn link_local_addresses_are_not_asked_unless_told() {
    for address in ["169.254.169.254:80", "[fe80::1]:80", "[::ffff:169.254.169.254]:80"] {
        let failure = look_at_web(web(address, "/latest/meta-data/")).await;
        assert!(matches!(failure, Some(FailureKind::NotMade(_))), "{address}: {failure:?}");
        assert_eq!(failure.and_then(|kind| kind.outcome()), None, "nothing is known by it");
    }
}

#[tokio::test]
async fn over_tls_the_certificate_must_be_of_that_address_and_of_that_authority() {
    let folder = tempfile::tempdir().expect("a folder");
    let (ours, theirs) = (folder.path().join("ours"), folder.path().join("theirs"));
    for folder in [&ours, &theirs] {
        std::fs::create_dir(folder).expect("a folder");
    }
    let (ours, theirs) =
        (Authority::new().issue("localhost", &ours), Authority::new().issue("localhost", &theirs));
    let port = encrypted_server(&ours).await;
    let asks = |host: &str, authority: &std::path::Path| HttpProbe {
        authority: Some(authority.to_owned()),
        ..web(&format!("{host}:{port}"), "/")
    };
    assert_eq!(look_at_web(asks("localhost", &ours.authority)).await, None);
    for wrong in [asks("127.0.0.1", &ours.authority), asks("localhost", &theirs.authority)] {
        let failure = look_at_web(wrong).await;
        assert!(matches!(failure, Some(FailureKind::Protocol(_))), "{failure:?}");
    }
    let plain = look_at_web(web(&format!("localhost:{port}"), "/")).await;
    assert!(plain.is_some(), "it does not speak in the clear");
}

/// Answers each request with 200 over TLS.
async fn encrypted_server(files: &mainstay_core::estate::TlsFiles) -> u16 {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let chain = CertificateDer::pem_file_iter(&files.certificate).expect("a file");
    let chain = chain.collect::<Result<_, _>>().expect("certificates");
    let key = PrivateKeyDer::from_pem_file(&files.key).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a certificate");
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("it is bound").port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                let _ = stream.write_all(answer).await;
            });
        }
    });
    port
}

#[tokio::test]
async fn redis_is_asked_in_its_own_protocol_and_no_value_becomes_a_command() {
    const PING: (&str, &str) = ("*1\r\n$4\r\nPING\r\n", "+PONG\r\n");
    assert_eq!(look_at_redis(redis(&scripted(&[PING]).await)).await, None);
    let script = &[
        ("*3\r\n$4\r\nAUTH\r\n$5\r\nprobe\r\n$12\r\nsec\r\nret*1\r\n\r\n", "+OK\r\n"),
        PING,
        (
            "*5\r\n$3\r\nSET\r\n$14\r\nmainstay:probe\r\n$1\r\n1\r\n$2\r\nPX\r\n$5\r\n60000\r\n",
            "+OK\r\n",
        ),
    ];
    let asks = RedisProbe {
        user: Some("probe".to_owned()),
        password: Some(Secret::new("sec\r\nret*1\r\n")),
        guarded: true,
        write: true,
        ..redis(&scripted(script).await)
    };
    assert_eq!(look_at_redis(asks).await, None);
}

#[tokio::test]
async fn what_redis_complains_of_is_told_and_nonsense_is_none_of_it() {
    let loading = server(b"-LOADING Redis is loading the dataset in memory\r\n").await;
    let told = says(look_at_redis(redis(&loading)).await);
    assert_eq!(told, "LOADING Redis is loading the dataset in memory");
    let read_only = scripted(&[
        ("*1\r\n$4\r\nPING\r\n", "+PONG\r\n"),
        ("*5\r\n$3\r\nSET\r\n", "-READONLY You can't write against a read only replica.\r\n"),
    ]);
    let asks = RedisProbe { write: true, ..redis(&read_only.await) };
    assert!(says(look_at_redis(asks).await).starts_with("READONLY"));
    for nonsense in [b"HTTP/1.1 400 Bad Request\r\n".as_slice(), b"+PANG\r\n", &[b'x'; 9000]] {
        let failure = look_at_redis(redis(&server(nonsense).await)).await;
        assert!(matches!(failure, Some(FailureKind::Protocol(_))), "{failure:?}");
    }
}

#[tokio::test]
async fn a_program_passes_by_its_status_and_is_told_by_its_first_line() {
    assert_eq!(run("/bin/true", &[]).await, None);
    let told = says(run("/bin/sh", &["-c", "echo no; echo disk full >&2; exit 3"]).await);
    assert_eq!(told, "exit status: 3: disk full");
    let told = says(run("/bin/sh", &["-c", "printf 'a\\033[31mb\\n'; exit 1"]).await);
    assert_eq!(told, "exit status: 1: a [31mb", "nothing reaches a terminal as it is");
    let failure = run("/no/such/program", &[]).await;
    assert!(matches!(failure, Some(FailureKind::NotMade(_))), "{failure:?}");
}

#[tokio::test]
async fn a_program_gets_its_arguments_as_they_are_and_an_environment_of_its_own() {
    // Otherwise there would be nothing to keep from it.
    assert!(std::env::var_os("HOME").is_some() || std::env::var_os("USER").is_some());
    let told = says(run("/bin/sh", &["-c", "env | sort | tr '\\n' ' '; exit 1"]).await);
    let expected = "exit status: 1: MAINSTAY_APPLICATION=bank MAINSTAY_PROBE=web \
                    MAINSTAY_SITE=east PATH=/usr/bin:/bin PWD=/";
    assert!(told.starts_with(expected), "{told}");
    assert!(!told.contains("HOME") && !told.contains("TMPDIR"), "{told}");
    let told = says(run("/bin/sh", &["-c", "echo \"$1\"; exit 1", "sh", "$(id); `id` *"]).await);
    assert_eq!(told, "exit status: 1: $(id); `id` *");
}

#[tokio::test]
async fn a_program_that_says_much_is_read_to_its_end_and_not_kept() {
    assert_eq!(run("/usr/bin/head", &["-c", "50000000", "/dev/zero"]).await, None);
}

#[tokio::test]
async fn a_program_that_does_not_end_is_killed_with_all_that_it_started() {
    let folder = tempfile::tempdir().expect("a folder");
    let pid = folder.path().join("pid");
    let script = format!("sleep 1000 & echo $! > {}; wait", pid.display());
    let mut slow = probe(command("/bin/sh", &["-c", &script]));
    slow.cadence.timeout = Duration::from_millis(500);
    assert_eq!(look(slow).await, Some(FailureKind::Timeout));
    let pid = std::fs::read_to_string(&pid).expect("it had begun");
    let state = || std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).ok();
    let ends = Instant::now() + TIMEOUT;
    while state().is_some_and(|state| !state.contains(") Z ")) {
        assert!(Instant::now() < ends, "what it started goes on: {:?}", state());
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_program_that_leaves_something_running_behind_does_not_pass_and_leaves_nothing() {
    let mut leaves = probe(command("/bin/sh", &["-c", "sleep 1001 & exit 0"]));
    leaves.cadence.timeout = Duration::from_millis(500);
    assert_eq!(look(leaves).await, Some(FailureKind::Timeout));
}
