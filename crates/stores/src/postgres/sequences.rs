//! Sequences at a promotion. Logical replication carries no sequence, so the target's would issue
//! keys again that the source had issued already.
//!
//! Invariant: nothing here ever moves a sequence back, against the sign of its increment.

use super::fault::Fault;
use super::session::Session;
use mainstay_core::Finding;
use mainstay_core::estate::PostgresEndpoint;
use serde::Serialize;
use tokio_postgres::Row;

/// Increments between the last value that was seen and the first that the promoted site issues:
/// more than a source issues between two looks at it, and within a second.
pub const HEADROOM: i64 = 10_000;

/// What `bump` did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bumped {
    /// Sequences that were moved forward.
    pub moved: u32,
    /// What a person has to know: sequences near their end, or missing.
    pub findings: Vec<Finding>,
}

struct Sequence {
    schema: String,
    name: String,
    last: i64,
    is_called: bool,
    increment: i64,
    min: i64,
    max: i64,
}

impl Sequence {
    fn read(row: &Row) -> Self {
        Self {
            schema: row.get("schema_name"),
            name: row.get("sequence_name"),
            last: row.get("last_value"),
            is_called: row.get("is_called"),
            increment: row.get("increment"),
            min: row.get("min"),
            max: row.get("max"),
        }
    }

    fn quoted(&self) -> String {
        use postgres_protocol::escape::escape_identifier;
        format!("{}.{}", escape_identifier(&self.schema), escape_identifier(&self.name))
    }

    /// A value's distance along the direction in which the sequence runs.
    fn along(&self, value: i64) -> i128 {
        i128::from(value) * i128::from(self.increment.signum())
    }

    /// The last value plus `headroom` increments; where that leaves the sequence's range, the
    /// furthest value within it, and true. A cycling sequence is not sent around: what it would
    /// issue there are values that it has issued before.
    fn ahead(&self, last: i64, headroom: i64) -> (i64, bool) {
        let wanted = i128::from(last) + i128::from(self.increment) * i128::from(headroom);
        let within = wanted.clamp(i128::from(self.min), i128::from(self.max));
        (i64::try_from(within).unwrap_or(last), within != wanted)
    }
}

/// The sequence as it is at a database: `$1` and `$2` are its schema and its name.
const ONE: &str = "SELECT n.nspname::text AS schema_name, c.relname::text AS sequence_name, \
            s.seqincrement AS increment, s.seqmin AS min, s.seqmax AS max, \
            v.last_value, v.is_called \
     FROM pg_catalog.pg_sequence s \
     JOIN pg_catalog.pg_class c ON c.oid = s.seqrelid \
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace, ";

async fn read(session: &Session, schema: &str, name: &str) -> Result<Option<Sequence>, Fault> {
    let doing = "read a sequence";
    let find = "SELECT c.oid::pg_catalog.regclass::text FROM pg_catalog.pg_class c \
                JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                WHERE c.relkind = 'S' AND n.nspname = $1 AND c.relname = $2";
    let Some(found) = session.maybe_row(doing, find, &[&schema, &name]).await? else {
        return Ok(None);
    };
    let sql =
        format!("{ONE} {} v WHERE n.nspname = $1 AND c.relname = $2", found.get::<_, &str>(0));
    Ok(Some(Sequence::read(&session.row(doing, &sql, &[&schema, &name]).await?)))
}

async fn set(session: &Session, sequence: &Sequence, last: i64, called: bool) -> Result<(), Fault> {
    let sql = "SELECT pg_catalog.setval($1::text::pg_catalog.regclass, $2, $3)";
    session.row("set a sequence", sql, &[&sequence.quoted(), &last, &called]).await.map(drop)
}

/// Moves the target's sequences past everything that the source can have issued, from what the
/// link saw of it last. Needs no source.
pub async fn bump(target: &PostgresEndpoint, link: &str, headroom: i64) -> Result<Bumped, Fault> {
    let session = Session::open(target, "sequences").await?;
    let sql = "SELECT schema_name, sequence_name, last_value FROM mainstay.sequence \
               WHERE link = $1 ORDER BY 1, 2";
    let seen = session.rows("read the sequences seen", sql, &[&link]).await?;
    let mut bumped = Bumped { moved: 0, findings: Vec::new() };
    for row in &seen {
        let (schema, name): (&str, &str) = (row.get(0), row.get(1));
        match read(&session, schema, name).await? {
            Some(here) => bump_one(&session, &here, row.get(2), headroom, &mut bumped).await?,
            None => bumped.findings.push(missing(session.place(), schema, name)),
        }
    }
    Ok(bumped)
}

