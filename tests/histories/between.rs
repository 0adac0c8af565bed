//! The source as tasks see it: SQL Server, with a history's hooks between the task and it, and a bug if one is asked for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use delsert::config;
use delsert::error::Result;
use delsert::position::Position;
use delsert::row::{Cell, Operation, RowSink};
use delsert::source::sqlserver::SqlServer;
use delsert::source::{Answer, Bounds, Capture, Committed, Owner, Question, Source, SourceInfo, SourceTable, Tracked};
use delsert::table::{Column, Table, TableName};

use super::bug::{Bug, Filter};
use super::play::Play;
use super::step::Point;

/// The histories that run, by their source's port: all that a source is given to know itself by.
static PLAYS: Mutex<BTreeMap<u16, Arc<Play>>> = Mutex::new(BTreeMap::new());

/// Makes a history known until the guard is dropped.
pub fn enter(play: &Arc<Play>) -> Entered {
    plays().insert(play.port(), play.clone());
    Entered(play.port())
}

/// A history that is known.
pub struct Entered(u16);

impl Drop for Entered {
    fn drop(&mut self) {
        plays().remove(&self.0);
    }
}

fn plays() -> std::sync::MutexGuard<'static, BTreeMap<u16, Arc<Play>>> {
    PLAYS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// SQL Server with something between.
pub struct Between {
    inner: SqlServer,
    play: Option<Arc<Play>>,
    /// The minimum told before the last read, which the bug tells again after it.
    minimum: Option<Position>,
    has_read: bool,
}

impl Between {
    async fn come_to(&self, point: Point, table: &Table) {
        if let Some(play) = &self.play {
            play.come_to(point, &table.name.to_string()).await;
        }
    }

    fn has(&self, bug: Bug) -> bool {
        self.play.as_ref().is_some_and(|play| play.bug == Some(bug))
    }
}

impl Source for Between {
    async fn connect(config: &config::Source) -> Result<Self> {
        let play = plays().get(&config.port).cloned();
        Ok(Self { inner: SqlServer::connect(config).await?, play, minimum: None, has_read: false })
    }

    async fn describe(&mut self) -> Result<SourceInfo> {
        self.inner.describe().await
    }

    async fn enable_capture(&mut self) -> Result<()> {
        self.inner.enable_capture().await
    }

    async fn tables(&mut self, config: &config::Config) -> Result<Vec<SourceTable>> {
        self.inner.tables(config).await
    }

    async fn enable_table(&mut self, owner: &Owner, found: &SourceTable, flow: &Table) -> Result<()> {
        self.inner.enable_table(owner, found, flow).await?;
        if self.has(Bug::OldInstanceDroppedAtOnce) {
            for old in &found.captures {
                self.inner.disable_table(&flow.name, old).await?;
            }
        }
        Ok(())
    }

    async fn maximum(&mut self) -> Result<Position> {
        self.inner.maximum().await
    }

    async fn bounds(&mut self, tracked: Tracked<'_>, at: &Position) -> Result<Bounds> {
        self.come_to(Point::BeforeBounds, tracked.table).await;
        let mut bounds = self.inner.bounds(tracked, at).await?;
        if self.has_read && self.has(Bug::MinimumOnlyBefore) {
            bounds.minimum = self.minimum.take().unwrap_or(bounds.minimum);
        } else {
            self.minimum = Some(bounds.minimum.clone());
        }
        self.has_read = false;
        self.come_to(Point::AfterBounds, tracked.table).await;
        Ok(bounds)
    }

    fn check_position(position: &Position) -> Result<()> {
        SqlServer::check_position(position)
    }

    async fn disable_table(&mut self, table: &TableName, capture: &Capture) -> Result<()> {
        self.inner.disable_table(table, capture).await
    }

    fn follow(before: &Column, now: &Column) -> Option<Column> {
        SqlServer::follow(before, now)
    }

    async fn commit_from(&mut self, at: &Position) -> Result<Option<Position>> {
        self.inner.commit_from(at).await
    }

    async fn commit_until(&mut self, at: &Position) -> Result<Option<Position>> {
        self.inner.commit_until(at).await
    }

    async fn reach(&mut self, capture: &Capture, from: &Position, to: &Position, span: Duration) -> Result<Position> {
        self.inner.reach(capture, from, to, span).await
    }

    async fn rows_holding<S: RowSink>(&mut self, table: &Table, columns: &[String], sink: &mut S) -> Result<()> {
        self.come_to(Point::BeforeBackfill, table).await;
        let mut between = Sink::new(sink, self.play.as_ref(), Point::AmidBackfill, table, Filter::default());
        self.inner.rows_holding(table, columns, &mut between).await?;
        self.has_read = true;
        self.come_to(Point::AfterBackfill, table).await;
        Ok(())
    }

    async fn commit_times(&mut self, positions: &[Position]) -> Result<BTreeMap<Position, Committed>> {
        self.inner.commit_times(positions).await
    }

    async fn minimums(&mut self) -> Result<BTreeMap<String, Position>> {
        self.inner.minimums().await
    }

