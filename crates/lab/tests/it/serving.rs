//! A bank on a real database, for the tests of the bank and of its clients.

use mainstay_lab::bank::{self, BankConfig, schema};
use mainstay_testkit::{Options, Postgres, wait_for};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub const ACCOUNTS: i64 = 100;

/// A filled bank's database.
pub async fn database() -> Postgres {
    let postgres = Postgres::start(Options::default().set("cluster_name", "east"));
    let admin = postgres.client("postgres").await;
    let roles =
        "CREATE ROLE bank_owner LOGIN PASSWORD 'owner'; CREATE ROLE bank LOGIN PASSWORD 'bank'";
    admin.batch_execute(roles).await.expect("the owner may do this");
    admin
        .batch_execute("CREATE DATABASE bank OWNER bank_owner")
        .await
        .expect("the owner may do this");
    let owner = postgres.client_as("bank", "bank_owner", "owner").await;
    schema::create(&owner).await.expect("the owner may do this");
    schema::fill(&owner, ACCOUNTS).await.expect("the owner may do this");
    postgres
}

/// A bank process, as far as a task can be one: aborting it drops its connections.
pub struct Bank {
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Bank {
    pub async fn open(postgres: &Postgres, listen: &str) -> Self {
        let listener = TcpListener::bind(listen).await.expect("a port of 127.0.0.1");
        let address = listener.local_addr().expect("a port of 127.0.0.1");
        let port = postgres.port();
        let database = format!("host=127.0.0.1 port={port} user=bank password=bank dbname=bank");
        let config =
            BankConfig { database: database.parse().expect("a valid address"), connections: 4 };
        let task = tokio::spawn(async {
            bank::run(config, listener, std::future::pending()).await.expect("the bank serves")
        });
        Self { address, task }
    }

    pub async fn get(&self, path: &str) -> (u16, serde_json::Value) {
        request(self.address, "GET", path, "").await
    }

    pub async fn post(&self, body: &serde_json::Value) -> (u16, serde_json::Value) {
        request(self.address, "POST", "/transfers", &body.to_string()).await
    }

    pub async fn until_healthy(&self) {
        wait_for("the bank is healthy", Duration::from_secs(60), async || {
            self.get("/health").await.0 == 200
        })
        .await;
    }
}

impl Drop for Bank {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// HTTP/1.1 by hand: independent of the client under test.
async fn request(to: SocketAddr, method: &str, path: &str, body: &str) -> (u16, serde_json::Value) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let Ok(mut stream) = tokio::net::TcpStream::connect(to).await else {
        return (0, serde_json::Value::Null);
    };
    let text = format!(
        "{method} {path} HTTP/1.1\r\nhost: bank\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(text.as_bytes()).await.expect("the bank reads and answers");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("the bank reads and answers");
    let status = answer.split(' ').nth(1).expect("a status line").parse().expect("a status line");
    let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
    (status, serde_json::from_str(body).unwrap_or_default())
}
