//! SELECT: rows out, streamed; unordered ones shuffled; READ COMMITTED scans in pages.

use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rusqlite::params_from_iter;
use rusqlite::types::Value as Stored;
use sqlparser::ast::Query;

use super::super::bind::Binder;
use super::super::bind::query::{BoundQuery, Pages};
use super::super::error::{Result, from_sqlite};
use super::super::session::SqlSession;
use super::super::values::storage;
use crate::session::{Flow, Sink};
use crate::value::{Column, SqlError, SqlType, Value};

/// Rows that a READ COMMITTED scan reads before it looks at what others committed meanwhile.
const PAGE: u64 = 500;
/// Rows among which an unordered result is shuffled.
const WINDOW: usize = 1000;

/// Passes rows to a sink, shuffled within windows unless an order was asked for.
pub struct Outlet<'a> {
    sink: &'a mut dyn Sink,
    shuffle: Option<(rand::rngs::StdRng, Vec<Vec<Value>>)>,
    left: u64,
    /// Rows passed.
    pub count: u64,
}

impl<'a> Outlet<'a> {
    /// An outlet; `limit` as SET ROWCOUNT has it.
    pub fn new(sink: &'a mut dyn Sink, ordered: bool, limit: u64) -> Self {
        let shuffle = (!ordered).then(|| (rand::rngs::StdRng::from_os_rng(), Vec::with_capacity(WINDOW)));
        Self { sink, shuffle, left: if limit == 0 { u64::MAX } else { limit }, count: 0 }
    }

    /// Takes a row.
    pub fn row(&mut self, row: Vec<Value>) -> Flow {
        if self.left == 0 {
            return Flow::Stop;
        }
        self.left -= 1;
        self.count += 1;
        match &mut self.shuffle {
            None => self.sink.row(&row),
            Some((_, window)) => {
                window.push(row);
                if window.len() >= WINDOW { self.flush() } else { Flow::Continue }
            }
        }
    }

    /// Passes on what is held back.
    pub fn flush(&mut self) -> Flow {
        if let Some((random, window)) = &mut self.shuffle {
            window.shuffle(random);
            for row in window.drain(..) {
                if self.sink.row(&row) == Flow::Stop {
                    return Flow::Stop;
                }
            }
        }
        Flow::Continue
    }
}

impl SqlSession {
    /// SELECT as a statement.
    pub fn select_statement(&mut self, query: &Query, sink: &mut dyn Sink) -> Result<()> {
        let environment = self.enter()?;
        let mut binder = Binder::new(&environment, &self.operations, &self.variables);
        let bound = binder.query(query)?;
        let (params, needed) = (binder.params, binder.needed);
        if let Some(into) = &bound.into {
            let into = into.clone();
            self.begin_implicit(sink);
            self.fill(&environment, &needed, &params)?;
            let count = self.select_into(&into, &bound, &params)?;
            self.counted(count, sink);
            return Ok(());
        }
        let touches = touches_data(&bound.sql, &needed);
        if touches {
            self.begin_implicit(sink);
        }
        self.open_read(touches)?;
        self.fill(&environment, &needed, &params)?;
        if !bound.assigned.is_empty() {
            return self.assign_rows(&bound, &params, sink);
        }
        let columns: Vec<Column> =
            bound.columns.iter().map(super::super::bind::query::OutputColumn::described).collect();
        if sink.columns(&columns) == Flow::Stop {
            return Ok(());
        }
        let mut outlet = Outlet::new(sink, bound.ordered, self.settings.row_limit);
        if !self.settings.format_only {
            let types: Vec<SqlType> = columns.iter().map(|column| column.sql_type).collect();
            let result = match bound.pages.as_ref().filter(|_| !self.transaction.open) {
                Some(pages) => self.paged(pages, &params, &types, &mut outlet),
                None => self.streamed(&bound.sql, &params, &types, &mut outlet),
            };
            outlet.flush();
            result?;
        }
        let count = outlet.count;
        self.row_count = i64::try_from(count).unwrap_or(i64::MAX);
        let shown = (!self.settings.no_count).then_some(count);
        sink.done(shown);
        Ok(())
    }

    fn streamed(&self, sql: &str, params: &[Stored], types: &[SqlType], outlet: &mut Outlet<'_>) -> Result<()> {
        let store = |error: rusqlite::Error| from_sqlite(&error);
        let mut statement = self.connection.prepare_cached(sql).map_err(store)?;
        let wanted = statement.parameter_count().min(params.len());
        let mut rows = statement.query(params_from_iter(&params[..wanted])).map_err(store)?;
        while let Some(row) = rows.next().map_err(store)? {
            let cells = cells(row, types)?;
            if outlet.row(cells) == Flow::Stop {
                break;
            }
        }
        Ok(())
    }

