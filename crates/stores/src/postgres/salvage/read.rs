//! Reading a salvage piece by piece: a line may hold a transaction of millions of rows.

use super::format::{Change, Header};
use crate::postgres::fault::Fault;
use mainstay_core::position::Lsn;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use tokio::sync::mpsc;

/// Changes that may wait between the thread that reads and the task that uses them.
const AHEAD: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Begin(Header),
    Change(Change),
    /// The transaction is whole; its commit record ends here.
    Commit(Lsn),
}

/// A salvage that is being read by a thread of its own.
pub struct Reader {
    events: mpsc::Receiver<Result<Event, Fault>>,
}

impl Reader {
    pub fn new(input: impl Read + Send + 'static) -> Self {
        let (sender, events) = mpsc::channel(AHEAD);
        tokio::task::spawn_blocking(move || read_all(input, &sender));
        Self { events }
    }

    /// Reads a salvage that is kept as a file.
    pub fn open(path: &Path) -> Result<Self, Fault> {
        let unreadable = |why: io::Error| Fault::SalvageUnreadable { path: path.to_owned(), why };
        Ok(Self::new(File::open(path).map_err(unreadable)?))
    }

    /// The next event; none at the end.
    pub async fn next(&mut self) -> Result<Option<Event>, Fault> {
        self.events.recv().await.transpose()
    }
}

type Sender = mpsc::Sender<Result<Event, Fault>>;

/// Stops at the end, at the first damage, and when nobody wants more.
fn read_all(input: impl Read, sender: &Sender) {
    let mut input = BufReader::new(input);
    for line in 1.. {
        let outcome = match input.fill_buf() {
            Ok([]) => return,
            Ok(_) => read_line(&mut input, sender).map_err(|e| e.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(why) = outcome {
            // Nobody is there to be told when the receiver is gone.
            let _ = sender.blocking_send(Err(Fault::SalvageDamaged { line, why }));
            return;
        }
    }
}

fn read_line(input: &mut impl BufRead, sender: &Sender) -> serde_json::Result<()> {
    let mut json = serde_json::Deserializer::from_reader(Line { input, ended: false });
    Transaction(sender).deserialize(&mut json)?;
    json.end()
}

/// The input up to the end of its line.
struct Line<'a, R> {
    input: &'a mut R,
    ended: bool,
}

impl<R: BufRead> Read for Line<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.ended {
            return Ok(0);
        }
        let ready = self.input.fill_buf()?;
        let ready = &ready[..ready.len().min(out.len())];
        let length = match ready.iter().position(|byte| *byte == b'\n') {
            Some(at) => {
                self.ended = true;
                at + 1
            }
            None => ready.len(),
        };
        out[..length].copy_from_slice(&ready[..length]);
        self.input.consume(length);
        Ok(length)
    }
}

/// Hands over a line's parts as they come.
struct Transaction<'a>(&'a Sender);

impl<'de> DeserializeSeed<'de> for Transaction<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Transaction<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a salvaged transaction")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let header = Header {
            system: field(&mut map, "system")?,
            commit_lsn: field(&mut map, "commit_lsn")?,
            commit_micros: field(&mut map, "commit_micros")?,
            xid: field(&mut map, "xid")?,
        };
        send(self.0, Event::Begin(header))?;
        expect(&mut map, "changes")?;
        map.next_value_seed(Changes(self.0))?;
        let end = field(&mut map, "end_lsn")?;
        match map.next_key::<String>()? {
            None => send(self.0, Event::Commit(end)),
            Some(other) => Err(de::Error::custom(format!("{other:?} was not expected"))),
        }
    }
}

/// The fields have one order, the one in which they are written.
fn field<'de, A: MapAccess<'de>, T: de::Deserialize<'de>>(
    map: &mut A,
    name: &'static str,
) -> Result<T, A::Error> {
    expect(map, name)?;
    map.next_value()
}

fn expect<'de, A: MapAccess<'de>>(map: &mut A, name: &'static str) -> Result<(), A::Error> {
    match map.next_key::<String>()? {
        Some(key) if key == name => Ok(()),
        found => Err(de::Error::custom(format!("{name:?} was expected, not {found:?}"))),
    }
}

fn send<E: de::Error>(sender: &Sender, event: Event) -> Result<(), E> {
    sender.blocking_send(Ok(event)).map_err(|_| E::custom("nobody reads on"))
}

struct Changes<'a>(&'a Sender);

impl<'de> DeserializeSeed<'de> for Changes<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Changes<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the changes of a salvaged transaction")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut changes: A) -> Result<(), A::Error> {
        while let Some(change) = changes.next_element()? {
            send(self.0, Event::Change(change))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = concat!(
        r#"{"system":"7","commit_lsn":"0/1","commit_micros":5,"xid":9,"changes":["#,
        r#"{"table":"public.t","op":"delete","key":{"id":"1"},"old":null,"new":null}],"#,
        r#""end_lsn":"0/9"}"#
    );

    async fn outcome(text: String) -> (usize, Result<(), Fault>) {
        let mut reader = Reader::new(io::Cursor::new(text));
        let mut events = 0;
        loop {
            match reader.next().await {
                Ok(Some(_)) => events += 1,
                Ok(None) => return (events, Ok(())),
                Err(fault) => return (events, Err(fault)),
            }
        }
    }

    #[tokio::test]
    async fn each_line_is_a_transaction_with_its_changes() {
        let (events, end) = outcome(format!("{LINE}\n{LINE}\n")).await;
        assert_eq!(events, 6);
        end.unwrap();
    }

    #[tokio::test]
    async fn damage_is_named_with_its_line_and_never_read_as_the_end() {
        for cut in 1..LINE.len() {
            let (_, end) = outcome(format!("{LINE}\n{}", &LINE[..cut])).await;
            let damaged = end.err().unwrap();
            assert!(matches!(damaged, Fault::SalvageDamaged { line: 2, .. }), "{cut}: {damaged}");
        }
        let (_, end) = outcome(format!("{LINE}{LINE}\n")).await;
        assert!(matches!(end.err(), Some(Fault::SalvageDamaged { line: 1, .. })));
    }
}
