//! Stores of which the gate knows bytes only. The oracle is the server's own log.

use super::support::SOON;
use super::support::site::{LONG, Pair, Site, db_name};
use mainstay_testkit::wait_for;
use mainstay_traffic::gate::Protocol;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

const HOLD: Duration = Duration::from_secs(20);

/// Answers each line `x` with `ok x`, in the way of Redis and its like; `wait` is never answered.
struct Server {
    address: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let address = listener.local_addr().expect("bound");
        let log = Arc::<Mutex<Vec<String>>>::default();
        let lines = Arc::clone(&log);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&lines)));
            }
        });
        Self { address, log }
    }

    fn lines(&self) -> Vec<String> {
        self.log.lock().expect("no panic").clone()
    }
}

async fn answer(stream: TcpStream, log: Arc<Mutex<Vec<String>>>) -> std::io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    while let Some(line) = lines.next_line().await? {
        log.lock().expect("no panic").push(line.clone());
        if line != "wait" {
            writer.write_all(format!("ok {line}\n").as_bytes()).await?;
        }
    }
    Ok(())
}

struct Client(BufReader<TcpStream>);

impl Client {
    async fn connect(site: &Site) -> Self {
        Self(BufReader::new(TcpStream::connect(site.db).await.expect("the gate listens")))
    }

    async fn send(&mut self, line: &str) {
        self.0.write_all(format!("{line}\n").as_bytes()).await.expect("it is open");
    }

    /// The next line; None when the connection ended.
    async fn read(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.0.read_line(&mut line).await {
            Ok(0) => None,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => None,
            Ok(_) => Some(line.trim_end().to_owned()),
            Err(error) => panic!("{error}"),
        }
    }

    async fn ask(&mut self, line: &str) -> Option<String> {
        self.send(line).await;
        self.read().await
    }
}

/// Both sites have a server of their own; nobody is told anything yet.
async fn pair(hold: Duration) -> (Pair, [Server; 2]) {
    let servers = [Server::start().await, Server::start().await];
    let ports = [servers[0].address.port(), servers[1].address.port()];
    let pair = Pair::start_with(hold, ports, |spec| {
        spec.stores.get_mut(&db_name()).expect("there").protocol = Protocol::Plain;
    })
    .await;
    (pair, servers)
}

async fn serving(hold: Duration) -> (Pair, [Server; 2]) {
    let (pair, servers) = pair(hold).await;
    pair.east.serve(1, LONG).await;
    pair.west.forward(1, "east").await;
    (pair, servers)
}

#[tokio::test]
async fn bytes_go_to_the_active_sites_server_from_both_gates() {
    let (pair, [east, west]) = serving(HOLD).await;
    for (site, name) in [(&pair.east, "one"), (&pair.west, "two")] {
        let mut client = Client::connect(site).await;
        assert_eq!(client.ask(name).await.unwrap(), format!("ok {name}"));
    }
    assert_eq!(east.lines(), ["one", "two"]);
    assert!(west.lines().is_empty());
}

#[tokio::test]
async fn a_new_connection_waits_during_a_hold_and_gets_to_the_new_site() {
    let (pair, [east, west]) = serving(HOLD).await;
    pair.east.hold(1, LONG).await;
    pair.west.hold(1, LONG).await;
    let mut waiting = [Client::connect(&pair.east).await, Client::connect(&pair.west).await];
    for client in &mut waiting {
        // What a client says early waits with it.
        client.send("early").await;
        let answer = tokio::time::timeout(Duration::from_millis(200), client.read()).await;
        assert!(answer.is_err(), "answered during the hold: {answer:?}");
    }
    pair.west.serve(2, LONG).await;
    pair.east.forward(2, "west").await;
    for client in &mut waiting {
        assert_eq!(client.read().await.unwrap(), "ok early");
        assert_eq!(client.ask("later").await.unwrap(), "ok later");
    }
    assert!(east.lines().is_empty());
    assert_eq!(west.lines().len(), 4);
}

#[tokio::test]
async fn a_hold_that_ends_with_no_site_resets_who_waited() {
    let (pair, servers) = pair(Duration::from_millis(300)).await;
    let began = Instant::now();
    let mut client = Client::connect(&pair.east).await;
    assert_eq!(client.ask("hello").await, None);
    assert!(began.elapsed() >= Duration::from_millis(300), "{:?}", began.elapsed());
    assert!(servers.iter().all(|server| server.lines().is_empty()));
}

#[tokio::test]
async fn what_is_open_is_cut_when_the_site_is_not_active_any_more() {
    let (pair, [east, _]) = serving(HOLD).await;
    let mut clients = [Client::connect(&pair.east).await, Client::connect(&pair.west).await];
    for client in &mut clients {
        client.ask("before").await.unwrap();
    }
    pair.east.report(|report| report.connections == 2).await;
    pair.east.close(2).await;
    for client in &mut clients {
        let _ = client.0.write_all(b"after\n").await;
        assert_eq!(client.read().await, None);
    }
    pair.east.report(|report| report.connections == 0 && report.drained).await;
    assert_eq!(east.lines(), ["before", "before"]);
}

#[tokio::test]
async fn a_drain_waits_for_the_answer_under_way_and_not_for_one_that_never_comes() {
    let (pair, _servers) = serving(HOLD).await;
    for site in [&pair.east, &pair.west] {
        let (mut idle, mut blocked) = (Client::connect(site).await, Client::connect(site).await);
        idle.ask("x").await.unwrap();
        blocked.send("wait").await;
        pair.east.report(|report| report.connections == 2 && report.in_transaction == 1).await;
        let began = Instant::now();
        pair.east.hold(1, LONG).await;
        assert_eq!(idle.read().await, None);
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
        assert_eq!(blocked.read().await, None);
        pair.east.report(|report| report.drained).await;
        pair.east.serve(1, LONG).await;
    }
}

#[tokio::test]
async fn a_client_that_has_said_all_still_gets_its_answer() {
    let (pair, _servers) = serving(HOLD).await;
    for site in [&pair.east, &pair.west] {
        let mut stream = TcpStream::connect(site.db).await.unwrap();
        stream.write_all(b"last\n").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "ok last\n");
    }
    pair.east.report(|report| report.connections == 0).await;
}

#[tokio::test]
async fn a_client_that_does_not_read_stops_its_server_and_nobody_else() {
    let (pair, [east, _]) = serving(HOLD).await;
    let slow = TcpStream::connect(pair.east.db).await.unwrap();
    let line = format!("{}\n", "y".repeat(64 * 1024));
    let mut sent = 0usize;
    // The answers are not read: the sockets' buffers fill up, and then nothing moves.
    while slow.writable().await.is_ok() {
        match slow.try_write(line.as_bytes()) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => panic!("{error}"),
        }
        let writable = tokio::time::timeout(Duration::from_millis(500), slow.writable()).await;
        if writable.is_err() {
            break;
        }
    }
    assert!(sent < 100_000_000, "the gate took {sent} bytes");
    let mut other = Client::connect(&pair.east).await;
    assert_eq!(other.ask("quick").await.unwrap(), "ok quick");
    let quick = async || east.lines().iter().any(|line| line == "quick");
    wait_for("the line of the other client", SOON, quick).await;
}
