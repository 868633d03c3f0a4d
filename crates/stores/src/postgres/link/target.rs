//! A session at the target that applies: the position, the tables, the prepared statements.

use super::LinkSpec;
use super::failure::LinkError;
use super::pipeline::{Expect, Pipeline, explain, refused};
use super::resume::{self, AtTarget};
use super::schema;
use super::skip::{Rule, SkipSet};
use super::sql::Sql;
use super::statement::{self, Planned, Shape, Unplannable};
use super::table::{self, TargetTable};
use super::unit::{Change, SourceTable};
use mainstay_core::position::Lsn;
use std::collections::HashMap;
use std::sync::Arc;
use tokio_postgres::Statement;

/// Prepared statements that are kept; beyond, all are prepared anew.
const MOST_STATEMENTS: usize = 512;

/// Triggers and foreign keys have fired at the source. Constraints that may be deferred are: rows
/// come one by one that one statement changed together.
const SESSION: &str = "SET session_replication_role = replica; SET synchronous_commit = on; \
                       SET enable_seqscan = off";
const BEGIN: &str = "BEGIN; SET CONSTRAINTS ALL DEFERRED";
const MOVE: &str = "UPDATE mainstay.link SET position = $4::text::pg_lsn, \
                    commit_micros = coalesce($5, commit_micros) \
                    WHERE name = $1 AND epoch = $2 AND position = $3::text::pg_lsn";
const LOCK: &str = "SELECT 1 FROM mainstay.link WHERE name = $1 AND epoch = $2 \
                    AND position = $3::text::pg_lsn FOR UPDATE";
const CLEAR: &str = "DELETE FROM mainstay.put_right WHERE link = $1 AND until <= $2::text::pg_lsn";

pub(super) struct Target<'a> {
    spec: &'a LinkSpec,
    sql: Sql,
    position: Lsn,
    commit_micros: Option<i64>,
    skip: SkipSet,
    tables: HashMap<u32, Known>,
    statements: usize,
    move_position: Statement,
    pipeline: Pipeline,
}

/// A table that was looked up, as long as the source describes it the same way.
struct Known {
    source: Arc<SourceTable>,
    target: Arc<TargetTable>,
    statements: HashMap<Shape, Statement>,
}

impl<'a> Target<'a> {
    /// None when the target has no position: a first copy is needed, or the row was removed.
    pub async fn open(spec: &'a LinkSpec) -> Result<Option<Self>, LinkError> {
        let sql = Sql::open(&spec.target, &spec.apply_session()).await?;
        let AtTarget::Position { .. } = resume::claim(&sql, spec).await? else { return Ok(None) };
        resume::end_older_sessions(&sql, spec).await?;
        // Read again: what an older session had under way is now either done or gone.
        let AtTarget::Position { at, commit_micros } = resume::claim(&sql, spec).await? else {
            return Ok(None);
        };
        sql.batch("begin an applying session", SESSION).await?;
        let skip = SkipSet::load(&sql, &spec.name(), at).await?;
        let prepared = sql.client().prepare(MOVE).await;
        let move_position = prepared.map_err(|e| sql.failed("prepare", &e))?;
        Ok(Some(Self {
            spec,
            sql,
            position: at,
            commit_micros,
            skip,
            tables: HashMap::new(),
            statements: 0,
            move_position,
            pipeline: Pipeline::default(),
        }))
    }

    pub fn position(&self) -> Lsn {
        self.position
    }

    pub fn commit_micros(&self) -> Option<i64> {
        self.commit_micros
    }

    pub fn sql(&self) -> &Sql {
        &self.sql
    }

    pub fn is_lost(&self) -> bool {
        self.sql.client().is_closed()
    }

    pub async fn begin(&mut self) -> Result<(), LinkError> {
        let client = Arc::clone(self.sql.client());
        let begin = async move { client.batch_execute(BEGIN).await.map(|()| 0) };
        self.pipeline.send(&self.sql, begin, Expect::Anything).await
    }

