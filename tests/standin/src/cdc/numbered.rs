//! Rows in log order whose places stay true while rows come at the end and go at the front.

use std::collections::VecDeque;
use std::collections::vec_deque;

use super::lsn::Lsn;

/// A row that belongs to a transaction.
pub trait Logged {
    /// The transaction's commit LSN. Rows are kept in its order.
    fn lsn(&self) -> Lsn;
}

/// Rows in the order of their LSNs.
#[derive(Debug, Clone)]
pub struct Numbered<T> {
    first: u64,
    rows: VecDeque<T>,
}

impl<T: Logged> Numbered<T> {
    /// No rows.
    pub fn new() -> Self {
        Self { first: 0, rows: VecDeque::new() }
    }

    /// Appends a row, whose LSN is at or above all others.
    pub fn push(&mut self, row: T) {
        self.rows.push_back(row);
    }

    /// The newest row.
    pub fn last(&self) -> Option<&T> {
        self.rows.back()
    }

    /// All rows.
    pub fn iter(&self) -> vec_deque::Iter<'_, T> {
        self.rows.iter()
    }

    /// All rows, to be changed in place without touching their LSNs.
    pub fn iter_mut(&mut self) -> vec_deque::IterMut<'_, T> {
        self.rows.iter_mut()
    }

    /// The rows from one LSN to another, both inclusive.
    pub fn between(&self, from: Option<Lsn>, to: Option<Lsn>) -> vec_deque::Iter<'_, T> {
        let (start, end) = self.ends(from, to);
        self.rows.range(start..end)
    }

    /// At most `limit` of those rows behind a place, and the place of the last if more may follow.
    pub fn page(
        &self,
        (from, to): (Option<Lsn>, Option<Lsn>),
        after: Option<u64>,
        limit: usize,
    ) -> (vec_deque::Iter<'_, T>, Option<u64>) {
        let (mut start, end) = self.ends(from, to);
        if let Some(place) = after {
            let behind = usize::try_from((place + 1).saturating_sub(self.first)).unwrap_or(usize::MAX);
            start = start.max(behind).min(end);
        }
        let stop = end.min(start.saturating_add(limit.max(1)));
        let place = (stop < end).then(|| self.first + stop as u64 - 1);
        (self.rows.range(start..stop), place)
    }

    /// Removes the rows below an LSN.
    pub fn remove_below(&mut self, lsn: Lsn) {
        let count = self.rows.partition_point(|row| row.lsn() < lsn);
        self.rows.drain(..count);
        self.first += count as u64;
    }

    fn ends(&self, from: Option<Lsn>, to: Option<Lsn>) -> (usize, usize) {
        let start = from.map_or(0, |from| self.rows.partition_point(|row| row.lsn() < from));
        let end = to.map_or(self.rows.len(), |to| self.rows.partition_point(|row| row.lsn() <= to));
        (start, end.max(start))
    }
}

#[cfg(test)]
mod tests {
    use super::super::lsn::ZERO;
    use super::*;

    impl Logged for u8 {
        fn lsn(&self) -> Lsn {
            let mut lsn = ZERO;
            lsn[9] = *self;
            lsn
        }
    }

    #[test]
    fn pages_go_on_while_rows_come_and_go() {
        let mut rows = Numbered::new();
        for row in [1_u8, 2, 2, 3, 4] {
            rows.push(row);
        }
        let (page, place) = rows.page((None, None), None, 2);
        assert_eq!(page.copied().collect::<Vec<_>>(), [1, 2]);
        rows.remove_below(2.lsn());
        rows.push(5);
        let (page, place) = rows.page((None, None), place, 3);
        assert_eq!(page.copied().collect::<Vec<_>>(), [2, 3, 4]);
        let (page, place) = rows.page((None, None), place, 3);
        assert_eq!((page.copied().collect::<Vec<_>>(), place), (vec![5], None));
    }

    #[test]
    fn both_bounds_are_inclusive() {
        let mut rows = Numbered::new();
        for row in [1_u8, 2, 3, 4] {
            rows.push(row);
        }
        let within: Vec<_> = rows.between(Some(2.lsn()), Some(3.lsn())).copied().collect();
        assert_eq!(within, [2, 3]);
        assert_eq!(rows.between(Some(4.lsn()), Some(2.lsn())).count(), 0);
    }
}
