//! A session at the target that applies batches of transactions, one target transaction each.
//!
//! Two lanes can be under way: the second one does what has nothing to do with the first one's
//! rows, and moves the position only after the first one has committed. So target transactions
//! become visible in the source's order, and each state that a reader sees is one that the source
//! had.

mod plan;
mod rows;
mod statements;

pub(super) use plan::{Placed, Touched};

use super::LinkSpec;
use super::assemble::Spooled;
use super::changed::Changes;
use super::failure::LinkError;
use super::pipeline::{Expect, Pipeline, explain};
use super::queue::Batch;
use super::replay::{Replay, ReplayError};
use super::resume::{self, AtTarget};
use super::shared::Shared;
use super::skip::SkipSet;
use super::sql::Sql;
use super::unit::Piece;
use mainstay_core::estate::Durability;
use mainstay_core::position::Lsn;
use mainstay_wire::pgoutput::Commit;
use plan::{Task, by_table, run_of};
use statements::Statements;
use std::sync::Arc;
use tokio::sync::{oneshot, watch};
use tokio_postgres::Statement;
use tokio_postgres::types::ToSql;

/// Triggers and foreign keys have fired at the source. Statements for many rows look each row up
/// by its key: an index that the first row can use all others can.
const SESSION: &str = "SET session_replication_role = replica; \
    SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; \
    SET enable_bitmapscan = off; SET enable_memoize = off; SET enable_material = off; \
    SET plan_cache_mode = force_generic_plan";
/// Constraints that may be deferred are: rows come one by one that one statement changed together.
const BEGIN: &str = "BEGIN; SET CONSTRAINTS ALL DEFERRED";
/// Two lanes could wait for each other in a way that the server cannot see: whoever waits for a
/// lock this long gives up, and the loads are applied one after the other.
const BEGIN_GUARDED: &str = "BEGIN; SET CONSTRAINTS ALL DEFERRED; SET LOCAL lock_timeout = '3s'";
const MOVE: &str = "UPDATE mainstay.link SET position = $4::text::pg_lsn, \
                    commit_micros = coalesce($5, commit_micros) \
                    WHERE name = $1 AND epoch = $2 AND position = $3::text::pg_lsn";
const CLEAR: &str = "WITH copied AS (DELETE FROM mainstay.copied \
                                     WHERE link = $1 AND at <= $2::text::pg_lsn) \
                     DELETE FROM mainstay.put_right WHERE link = $1 AND until <= $2::text::pg_lsn";

/// Fewer changes than this are applied one by one in the source's order.
const SMALL: usize = 8;

pub(super) struct Lane {
    spec: Arc<LinkSpec>,
    sql: Sql,
    skip: SkipSet,
    statements: Statements,
    move_position: Statement,
    pipeline: Pipeline,
    changes: Arc<Changes>,
}

/// Where a link's target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct At {
    pub position: Lsn,
    pub commit_micros: Option<i64>,
}

/// How a batch is applied.
pub(super) enum Manner {
    /// Change by change, in the source's order; an error names the change.
    Exactly,
    /// By table, what the changes come to.
    Merged,
    /// Merged, beside the batch before it.
    Beside(Before),
}

/// The batch that has to be committed first.
pub(super) struct Before {
    /// What it touches, once that is known.
    pub touches: watch::Receiver<Option<Arc<Touched>>>,
    /// Its commit; dropped without one when it failed.
    pub committed: oneshot::Receiver<()>,
}

/// What one target transaction brings.
pub(super) enum Load {
    Batch(Batch),
    Spooled(Box<Spooled>),
}

impl Load {
    /// The position once it is applied.
    pub fn position(&self) -> Lsn {
        match self {
            Load::Batch(batch) => batch.position,
            Load::Spooled(spooled) => spooled.commit.end_lsn,
        }
    }

    /// How many, as far as that is known before it is read.
    pub fn changes(&self) -> usize {
        match self {
            Load::Batch(batch) => batch.changes,
            Load::Spooled(_) => 0,
        }
    }

    /// It may do more than change rows.
    pub fn may_change_tables(&self) -> bool {
        match self {
            Load::Batch(batch) => batch.is_barrier(),
            Load::Spooled(_) => true,
        }
    }

