//! How a person is known from elsewhere, and who is not: the ways in, tried with everything else.

use super::certificates::{Authority, Files, Says};
use super::office::{Office, json, refusal, token};
use mainstay_core::people::Role;
use mainstay_testkit::{other_user, run_as_other};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Command, Output};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn a_certificate_is_the_person_that_it_names_by_either_name() {
    let office = Office::open().await;
    let issue = |alternative: &[&str], common: &str, file: &str| {
        office.people.issue_as(&Says { alternative, common, until: 2099 }, file, office.path())
    };
    let as_who = |files: &Files| {
        let refused = office.with_certificate(files, &["approve", "none"]);
        told(&refused)
    };
    let by_alternative = issue(&["operator"], "somebody", "by-alternative");
    assert!(as_who(&by_alternative).contains("operator is an operator"));
    let by_common = issue(&[], "operator", "by-common");
    assert!(as_who(&by_common).contains("operator is an operator"));
    // RFC 6125: a common name counts only where there is no subject alternative name.
    let approver = office.people.issue("approver", office.path());
    assert_eq!(refusal(&office.with_certificate(&approver, &["approve", "none"])), "MS-PEOPLE-005");
    for (alternative, common, file) in [
        (&["nobody"][..], "operator", "shadowed"),
        (&["operator", "admin"], "operator", "two"),
        (&["operator.example.org"], "operator", "longer"),
        (&["*"], "x", "star"),
        (&[], "Operator", "upper"),
        (&[], "witness", "site"),
    ] {
        let refused = office.with_certificate(&issue(alternative, common, file), &["status"]);
        assert_eq!(refusal(&refused), "MS-PEOPLE-001", "{file}: {}", told(&refused));
    }
}

#[tokio::test]
async fn who_shows_nothing_or_something_wrong_is_refused_and_the_log_says_why() {
    let office = Office::open().await;
    let folder = office.path();
    let wrong = folder.join("wrong.token");
    for text in [token("adminx"), token("admin")[..40].to_owned(), format!("{}x", token("admin"))] {
        std::fs::write(&wrong, text).expect("a file");
        let refused = office.with_token(&wrong, &["status"]);
        assert_eq!(refusal(&refused), "MS-PEOPLE-001");
    }
    let operator = office.people.issue("operator", folder);
    let viewer = office.token_file(Role::Viewer);
    let both = ["--certificate", "operator.pem", "--key", "operator.key", "--token-file"];
    let both =
        office.elsewhere(&[&both[..], &[viewer.to_str().expect("UTF-8")]].concat(), &["status"]);
    assert_eq!(refusal(&both), "MS-PEOPLE-001", "of two people");
    assert!(office.with_certificate(&operator, &["status"]).status.success());

    let expired = Says { alternative: &["admin"], common: "admin", until: 2021 };
    let expired = office.people.issue_as(&expired, "expired", folder);
    let site = Files { certificate: office.tls("witness.pem"), key: office.tls("witness.key") };
    let other = Authority::new("other").issue("admin", folder);
    let of_sites = office.sites.issue_as(
        &Says { alternative: &["admin"], common: "admin", until: 2099 },
        "of-sites",
        folder,
    );
    for (files, why) in [
        (expired, "certificate expired"),
        (site, "UnknownIssuer"),
        (other, "UnknownIssuer"),
        (of_sites, "UnknownIssuer"),
    ] {
        let before = office.log().len();
        let refused = office.with_certificate(&files, &["status"]);
        assert_eq!(refusal(&refused), "MS-CLI-001", "{}", told(&refused));
        let names_it = |log: &str| log.contains("refused a connection") && log.contains(why);
        office.logs(why, before, names_it).await;
    }
    let nobody = |log: &str| log.contains("the token is nobody's") && log.contains("MS-PEOPLE-001");
    office.logs("the token that is nobody's", 0, nobody).await;
}

/// What the agents' own port answers to this certificate; none when it ends the connection.
async fn at_the_agents_port(office: &Office, shown: Option<&Files>) -> Option<String> {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_file(office.tls("ca.pem")).expect("a certificate");
    roots.add(authority).expect("an authority");
    let config = ClientConfig::builder().with_root_certificates(roots);
    let config = match shown {
        Some(files) => {
            let chain = CertificateDer::from_pem_file(&files.certificate).expect("a certificate");
            let key = PrivateKeyDer::from_pem_file(&files.key).expect("a key");
            config.with_client_auth_cert(vec![chain], key).expect("a pair")
        }
        None => config.with_no_client_auth(),
    };
    let tcp = TcpStream::connect(("127.0.0.1", office.peers)).await.expect("a connection");
    let name = ServerName::try_from("witness").expect("a name");
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.ok()?;
    let request = b"GET /v1/peer/view HTTP/1.1\r\nhost: witness\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    answer.starts_with("HTTP/1.1 200").then_some(answer)
}

