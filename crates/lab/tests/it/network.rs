use mainstay_lab::network::{Answer, NetworkConfig, Pair, Request, Route, ask, run};
use mainstay_testkit::{free_port, wait_for_value};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Long for bytes on one machine, short for a test.
const A_WHILE: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(10);

struct Network {
    entry: SocketAddr,
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
    let config = NetworkConfig { control: control.clone(), routes: vec![route], doors: Vec::new() };
    let stop = CancellationToken::new();
    tokio::spawn(run(config, stop.clone()));
    Network { entry, control, _folder: folder, _stop: stop.drop_guard() }
}

impl Network {
    async fn connect(&self) -> TcpStream {
        wait_for_value("the relay listens", PATIENCE, async || {
            TcpStream::connect(self.entry).await.ok()
        })
        .await
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
