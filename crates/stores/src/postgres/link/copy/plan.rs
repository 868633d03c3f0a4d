//! Which rows are copied in one go: whole tables, and ranges of pages of those that are so large
//! that the other workers would wait for one.

use super::tables::SourceTable;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

/// How the rows are shared out. The default suits the machine that the link runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyPlan {
    /// Tables or ranges that are copied at once; each needs a session at both sides.
    pub workers: usize,
    /// Tables of at most this many bytes are never split.
    pub split_above: u64,
    /// Bytes of one range.
    pub range: u64,
}

const MOST_WORKERS: usize = 8;
/// With fewer processors one table's copy keeps them busy: the reading and the writing server and
/// the link itself share them.
const SPLITS_FROM: usize = 4;

impl Default for CopyPlan {
    /// One worker more than processors: now and then a server waits for its disk.
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let splits = processors >= SPLITS_FROM;
        Self {
            workers: (processors + 1).min(MOST_WORKERS),
            split_above: if splits { 512 << 20 } else { u64::MAX },
            range: 128 << 20,
        }
    }
}

/// Rows that one worker copies in one transaction.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub table: Arc<SourceTable>,
    /// None for all of it; otherwise the others hold the rest of the table.
    pub range: Option<PageRange>,
    /// Bytes at the source, for the progress.
    pub size: u64,
}

#[derive(Debug, Clone)]
pub(super) struct PageRange {
    /// The last range has no end: rows may lie behind what the table's size was.
    pub from: u64,
    pub to: Option<u64>,
    /// Ranges of the table that are still to be copied.
    pub left: Arc<AtomicUsize>,
}

impl PageRange {
    /// As a condition, which PostgreSQL answers by reading just these pages ("TID Range Scan").
    pub fn condition(&self) -> String {
        let from = format!("ctid >= '({},0)'", self.from);
        self.to.map_or_else(|| from.clone(), |to| format!("{from} AND ctid < '({to},0)'"))
    }
}

/// In the order in which they are to be copied: the largest tables first, so that no large one is
/// left for the end.
pub(super) fn pieces(tables: &[Arc<SourceTable>], plan: &CopyPlan) -> VecDeque<Piece> {
    let mut tables: Vec<_> = tables.iter().collect();
    tables.sort_by_key(|table| std::cmp::Reverse(table.size));
    let total: u64 = tables.iter().map(|table| table.size).sum();
    let share = total / plan.workers.max(1) as u64;
    let split = |table: &SourceTable| {
        table.may_split && table.size > plan.split_above && table.size > share
    };
    tables.into_iter().flat_map(|table| cut(table, split(table), plan)).collect()
}

fn cut(table: &Arc<SourceTable>, split: bool, plan: &CopyPlan) -> Vec<Piece> {
    let pages = plan.range.div_ceil(table.page_size.max(1)).max(1);
    let ranges: Vec<Range<u64>> = (0..table.pages)
        .step_by(usize::try_from(pages).unwrap_or(usize::MAX))
        .map(|from| from..(from + pages).min(table.pages))
        .collect();
    if !split || ranges.len() < 2 {
        return vec![Piece { table: Arc::clone(table), range: None, size: table.size }];
    }
    let left = Arc::new(AtomicUsize::new(ranges.len()));
    let piece = |range: &Range<u64>| Piece {
        table: Arc::clone(table),
        range: Some(PageRange {
            from: range.start,
            to: (range.end < table.pages).then_some(range.end),
            left: Arc::clone(&left),
        }),
        size: u64::try_from(
            u128::from(table.size) * u128::from(range.end - range.start) / u128::from(table.pages),
        )
        .unwrap_or(table.size),
    };
    ranges.iter().map(piece).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, pages: u64) -> Arc<SourceTable> {
        let size = pages * 8192;
        Arc::new(SourceTable { pages, size, ..SourceTable::example(name) })
    }

    fn shown(tables: &[Arc<SourceTable>], plan: &CopyPlan) -> Vec<String> {
        let condition = |p: &Piece| p.range.as_ref().map(PageRange::condition).unwrap_or_default();
        pieces(tables, plan).iter().map(|p| format!("{} {}", p.table.name, condition(p))).collect()
    }

    #[test]
    fn only_a_table_that_the_others_would_wait_for_is_split_and_no_page_is_left_out() {
        let plan = CopyPlan { workers: 2, split_above: 8192, range: 3 * 8192 };
        let tables = [table("small", 1), table("large", 7), table("empty", 0)];
        let expected = [
            "large ctid >= '(0,0)' AND ctid < '(3,0)'",
            "large ctid >= '(3,0)' AND ctid < '(6,0)'",
            "large ctid >= '(6,0)'",
            "small ",
            "empty ",
        ];
        assert_eq!(shown(&tables, &plan), expected);
        let tables = [table("a", 7), table("b", 7), table("c", 7)];
        assert_eq!(shown(&tables, &plan), ["a ", "b ", "c "]);
        let total: u64 = pieces(&[table("large", 7)], &plan).iter().map(|p| p.size).sum();
        assert_eq!(total, 7 * 8192);
    }
}
