//! Mails as aiosmtpd receives them.

use crate::support::{certificate, failed, message, sender};
use mainstay_alerts::{Sender, Status};
use mainstay_core::Secret;
use mainstay_core::notifier::{Email, MailEncryption, NotifierKind};
use mainstay_testkit::{MailServer, MailWay};
use std::path::PathBuf;

fn mail(server: &MailServer, encryption: MailEncryption, authority: Option<PathBuf>) -> Email {
    let encrypted = encryption != MailEncryption::None;
    Email {
        host: "localhost".to_owned(),
        port: server.port(),
        encryption,
        authority,
        user: encrypted.then(|| "mainstay".to_owned()),
        password: encrypted.then(|| Secret::new("a password")),
        from: "mainstay@example.org".to_owned(),
        to: vec!["ops@example.org".to_owned(), "boss@example.org".to_owned()],
    }
}

fn way(email: Email) -> Sender {
    sender(NotifierKind::Email(email))
}

#[tokio::test]
async fn a_mail_arrives_encrypted_and_authenticated_either_way() {
    let folder = tempfile::tempdir().expect("a folder");
    let (authority, own) = certificate("localhost", folder.path());
    for (server, encryption) in
        [(MailWay::StartTls, MailEncryption::StartTls), (MailWay::Tls, MailEncryption::Tls)]
    {
        let server = MailServer::start(server, Some(&own));
        let sender = way(mail(&server, encryption, Some(authority.clone())));
        sender.send(&message(Status::Begun)).await.unwrap_or_else(|why| panic!("{why}"));
        let mails = server.mails();
        assert_eq!(mails.len(), 1);
        for part in [
            "X-To: ops@example.org,boss@example.org",
            "X-Authenticated: True",
            "From: mainstay@example.org",
            "Subject: [mainstay] critical: bank: ",
            "lost         at most 1.5 s if a failover happened now",
            "next         see MS-PG-203",
        ] {
            assert!(mails[0].contains(part), "{part}: {}", mails[0]);
        }
        assert!(encryption == MailEncryption::Tls || mails[0].contains("X-Encrypted: True"));
    }
}

#[tokio::test]
async fn nothing_is_sent_to_a_server_that_does_not_encrypt_or_is_not_trusted() {
    let folder = tempfile::tempdir().expect("a folder");
    let (authority, own) = certificate("localhost", folder.path());
    let plain = MailServer::start(MailWay::None, None);
    let sender = way(mail(&plain, MailEncryption::StartTls, Some(authority)));
    let why = failed(&sender, &message(Status::Begun)).await;
    assert!(plain.mails().is_empty(), "{why}");

    let other = tempfile::tempdir().expect("a folder");
    let (stranger, _) = certificate("localhost", other.path());
    let server = MailServer::start(MailWay::StartTls, Some(&own));
    let sender = way(mail(&server, MailEncryption::StartTls, Some(stranger)));
    let why = failed(&sender, &message(Status::Begun)).await;
    assert!(server.mails().is_empty(), "{why}");
}

#[tokio::test]
async fn a_wrong_password_is_told_without_the_password() {
    let folder = tempfile::tempdir().expect("a folder");
    let (authority, own) = certificate("localhost", folder.path());
    let server = MailServer::start(MailWay::StartTls, Some(&own));
    let password = Some(Secret::new("canary"));
    let email = Email { password, ..mail(&server, MailEncryption::StartTls, Some(authority)) };
    let why = failed(&way(email), &message(Status::Begun)).await;
    assert!(why.contains("535") && !why.contains("canary"), "{why}");
}

#[tokio::test]
async fn a_mail_server_of_the_same_machine_needs_no_encryption() {
    let server = MailServer::start(MailWay::None, None);
    let sender = way(mail(&server, MailEncryption::None, None));
    sender.send(&message(Status::Ended)).await.unwrap_or_else(|why| panic!("{why}"));
    assert!(server.mails()[0].contains("until"), "{}", server.mails()[0]);
}