    async fn changed(&mut self, questions: &[Question<'_>]) -> Result<Vec<Answer>> {
        self.inner.changed(questions).await
    }

    async fn changes<S: RowSink>(
        &mut self,
        tracked: Tracked<'_>,
        from: &Position,
        to: &Position,
        sink: &mut S,
    ) -> Result<()> {
        self.come_to(Point::BeforeChanges, tracked.table).await;
        let filter = match &self.play {
            Some(play) => play.filter(tracked, from, to).await,
            None => Filter::default(),
        };
        let mut between = Sink::new(sink, self.play.as_ref(), Point::AmidChanges, tracked.table, filter);
        self.inner.changes(tracked, from, to, &mut between).await?;
        self.has_read = true;
        self.come_to(Point::AfterChanges, tracked.table).await;
        Ok(())
    }

    async fn snapshot<S: RowSink>(&mut self, tracked: Tracked<'_>, sink: &mut S) -> Result<Position> {
        self.come_to(Point::BeforeCopy, tracked.table).await;
        let mut between = Sink::new(sink, self.play.as_ref(), Point::AmidCopy, tracked.table, Filter::default());
        let start = self.inner.snapshot(tracked, &mut between).await?;
        (self.minimum, self.has_read) = (None, true);
        self.come_to(Point::AfterCopy, tracked.table).await;
        if self.has(Bug::StartAfterCopy) {
            return Ok(start.max(self.inner.maximum().await?));
        }
        Ok(start)
    }

    async fn purge(&mut self, tracked: Tracked<'_>, up_to: &Position) -> Result<bool> {
        self.come_to(Point::BeforePurge, tracked.table).await;
        self.inner.purge(tracked, up_to).await
    }
}

/// A sink that comes to a point after its second row, and drops the rows that a bug drops.
struct Sink<'a, S> {
    inner: &'a mut S,
    play: Option<&'a Arc<Play>>,
    point: Point,
    table: String,
    filter: Filter,
    rows: usize,
    due: bool,
    held: Held,
}

/// A deleted row's key, gathered until it is known whether the row goes on.
#[derive(Default)]
struct Held {
    is_delete: bool,
    cells: Vec<Owned>,
}

impl<'a, S: RowSink> Sink<'a, S> {
    fn new(inner: &'a mut S, play: Option<&'a Arc<Play>>, point: Point, table: &Table, filter: Filter) -> Self {
        let table = table.name.to_string();
        Self { inner, play, point, table, filter, rows: 0, due: false, held: Held::default() }
    }
}

impl<S: RowSink> RowSink for Sink<'_, S> {
    fn begin(&mut self, operation: Operation) {
        self.held = Held::default();
        self.held.is_delete = operation == Operation::Delete && !self.filter.is_empty();
        if !self.held.is_delete {
            self.inner.begin(operation);
        }
    }

    fn cell(&mut self, cell: Cell<'_>) -> Result<()> {
        if self.held.is_delete {
            self.held.cells.push(Owned::of(cell));
            return Ok(());
        }
        self.inner.cell(cell)
    }

    fn end(&mut self) -> Result<bool> {
        self.rows += 1;
        self.due |= self.rows == 2;
        if self.held.is_delete {
            let key: Option<Vec<_>> = self.filter.at.iter().map(|at| self.held.cells.get(*at)?.text()).collect();
            if key.is_some_and(|key| self.filter.keys.contains(&key)) {
                return Ok(self.due);
            }
            self.inner.begin(Operation::Delete);
            self.held.cells.iter().try_for_each(|cell| self.inner.cell(cell.cell()))?;
        }
        Ok(self.inner.end()? | self.due)
    }

    async fn drain(&mut self) -> Result<()> {
        if std::mem::take(&mut self.due)
            && let Some(play) = self.play
        {
            play.come_to(self.point, &self.table).await;
        }
        self.inner.drain().await
    }
}

/// A cell that outlives its row.
enum Owned {
    Text(String),
    Bytes(Vec<u8>),
    Plain(Cell<'static>),
}

impl Owned {
    fn of(cell: Cell<'_>) -> Self {
        Self::Plain(match cell {
            Cell::Text(text) => return Self::Text(text.to_owned()),
            Cell::Utf16(bytes) => {
                let units: Vec<_> = bytes.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]])).collect();
                return Self::Text(String::from_utf16(&units).expect("a history's texts are whole"));
            }
            Cell::Bytes(bytes) => return Self::Bytes(bytes.to_vec()),
            Cell::Null => Cell::Null,
            Cell::Boolean(value) => Cell::Boolean(value),
            Cell::Integer(value) => Cell::Integer(value),
            Cell::Decimal(value, scale) => Cell::Decimal(value, scale),
            Cell::Float32(value) => Cell::Float32(value),
            Cell::Float64(value) => Cell::Float64(value),
            Cell::Date(days) => Cell::Date(days),
            Cell::Time(ticks, digits) => Cell::Time(ticks, digits),
            Cell::Timestamp(days, ticks, digits) => Cell::Timestamp(days, ticks, digits),
            Cell::TimestampTz(days, ticks, digits, offset) => Cell::TimestampTz(days, ticks, digits, offset),
            Cell::Uuid(bytes) => Cell::Uuid(bytes),
        })
    }

    fn cell(&self) -> Cell<'_> {
        match self {
            Self::Text(text) => Cell::Text(text),
            Self::Bytes(bytes) => Cell::Bytes(bytes),
            Self::Plain(cell) => *cell,
        }
    }

    /// As T-SQL casts it to text; of numbers and texts only.
    fn text(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Plain(Cell::Integer(value)) => Some(value.to_string()),
            _ => None,
        }
    }
}
