//! Webhooks as a server in Python receives them, which verifies the signature with its own library.

use crate::support::{certificate, failed, message, sender, target};
use mainstay_alerts::{Sender, Status};
use mainstay_core::Secret;
use mainstay_core::notifier::NotifierKind;
use mainstay_testkit::{WebhookServer, free_port};
use serde_json::Value;

fn to(server: &WebhookServer, secret: Option<&str>) -> Sender {
    let url = format!("http://127.0.0.1:{}/services/T0/path?x=1", server.port());
    let secret = secret.map(Secret::new);
    sender(NotifierKind::Webhook { to: target(&url, None), secret })
}

fn received(server: &WebhookServer) -> Vec<Value> {
    server.received().iter().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[tokio::test]
async fn a_webhook_arrives_whole_and_signed() {
    let server = WebhookServer::start("a secret", None);
    to(&server, Some("a secret")).send(&message(Status::Begun)).await.expect("delivered");
    to(&server, Some("another")).send(&message(Status::Ended)).await.expect("delivered");
    to(&server, None).send(&message(Status::Happened)).await.expect("delivered");
    let received = received(&server);
    let verified: Vec<_> = received.iter().map(|it| it["verified"].as_bool()).collect();
    assert_eq!(verified, [Some(true), Some(false), Some(false)]);
    assert_eq!(received[0]["path"], "/services/T0/path?x=1");
    let body = &received[0]["body"];
    assert_eq!(body["status"], "begun");
    assert_eq!(body["what"], message(Status::Begun).alert.what);
    assert_eq!(body["expected_loss_s"], 1.5);
    assert_eq!((&body["ended"], &body["test"]), (&Value::Null, &Value::Bool(false)));
    assert!(received[1]["body"]["ended"].is_string());
}

#[tokio::test]
async fn only_a_server_of_the_trusted_authority_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let (authority, own) = certificate("localhost", folder.path());
    let server = WebhookServer::start("s", Some(own));
    let url = |host: &str| format!("https://{host}:{}/", server.port());
    let webhook = |host: &str, authority| {
        sender(NotifierKind::Webhook { to: target(&url(host), authority), secret: None })
    };
    let good = webhook("localhost", Some(authority.clone()));
    good.send(&message(Status::Begun)).await.expect("delivered");
    let unnamed = webhook("127.0.0.1", Some(authority));
    let why = failed(&unnamed, &message(Status::Begun)).await;
    assert!(why.contains("certificate"), "the name is another: {why}");
    let other = tempfile::tempdir().expect("a folder");
    let (stranger, _) = certificate("localhost", other.path());
    let why = failed(&webhook("localhost", Some(stranger)), &message(Status::Begun)).await;
    assert!(why.contains("certificate"), "signed by another: {why}");
    assert_eq!(received(&server).len(), 1);
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_an_error_is_no_delivery() {
    let server = WebhookServer::start("s", None);
    let webhook = to(&server, Some("s"));
    for (mode, words) in [("redirect", "redirects are not followed"), ("500", "answered 500")] {
        server.answer(mode);
        let why = failed(&webhook, &message(Status::Begun)).await;
        assert!(why.contains(words), "{why}");
        assert!(!why.contains("path"), "the URL's path may be a secret: {why}");
    }
    assert_eq!(received(&server).len(), 2, "nothing came to where the redirect led");
}

#[tokio::test]
async fn a_server_that_hangs_or_is_not_there_costs_a_bounded_time() {
    let server = WebhookServer::start("s", None);
    server.answer("hang");
    let why = failed(&to(&server, None), &message(Status::Begun)).await;
    assert!(why.contains("nothing within 10 s"), "{why}");
    let url = format!("http://127.0.0.1:{}/", free_port());
    let nobody = sender(NotifierKind::Webhook { to: target(&url, None), secret: None });
    let why = failed(&nobody, &message(Status::Begun)).await;
    assert!(why.contains("refused"), "{why}");
}

#[tokio::test]
async fn addresses_where_clouds_keep_credentials_are_not_even_connected_to() {
    for host in ["169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]"] {
        let url = format!("http://{host}/latest/meta-data");
        let bad = sender(NotifierKind::Webhook { to: target(&url, None), secret: None });
        let why = failed(&bad, &message(Status::Begun)).await;
        assert!(why.contains("link-local"), "{why}");
    }
}
