//! Keys that differ are brought to the target, in transactions that a newer epoch refuses.

use super::{odd, portions, record};
use crate::redis::compare::side::{Side, bytes};
use crate::redis::link::{LinkError, LinkSpec, OWN_KEYS};
use crate::redis::reply::Reply;
use bytes::Bytes;
use mainstay_core::Epoch;
use mainstay_wire::rdb::{Command, Entry, Family, Format, Key, Kind, Rebuild, Value, rebuild};

/// A key of more memory is copied in portions.
const LARGE: i64 = 1 << 20;
/// What is written is sent when it is so long.
const FULL: usize = 1 << 20;

pub(super) struct Writer {
    record: String,
    epoch: Epoch,
    /// What the target reads.
    format: Format,
    commands: Vec<Command>,
    length: usize,
    /// The target did not take something since this was last set to false.
    pub refused: bool,
    pub why: Option<String>,
}

impl Writer {
    pub(super) async fn new(spec: &LinkSpec, target: &mut Side) -> Result<Self, LinkError> {
        let info = target.info("server").await?;
        let format = match (info.get("valkey_version"), info.get("redis_version")) {
            (Some(version), _) => Format::of_server(Family::Valkey, version),
            (None, Some(version)) => Format::of_server(Family::Redis, version),
            (None, None) => None,
        };
        let format = format.ok_or_else(|| odd(target.place(), "its version is not known"))?;
        let (record, epoch) = (spec.record(), spec.epoch);
        Ok(Self { record, epoch, format, commands: vec![], length: 0, refused: false, why: None })
    }

    pub(super) fn remove(&mut self, key: Vec<u8>) {
        self.push(vec![Bytes::from_static(b"UNLINK"), key.into()]);
    }