    /// Within a transaction: makes sure that the position is ours until its end. Another session
    /// that tries the same waits, and then finds that the position has moved.
    pub async fn lock_position(&mut self) -> Result<(), LinkError> {
        let (name, epoch) = (self.spec.name(), self.spec.epoch.number() as i64);
        let params: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
            [&name, &epoch, &self.position.to_string()];
        match self.sql.rows("lock the link's position", LOCK, &params).await?.len() {
            1 => Ok(()),
            _ => Err(LinkError::Overtaken {
                place: self.sql.place().to_owned(),
                expected: self.position,
            }),
        }
    }

    /// Within a transaction, or alone: moves the position, if it is where this session left it.
    pub async fn move_position(
        &mut self,
        to: Lsn,
        commit_micros: Option<i64>,
    ) -> Result<(), LinkError> {
        let client = Arc::clone(self.sql.client());
        let statement = self.move_position.clone();
        let (name, epoch) = (self.spec.name(), self.spec.epoch.number() as i64);
        let (from, to) = (self.position.to_string(), to.to_string());
        let moving = async move {
            client.execute(&statement, &[&name, &epoch, &from, &to, &commit_micros]).await
        };
        self.pipeline.send(&self.sql, moving, Expect::Position(self.position)).await
    }

    /// Waits until everything that was sent is answered as it must be.
    pub async fn settle(&mut self) -> Result<(), LinkError> {
        self.pipeline.finish(&self.sql).await
    }

    pub async fn commit(&mut self, position: Lsn, micros: Option<i64>) -> Result<(), LinkError> {
        if self.skip.until().is_some_and(|until| position >= until) {
            let params: [&(dyn tokio_postgres::types::ToSql + Sync); 2] =
                [&self.spec.name(), &position.to_string()];
            self.sql.execute("clear mainstay.put_right", CLEAR, &params).await?;
        }
        self.settle().await?;
        self.sql.batch("commit", "COMMIT").await?;
        self.moved(position, micros);
        Ok(())
    }

    /// The position alone, in a statement of its own.
    pub async fn persist(&mut self, position: Lsn) -> Result<(), LinkError> {
        self.move_position(position, None).await?;
        self.settle().await?;
        self.moved(position, None);
        Ok(())
    }

    fn moved(&mut self, position: Lsn, commit_micros: Option<i64>) {
        self.position = position;
        self.commit_micros = commit_micros.or(self.commit_micros);
        if self.skip.until().is_some_and(|until| position >= until) {
            self.skip.clear();
        }
    }

    /// Rolls back what is open, and says in the error who else moved the position.
    pub async fn roll_back(&mut self, error: LinkError) -> LinkError {
        self.pipeline = Pipeline::default();
        match self.sql.batch("roll back", "ROLLBACK").await {
            Ok(()) => explain(&self.sql, self.spec, error).await,
            Err(_) => error,
        }
    }

    /// Sends one change of a transaction.
    pub async fn change(
        &mut self,
        change: &Change,
        commit_lsn: Lsn,
        end: Lsn,
    ) -> Result<(), LinkError> {
        let (table, skip) = match change {
            Change::Insert { table, new } => (table, self.skip.insert(table, commit_lsn, new)),
            Change::Update { table, old, new } => {
                (table, self.skip.update(table, commit_lsn, old.as_ref(), new))
            }
            Change::Delete { table, old } => (table, self.skip.delete(table, commit_lsn, old)),
            Change::Schema(change) => return self.schema(change).await,
            Change::Truncate { tables, cascade, restart_identity } => {
                return self.truncate(tables, *cascade, *restart_identity, commit_lsn).await;
            }
        };
        match skip {
            Rule::LeaveOut => Ok(()),
            Rule::Crosses => {
                Err(self.crosses(table, end, "a row took or left a key that was put right"))
            }
            Rule::Apply => self.row(Arc::clone(table), change, end).await,
        }
    }

    /// What was worked out for the tables as they were is forgotten.
    async fn schema(&mut self, change: &schema::SchemaChange) -> Result<(), LinkError> {
        self.settle().await?;
        schema::apply(&self.sql, self.spec, change).await?;
        self.tables.clear();
        self.statements = 0;
        Ok(())
    }

