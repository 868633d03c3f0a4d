//! One server of a comparison, and what it can tell.

use crate::redis::fault::Fault;
use crate::redis::link::Filter;
use crate::redis::reply::{self, Reply};
use crate::redis::session::Session;
use mainstay_core::estate::RedisEndpoint;
use mainstay_core::position::ReplicationOffset;
use std::collections::BTreeMap;

const DOING: &str = "read keys to compare them";

pub(in crate::redis) struct Side {
    session: Session,
    database: u64,
    /// `PEXPIRETIME`, functions, and streams that count what they ever had: since Redis 7.0.
    pub(in crate::redis) since_7: bool,
    /// Fields of a hash can expire, and some do or may.
    pub(in crate::redis) expiring_fields: bool,
    /// Both servers count what streams ever had.
    pub(super) counts_entries: bool,
    /// The server's clock when keys were last asked for, in milliseconds since 1970.
    pub(super) clock: i64,
}

impl Side {
    /// `what` for is shown to people who look at the server's clients.
    pub(in crate::redis) async fn open(
        endpoint: &RedisEndpoint,
        what: &str,
    ) -> Result<Self, Fault> {
        let mut session = Session::open(endpoint, what).await?;
        let version = session.info("server").await?;
        let version = version.get("redis_version").map(String::as_str).unwrap_or_default();
        let major: u32 = version.split('.').next().and_then(|it| it.parse().ok()).unwrap_or(0);
        let knows = ["COMMAND", "INFO", "HPEXPIRETIME", "CLIENT|NO-TOUCH"];
        let knows = session.call(DOING, &knows).await?;
        let knows = |at: usize| knows.items().get(at).is_some_and(|it| *it != Reply::Nil);
        let expiring_fields = knows(0);
        if knows(1) {
            // What is looked at here is not what the application uses.
            session.call(DOING, &["CLIENT", "NO-TOUCH", "ON"]).await?;
        }
        let since_7 = major >= 7;
        let counts_entries = since_7;
        Ok(Self { session, database: 0, since_7, expiring_fields, counts_entries, clock: 0 })
    }

    pub(in crate::redis) fn database(&self) -> u64 {
        self.database
    }

    pub(in crate::redis) fn place(&self) -> &str {
        self.session.place()
    }

    /// What it sends to replicas says when a key expires. Before Redis 7.0 it says how long the key
    /// has, so that the target's time is later by the link's delay.
    pub(super) fn sends_times(&self) -> bool {
        self.since_7
    }

