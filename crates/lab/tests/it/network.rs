use mainstay_lab::network::{Answer, Door, NetworkConfig, Pair, Request, Route, Way, ask, run};
use mainstay_testkit::{free_port, wait_for_value};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Long for bytes on one machine, short for a test.
const A_WHILE: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(60);

/// By this address the service is asked for at the door; nothing has it (RFC 5737).
const ASKED: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 2380);

struct Network {
    entry: SocketAddr,
    door: SocketAddr,
    control: PathBuf,
    _folder: TempDir,
    _stop: DropGuard,
}

/// A network from east to west, whose service sends every byte back.
async fn network() -> Network {
    let echo = TcpListener::bind("127.0.0.1:0").await.expect("a port of 127.0.0.1");
    let target = echo.local_addr().expect("a port of 127.0.0.1");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = echo.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    let folder = tempfile::tempdir().expect("a temporary folder");
    let control = folder.path().join("network.sock");
    let entry = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let names = ["east", "west", "agent"].map(str::to_owned);
    let [from, to, service] = names;
    let route = Route { from, to, service, listen: entry, target };
    let door = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let way = Way { to: "west".to_owned(), asked: ASKED, target };
    let doors = vec![Door { from: "east".to_owned(), listen: door, ways: vec![way] }];
    let config = NetworkConfig { control: control.clone(), routes: vec![route], doors };
    let stop = CancellationToken::new();
    tokio::spawn(run(config, stop.clone()));
    Network { entry, door, control, _folder: folder, _stop: stop.drop_guard() }
}

impl Network {
    async fn connect(&self) -> TcpStream {
        connect_to(self.entry).await
    }

    /// Through the door, as a program does that is told of it by `HTTPS_PROXY`.
    async fn ask_for(&self, address: SocketAddr) -> (TcpStream, String) {
        let mut stream = connect_to(self.door).await;
        let head = format!("CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.expect("it is open");
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.extend(receive(&mut stream, 1).await);
        }
        (stream, String::from_utf8(answer).expect("an HTTP answer"))
    }

    async fn cut(&self) {
        let cut = Request::Cut { a: "west".into(), b: "east".into() };
        assert!(is_cut(&ask(&self.control, &cut).await.expect("the control socket answers")));
    }

    async fn heal(&self) {
        assert!(!is_cut(
            &ask(&self.control, &Request::Heal).await.expect("the control socket answers")
        ));
    }
}

async fn connect_to(address: SocketAddr) -> TcpStream {
    let connect = async || TcpStream::connect(address).await.ok();
    wait_for_value("the relay listens", PATIENCE, connect).await
}

fn is_cut(answer: &Answer) -> bool {
    let Answer::State(state) = answer else { panic!("{answer:?}") };
    assert_eq!(state[0].between, Pair::new("east", "west"));
    state[0].cut
}

async fn receive(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    timeout(PATIENCE, stream.read_exact(&mut bytes))
        .await
        .expect("the bytes come")
        .expect("no reset");
    bytes
}

async fn assert_silent(stream: &mut TcpStream) {
    let mut byte = [0];
    assert!(timeout(A_WHILE, stream.read(&mut byte)).await.is_err(), "neither bytes nor an end");
}

#[tokio::test]
async fn a_cut_connection_stalls_without_an_end_and_goes_on_when_healed() {
    let network = network().await;
    let mut stream = network.connect().await;
    stream.write_all(b"before").await.unwrap();
    assert_eq!(receive(&mut stream, 6).await, b"before");
    network.cut().await;
    stream.write_all(b"during").await.unwrap();
    assert_silent(&mut stream).await;
    network.heal().await;
    assert_eq!(receive(&mut stream, 6).await, b"during");
}

#[tokio::test]
async fn a_new_connection_hangs_while_cut() {
    let network = network().await;
    drop(network.connect().await);
    network.cut().await;
    let mut stream = network.connect().await;
    stream.write_all(b"hello").await.unwrap();
    assert_silent(&mut stream).await;
    network.heal().await;
    assert_eq!(receive(&mut stream, 5).await, b"hello");
}

#[tokio::test]
async fn a_pair_that_does_not_exist_cannot_be_cut() {
    let network = network().await;
    drop(network.connect().await);
    let cut = Request::Cut { a: "east".into(), b: "north".into() };
    let answer = ask(&network.control, &cut).await.unwrap();
    assert!(matches!(answer, Answer::Refused(ref why) if why.contains("north")), "{answer:?}");
}

#[tokio::test]
async fn what_goes_through_a_door_is_cut_too_and_leads_nowhere_else() {
    let network = network().await;
    let (mut stream, answer) = network.ask_for(ASKED).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    stream.write_all(b"before").await.unwrap();
    assert_eq!(receive(&mut stream, 6).await, b"before");
    network.cut().await;
    stream.write_all(b"during").await.unwrap();
    assert_silent(&mut stream).await;
    network.heal().await;
    assert_eq!(receive(&mut stream, 6).await, b"during");

    let elsewhere = SocketAddr::from(([192, 0, 2, 2], 2380));
    let (_, answer) = network.ask_for(elsewhere).await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
}