    fn crosses(&self, table: &SourceTable, position: Lsn, what: &'static str) -> LinkError {
        let (place, table) = (self.sql.place().to_owned(), table.name());
        LinkError::PutRightCrossed { place, table, position, what }
    }

    async fn row(
        &mut self,
        source: Arc<SourceTable>,
        change: &Change,
        end: Lsn,
    ) -> Result<(), LinkError> {
        let table = self.table(&source).await?;
        let (shape, values) = plan(&table, change).map_err(|why| LinkError::NotUnderstood {
            place: self.sql.place().to_owned(),
            what: format!("a change of {} {why}", table.name),
        })?;
        let verb = shape.verb();
        let statement = self.statement(source.relation.id, &table, shape).await?;
        let client = Arc::clone(self.sql.client());
        let answer = async move { client.execute_raw(&statement, values).await };
        self.pipeline.send(&self.sql, answer, Expect::OneRow { table, verb, end }).await
    }

    async fn table(&mut self, source: &Arc<SourceTable>) -> Result<Arc<TargetTable>, LinkError> {
        let id = source.relation.id;
        if let Some(known) = self.tables.get(&id)
            && Arc::ptr_eq(&known.source, source)
        {
            return Ok(Arc::clone(&known.target));
        }
        self.settle().await?;
        let target = Arc::new(table::find(&self.sql, source).await?);
        let known = Known {
            source: Arc::clone(source),
            target: Arc::clone(&target),
            statements: HashMap::new(),
        };
        self.tables.insert(id, known);
        Ok(target)
    }

    async fn statement(
        &mut self,
        id: u32,
        table: &TargetTable,
        shape: Shape,
    ) -> Result<Statement, LinkError> {
        if let Some(statement) = self.tables.get(&id).and_then(|t| t.statements.get(&shape)) {
            return Ok(statement.clone());
        }
        // A statement that failed before this one is the error to tell.
        self.settle().await?;
        let text = statement::sql(table, &shape);
        let prepared = self.sql.client().prepare(&text).await;
        let statement = prepared.map_err(|e| refused(&self.sql, &table.name, &e))?;
        self.keep(id, shape, statement.clone());
        Ok(statement)
    }

    fn keep(&mut self, id: u32, shape: Shape, statement: Statement) {
        if self.statements >= MOST_STATEMENTS {
            self.tables.values_mut().for_each(|known| known.statements.clear());
            self.statements = 0;
        }
        if let Some(known) = self.tables.get_mut(&id) {
            known.statements.insert(shape, statement);
            self.statements += 1;
        }
    }

    /// The source lists every table that it truncated, also those that CASCADE reached.
    async fn truncate(
        &mut self,
        tables: &[Arc<SourceTable>],
        cascade: bool,
        restart_identity: bool,
        commit_lsn: Lsn,
    ) -> Result<(), LinkError> {
        let mut quoted = Vec::new();
        for source in tables {
            if self.skip.truncate(source, commit_lsn) == Rule::Crosses {
                return Err(self.crosses(source, commit_lsn, "the table was truncated"));
            }
            quoted.push(self.table(source).await?.quoted.clone());
        }
        let restart = if restart_identity { " RESTART IDENTITY" } else { "" };
        let cascade = if cascade { " CASCADE" } else { "" };
        let text = format!("TRUNCATE ONLY {}{restart}{cascade}", quoted.join(", ONLY "));
        let client = Arc::clone(self.sql.client());
        let answer = async move { client.batch_execute(&text).await.map(|()| 0) };
        self.pipeline.send(&self.sql, answer, Expect::Tables(quoted.join(", "))).await
    }
}

fn plan(table: &TargetTable, change: &Change) -> Result<Planned, Unplannable> {
    match change {
        Change::Insert { new, .. } => statement::insert(new),
        Change::Update { old, new, .. } => statement::update(table, old.as_ref(), new),
        Change::Delete { old, .. } => statement::delete(table, old),
        Change::Truncate { .. } | Change::Schema(_) => Err(Unplannable::NoIdentity),
    }
}
