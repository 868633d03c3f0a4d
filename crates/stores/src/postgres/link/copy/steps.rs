//! Keys, indexes, constraints and triggers, made when the rows are there.

use super::super::failure::{LinkError, Verdict};
use super::super::shared::Shared;
use super::super::sql::Sql;
use super::progress::Progress;
use super::record::{self, Unmade};
use super::script::Kind;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

/// Tables whose keys are built at once. PostgreSQL uses further processes for each.
const WORKERS: usize = 2;

/// Triggers of the application do not fire. Nobody waits for the disk: the link's position is
/// written, durably, behind all of it. The server has nothing else to do yet, so that sorting for
/// an index may use half of what its shared buffers do, at most 1 GB; a larger setting of its own
/// stays.
const SESSION: &str = "SET session_replication_role = replica; SET synchronous_commit = off; \
     SET check_function_bodies = off; SET client_min_messages = warning; \
     SET default_table_access_method = heap; \
     SELECT set_config('maintenance_work_mem', \
                       greatest(work.setting::int8, 262144, \
                                least(shared.setting::int8 * 8 / 2, 1048576)) || 'kB', false) \
     FROM pg_catalog.pg_settings AS work, pg_catalog.pg_settings AS shared \
     WHERE work.name = 'maintenance_work_mem' AND shared.name = 'shared_buffers'";

/// Makes what needs the rows of one table each, or none: the tables need not be of one instant.
pub(super) async fn make(shared: &Shared, progress: &Progress<'_>) -> Result<(), LinkError> {
    let target = open(shared).await?;
    let keys = record::unmade(&target, &shared.spec.name(), Kind::Key).await?;
    let queue = Mutex::new(by_table(keys));
    let workers = (0..WORKERS).map(|_| worker(shared, &queue, progress));
    futures::future::try_join_all(workers).await?;
    one_by_one(shared, &target, Kind::Rest).await
}

/// Makes what reads several tables, which must be as of one instant by now.
pub(super) async fn make_late(shared: &Shared) -> Result<(), LinkError> {
    let target = open(shared).await?;
    one_by_one(shared, &target, Kind::Late).await
}

/// The keys of one table after the other, as each waits for the table's lock.
fn by_table(keys: Vec<Unmade>) -> VecDeque<Vec<Unmade>> {
    let mut groups: VecDeque<Vec<Unmade>> = VecDeque::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for key in keys {
        let place = *places.entry(key.table.clone()).or_insert_with(|| {
            groups.push_back(Vec::new());
            groups.len() - 1
        });
        groups[place].push(key);
    }
    groups
}

async fn worker(
    shared: &Shared,
    queue: &Mutex<VecDeque<Vec<Unmade>>>,
    progress: &Progress<'_>,
) -> Result<(), LinkError> {
    let mut target = None;
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some(group) = next else { return Ok(()) };
        let target = match &target {
            Some(target) => target,
            None => target.insert(open(shared).await?),
        };
        for key in group {
            run(shared, target, &key).await?;
            progress.key();
        }
    }
}

async fn one_by_one(shared: &Shared, target: &Sql, kind: Kind) -> Result<(), LinkError> {
    for step in record::unmade(target, &shared.spec.name(), kind).await? {
        run(shared, target, &step).await?;
    }
    Ok(())
}

async fn open(shared: &Shared) -> Result<Sql, LinkError> {
    let target = Sql::open(&shared.spec.target, &shared.spec.apply_session()).await?;
    target.batch("begin to make keys", SESSION).await?;
    Ok(target)
}

async fn run(shared: &Shared, target: &Sql, step: &Unmade) -> Result<(), LinkError> {
    tracing::debug!(link = %shared.spec.name(), statement = %step.statement, "after the rows");
    let made = target.batch("make", &record::make(&shared.spec.name(), step)).await;
    made.map_err(|error| not_made(target, &step.statement, error))
}

/// What does not heal is told with the statement.
pub(super) fn not_made(target: &Sql, statement: &str, error: LinkError) -> LinkError {
    match (error.verdict(), error) {
        (Verdict::Stop(_), LinkError::Sql { why, .. }) => {
            let statement = statement.split_whitespace().collect::<Vec<_>>().join(" ");
            let statement: String = statement.chars().take(200).collect();
            let why = format!("{why}, in \"{statement}\"");
            LinkError::Schema { place: target.place().to_owned(), why }
        }
        (_, error) => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_one_table_are_made_one_after_the_other() {
        let key = |number, table: &str| Unmade {
            number,
            table: table.to_owned(),
            statement: String::new(),
        };
        let groups = by_table(vec![key(1, "a"), key(2, "b"), key(3, "a")]);
        let numbers: Vec<Vec<i32>> =
            groups.iter().map(|group| group.iter().map(|key| key.number).collect()).collect();
        assert_eq!(numbers, [vec![1, 3], vec![2]]);
    }
}
