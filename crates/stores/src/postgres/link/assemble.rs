//! From the source's messages to whole transactions: small ones in memory, large ones in a spool,
//! and pieces of one transaction that is still in progress.

use super::described::{Described, NotUnderstood, Replaced, Result, not_understood};
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
    /// `folder`: where spools go.
    pub fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            described: Described::default(),
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
            // Where the source had a transaction from, and messages of applications to their own
            // readers, are known and change no row.
            Message::Origin { .. } | Message::Logical(_) => {}
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
                described: Described::default(),
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
            Message::Origin { .. } | Message::Logical(_) => return Ok(Fed::Nothing),
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
        Fed::Unit(Unit::TakenBack)
    }

    fn stream_abort(&mut self, xid: u32, subxid: u32) -> Result<Fed> {
        let Some(stream) = self.streams.get_mut(&xid) else {
            return not_understood("the end of a transaction in progress that did not begin");
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
        // The source does not describe again what it has described within this transaction.
        self.replaced |= self.described.merge(stream.described);
        Ok(Fed::Spooled(Draft {
            commit,
            spool: stream.spool,
            described: Described::default(),
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