async fn bump_one(
    session: &Session,
    here: &Sequence,
    seen: i64,
    headroom: i64,
    bumped: &mut Bumped,
) -> Result<(), Fault> {
    let (value, clipped) = here.ahead(seen, headroom);
    if clipped {
        bumped.findings.push(near_its_end(session.place(), here, seen, headroom));
    }
    if here.along(value) > here.along(here.last) || (value == here.last && !here.is_called) {
        set(session, here, value, true).await?;
        bumped.moved += 1;
    }
    Ok(())
}

fn near_its_end(place: &str, here: &Sequence, seen: i64, headroom: i64) -> Finding {
    Finding::warning(
        "MS-PG-131",
        format!("{place} {}", here.quoted()),
        format!("the sequence stood at {seen}, fewer than {headroom} increments from its end"),
        "Look at the highest key in use and set it by hand with setval, or give the sequence \
         and its column a larger type.",
    )
}

fn missing(place: &str, schema: &str, name: &str) -> Finding {
    Finding::warning(
        "MS-PG-130",
        format!("{place} {schema}.{name}"),
        "the source has this sequence, this site does not",
        "Create it there as it is at the source, before the application needs it.",
    )
}

/// Makes the target's sequences go on exactly where the source's are, while nobody writes at
/// either. One that is further ahead at the target stays. How many were set.
pub async fn copy_exact(
    source: &PostgresEndpoint,
    target: &PostgresEndpoint,
) -> Result<u32, Fault> {
    let from = Session::open(source, "sequences").await?;
    let to = Session::open(target, "sequences").await?;
    let mut copied = 0;
    for (schema, name) in names(&from).await? {
        let Some(there) = read(&from, &schema, &name).await? else { continue };
        let Some(here) = read(&to, &schema, &name).await? else {
            let place = to.place().to_owned();
            return Err(Fault::SequenceMissing { place, sequence: there.quoted() });
        };
        copied += u32::from(copy_one(&to, &there, &here).await?);
    }
    Ok(copied)
}

async fn copy_one(to: &Session, there: &Sequence, here: &Sequence) -> Result<bool, Fault> {
    let further = here.along(there.last) > here.along(here.last);
    let used = there.last == here.last && there.is_called && !here.is_called;
    if further || used {
        set(to, here, there.last, there.is_called).await?;
    }
    Ok(further || used)
}

/// The application's sequences, by schema and name.
pub(crate) async fn names(session: &Session) -> Result<Vec<(String, String)>, Fault> {
    let sql = "SELECT n.nspname::text, c.relname::text FROM pg_catalog.pg_class c \
               JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
               WHERE c.relkind = 'S' AND c.relpersistence <> 't' \
                     AND n.nspname NOT IN ('mainstay', 'pg_catalog', 'information_schema') \
               ORDER BY 1, 2";
    let rows = session.rows("list the sequences", sql, &[]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Where a sequence stands.
#[derive(Clone, Copy)]
pub(crate) struct Stand {
    /// The last value that it issued; before the first, the one before that.
    pub issued: i64,
    increment: i64,
}

impl Stand {
    /// Whether it would issue values that `other` has issued.
    pub fn is_behind(&self, other: &Stand) -> bool {
        let along = |value: i64| i128::from(value) * i128::from(self.increment.signum());
        along(self.issued) < along(other.issued)
    }
}

pub(crate) async fn stand(
    session: &Session,
    schema: &str,
    name: &str,
) -> Result<Option<Stand>, Fault> {
    let found = read(session, schema, name).await?;
    Ok(found.map(|s| Stand {
        issued: if s.is_called { s.last } else { s.last.saturating_sub(s.increment) },
        increment: s.increment,
    }))
}