    /// Reads a table page by page, each page seeing what was committed before it.
    fn paged(&self, pages: &Pages, params: &[Stored], types: &[SqlType], outlet: &mut Outlet<'_>) -> Result<()> {
        let store = |error: rusqlite::Error| from_sqlite(&error);
        let limit = match &pages.limit {
            None => u64::MAX,
            Some(sql) => {
                let mut statement = self.connection.prepare(&format!("SELECT {sql}")).map_err(store)?;
                let wanted = statement.parameter_count().min(params.len());
                let limit: i64 =
                    statement.query_row(params_from_iter(&params[..wanted]), |row| row.get(0)).map_err(store)?;
                u64::try_from(limit).unwrap_or(0)
            }
        };
        let head = format!("SELECT {}, {} FROM {}", pages.list, plain_keys(&pages.key), pages.from);
        let mut after: Option<Vec<Stored>> = None;
        let mut left = limit;
        while left > 0 {
            let size = left.min(PAGE);
            let sql = pages.sql(&head, params.len(), after.is_some(), size);
            let mut statement = self.connection.prepare_cached(&sql).map_err(store)?;
            let all: Vec<&Stored> = params.iter().chain(after.iter().flatten()).collect();
            let wanted = statement.parameter_count().min(all.len());
            let mut rows = statement.query(params_from_iter(&all[..wanted])).map_err(store)?;
            let (mut count, mut last) = (0, None);
            while let Some(row) = rows.next().map_err(store)? {
                let key = (0..pages.key.len())
                    .map(|at| row.get::<_, Stored>(types.len() + at))
                    .collect::<rusqlite::Result<Vec<_>>>()
                    .map_err(store)?;
                last = Some(key);
                count += 1;
                if outlet.row(cells(row, types)?) == Flow::Stop {
                    return Ok(());
                }
            }
            if count < size {
                break;
            }
            left -= count;
            after = last;
        }
        Ok(())
    }

    fn assign_rows(&mut self, bound: &BoundQuery, params: &[Stored], sink: &mut dyn Sink) -> Result<()> {
        let types: Vec<SqlType> = bound.columns.iter().map(|column| column.ty).collect();
        let mut last = None;
        let mut count = 0;
        {
            let store = |error: rusqlite::Error| from_sqlite(&error);
            let mut statement = self.connection.prepare(&bound.sql).map_err(store)?;
            let wanted = statement.parameter_count().min(params.len());
            let mut rows = statement.query(params_from_iter(&params[..wanted])).map_err(store)?;
            while let Some(row) = rows.next().map_err(store)? {
                last = Some(cells(row, &types)?);
                count += 1;
            }
        }
        // Without a row the variables keep their values.
        for (name, value) in bound.assigned.iter().zip(last.into_iter().flatten()) {
            self.assign(name, value)?;
        }
        self.row_count = count;
        if !self.settings.no_count {
            sink.done(None);
        }
        Ok(())
    }

    /// The columns a query would give; `None` when it gives none.
    pub fn describe_query(&mut self, query: &Query) -> Result<Option<Vec<Column>>> {
        let environment = self.enter()?;
        let mut binder = Binder::new(&environment, &self.operations, &self.variables);
        let bound = binder.query(query)?;
        if !bound.assigned.is_empty() || bound.into.is_some() {
            return Ok(None);
        }
        Ok(Some(bound.columns.iter().map(super::super::bind::query::OutputColumn::described).collect()))
    }

    /// Ends a statement that changed rows.
    pub fn counted(&mut self, count: u64, sink: &mut dyn Sink) {
        self.row_count = i64::try_from(count).unwrap_or(i64::MAX);
        sink.done((!self.settings.no_count).then_some(count));
    }
}

impl Pages {
    fn sql(&self, head: &str, params: usize, further: bool, size: u64) -> String {
        let mut conditions: Vec<String> = self.condition.iter().cloned().collect();
        if further {
            let marks: Vec<String> = (1..=self.key.len()).map(|at| format!("?{}", params + at)).collect();
            conditions.push(if self.key.len() == 1 {
                format!("{} > {}", self.key[0], marks[0])
            } else {
                format!("({}) > ({})", self.key.join(", "), marks.join(", "))
            });
        }
        let filter = if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
        format!("{head}{filter} ORDER BY {} LIMIT {size}", self.key.join(", "))
    }
}

fn plain_keys(keys: &[String]) -> String {
    keys.iter().map(|key| key.split(" COLLATE ").next().unwrap_or(key)).collect::<Vec<_>>().join(", ")
}

/// Whether SQL reads tables of the user database, and not catalogue views or temporary tables alone.
pub fn touches_data(sql: &str, needed: &[super::super::bind::Needed]) -> bool {
    use super::super::bind::NeededSource;
    sql.contains(" main.\"t") || needed.iter().any(|needed| !matches!(needed.source, NeededSource::View(..)))
}

/// The cells of a row.
pub fn cells(row: &rusqlite::Row<'_>, types: &[SqlType]) -> Result<Vec<Value>> {
    types
        .iter()
        .enumerate()
        .map(|(at, ty)| row.get_ref(at).map(|stored| storage::decode(stored, *ty)).map_err(|error| from_sqlite(&error)))
        .collect::<std::result::Result<Vec<_>, SqlError>>()
}