    pub(super) fn command<const N: usize>(&mut self, words: [&'static str; N], last: &[u8]) {
        let words = words.map(|word| Bytes::from_static(word.as_bytes()));
        self.push(words.into_iter().chain([Bytes::copy_from_slice(last)]).collect());
    }

    fn push(&mut self, command: Command) {
        self.length += command.iter().map(Bytes::len).sum::<usize>();
        self.commands.push(command);
    }

    /// Says whether there was such a key.
    pub(super) async fn copy(
        &mut self,
        source: &mut Side,
        target: &mut Side,
        key: &[u8],
    ) -> Result<bool, LinkError> {
        let asked = source.ask(&[vec![b"TYPE", key], vec![b"MEMORY", b"USAGE", key]]).await?;
        let [kind, memory] = asked.as_slice() else { return Ok(false) };
        let kind = kind.text().unwrap_or_default().to_owned();
        let memory = memory.number().unwrap_or(i64::MAX);
        let copied = match portions::kind(&kind) {
            Some(kind) if memory > LARGE => self.in_portions(source, target, key, kind).await?,
            _ => self.whole(source, key).await?,
        };
        if self.length > FULL {
            self.flush(target).await?;
        }
        Ok(copied)
    }

    /// As the source holds it, where the target reads that; else by commands of its type.
    async fn whole(&mut self, source: &mut Side, key: &[u8]) -> Result<bool, LinkError> {
        let dump: [&[u8]; 2] = [b"DUMP", key];
        let (expires_at, answer) = with_expiry(source, key, &dump).await?;
        let Some(payload) = bytes(&answer) else { return Ok(false) };
        let value = match Value::of_payload(Bytes::copy_from_slice(payload)) {
            Ok(value) => value,
            Err(why) => return Err(odd(source.place(), &why.to_string())),
        };
        let name = Bytes::copy_from_slice(key);
        let key = Key { name, expires_at, idle: None, frequency: None };
        if value.accepted_by(self.format) {
            let text = |word: &'static str| Bytes::from_static(word.as_bytes());
            let at = expires_at.unwrap_or(0).to_string();
            let payload = value.payload().into();
            let words = [text("RESTORE"), key.name, at.into(), payload];
            self.push([&words[..], &[text("REPLACE"), text("ABSTTL")]].concat());
            return Ok(true);
        }
        match rebuild(&Entry { key, value }, self.format) {
            Ok(commands) => commands.into_iter().for_each(|command| self.push(command)),
            Err(why) => self.refuse(why.to_string()),
        }
        Ok(true)
    }

    /// Under another name first, so that nobody reads half of it.
    async fn in_portions(
        &mut self,
        source: &mut Side,
        target: &mut Side,
        key: &[u8],
        kind: Kind,
    ) -> Result<bool, LinkError> {
        let exists: [&[u8]; 2] = [b"EXISTS", key];
        let (expires_at, exists) = with_expiry(source, key, &exists).await?;
        if exists.number() != Some(1) {
            return Ok(false);
        }
        let aside = Bytes::from(format!("{OWN_KEYS}scan:{}", self.record));
        let as_if = Key { name: aside.clone(), expires_at, idle: None, frequency: None };
        let mut rebuild = Rebuild::of(as_if, kind, self.format);
        let mut portions = portions::Portions::of(key, kind);
        while let Some(part) = portions.next(source).await? {
            match rebuild.part(part) {
                Ok(commands) => commands.into_iter().for_each(|command| self.push(command)),
                Err(why) => {
                    self.refuse(why.to_string());
                    return Ok(false);
                }
            }
            if self.length > FULL {
                self.flush(target).await?;
            }
        }
        if portions.told_nothing() {
            return Ok(false);
        }
        rebuild.end().into_iter().for_each(|command| self.push(command));
        let rename = Bytes::from_static(b"RENAME");
        self.push(vec![rename, aside, Bytes::copy_from_slice(key)]);
        Ok(true)
    }

    fn refuse(&mut self, why: String) {
        self.refused = true;
        self.why = Some(why);
    }

    /// Sends what was written. The record is watched from before its epoch is read, so a link of a
    /// newer epoch that claims it meanwhile makes the transaction come to nothing.
    pub(super) async fn flush(&mut self, target: &mut Side) -> Result<(), LinkError> {
        if self.commands.is_empty() {
            return Ok(());
        }
        let database = target.database();
        let select = |database: u64| vec![Bytes::from("SELECT"), database.to_string().into()];
        let record = Bytes::from(self.record.clone());
        let words = |words: &[&'static str]| -> Command {
            words.iter().map(|word| Bytes::from_static(word.as_bytes())).collect()
        };
        let watch = vec![Bytes::from("WATCH"), record.clone()];
        let epoch = vec![Bytes::from("HGET"), record, Bytes::from("epoch")];
        let seen = target.ask(&[select(0), watch, epoch, select(database)]).await?;
        match seen.get(2).and_then(Reply::number).and_then(|seen| u64::try_from(seen).ok()) {
            Some(seen) if seen == self.epoch.number() => {}
            Some(seen) => {
                return Err(record::stale(target.place().to_owned(), self.epoch, seen));
            }
            // Somebody emptied the target: it is claimed anew.
            None => return Err(LinkError::Overtaken { place: target.place().to_owned() }),
        }
        let mut commands = vec![words(&["MULTI"])];
        commands.append(&mut self.commands);
        commands.push(words(&["EXEC"]));
        self.length = 0;
        let answers = target.ask(&commands).await?;
        let Some(Reply::Array(done)) = answers.last() else {
            return match answers.iter().find_map(error) {
                Some(why) => {
                    self.refuse(why);
                    Ok(())
                }
                None => Err(LinkError::Overtaken { place: target.place().to_owned() }),
            };
        };
        if let Some(why) = done.iter().find_map(error) {
            self.refuse(why);
        }
        Ok(())
    }
}

fn error(reply: &Reply) -> Option<String> {
    match reply {
        Reply::Error(why) => Some(why.clone()),
        _ => None,
    }
}

/// When a key expires and the answer to a command, as of one moment.
async fn with_expiry(
    source: &mut Side,
    key: &[u8],
    command: &[&[u8]],
) -> Result<(Option<u64>, Reply), LinkError> {
    let expires: &[u8] = if source.since_7 { b"PEXPIRETIME" } else { b"PTTL" };
    let commands: Vec<Vec<&[u8]>> =
        vec![vec![b"MULTI"], vec![b"TIME"], vec![expires, key], command.to_vec(), vec![b"EXEC"]];
    let answers = source.ask(&commands).await?;
    let Some([time, at, answer]) = answers.last().map(Reply::items) else {
        let why = answers.iter().find_map(error).unwrap_or_default();
        return Err(odd(source.place(), &why));
    };
    let part = |at: usize| time.items().get(at).and_then(Reply::number).unwrap_or(0);
    let now = if source.since_7 { 0 } else { part(0) * 1000 + part(1) / 1000 };
    let at = at.number().filter(|at| *at >= 0);
    let at = at.and_then(|at| u64::try_from(now + at).ok());
    Ok((at, answer.clone()))
}
