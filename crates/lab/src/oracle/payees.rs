//! The list of payees: what its programs logged, and what both databases hold, asked directly.

use super::databases::connect;
use crate::clients::log::Tail;
use crate::clients::payees::log::{Line, Write, Written};
use crate::current::CurrentLab;
use crate::error::{Doing, LabError};
use crate::processes::database_error;
use std::collections::BTreeMap;

/// A row but for its id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Payee {
    pub name: String,
    pub written_by: i64,
    pub accepted_by: String,
}

pub type Payees = BTreeMap<i64, Payee>;

/// Follows the programs' logs.
pub struct PayeeLog(Tail);

impl PayeeLog {
    pub fn of(lab: &CurrentLab) -> Self {
        Self(Tail::new(lab.folder.payees()))
    }

    /// What was acknowledged since the last time; of each row in its order.
    pub fn acknowledged(&mut self) -> Result<Vec<Written>, LabError> {
        let mut lines: Vec<Line> = Vec::new();
        self.0.read_new(&mut lines).doing(|| "read the payees' logs".to_owned())?;
        let acknowledged = |line| match line {
            Line::Acknowledged(written) => Some(written),
            Line::Sent { .. } | Line::Refused { .. } => None,
        };
        Ok(lines.into_iter().filter_map(acknowledged).collect())
    }
}

pub async fn payees_at(lab: &CurrentLab, site: &str) -> Result<Payees, LabError> {
    let failed = |error| database_error(&lab.folder, site, error);
    let client = connect(lab, site).await?;
    let sql = "SELECT id, name, written_by, accepted_by FROM public.payees";
    let rows = client.query(sql, &[]).await.map_err(failed)?;
    let row = |row: &tokio_postgres::Row| {
        let payee = Payee {
            name: row.try_get(1)?,
            written_by: row.try_get(2)?,
            accepted_by: row.try_get(3)?,
        };
        Ok((row.try_get(0)?, payee))
    };
    rows.iter().map(row).collect::<Result<_, _>>().map_err(failed)
}

/// Equal while no row changes, but for a collision of 64-bit hashes.
pub async fn fingerprint_of_payees(lab: &CurrentLab, site: &str) -> Result<String, LabError> {
    let failed = |error| database_error(&lab.folder, site, error);
    let client = connect(lab, site).await?;
    let sql = "SELECT coalesce(sum(hashtextextended(p::text, 0)), 0)::text FROM public.payees p";
    client.query_one(sql, &[]).await.map_err(failed)?.try_get(0).map_err(failed)
}

/// What both sites must hold in the end: what was prepared; of what never arrived, the payees that
/// a transaction added and did nothing else, because such a transaction may be made again; and over
/// all of it what the new site accepted, which a replay must not touch.
pub fn expected(prepared: &[Written], lost: &[Written], new: &[Written]) -> Payees {
    let mut payees = Payees::new();
    prepared.iter().for_each(|written| made(&mut payees, written));
    for written in lost {
        if written.writes.iter().all(|write| matches!(write, Write::Insert { .. })) {
            made(&mut payees, written);
        }
    }
    new.iter().for_each(|written| made(&mut payees, written));
    payees
}

/// What a site holds that accepted all of these, in their order.
pub fn all_of(acknowledged: &[&[Written]]) -> Payees {
    let mut payees = Payees::new();
    acknowledged.iter().copied().flatten().for_each(|written| made(&mut payees, written));
    payees
}

fn made(payees: &mut Payees, written: &Written) {
    let Written { number: written_by, accepted_by, .. } = written;
    for write in &written.writes {
        match write {
            Write::Delete { id } => {
                payees.remove(id);
            }
            Write::Insert { id, name } | Write::Update { id, name } => {
                let (name, accepted_by) = (name.clone(), accepted_by.clone());
                payees.insert(*id, Payee { name, written_by: *written_by, accepted_by });
            }
        }
    }
}

/// How many payees are at one side only, or otherwise there.
pub fn unlike(one: &Payees, other: &Payees) -> u64 {
    let differs = |id: &&i64| one.get(id) != other.get(id);
    let only_other = other.keys().filter(|id| !one.contains_key(id));
    (one.keys().filter(differs).count() + only_other.count()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::log::Moment;

    fn written(number: i64, writes: &[Write]) -> Written {
        let at = Moment { wall_us: 0, mono_us: 0 };
        Written { number, writes: writes.to_vec(), accepted_by: "east".to_owned(), at }
    }

    fn insert(id: i64) -> Write {
        Write::Insert { id, name: "n".to_owned() }
    }

    #[test]
    fn only_additions_may_be_made_again_and_what_the_new_site_wrote_stands() {
        let prepared = written(1, &[insert(1), insert(2), insert(3)]);
        let lost = [
            written(2, &[insert(4)]),
            written(3, &[Write::Delete { id: 1 }, insert(5)]),
            written(4, &[insert(6)]),
        ];
        let update = Write::Update { id: 2, name: "new".to_owned() };
        let new = [written(5, &[update, Write::Delete { id: 3 }]), written(6, &[insert(6)])];
        let expected = expected(&[prepared], &lost, &new);
        let rows: Vec<_> = expected.iter().map(|(id, payee)| (*id, payee.written_by)).collect();
        assert_eq!(rows, [(1, 1), (2, 5), (4, 2), (6, 6)]);
    }

    #[test]
    fn payees_that_are_missing_more_or_changed_are_counted_once_each() {
        let one = expected(&[written(1, &[insert(1), insert(2), insert(3)])], &[], &[]);
        let mut other = one.clone();
        other.remove(&1);
        made(&mut other, &written(2, &[Write::Update { id: 2, name: "m".to_owned() }, insert(4)]));
        assert_eq!((unlike(&one, &other), unlike(&one, &one)), (3, 0));
    }
}