    /// The command that tells when a key expires, or how long it still has.
    pub(super) fn tells_expiry(&self) -> &'static [u8] {
        if self.since_7 { b"PEXPIRETIME" } else { b"PTTL" }
    }

    pub(in crate::redis) async fn info(
        &mut self,
        section: &str,
    ) -> Result<BTreeMap<String, String>, Fault> {
        self.session.info(section).await
    }

    pub(super) fn interrupted(&self, why: String) -> Fault {
        Fault::ComparisonInterrupted { place: self.session.place().to_owned(), why }
    }

    pub(in crate::redis) async fn call<A: AsRef<[u8]>>(
        &mut self,
        command: &[A],
    ) -> Result<Reply, Fault> {
        self.session.call(DOING, command).await
    }

    /// Answers to commands that are sent at once. An error among them is an answer: a key can have
    /// become another since it was asked for.
    pub(in crate::redis) async fn ask<A: AsRef<[u8]>>(
        &mut self,
        commands: &[Vec<A>],
    ) -> Result<Vec<Reply>, Fault> {
        let mut bytes = Vec::new();
        commands.iter().for_each(|command| reply::encode(&mut bytes, command));
        self.session.pipeline(DOING, &bytes, commands.len()).await
    }

    pub(in crate::redis) async fn select(&mut self, database: u64) -> Result<(), Fault> {
        self.call(&["SELECT", &database.to_string()]).await?;
        self.database = database;
        Ok(())
    }

    /// The databases that have keys, and how many.
    pub(in crate::redis) async fn databases(&mut self) -> Result<Vec<(u64, u64)>, Fault> {
        let info = self.session.info("keyspace").await?;
        let keys = |about: &str| about.split(',').next()?.strip_prefix("keys=")?.parse().ok();
        let database = |(name, about): (&String, &String)| {
            Some((name.strip_prefix("db")?.parse().ok()?, keys(about).unwrap_or(0)))
        };
        Ok(info.iter().filter_map(database).collect())
    }

    /// Where the server is: all that it was asked before is of there or of earlier.
    pub(super) async fn position(&mut self) -> Result<ReplicationOffset, Fault> {
        let info = self.session.info("replication").await?;
        self.position_in(&info)
    }

    pub(super) fn position_in(
        &self,
        info: &BTreeMap<String, String>,
    ) -> Result<ReplicationOffset, Fault> {
        let history = info.get("master_replid").and_then(|id| id.parse().ok());
        let offset = info.get("master_repl_offset").and_then(|offset| offset.parse().ok());
        match (history, offset) {
            (Some(history), Some(offset)) => Ok(ReplicationOffset { history, offset }),
            _ => Err(self.interrupted("it does not say its replication offset".to_owned())),
        }
    }

    /// Some keys, without those that the link leaves out, and where to go on.
    pub(in crate::redis) async fn scan(
        &mut self,
        cursor: &str,
        count: usize,
        filter: &Filter,
    ) -> Result<(Vec<Vec<u8>>, Option<String>), Fault> {
        let page = self.call(&["SCAN", cursor, "COUNT", &count.to_string()]).await?;
        let [next, keys] = page.items() else {
            return Err(self.interrupted("it does not answer SCAN".to_owned()));
        };
        let next = next.text().unwrap_or_default().to_owned();
        let keys = keys.items().iter().filter_map(|key| bytes(key).map(<[u8]>::to_vec));
        let keys = keys.filter(|key| !filter.excludes(key)).collect();
        Ok((keys, Some(next).filter(|next| next != "0")))
    }

    pub(in crate::redis) async fn exist(&mut self, keys: &[Vec<u8>]) -> Result<Vec<bool>, Fault> {
        let commands: Vec<Vec<&[u8]>> =
            keys.iter().map(|key| vec![&b"EXISTS"[..], key.as_slice()]).collect();
        let answers = self.ask(&commands).await?;
        Ok(answers.iter().map(|answer| answer.number() == Some(1)).collect())
    }

    /// Libraries by name, with their code; none when the server has no functions.
    pub(in crate::redis) async fn functions(
        &mut self,
    ) -> Result<Option<BTreeMap<String, Vec<u8>>>, Fault> {
        if !self.since_7 {
            return Ok(None);
        }
        let list = self.call(&["FUNCTION", "LIST", "WITHCODE"]).await?;
        let library = |item: &Reply| {
            let name = field(item, "library_name")?.text()?.to_owned();
            Some((name, bytes(field(item, "library_code")?)?.to_vec()))
        };
        Ok(Some(list.items().iter().filter_map(library).collect()))
    }
}

/// What only one of two servers can tell is not asked of the other.
pub(in crate::redis) fn agree(one: &mut Side, other: &mut Side) {
    let fields = one.expiring_fields && other.expiring_fields;
    let counts = one.since_7 && other.since_7;
    for side in [one, other] {
        side.expiring_fields = fields;
        side.counts_entries = counts;
    }
}

/// A field of an answer that has names and values in turn.
pub(super) fn field<'a>(reply: &'a Reply, name: &str) -> Option<&'a Reply> {
    let pairs = reply.items().chunks_exact(2);
    pairs.into_iter().find(|pair| pair[0].text() == Some(name)).map(|pair| &pair[1])
}

pub(in crate::redis) fn bytes(reply: &Reply) -> Option<&[u8]> {
    match reply {
        Reply::Bulk(bytes) => Some(bytes),
        Reply::Status(text) => Some(text.as_bytes()),
        _ => None,
    }
}
