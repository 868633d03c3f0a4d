//! Taking the salvage: what the slot of the returned site still holds, read without confirming it,
//! so that it can be taken again.

use super::format::{Change, Columns, Header, Op, Value};
use crate::postgres::catalog;
use crate::postgres::fault::Fault;
use crate::postgres::session::{Session, fault};
use crate::postgres::slot;
use bytes::Bytes;
use futures::TryStreamExt;
use mainstay_core::estate::PostgresEndpoint;
use mainstay_core::position::Lsn;
use mainstay_wire::pgoutput::{
    self, Begin, Identity, Message, OldTuple, Relation, Truncate, Tuple, Value as WireValue,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::pin::pin;
use tokio_postgres::types::PgLsn;

const DOING: &str = "take the salvage";

/// What a salvage holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    pub transactions: u64,
    pub changes: u64,
    /// By `schema.table`.
    pub tables: BTreeMap<String, Counts>,
    /// Commit times of the first and the last transaction: microseconds since the Unix epoch, on
    /// the returned site's clock.
    pub first_commit_micros: Option<i64>,
    pub last_commit_micros: Option<i64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub inserts: u64,
    pub updates: u64,
    pub deletes: u64,
    pub truncates: u64,
}

impl Counts {
    fn add(&mut self, op: Op) {
        *match op {
            Op::Insert => &mut self.inserts,
            Op::Update => &mut self.updates,
            Op::Delete => &mut self.deletes,
            Op::Truncate => &mut self.truncates,
        } += 1;
    }
}

/// Writes the transactions that `source` committed and that end after `after`, the position which
/// the active site had applied when it was promoted, as lines of JSON; up to the end of history
/// as of now. The site has to be fenced, so that there is such an end.
pub async fn take(
    source: &PostgresEndpoint,
    slot: &str,
    after: Lsn,
    sink: &mut (dyn Write + Send),
) -> Result<Summary, Fault> {
    let session = Session::open(source, "salvage").await?;
    session.batch(DOING, "SET statement_timeout = 0").await?;
    whole(&session, slot, after).await?;
    let primary = catalog::primary_keys(&session).await?;
    let system = catalog::system(&session).await?;
    let mut writer = Writer::new(session.place(), system, after, primary, sink);
    let sql = "SELECT data FROM pg_catalog.pg_logical_slot_peek_binary_changes($1, NULL, NULL, \
               'proto_version', '1', 'publication_names', 'mainstay')";
    let mut rows = pin!(session.stream(DOING, sql, &[&slot]).await?);
    let failed = |e| fault(session.place(), DOING, &e);
    while let Some(row) = rows.try_next().await.map_err(failed)? {
        writer.message(Bytes::copy_from_slice(row.get(0)))?;
    }
    writer.finish()
}

/// The slot must hold everything after `after`, and the site everything before it.
async fn whole(session: &Session, slot: &str, after: Lsn) -> Result<(), Fault> {
    let state = slot::wait_idle(session, slot).await?;
    let (place, slot) = (session.place().to_owned(), slot.to_owned());
    if state.lost {
        return Err(Fault::SlotLost { place, slot });
    }
    let confirmed = state.confirmed_flush;
    if confirmed > after {
        return Err(Fault::SalvageGap { place, slot, confirmed, after });
    }
    let sql = "SELECT pg_catalog.pg_current_wal_flush_lsn()";
    let end: PgLsn = session.row(DOING, sql, &[]).await?.get(0);
    let end = Lsn(end.into());
    if end < after { Err(Fault::HistoryLost { place, end, after }) } else { Ok(()) }
}

/// A table as the history describes it, and which of its columns are its key.
struct Table {
    name: String,
    ours: bool,
    columns: Vec<String>,
    key: Option<Vec<usize>>,
}

/// The transaction that is being read.
struct Current {
    begin: Begin,
    wanted: bool,
    begun: bool,
}

struct Writer<'a> {
    place: &'a str,
    system: String,
    after: Lsn,
    /// Of tables whose replica identity is full: the history marks all of their columns.
    primary: BTreeMap<String, Vec<String>>,
    tables: HashMap<u32, Table>,
    current: Option<Current>,
    summary: Summary,
    sink: &'a mut (dyn Write + Send),
}

