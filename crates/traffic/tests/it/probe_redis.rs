//! The probe of Redis beside a real server, where there is one. The oracle is the server itself,
//! asked in lines as a person with telnet would.

use super::probe::{look_at_redis, redis, says};
use mainstay_core::Secret;
use mainstay_core::watch::RedisProbe;
use mainstay_testkit::{free_port, wait_for};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn program() -> Option<String> {
    let named = std::env::var("MAINSTAY_REDIS").ok();
    let usual = ["/usr/bin/redis-server", "/usr/bin/valkey-server"].map(str::to_owned);
    named.into_iter().chain(usual).find(|path| std::path::Path::new(path).exists())
}

/// What the server answers to these lines, as far as it has come.
async fn typed(port: u16, lines: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("it listens");
    stream.write_all(format!("{lines}QUIT\r\n").as_bytes()).await.expect("it listens");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("text");
    answer
}

#[tokio::test]
async fn a_real_server_is_logged_in_to_pinged_and_written_to() {
    let Some(program) = program() else {
        return eprintln!(
            "not tried: there is no redis-server here (apt-get install redis-server, or name one \
             with MAINSTAY_REDIS)"
        );
    };
    let port = free_port();
    let mut command = Command::new(program);
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
    let started = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let _server = Server(started.expect("it starts"));
    let address = format!("127.0.0.1:{port}");
    wait_for("it listens", Duration::from_secs(60), async || {
        look_at_redis(redis(&address)).await.is_none()
    })
    .await;
    typed(port, "ACL SETUSER probe on >four ~mainstay:* +ping +set\r\n").await;

    let asks = |password: &str, write| RedisProbe {
        user: Some("probe".to_owned()),
        password: Some(Secret::new(password)),
        guarded: true,
        write,
        ..redis(&address)
    };
    assert_eq!(look_at_redis(asks("four", false)).await, None);
    assert_eq!(typed(port, "EXISTS mainstay:probe\r\n").await, ":0\r\n+OK\r\n", "it only asked");
    assert_eq!(look_at_redis(asks("four", true)).await, None);
    let expires = typed(port, "TTL mainstay:probe\r\n").await;
    let seconds = expires.lines().next().and_then(|line| line.strip_prefix(':')).map(str::to_owned);
    let seconds: u32 = seconds.and_then(|text| text.parse().ok()).expect(&expires);
    assert!((50..=60).contains(&seconds), "{expires}");
    assert!(says(look_at_redis(asks("five", true)).await).starts_with("WRONGPASS"));

    typed(port, "REPLICAOF 127.0.0.1 1\r\n").await;
    assert_eq!(look_at_redis(asks("four", false)).await, None);
    assert!(says(look_at_redis(asks("four", true)).await).starts_with("READONLY"));
}
