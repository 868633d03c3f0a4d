//! One connection for Mainstay's own questions to a server, whose errors say where and what.

use super::connect::{self, Connection, place};
use super::fault::Fault;
use super::reply::{self, Reply};
use mainstay_core::estate::RedisEndpoint;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// How long a server may take to answer.
const ANSWER: Duration = Duration::from_secs(15);

pub struct Session {
    connection: Connection,
    place: String,
}

impl Session {
    /// `what` is shown to people who look at the server's `CLIENT LIST`.
    pub async fn open(endpoint: &RedisEndpoint, what: &str) -> Result<Self, Fault> {
        let connection = connect::connect(endpoint, what).await?;
        Ok(Self { connection, place: place(endpoint) })
    }

    pub fn place(&self) -> &str {
        &self.place
    }

    /// The connection itself, when all that was asked has been answered.
    pub(crate) fn into_connection(self) -> Connection {
        self.connection
    }

    /// One command and its answer. An answer that is an error is a fault.
    pub async fn call<A: AsRef<[u8]>>(
        &mut self,
        doing: &'static str,
        command: &[A],
    ) -> Result<Reply, Fault> {
        let mut bytes = Vec::new();
        reply::encode(&mut bytes, command);
        let answers = self.pipeline(doing, &bytes, 1).await?;
        match answers.into_iter().next() {
            Some(Reply::Error(why)) => Err(self.refused(doing, why)),
            Some(answer) => Ok(answer),
            None => Err(self.lost(doing, "it gave no answer")),
        }
    }

    /// Several commands at once, encoded by [`reply::encode`], and their answers in order; an
    /// error among them is for the caller to judge.
    pub async fn pipeline(
        &mut self,
        doing: &'static str,
        commands: &[u8],
        count: usize,
    ) -> Result<Vec<Reply>, Fault> {
        let exchange = async {
            self.connection.write_all(commands).await?;
            self.connection.flush().await?;
            let mut answers = Vec::with_capacity(count);
            for _ in 0..count {
                answers.push(reply::read(&mut self.connection).await?);
            }
            std::io::Result::Ok(answers)
        };
        match tokio::time::timeout(ANSWER, exchange).await {
            Ok(Ok(answers)) => Ok(answers),
            Ok(Err(error)) => Err(self.lost(doing, &error.to_string())),
            Err(_) => Err(self.lost(doing, &format!("no answer within {} s", ANSWER.as_secs()))),
        }
    }

    /// A section of `INFO`: its fields by name.
    pub async fn info(&mut self, section: &str) -> Result<BTreeMap<String, String>, Fault> {
        let answer = self.call("ask for INFO", &["INFO", section]).await?;
        Ok(info(answer.text().unwrap_or_default()))
    }

    /// One setting; none when the server does not know it.
    pub async fn setting(&mut self, name: &str) -> Result<Option<String>, Fault> {
        let answer = self.call("read a setting", &["CONFIG", "GET", name]).await?;
        Ok(answer.items().get(1).and_then(Reply::text).map(str::to_owned))
    }

    pub fn refused(&self, doing: &'static str, why: String) -> Fault {
        Fault::Refused { place: self.place.clone(), doing, why }
    }

    fn lost(&self, doing: &'static str, why: &str) -> Fault {
        Fault::Lost { place: self.place.clone(), doing, why: why.to_owned() }
    }
}

/// An answer to `INFO`: its fields by name.
pub(super) fn info(text: &str) -> BTreeMap<String, String> {
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