#[tokio::test]
async fn a_person_is_no_site_at_the_port_of_the_agents() {
    let office = Office::open().await;
    let east = office.sites.issue("east", office.path());
    assert!(at_the_agents_port(&office, Some(&east)).await.is_some(), "a site is heard");
    let admin = office.people.issue("admin", office.path());
    let named_east = Says { alternative: &["east"], common: "east", until: 2099 };
    let named_east = office.people.issue_as(&named_east, "named-east", office.path());
    for person in [Some(&admin), Some(&named_east), None] {
        assert_eq!(at_the_agents_port(&office, person).await, None);
    }
    let three = |log: &str| log.matches("refused a connection").count() == 3;
    office.logs("all three are refused", 0, three).await;
}

#[tokio::test]
async fn no_token_and_no_key_is_shown_anywhere() {
    let office = Office::open().await;
    let admin = office.people.issue("admin", office.path());
    let file = office.token_file(Role::Viewer);
    let mut said = Vec::new();
    for arguments in [&["status"][..], &["failover"], &["ledger", "show"], &["requests"]] {
        for output in
            [office.with_token(&file, arguments), office.with_certificate(&admin, arguments)]
        {
            said.extend([output.stdout, output.stderr]);
        }
    }
    let verbose =
        office.elsewhere(&["--token-file", "absent", "--log-format", "json"], &["status"]);
    said.extend([verbose.stdout, verbose.stderr]);
    let proc = |file: &str| std::fs::read(format!("/proc/{}/{file}", office.pid())).expect("proc");
    said.extend([proc("cmdline"), proc("environ"), office.log().into_bytes()]);
    for entry in std::fs::read_dir(office.path().join("state")).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            said.push(std::fs::read(path).expect("a file"));
        }
    }
    let key = std::fs::read_to_string(&admin.key).expect("a key");
    let key = key.lines().nth(1).expect("a line of the key");
    let holds = |bytes: &[u8], secret: &str| {
        bytes.windows(secret.len()).any(|window| window == secret.as_bytes())
    };
    for bytes in &said {
        assert!(!holds(bytes, "canary-token"), "{}", String::from_utf8_lossy(bytes));
        assert!(!holds(bytes, key), "{}", String::from_utf8_lossy(bytes));
    }
    let entries = json(&office.here(&["ledger", "show", "--output", "json"]));
    assert!(
        entries.to_string().contains("\\\"who\\\":\\\"viewer"),
        "the ledger was written: {entries}"
    );
}

#[tokio::test]
async fn without_a_group_the_socket_is_the_owners_alone() {
    let office = Office::open().await;
    let socket = std::fs::metadata(office.path().join("state/agent.sock")).expect("a socket");
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);
    let own = std::fs::metadata(office.path()).expect("a folder").uid();
    assert_eq!(socket.uid(), own);
}

/// What the other user of this machine is told at the socket.
fn as_other_user(office: &Office, arguments: &[&str]) -> Output {
    let binary = office.path().join("mainstay");
    if !binary.exists() {
        std::fs::copy(env!("CARGO_BIN_EXE_mainstay"), &binary).expect("a copy that all can run");
    }
    let mut command = Command::new(binary);
    command.env_clear().arg("--state").arg(office.path().join("state")).args(arguments);
    run_as_other(&mut command);
    command.output().expect("it runs")
}

#[tokio::test]
async fn with_a_group_its_members_are_the_people_that_the_configuration_names() {
    let Some((user, group)) = other_user() else {
        // Only root can be somebody else for a moment: the owner's way is tested above.
        return;
    };
    let open = |person: &str| {
        let (with_group, login) = (
            format!("[people]\ngroup = \"{group}\"\n"),
            format!("[people.{person}]\nuser = \"{user}\"\n"),
        );
        let person = format!("[people.{person}]\n");
        Office::open_with(move |text| {
            text.replace("[people]\n", &with_group).replace(&person, &login)
        })
    };
    let reach = |office: &Office| {
        let all = std::fs::Permissions::from_mode(0o711);
        std::fs::set_permissions(office.path(), all).expect("others can enter");
    };
    let office = open("viewer").await;
    reach(&office);
    let socket = std::fs::metadata(office.path().join("state/agent.sock")).expect("a socket");
    assert_eq!(socket.permissions().mode() & 0o777, 0o660);
    let seen = as_other_user(&office, &["status"]);
    assert!(seen.status.success(), "{}", told(&seen));
    assert_eq!(refusal(&as_other_user(&office, &["failover"])), "MS-PEOPLE-003");
    for file in ["ledger.db", "state.db"] {
        let kept = std::fs::metadata(office.path().join("state").join(file)).expect("a file");
        assert_eq!(kept.permissions().mode() & 0o077, 0, "{file} is the owner's alone");
    }
    drop(office);
    let office = open("stranger").await;
    reach(&office);
    assert_eq!(refusal(&as_other_user(&office, &["status"])), "MS-PEOPLE-002");
}