    /// Of its newest transaction.
    pub fn commit_micros(&self) -> Option<i64> {
        match self {
            Load::Batch(batch) => batch.commit_micros(),
            Load::Spooled(spooled) => Some(spooled.commit.commit_micros),
        }
    }
}

/// A load and where the target is before it.
pub(super) struct Work {
    pub load: Load,
    pub from: Lsn,
    /// Something else may hold locks beside it.
    pub guarded: bool,
    /// Told what the load touches, for the one after it.
    pub touches: watch::Sender<Option<Arc<Touched>>>,
}

/// For all of a session's transactions.
fn session(durability: Durability) -> &'static str {
    match durability {
        Durability::EachCommit => "SET synchronous_commit = on",
        Durability::Together => "SET synchronous_commit = off",
    }
}

/// For one of them.
fn begin_with(durability: Durability) -> &'static str {
    match durability {
        Durability::EachCommit => "BEGIN; SET LOCAL synchronous_commit = on",
        Durability::Together => "BEGIN",
    }
}

impl Lane {
    /// Takes the link over at the target: older sessions are ended, and the position is read. None
    /// when the target has no position: a first copy is needed, or the row was removed.
    pub async fn open(shared: &Shared) -> Result<Option<(Self, At)>, LinkError> {
        let spec = &shared.spec;
        let sql = Sql::open(&spec.target, &spec.apply_session()).await?;
        let AtTarget::Position { .. } = resume::claim(&sql, spec).await? else { return Ok(None) };
        resume::end_older_sessions(&sql, spec).await?;
        // Read again: what an older session had under way is now either done or gone.
        let AtTarget::Position { at: position, commit_micros } = resume::claim(&sql, spec).await?
        else {
            return Ok(None);
        };
        let lane = Self::prepare(shared, sql, position).await?;
        Ok(Some((lane, At { position, commit_micros })))
    }

    /// Another session beside one that was opened.
    pub async fn beside(shared: &Shared, position: Lsn) -> Result<Self, LinkError> {
        let sql = Sql::open(&shared.spec.target, &shared.spec.apply_session()).await?;
        Self::prepare(shared, sql, position).await
    }

    async fn prepare(shared: &Shared, sql: Sql, position: Lsn) -> Result<Self, LinkError> {
        let spec = Arc::new(shared.spec.clone());
        sql.batch("begin an applying session", SESSION).await?;
        sql.batch("begin an applying session", session(spec.durability)).await?;
        let skip = SkipSet::load(&sql, &spec.name(), position).await?;
        let prepared = sql.client().prepare(MOVE).await;
        let move_position = prepared.map_err(|e| sql.failed("prepare", &e))?;
        let (statements, pipeline) = (Statements::default(), Pipeline::default());
        let changes = Arc::clone(&shared.changes);
        Ok(Self { spec, sql, skip, statements, move_position, pipeline, changes })
    }

    pub fn sql(&self) -> &Sql {
        &self.sql
    }

    pub fn is_lost(&self) -> bool {
        self.sql.client().is_closed()
    }

    pub fn lost(&self) -> LinkError {
        LinkError::Sql {
            place: self.sql.place().to_owned(),
            doing: "keep the connection".to_owned(),
            why: "it was closed".to_owned(),
            sqlstate: None,
        }
    }

    /// Some changes have to be left out: only one lane may be under way.
    pub fn skips(&self) -> bool {
        self.skip.until().is_some()
    }

    /// One target transaction with the load's changes and its position. Returns how many changes.
    pub async fn apply(&mut self, work: &Work, manner: Manner) -> Result<u64, LinkError> {
        let batch = match &work.load {
            Load::Batch(batch) => batch,
            Load::Spooled(spooled) => return self.spooled(work, spooled, &manner).await,
        };
        let changes = batch.placed();
        match manner {
            Manner::Exactly => self.exactly(work, &changes).await?,
            Manner::Merged if changes.len() < SMALL => self.exactly(work, &changes).await?,
            Manner::Merged => self.merged(work, &changes, None).await?,
            Manner::Beside(before) => self.merged(work, &changes, Some(before)).await?,
        }
        self.note(&changes);
        Ok(changes.len() as u64)
    }