impl<'a> Writer<'a> {
    fn new(
        place: &'a str,
        system: String,
        after: Lsn,
        primary: BTreeMap<String, Vec<String>>,
        sink: &'a mut (dyn Write + Send),
    ) -> Self {
        let (tables, current, summary) = (HashMap::new(), None, Summary::default());
        Self { place, system, after, primary, tables, current, summary, sink }
    }

    fn message(&mut self, data: Bytes) -> Result<(), Fault> {
        match pgoutput::decode(data).map_err(|e| self.undecoded(&e.to_string()))? {
            Message::Begin(begin) => self.begin(begin),
            Message::Commit(commit) => self.commit(commit.end_lsn),
            Message::Relation(relation) => {
                self.tables.insert(relation.id, self.table(relation));
                Ok(())
            }
            Message::Insert { relation, new } => self.row(relation, Op::Insert, None, Some(&new)),
            Message::Update { relation, old, new } => {
                self.row(relation, Op::Update, old.as_ref(), Some(&new))
            }
            Message::Delete { relation, old } => self.row(relation, Op::Delete, Some(&old), None),
            Message::Truncate(Truncate { relations, .. }) => {
                relations.iter().try_for_each(|id| self.truncate(*id))
            }
            // Where a transaction came from, what its types are called, and messages between
            // programs: no row is in them.
            Message::Origin { .. } | Message::Type(_) | Message::Logical(_) => Ok(()),
            // The slot is read with protocol version 1: whole transactions only.
            other => Err(self.undecoded(&format!("an unexpected message: {other:?}"))),
        }
    }

    /// A transaction ends after the position exactly when its commit record begins at it or later,
    /// because a position is the end of a record.
    fn begin(&mut self, begin: Begin) -> Result<(), Fault> {
        let wanted = begin.commit_lsn >= self.after;
        match self.current.replace(Current { begin, wanted, begun: false }) {
            None => Ok(()),
            Some(_) => Err(self.undecoded("a transaction began inside another")),
        }
    }

    fn commit(&mut self, end: Lsn) -> Result<(), Fault> {
        let Some(current) = self.current.take() else {
            return Err(self.undecoded("a commit outside a transaction"));
        };
        if current.wanted != (end > self.after) {
            let why = format!("a commit record lies across the position {}", self.after);
            return Err(self.undecoded(&why));
        }
        if current.begun { self.end_line(&current.begin, end) } else { Ok(()) }
    }

    fn row(
        &mut self,
        relation: u32,
        op: Op,
        old: Option<&OldTuple>,
        new: Option<&Tuple>,
    ) -> Result<(), Fault> {
        let table = self.known(relation)?;
        if table.ours || !self.is_wanted()? {
            return Ok(());
        }
        let change = table.change(op, old, new).map_err(|why| self.undecoded(&why))?;
        self.write(&change)
    }

    fn truncate(&mut self, relation: u32) -> Result<(), Fault> {
        let table = self.known(relation)?;
        if table.ours || !self.is_wanted()? {
            return Ok(());
        }
        let table = table.name.clone();
        self.write(&Change { table, op: Op::Truncate, key: None, old: None, new: None })
    }

    fn known(&self, relation: u32) -> Result<&Table, Fault> {
        let unknown = || self.undecoded(&format!("a change to the unknown table {relation}"));
        self.tables.get(&relation).ok_or_else(unknown)
    }

    fn is_wanted(&self) -> Result<bool, Fault> {
        match &self.current {
            Some(current) => Ok(current.wanted),
            None => Err(self.undecoded("a change outside a transaction")),
        }
    }

    fn write(&mut self, change: &Change) -> Result<(), Fault> {
        self.begin_line()?;
        serde_json::to_writer(&mut *self.sink, change)
            .map_err(|e| Fault::SalvageUnwritable(e.into()))?;
        self.summary.changes += 1;
        self.summary.tables.entry(change.table.clone()).or_default().add(change.op);
        Ok(())
    }

