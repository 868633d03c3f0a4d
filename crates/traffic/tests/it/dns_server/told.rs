//! What it answers when it is told nothing, something old, or starts again.

use super::{EAST, NAME, NOTE, Server, WEST, active};
use crate::support::site::app;
use mainstay_traffic::dns::DnsError;
use mainstay_traffic::dns::server;
use std::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn before_it_was_ever_told_it_sends_resolvers_elsewhere() {
    let server = Server::start().await;
    for (name, kind) in [(NAME, "A"), (NOTE, "TXT")] {
        assert!(server.dig(&[name, kind]).contains("SERVFAIL"));
    }
    server.lead(1, "east").await;
    assert_eq!(server.short(NAME, "A"), EAST[..1]);
}

#[tokio::test]
async fn an_older_epoch_changes_nothing_also_after_a_restart_and_silence_changes_nothing() {
    let mut server = Server::start().await;
    server.lead(7, "west").await;
    for _ in 0..2 {
        server.stop().await;
        server.begin().await;
        assert_eq!(server.short(NAME, "A"), WEST);
        for refused in [active(6, "east"), active(7, "east")] {
            server.active.send_replace(Some(refused));
            // The server's tasks run on this thread: each gets its turn before this one again.
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(server.short(NAME, "A"), WEST);
        assert!(server.short(NOTE, "TXT")[0].contains("epoch=7 site=west"));
    }
    server.lead(8, "east").await;
    assert_eq!(server.short(NAME, "A"), EAST[..1]);
}

#[tokio::test]
async fn a_damaged_file_is_as_if_it_was_never_told() {
    let mut server = Server::start().await;
    server.lead(7, "west").await;
    server.stop().await;
    std::fs::write(server.folder.path().join("dns-answers.json"), "{").expect("the folder is ours");
    server.begin().await;
    assert!(server.dig(&[NAME, "A"]).contains("SERVFAIL"));
    server.lead(7, "west").await;
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let mut server = Server::start().await;
    server.stop().await;
    let _other = TcpListener::bind(server.at).expect("it is free");
    let told = vec![(app(), watch::Sender::new(None).subscribe())];
    let refused = server::run(server.spec(), told, CancellationToken::new()).await;
    let Err(DnsError::Listen { address, .. }) = &refused else { panic!("{refused:?}") };
    assert_eq!(*address, server.at);
}
