//! Every route and every role, asked of a running agent.

use super::office::{Office, json, refusal, token};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use mainstay_agent::api::people::routes;
use mainstay_core::people::Role;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// One request without a certificate, as any client makes it.
async fn ask(
    office: &Office,
    method: &Method,
    path: &str,
    token: Option<&str>,
    tls: &'static SupportedProtocolVersion,
) -> Result<(StatusCode, String), std::io::Error> {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_file(office.tls("ca.pem")).expect("a certificate");
    roots.add(authority).expect("an authority");
    let config = ClientConfig::builder_with_protocol_versions(&[tls]);
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("witness").expect("a name");
    let tcp = TcpStream::connect(("127.0.0.1", office.door)).await?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(std::io::Error::other)?;
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header("host", "witness");
    request = request.header("content-type", "application/json");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let request = request.body(Full::new(Bytes::from_static(b"nonsense"))).expect("a request");
    let answer = sender.send_request(request).await.map_err(std::io::Error::other)?;
    let status = answer.status();
    let body = answer.into_body().collect().await.map_err(std::io::Error::other)?.to_bytes();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

/// What each role adds to the one before, as the guide says it.
const TABLE: [(Role, &[&str]); 4] = [
    (
        Role::Viewer,
        &[
            "GET /metrics",
            "GET /v1/alerts",
            "GET /v1/compare",
            "GET /v1/dns/trace",
            "GET /v1/executions",
            "GET /v1/executions/{id}",
            "GET /v1/lag",
            "GET /v1/ledger",
            "GET /v1/plan",
            "GET /v1/repairs",
            "GET /v1/repairs/{id}",
            "GET /v1/requests",
            "GET /v1/runbooks",
            "GET /v1/salvage",
            "GET /v1/status",
        ],
    ),
    (
        Role::Operator,
        &[
            "GET /v1/repairs/{id}/rows",
            "GET /v1/salvage/{id}",
            "GET /v1/salvage/{id}/sides",
            "GET /v1/salvage/{id}/sql",
            "POST /v1/alerts/test",
            "POST /v1/compare",
            "POST /v1/failover",
            "POST /v1/pause",
            "POST /v1/repair",
            "POST /v1/repair/undo",
            "POST /v1/resume",
            "POST /v1/run",
            "POST /v1/switchover",
            "POST /v1/withdraw",
        ],
    ),
    (Role::Approver, &["POST /v1/approve"]),
    (
        Role::Admin,
        &[
            "POST /v1/link/continue",
            "POST /v1/return/continue",
            "POST /v1/salvage/reject",
            "POST /v1/salvage/replay",
        ],
    ),
];

#[tokio::test]
async fn each_role_gets_its_routes_and_no_other_and_a_stranger_none() {
    let office = Office::open().await;
    let mut opened = TABLE.map(|_| Vec::new());
    for route in routes() {
        let path = route.path.replace("{id}", "none");
        let shown = format!("{} {}", route.method, route.path);
        let asked = async |token: Option<&str>| {
            ask(&office, &route.method, &path, token, &version::TLS13).await.expect("an answer")
        };
        let (status, _) = asked(None).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{shown} to a stranger");
        let mut first = None;
        for role in Role::ALL {
            let (status, body) = asked(Some(&token(role.name()))).await;
            assert_ne!(status, StatusCode::UNAUTHORIZED, "{shown} to {role}");
            let refused = status == StatusCode::FORBIDDEN;
            assert_eq!(refused, body.contains("MS-PEOPLE-003"), "{shown} to {role}: {body}");
            assert!(
                !(refused && first.is_some()),
                "{shown}: refused to {role} and not to a lesser"
            );
            first = first.or((!refused).then_some(role));
        }
        let first = first.unwrap_or_else(|| panic!("{shown}: refused to everybody"));
        let place = Role::ALL.iter().position(|role| *role == first).expect("a role");
        opened[place].push(shown);
    }
    for ((role, expected), mut opened) in TABLE.into_iter().zip(opened) {
        opened.sort();
        assert_eq!(opened, expected, "{role}");
    }
    let nowhere = async |token: Option<&str>| {
        ask(&office, &Method::GET, "/v1/nowhere", token, &version::TLS13)
            .await
            .expect("an answer")
            .0
    };
    assert_eq!(nowhere(None).await, StatusCode::UNAUTHORIZED);
    assert_eq!(nowhere(Some(&token("admin"))).await, StatusCode::NOT_FOUND);
    let old =
        ask(&office, &Method::GET, "/v1/status", Some(&token("admin")), &version::TLS12).await;
    assert!(old.is_err(), "nothing older than TLS 1.3: {old:?}");
}

#[tokio::test]
async fn a_viewer_who_tries_to_fail_over_is_told_who_may_and_it_is_in_the_ledger() {
    let office = Office::open().await;
    let viewer = office.token_file(Role::Viewer);
    assert!(office.with_token(&viewer, &["status"]).status.success());
    for command in [&["failover"][..], &["switchover"], &["pause", "--reason", "x"]] {
        let refused = office.with_token(&viewer, command);
        assert_eq!(refusal(&refused), "MS-PEOPLE-003", "{command:?}");
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        for part in ["viewer is a viewer", "takes an operator", "ask an operator"] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
    let refused = office.here(&["ledger", "show", "--kind", "refused", "--output", "json"]);
    let entries = json(&refused);
    let bodies: Vec<&str> =
        entries.as_array().expect("a list").iter().filter_map(|it| it["body"].as_str()).collect();
    assert_eq!(bodies.len(), 3, "{entries:#}");
    assert!(bodies[0].contains("POST /v1/failover") && bodies[0].contains("\"who\":\"viewer\""));
    let told = office.with_token(&viewer, &["ledger", "show", "--output", "json"]);
    assert!(json(&told).as_array().is_some_and(|all| all.len() >= 3), "a viewer sees the ledger");
}