    /// The position comes first: whoever else would apply the same waits for this transaction's
    /// end, and then finds the position moved.
    async fn exactly(&mut self, work: &Work, changes: &[Placed<'_>]) -> Result<(), LinkError> {
        self.begin(work.guarded).await?;
        self.position_of(work).await?;
        for placed in changes {
            self.change(*placed).await?;
        }
        self.commit(work.load.position()).await
    }

    async fn merged(
        &mut self,
        work: &Work,
        changes: &[Placed<'_>],
        before: Option<Before>,
    ) -> Result<(), LinkError> {
        let kept = self.without_skipped(changes)?;
        self.begin(work.guarded).await?;
        let run = run_of(&kept);
        if before.is_none() && run < kept.len() {
            self.position_of(work).await?;
            self.in_runs(&kept).await?;
            return self.commit(work.load.position()).await;
        }
        let mut tasks = self.tasks(&kept[..run]).await?;
        work.touches.send_replace(Some(Arc::new(Touched::by(&tasks))));
        match before {
            None => self.position_of(work).await?,
            Some(before) => tasks = self.early(work, tasks, before).await?,
        }
        for task in tasks {
            self.task(task).await?;
        }
        self.in_runs(&kept[run..]).await?;
        self.commit(work.load.position()).await
    }

    async fn tasks<'w>(&mut self, run: &[Placed<'w>]) -> Result<Vec<Task<'w>>, LinkError> {
        let mut tasks = Vec::new();
        for group in by_table(run) {
            let table = self.table(group.source).await?;
            tasks.push(Task::new(group, table));
        }
        Ok(tasks)
    }

    /// Runs of changes that may be merged, and what lies between them, in order.
    async fn in_runs(&mut self, changes: &[Placed<'_>]) -> Result<(), LinkError> {
        let mut rest = changes;
        while let Some(next) = rest.first() {
            let run = run_of(rest);
            if run == 0 {
                self.change(*next).await?;
            }
            for task in self.tasks(&rest[..run]).await? {
                self.task(task).await?;
            }
            rest = &rest[run.max(1)..];
        }
        Ok(())
    }

    async fn spooled(
        &mut self,
        work: &Work,
        spooled: &Spooled,
        manner: &Manner,
    ) -> Result<u64, LinkError> {
        let Commit { commit_lsn, end_lsn: end, .. } = spooled.commit;
        self.begin(work.guarded).await?;
        self.position_of(work).await?;
        let (mut replay, mut count) = (Replay::of(spooled), 0);
        while let Some(changes) = replay.next().await.map_err(|e| self.not_read(e))? {
            count += changes.len() as u64;
            let placed = changes.iter().map(|change| Placed { change, commit_lsn, end });
            let placed: Vec<_> = placed.collect();
            if matches!(manner, Manner::Exactly) {
                for placed in &placed {
                    self.change(*placed).await?;
                }
            } else {
                self.in_runs(&self.without_skipped(&placed)?).await?;
            }
            self.settle().await?;
            self.note(&placed);
        }
        self.commit(end).await?;
        Ok(count)
    }

    fn not_read(&self, error: ReplayError) -> LinkError {
        let place = self.sql.place().to_owned();
        match error {
            ReplayError::Read(why) => LinkError::Spool { place, why: why.to_string() },
            other => LinkError::NotUnderstood { place, what: other.to_string() },
        }
    }

    /// Applies changes of a transaction in progress, and leaves the target's transaction open.
    pub async fn ahead(&mut self, piece: &Piece) -> Result<(), LinkError> {
        if piece.first {
            self.begin(true).await?;
        }
        // Where its commit will be is not known, and nothing is left out while pieces come.
        let (commit_lsn, end) = (Lsn::default(), Lsn::default());
        let placed = piece.changes.iter().map(|change| Placed { change, commit_lsn, end });
        let placed: Vec<_> = placed.collect();
        self.in_runs(&placed).await?;
        self.settle().await?;
        self.note(&placed);
        Ok(())
    }

    /// Rows that are compared again: to name one that was not changed, after all, does no harm.
    fn note(&self, changes: &[Placed<'_>]) {
        self.changes.add(changes, |source| self.statements.target(source));
    }

    /// Commits what was applied ahead.
    pub async fn commit_ahead(&mut self, from: Lsn, commit: &Commit) -> Result<(), LinkError> {
        self.move_position(from, commit.end_lsn, Some(commit.commit_micros)).await?;
        self.commit(commit.end_lsn).await
    }

    /// Does what has nothing to do with the batch before, waits until that is committed, and
    /// returns the rest. The position that is expected is the one that batch leaves.
    async fn early<'w>(
        &mut self,
        work: &Work,
        mut tasks: Vec<Task<'w>>,
        mut before: Before,
    ) -> Result<Vec<Task<'w>>, LinkError> {
        let touched = match before.touches.wait_for(Option::is_some).await {
            Ok(touched) => touched.clone(),
            Err(_) => None,
        };
        let Some(touched) = touched else { return Err(self.overtaken(work)) };
        let late: Vec<_> = tasks.iter_mut().filter_map(|task| task.split_off(&touched)).collect();
        for task in tasks {
            self.task(task).await?;
        }
        self.settle().await?;
        before.committed.await.map_err(|_| self.overtaken(work))?;
        self.position_of(work).await?;
        Ok(late)
    }

    fn overtaken(&self, work: &Work) -> LinkError {
        LinkError::Overtaken { place: self.sql.place().to_owned(), expected: work.from }
    }

    async fn begin(&mut self, guarded: bool) -> Result<(), LinkError> {
        let client = Arc::clone(self.sql.client());
        let begin = if guarded { BEGIN_GUARDED } else { BEGIN };
        let begin = async move { client.batch_execute(begin).await.map(|()| 0) };
        self.pipeline.send(&self.sql, begin, Expect::Anything).await
    }

    async fn position_of(&mut self, work: &Work) -> Result<(), LinkError> {
        let load = &work.load;
        self.move_position(work.from, load.position(), load.commit_micros()).await
    }

    /// Within a transaction, or alone: moves the position, if it is where this link left it.
    pub async fn move_position(
        &mut self,
        from: Lsn,
        to: Lsn,
        commit_micros: Option<i64>,
    ) -> Result<(), LinkError> {
        let client = Arc::clone(self.sql.client());
        let statement = self.move_position.clone();
        let (name, epoch) = (self.spec.name(), self.spec.epoch.number() as i64);
        let (expected, from, to) = (from, from.to_string(), to.to_string());
        let moving = async move {
            client.execute(&statement, &[&name, &epoch, &from, &to, &commit_micros]).await
        };
        self.pipeline.send(&self.sql, moving, Expect::Position(expected)).await
    }

    /// The position alone. It is as durable afterwards as asked for, and so is all that was
    /// committed before.
    pub async fn persist(
        &mut self,
        from: Lsn,
        to: Lsn,
        durability: Durability,
    ) -> Result<(), LinkError> {
        self.sql.batch("begin", begin_with(durability)).await?;
        self.move_position(from, to, None).await?;
        self.commit(to).await
    }

    /// Waits until everything that was sent is answered as it must be.
    pub async fn settle(&mut self) -> Result<(), LinkError> {
        self.pipeline.finish(&self.sql).await
    }

    pub async fn commit(&mut self, position: Lsn) -> Result<(), LinkError> {
        if self.skip.until().is_some_and(|until| position >= until) {
            let params: [&(dyn ToSql + Sync); 2] = [&self.spec.name(), &position.to_string()];
            self.sql.execute("clear mainstay.put_right", CLEAR, &params).await?;
        }
        self.settle().await?;
        self.sql.batch("commit", "COMMIT").await?;
        self.passed(position);
        Ok(())
    }

    fn passed(&mut self, position: Lsn) {
        if self.skip.until().is_some_and(|until| position >= until) {
            self.skip.clear();
        }
    }

    /// Rolls back what is open, and says in the error who else moved the position.
    pub async fn roll_back(&mut self, error: LinkError) -> LinkError {
        self.pipeline = Pipeline::default();
        match self.sql.batch("roll back", "ROLLBACK").await {
            Ok(()) => explain(&self.sql, &self.spec, error).await,
            Err(_) => error,
        }
    }
}
