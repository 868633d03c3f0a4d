//! The tables and prepared statements that a lane knows.

use super::super::bulk::{self, BulkShape};
use super::super::failure::LinkError;
use super::super::pipeline::refused;
use super::super::statement::{self, Shape};
use super::super::table::{self, TargetTable};
use super::super::unit::SourceTable;
use super::Lane;
use std::collections::HashMap;
use std::sync::Arc;
use tokio_postgres::Statement;

/// Prepared statements that are kept; beyond, all are prepared anew.
const MOST: usize = 512;

#[derive(Default)]
pub(super) struct Statements {
    tables: HashMap<u32, Known>,
    kept: usize,
}

/// A table that was looked up, as long as the source describes it the same way.
struct Known {
    source: Arc<SourceTable>,
    target: Arc<TargetTable>,
    statements: HashMap<AnyShape, Statement>,
}

/// What decides the text of a statement, beside its table.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum AnyShape {
    One(Shape),
    Many(BulkShape),
}

impl Statements {
    fn find(&self, source: &Arc<SourceTable>) -> Option<&Known> {
        let known = self.tables.get(&source.relation.id)?;
        let same = Arc::ptr_eq(&known.source, source) || known.source == *source;
        same.then_some(known)
    }

    /// The table at the target, where it was looked up.
    pub(super) fn target(&self, source: &Arc<SourceTable>) -> Option<Arc<TargetTable>> {
        self.find(source).map(|known| Arc::clone(&known.target))
    }

    fn keep(&mut self, id: u32, shape: AnyShape, statement: Statement) {
        if self.kept >= MOST {
            self.tables.values_mut().for_each(|known| known.statements.clear());
            self.kept = 0;
        }
        if let Some(known) = self.tables.get_mut(&id) {
            known.statements.insert(shape, statement);
            self.kept += 1;
        }
    }
}

impl Lane {
    /// The tables may have become others.
    pub fn forget(&mut self) {
        self.statements = Statements::default();
    }

    pub(super) async fn table(
        &mut self,
        source: &Arc<SourceTable>,
    ) -> Result<Arc<TargetTable>, LinkError> {
        if let Some(target) = self.statements.target(source) {
            return Ok(target);
        }
        self.settle().await?;
        let target = Arc::new(table::find(&self.sql, source).await?);
        let known = Known {
            source: Arc::clone(source),
            target: Arc::clone(&target),
            statements: HashMap::new(),
        };
        self.statements.tables.insert(source.relation.id, known);
        Ok(target)
    }

    pub(super) async fn statement(
        &mut self,
        id: u32,
        table: &TargetTable,
        shape: AnyShape,
    ) -> Result<Statement, LinkError> {
        let known = self.statements.tables.get(&id);
        if let Some(statement) = known.and_then(|known| known.statements.get(&shape)) {
            return Ok(statement.clone());
        }
        // A statement that failed before this one is the error to tell.
        self.settle().await?;
        let text = match &shape {
            AnyShape::One(shape) => statement::sql(table, shape),
            AnyShape::Many(shape) => bulk::text(table, shape),
        };
        let prepared = self.sql.client().prepare(&text).await;
        let statement = prepared.map_err(|e| refused(&self.sql, &table.name, &e))?;
        self.statements.keep(id, shape, statement.clone());
        Ok(statement)
    }
}
