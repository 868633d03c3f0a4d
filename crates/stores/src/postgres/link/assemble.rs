//! From the source's messages to whole transactions: small ones in memory, large ones in a spool,
//! and pieces of one transaction that is still in progress.

use super::described::{Described, NotUnderstood, Replaced, Result, not_understood};
use super::schema::Arrival;
use super::spool::{Spool, SpoolWriter};
use super::unit::{Change, Piece, Transaction, Unit};
use bytes::Bytes;
use mainstay_wire::pgoutput::{Begin, Commit, Decoded, Message};
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::PathBuf;

/// A transaction that holds more than this goes to a spool.
const LARGE: usize = 16 * 1024 * 1024;
/// Changes in progress are passed on in pieces of this size.
const PIECE: usize = 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub(super) enum AssembleError {
    #[error(transparent)]
    NotUnderstood(#[from] NotUnderstood),
    #[error("a large transaction cannot be kept: {0}")]
    Spool(#[from] io::Error),
}

/// Knows what the source has described and begun since the stream began.
pub(super) struct Assembler {
    folder: PathBuf,
    described: Described,
    open: Option<Open>,
    /// Transactions in progress, by their number.
    streams: HashMap<u32, Stream>,
    /// The one whose changes are just being received.
    current: Option<u32>,
    /// The one whose changes are passed on before it is committed.
    ahead: Option<u32>,
    /// A table was described anew since the last transaction.
    replaced: bool,
}

/// A transaction that arrives after its commit.
struct Open {
    begin: Begin,
    changes: Vec<Change>,
    bytes: usize,
    barrier: bool,
    /// As the source sent it.
    messages: Vec<Bytes>,
    /// Descriptions that it replaced.
    replaced: Vec<Replaced>,
    large: Option<Large>,
}

struct Large {
    spool: SpoolWriter,
    /// As of its beginning.
    described: Described,
}

/// A transaction that arrives before its end.
struct Stream {
    spool: SpoolWriter,
    described: Described,
    rolled_back: HashSet<u32>,
    piece: Vec<Change>,
    bytes: usize,
    /// A piece was passed on.
    begun: bool,
}

/// A transaction whose messages are in a file.
#[derive(Debug)]
pub(super) struct Spooled {
    pub commit: Commit,
    pub spool: Spool,
    /// What was described when it began.
    pub described: Described,
    /// It was received before its commit; these subtransactions of it never happened.
    pub streamed: Option<Streamed>,
}

#[derive(Debug, Clone)]
pub(super) struct Streamed {
    pub xid: u32,
    pub rolled_back: HashSet<u32>,
}

/// What a message completes. A spool has still to be written.
pub(super) enum Fed {
    Nothing,
    Unit(Unit),
    Spooled(Draft),
}

pub(super) struct Draft {
    commit: Commit,
    spool: SpoolWriter,
    described: Described,
    streamed: Option<Streamed>,
}

impl Draft {
    pub async fn finish(self) -> io::Result<Unit> {
        let Draft { commit, spool, described, streamed } = self;
        let spool = spool.finish().await?;
        Ok(Unit::Spooled(Box::new(Spooled { commit, spool, described, streamed })))
    }
}

impl Assembler {
    /// `folder`: where spools go. Schema changes are known by their messages' token.
    pub fn new(folder: PathBuf, schema: Arrival) -> Self {
        Self {
            folder,
            described: Described::new(schema),
            open: None,
            streams: HashMap::new(),
            current: None,
            ahead: None,
            replaced: false,
        }
    }

    /// The commit time of the transaction that is being received.
    pub fn arriving(&self) -> Option<i64> {
        self.open.as_ref().map(|open| open.begin.commit_micros)
    }

    /// The transaction whose pieces were passed on and whose end is not known.
    pub fn ahead(&self) -> Option<u32> {
        self.ahead
    }

    /// The spool that has to be written before more is fed.
    pub fn due(&mut self) -> Option<&mut SpoolWriter> {
        let spool = match self.current {
            Some(xid) => self.streams.get_mut(&xid).map(|stream| &mut stream.spool),
            None => self.open.as_mut()?.large.as_mut().map(|large| &mut large.spool),
        };
        spool.filter(|spool| spool.is_due())
    }

    /// `raw` is the message that was decoded.
    pub fn feed(
        &mut self,
        decoded: Decoded,
        raw: &Bytes,
    ) -> std::result::Result<Fed, AssembleError> {
        match decoded.message {
            Message::StreamStart { xid, first } => self.stream_start(xid, first, raw),
            Message::StreamStop => Ok(self.stream_stop()),
            Message::StreamAbort { xid, subxid } => Ok(self.stream_abort(xid, subxid)?),
            Message::StreamCommit(end) => Ok(self.stream_commit(end.xid, end.commit)?),
            message if self.current.is_some() => {
                Ok(self.stream_change(decoded.subtransaction.unwrap_or(0), message, raw)?)
            }
            message => self.whole(message, raw),
        }
    }

    fn whole(&mut self, message: Message, raw: &Bytes) -> std::result::Result<Fed, AssembleError> {
        if let Some(open) = &mut self.open {
            open.keep(raw);
        }
        let bytes = message.size();
        match message {
            Message::Begin(begin) => self.begin(begin)?,
            Message::Commit(commit) => return Ok(self.commit(commit)?),
            Message::Relation(relation) => {
                if let Some(replaced) = self.described.describe(relation) {
                    self.note(replaced);
                }
            }
            Message::Type(name) => self.described.name_type(name),
            // Where the source had a transaction from is known, and changes no row.
            Message::Origin { .. } => {}
            Message::Logical(message) => {
                let change = self.described.message(&message)?;
                if change.is_some() {
                    self.add(change, bytes)?;
                }
            }
            change => {
                let change = self.described.change(change)?;
                self.add(change, bytes)?;
            }
        }
        Ok(Fed::Nothing)
    }

    fn note(&mut self, replaced: Replaced) {
        match &mut self.open {
            Some(open) => {
                open.barrier = true;
                open.replaced.push(replaced);
            }
            None => self.replaced = true,
        }
    }

    fn begin(&mut self, begin: Begin) -> Result<()> {
        if self.open.is_some() {
            return not_understood("a transaction inside another one");
        }
        self.described.begin();
        let barrier = std::mem::take(&mut self.replaced);
        self.open = Some(Open {
            begin,
            changes: Vec::new(),
            bytes: 0,
            barrier,
            messages: Vec::new(),
            replaced: Vec::new(),
            large: None,
        });
        Ok(())
    }

    fn commit(&mut self, commit: Commit) -> Result<Fed> {
        let Some(open) = self.open.take() else {
            return not_understood("the end of a transaction that did not begin");
        };
        if commit.commit_lsn != open.begin.commit_lsn {
            return not_understood("the end of another transaction than the one that began");
        }
        Ok(open.finish(commit))
    }

    fn add(
        &mut self,
        change: Option<Change>,
        bytes: usize,
    ) -> std::result::Result<(), AssembleError> {
        let Some(open) = self.open.as_mut() else {
            return Ok(not_understood("a change outside a transaction")?);
        };
        let Some(change) = change else { return Ok(()) };
        if open.large.is_some() {
            return Ok(());
        }
        open.barrier |= change.table().is_none();
        open.changes.push(change);
        open.bytes += bytes;
        if open.bytes > LARGE {
            open.spool(SpoolWriter::create(&self.folder)?, self.described.clone());
        }
        Ok(())
    }

    fn stream_start(
        &mut self,
        xid: u32,
        first: bool,
        raw: &Bytes,
    ) -> std::result::Result<Fed, AssembleError> {
        if self.open.is_some() {
            return Ok(not_understood("a transaction in progress inside another one")?);
        }
        if first == self.streams.contains_key(&xid) {
            return Ok(not_understood("a transaction in progress without its beginning")?);
        }
        if first {
            let mut spool = SpoolWriter::create(&self.folder)?;
            spool.push(0, raw);
            let stream = Stream {
                spool,
                described: self.described.empty(),
                rolled_back: HashSet::new(),
                piece: Vec::new(),
                bytes: 0,
                begun: false,
            };
            self.streams.insert(xid, stream);
            self.ahead.get_or_insert(xid);
        }
        self.current = Some(xid);
        Ok(Fed::Nothing)
    }

    fn stream_stop(&mut self) -> Fed {
        let Some(xid) = self.current.take() else { return Fed::Nothing };
        match self.streams.get_mut(&xid) {
            Some(stream) if self.ahead == Some(xid) => stream.pass_on(xid),
            _ => Fed::Nothing,
        }
    }

    fn stream_change(&mut self, subtransaction: u32, message: Message, raw: &Bytes) -> Result<Fed> {
        let xid = self.current.unwrap_or_default();
        let Some(stream) = self.streams.get_mut(&xid) else {
            return not_understood("a change of a transaction in progress that did not begin");
        };
        stream.spool.push(subtransaction, raw);
        let bytes = message.size();
        let change = match message {
            Message::Relation(relation) => {
                stream.described.describe(relation);
                return Ok(Fed::Nothing);
            }
            Message::Type(name) => {
                stream.described.name_type(name);
                return Ok(Fed::Nothing);
            }
            Message::Origin { .. } => return Ok(Fed::Nothing),
            Message::Logical(message) => stream.described.message(&message)?,
            change => stream.described.change(change)?,
        };
        let (Some(change), true) = (change, self.ahead == Some(xid)) else {
            return Ok(Fed::Nothing);
        };
        if change.table().is_none() {
            return Ok(self.no_longer_ahead());
        }
        stream.piece.push(change);
        stream.bytes += bytes;
        Ok(if stream.bytes > PIECE { stream.pass_on(xid) } else { Fed::Nothing })
    }

    /// What was passed on is to be taken back. It comes again, whole, when it is committed.
    fn no_longer_ahead(&mut self) -> Fed {
        let Some(stream) = self.ahead.take().and_then(|xid| self.streams.get_mut(&xid)) else {
            return Fed::Nothing;
        };
        stream.piece.clear();
        Fed::Unit(Unit::Withdrawn)
    }

    fn stream_abort(&mut self, xid: u32, subxid: u32) -> Result<Fed> {
        let Some(stream) = self.streams.get_mut(&xid) else {
            // PostgreSQL 18 tells so of a subtransaction of which it told nothing, when it finds a
            // large transaction that was rolled back already (`reorderbuffer.c`,
            // `ReorderBufferCheckAndTruncateAbortedTXN`): there is nothing to take back.
            return if subxid == xid {
                not_understood("the end of a transaction in progress that did not begin")
            } else {
                Ok(Fed::Nothing)
            };
        };
        if subxid == xid {
            self.streams.remove(&xid);
        } else {
            stream.rolled_back.insert(subxid);
        }
        Ok(if self.ahead == Some(xid) { self.no_longer_ahead() } else { Fed::Nothing })
    }

    fn stream_commit(&mut self, xid: u32, commit: Commit) -> Result<Fed> {
        let Some(stream) = self.streams.remove(&xid) else {
            return not_understood("the commit of a transaction in progress that did not begin");
        };
        if self.ahead == Some(xid) {
            self.ahead = None;
        }
        let described = stream.described.empty();
        // The source does not describe again what it has described within this transaction.
        self.replaced |= self.described.merge(stream.described);
        Ok(Fed::Spooled(Draft {
            commit,
            spool: stream.spool,
            described,
            streamed: Some(Streamed { xid, rolled_back: stream.rolled_back }),
        }))
    }
}

impl Stream {
    fn pass_on(&mut self, xid: u32) -> Fed {
        if self.piece.is_empty() {
            return Fed::Nothing;
        }
        let (changes, bytes) = (std::mem::take(&mut self.piece), std::mem::take(&mut self.bytes));
        let first = !std::mem::replace(&mut self.begun, true);
        Fed::Unit(Unit::Piece(Piece { xid, first, changes, bytes }))
    }
}

impl Open {
    fn keep(&mut self, raw: &Bytes) {
        match &mut self.large {
            Some(large) => large.spool.push(0, raw),
            None => self.messages.push(raw.clone()),
        }
    }

    /// From here on only the spool has its changes.
    fn spool(&mut self, mut spool: SpoolWriter, mut described: Described) {
        for replaced in self.replaced.iter().rev() {
            described.undo(replaced);
        }
        described.begin();
        for message in std::mem::take(&mut self.messages) {
            spool.push(0, &message);
        }
        self.changes = Vec::new();
        self.large = Some(Large { spool, described });
    }

    fn finish(self, commit: Commit) -> Fed {
        if let Some(Large { spool, described }) = self.large {
            return Fed::Spooled(Draft { commit, spool, described, streamed: None });
        }
        if self.changes.is_empty() {
            return Fed::Unit(Unit::Covered(commit.end_lsn));
        }
        Fed::Unit(Unit::Whole(Transaction {
            commit_lsn: self.begin.commit_lsn,
            end: commit.end_lsn,
            commit_micros: self.begin.commit_micros,
            changes: self.changes,
            bytes: self.bytes,
            barrier: self.barrier,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::replay::Replay;
    use super::*;
    use mainstay_core::position::Lsn;
    use mainstay_wire::pgoutput::{
        Column, Identity, LogicalMessage, Relation, StreamCommit, Value,
    };

    fn assembler() -> Assembler {
        Assembler::new(std::env::temp_dir(), Arrival::new("t".to_owned()))
    }

    fn relation(id: u32, schema: &str) -> Message {
        let column = Column { key: true, name: "id".into(), type_id: 25, type_modifier: -1 };
        Message::Relation(Relation {
            id,
            schema: schema.into(),
            name: "t".into(),
            identity: Identity::Default,
            columns: vec![column],
        })
    }

    fn begin() -> Message {
        Message::Begin(Begin { commit_lsn: Lsn(10), commit_micros: 5, xid: 1 })
    }

    const COMMIT: Commit = Commit { commit_lsn: Lsn(10), end_lsn: Lsn(20), commit_micros: 5 };

    fn insert(relation: u32, size: usize) -> Message {
        Message::Insert { relation, new: vec![Value::Text(Bytes::from(vec![b'x'; size]))] }
    }

    fn feed(assembler: &mut Assembler, message: Message) -> Fed {
        within(assembler, None, message)
    }

    /// Without the bytes that the message was decoded from: a spool of these cannot be read.
    fn within(assembler: &mut Assembler, subtransaction: Option<u32>, message: Message) -> Fed {
        assembler.feed(Decoded { subtransaction, message }, &Bytes::new()).unwrap()
    }

    fn refused(assembler: &mut Assembler, message: Message) -> bool {
        assembler.feed(Decoded { subtransaction: None, message }, &Bytes::new()).is_err()
    }

    #[test]
    fn a_transaction_of_our_own_tables_only_covers() {
        let mut assembler = assembler();
        for message in [relation(1, "mainstay"), begin(), insert(1, 1)] {
            assert!(matches!(feed(&mut assembler, message), Fed::Nothing));
        }
        let fed = feed(&mut assembler, Message::Commit(COMMIT));
        assert!(matches!(fed, Fed::Unit(Unit::Covered(Lsn(20)))));
    }

    #[tokio::test]
    async fn a_large_transaction_is_spooled_whole() {
        let mut assembler = assembler();
        for message in [relation(1, "public"), begin(), insert(1, LARGE), insert(1, 1)] {
            assert!(matches!(feed(&mut assembler, message), Fed::Nothing));
        }
        let Fed::Spooled(draft) = feed(&mut assembler, Message::Commit(COMMIT)) else {
            panic!("it is spooled")
        };
        let Unit::Spooled(spooled) = draft.finish().await.unwrap() else { panic!("a spool") };
        assert_eq!((spooled.commit, spooled.streamed.is_none()), (COMMIT, true));
        // The messages without bytes are refused, and so not skipped either.
        assert!(Replay::of(&spooled).next().await.is_err());
    }

    #[test]
    fn the_first_transaction_in_progress_is_passed_on_until_a_part_of_it_is_rolled_back() {
        let mut assembler = assembler();
        let piece = |fed: Fed| match fed {
            Fed::Unit(Unit::Piece(piece)) => Some((piece.xid, piece.first, piece.changes.len())),
            _ => None,
        };
        let block = |assembler: &mut Assembler, xid, first| {
            feed(assembler, Message::StreamStart { xid, first });
            within(assembler, Some(xid), relation(1, "public"));
            within(assembler, Some(xid + 1), insert(1, 1));
            piece(feed(assembler, Message::StreamStop))
        };
        assert_eq!(block(&mut assembler, 7, true), Some((7, true, 1)));
        assert_eq!(block(&mut assembler, 20, true), None, "one at a time");
        assert_eq!(block(&mut assembler, 7, false), Some((7, false, 1)));
        let abort = Message::StreamAbort { xid: 7, subxid: 8 };
        assert!(matches!(feed(&mut assembler, abort), Fed::Unit(Unit::Withdrawn)));
        assert_eq!(block(&mut assembler, 7, false), None);
        let end = Message::StreamCommit(StreamCommit { xid: 7, commit: COMMIT });
        let Fed::Spooled(draft) = feed(&mut assembler, end) else { panic!("it is spooled") };
        assert_eq!(draft.streamed.unwrap().rolled_back, HashSet::from([8]));
    }

    #[test]
    fn a_table_described_anew_makes_the_transaction_a_barrier() {
        let mut assembler = assembler();
        let whole = |assembler: &mut Assembler, messages: Vec<Message>| {
            for message in messages {
                feed(assembler, message);
            }
            match feed(assembler, Message::Commit(COMMIT)) {
                Fed::Unit(Unit::Whole(whole)) => whole.barrier,
                _ => panic!("a whole transaction"),
            }
        };
        let first = vec![begin(), relation(1, "public"), insert(1, 1)];
        assert!(!whole(&mut assembler, first));
        let same = vec![begin(), relation(1, "public"), insert(1, 1)];
        assert!(!whole(&mut assembler, same));
        let other = vec![begin(), relation(1, "elsewhere"), insert(1, 1)];
        assert!(whole(&mut assembler, other));
    }

    #[test]
    fn rows_that_a_schema_change_writes_by_itself_are_left_to_it() {
        let told = |more: &str| {
            Message::Logical(LogicalMessage {
                transactional: true,
                lsn: Lsn(7),
                prefix: "mainstay ddl".into(),
                content: Bytes::from(format!(
                    r#"{{"version": 1, "token": "t", "tag": "CREATE EXTENSION", "role": "r",
                        "settings": {{}}, "{more}": true}}"#
                )),
            })
        };
        let mut assembler = assembler();
        for message in [
            relation(1, "public"),
            begin(),
            insert(1, 1),
            told("opens"),
            insert(1, 2),
            insert(1, 3),
            told("closes"),
            insert(1, 4),
        ] {
            assert!(matches!(feed(&mut assembler, message), Fed::Nothing));
        }
        let Fed::Unit(Unit::Whole(whole)) = feed(&mut assembler, Message::Commit(COMMIT)) else {
            panic!("whole")
        };
        let kinds: Vec<_> = whole.changes.iter().map(|c| matches!(c, Change::Schema(_))).collect();
        assert_eq!(kinds, [false, true, false]);
        assert!(whole.barrier);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        assert!(refused(&mut assembler(), Message::Commit(COMMIT)));
        let mut assembler = assembler();
        feed(&mut assembler, relation(1, "public"));
        assert!(refused(&mut assembler, insert(1, 1)), "outside a transaction");
        feed(&mut assembler, begin());
        assert!(refused(&mut assembler, insert(2, 1)), "a table that was not described");
        let two = Message::Insert { relation: 1, new: vec![Value::Null, Value::Null] };
        assert!(refused(&mut assembler, two), "other columns");
        assert!(refused(&mut assembler, begin()), "a transaction inside another one");
        let end = Message::StreamCommit(StreamCommit { xid: 9, commit: COMMIT });
        assert!(refused(&mut assembler, end), "the end of what did not begin");
    }
}