    /// The line's beginning before the first change, a comma before the others.
    fn begin_line(&mut self) -> Result<(), Fault> {
        let Some(current) = self.current.as_mut() else { return Ok(()) };
        if std::mem::replace(&mut current.begun, true) {
            return self.text(",");
        }
        let header = Header {
            system: self.system.clone(),
            commit_lsn: current.begin.commit_lsn,
            commit_micros: current.begin.commit_micros,
            xid: current.begin.xid,
        };
        let open =
            serde_json::to_string(&header).map_err(|e| Fault::SalvageUnwritable(e.into()))?;
        self.text(open.trim_end_matches('}'))?;
        self.text(",\"changes\":[")
    }

    fn end_line(&mut self, begin: &Begin, end: Lsn) -> Result<(), Fault> {
        self.summary.transactions += 1;
        self.summary.first_commit_micros.get_or_insert(begin.commit_micros);
        self.summary.last_commit_micros = Some(begin.commit_micros);
        self.text(&format!("],\"end_lsn\":\"{end}\"}}\n"))
    }

    fn text(&mut self, text: &str) -> Result<(), Fault> {
        self.sink.write_all(text.as_bytes()).map_err(Fault::SalvageUnwritable)
    }

    fn finish(self) -> Result<Summary, Fault> {
        if self.current.is_some() {
            return Err(self.undecoded("the history ended inside a transaction"));
        }
        self.sink.flush().map_err(Fault::SalvageUnwritable)?;
        Ok(self.summary)
    }

    fn table(&self, relation: Relation) -> Table {
        let name = format!("{}.{}", relation.schema, relation.name);
        let key: Vec<usize> = match relation.identity {
            Identity::Nothing => Vec::new(),
            Identity::Default | Identity::Index => positions(&relation, |column| column.key),
            Identity::Full => match self.primary.get(&name) {
                Some(names) => positions(&relation, |column| names.contains(&column.name)),
                None => Vec::new(),
            },
        };
        Table {
            ours: catalog::is_own(&relation.schema, &relation.name),
            name,
            columns: relation.columns.into_iter().map(|column| column.name).collect(),
            key: (!key.is_empty()).then_some(key),
        }
    }

    fn undecoded(&self, why: &str) -> Fault {
        Fault::Decode { place: self.place.to_owned(), why: why.to_owned() }
    }
}

fn positions(relation: &Relation, is_key: impl Fn(&pgoutput::Column) -> bool) -> Vec<usize> {
    let columns = relation.columns.iter().enumerate();
    columns.filter(|(_, column)| is_key(column)).map(|(at, _)| at).collect()
}

impl Table {
    fn change(
        &self,
        op: Op,
        old: Option<&OldTuple>,
        new: Option<&Tuple>,
    ) -> Result<Change, String> {
        let before = old.map(|(OldTuple::Key(tuple) | OldTuple::Full(tuple))| tuple);
        let by = before.or(new).ok_or("a change without a row")?;
        let all: Vec<usize> = (0..self.columns.len()).collect();
        let whole = |tuple| self.pick(tuple, &all);
        Ok(Change {
            table: self.name.clone(),
            op,
            key: self.key.as_ref().map(|key| self.pick(by, key)).transpose()?,
            old: match old {
                Some(OldTuple::Full(tuple)) => Some(whole(tuple)?),
                _ => None,
            },
            new: new.map(whole).transpose()?,
        })
    }

    fn pick(&self, tuple: &Tuple, columns: &[usize]) -> Result<Columns, String> {
        if tuple.len() != self.columns.len() {
            let (has, known) = (tuple.len(), self.columns.len());
            return Err(format!("a row of {} has {has} columns, not {known}", self.name));
        }
        let one = |at: &usize| Ok((self.columns[*at].clone(), value(&tuple[*at])?));
        columns.iter().map(one).collect::<Result<_, _>>().map(Columns)
    }
}

fn value(value: &WireValue) -> Result<Value, String> {
    match value {
        WireValue::Null => Ok(Value::Null),
        WireValue::UnchangedToast => Ok(Value::Unchanged),
        WireValue::Binary(_) => Err("a value in binary form, which was not asked for".to_owned()),
        WireValue::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Value::Text(text.to_owned())),
            Err(error) => Err(format!("a value that is not UTF-8: {error}")),
        },
    }
}
