//! The address for reads with a Redis server at each site: redis-cli where one connection asks once,
//! and a plain socket where it stays.

use super::reads::{allow, reads};
use super::support::SOON;
use super::support::site::{LONG, Pair, db_name};
use mainstay_testkit::{RedisKind, RedisOptions, RedisServer, wait_for};
use mainstay_traffic::gate::Protocol;
use std::net::SocketAddr;
use std::process::Output;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

const NAMES: [&str; 2] = ["east", "west"];

/// East serves, west passes on to it; each server knows its own name.
async fn sites(kind: RedisKind, hold: Duration) -> (Pair, [RedisServer; 2]) {
    let servers = NAMES.map(|name| {
        let server = RedisServer::start(RedisOptions::of(kind));
        server.client().run(&["SET", "place", name]);
        server
    });
    let ports = [servers[0].port(), servers[1].port()];
    let pair = Pair::start_with(hold, ports, |spec| {
        spec.stores.get_mut(&db_name()).expect("there").protocol = Protocol::Redis;
    })
    .await;
    pair.east.serve(1, LONG).await;
    allow(&pair.west, Some(LONG));
    pair.west.forward(1, "east").await;
    (pair, servers)
}

async fn cli(server: &RedisServer, at: SocketAddr, words: &[&str]) -> Output {
    let mut command = server.cli();
    command.args(["-p", &at.port().to_string(), "-e"]).args(words);
    let run = move || command.output().expect("redis-cli runs");
    tokio::task::spawn_blocking(run).await.expect("it ends")
}

async fn place(server: &RedisServer, at: SocketAddr) -> String {
    let output = cli(server, at, &["GET", "place"]).await;
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A connection that stays.
struct Session(BufReader<TcpStream>);

impl Session {
    async fn open(at: SocketAddr) -> Self {
        Self(BufReader::new(TcpStream::connect(at).await.expect("the gate listens")))
    }

    /// The place that answers; none when the connection has ended.
    async fn place(&mut self) -> Option<String> {
        self.0.write_all(b"GET place\r\n").await.ok()?;
        let (mut length, mut place) = (String::new(), String::new());
        self.0.read_line(&mut length).await.ok()?;
        self.0.read_line(&mut place).await.ok().filter(|read| *read > 0)?;
        Some(place.trim().to_owned())
    }
}

#[tokio::test]
async fn a_reader_is_led_to_the_own_server_while_it_may_be_read_and_cut_when_its_time_ends() {
    for kind in RedisKind::ALL {
        let (pair, servers) = sites(kind, LONG).await;
        let west = &pair.west;
        assert_eq!(place(&servers[0], west.db).await, "east", "the writer's address, {kind:?}");
        let mut stays = Session::open(reads(west)).await;
        assert_eq!(stays.place().await.as_deref(), Some("west"));
        west.report(|it| it.readers_here == 1).await;
        allow(west, Some(Duration::from_millis(300)));
        west.forward(1, "east").await;
        // Nobody says anything more: the time runs out by itself.
        wait_for("it is cut", SOON, async || stays.place().await.is_none()).await;
        assert_eq!(place(&servers[0], reads(west)).await, "east", "led to the writer, {kind:?}");
        west.report(|it| it.readers_here == 0).await;
        allow(west, Some(LONG));
        west.forward(1, "east").await;
        assert_eq!(place(&servers[0], reads(west)).await, "west", "{kind:?}");
    }
}

#[tokio::test]
async fn a_change_of_the_active_site_cuts_no_reader_of_a_server_that_may_be_read() {
    let (pair, _servers) = sites(RedisKind::Redis7, LONG).await;
    let mut stays = Session::open(reads(&pair.west)).await;
    assert_eq!(stays.place().await.as_deref(), Some("west"));
    pair.west.hold(2, LONG).await;
    pair.west.report(|it| it.drained).await;
    pair.west.serve(2, LONG).await;
    pair.east.forward(2, "west").await;
    assert_eq!(stays.place().await.as_deref(), Some("west"));
}

#[tokio::test]
async fn where_nobody_may_be_read_clients_are_told_to_come_again() {
    let (pair, servers) = sites(RedisKind::Valkey9, Duration::from_millis(300)).await;
    for site in [&pair.west, &pair.east] {
        allow(site, None);
        site.close(1).await;
    }
    for at in [reads(&pair.west), pair.west.db] {
        let output = cli(&servers[0], at, &["GET", "place"]).await;
        let told = [output.stdout, output.stderr].concat();
        let told = String::from_utf8_lossy(&told).into_owned();
        assert!(told.contains("LOADING MS-GATE-010"), "{told}");
    }
    allow(&pair.west, Some(LONG));
    pair.west.close(1).await;
    assert_eq!(place(&servers[0], reads(&pair.west)).await, "west");
}
