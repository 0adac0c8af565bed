//! Server cursors, as far as drivers open them by RPC: static, read-only, fetched in blocks.

use std::collections::HashMap;

use super::declare;
use super::prepared::{declarations, text};
use super::response::Response;
use super::rpc::Call;
use crate::session::{Flow, Session, Sink};
use crate::value::{Column, SqlError, SqlType, Value};

/// `scrollopt`: the statement has parameters.
const PARAMETERIZED: i64 = 0x1000;
/// `scrollopt` and `ccopt` as granted: static, read-only.
const STATIC: i64 = 0x08;
const READ_ONLY: i64 = 0x01;
/// Rows a cursor may hold: it is a copy in memory.
const ROW_LIMIT: usize = 1_000_000;

/// A connection's open cursors.
#[derive(Debug, Default)]
pub struct Cursors {
    open: HashMap<i32, Cursor>,
    last_handle: i32,
}

#[derive(Debug, Default)]
struct Cursor {
    columns: Vec<Column>,
    rows: Vec<Vec<Value>>,
    /// First row of the last block, from 0; `None` before the first fetch.
    place: Option<usize>,
    block: usize,
}

impl Cursors {
    /// Closes all, as a reset connection does.
    pub fn clear(&mut self) {
        self.open.clear();
    }
}

/// Whether a procedure belongs here.
pub fn knows(name: &str) -> bool {
    name.starts_with("sp_cursor")
}

/// Runs a call that belongs here.
///
/// # Errors
/// What the call did wrong.
pub fn run(
    name: &str,
    call: &Call,
    cursors: &mut Cursors,
    session: &mut dyn Session,
    response: &mut Response<'_>,
) -> Result<(), SqlError> {
    match name {
        "sp_cursoropen" => open(call, cursors, session, response),
        "sp_cursorfetch" => fetch(call, cursors, response),
        "sp_cursoroption" => find(call, cursors).map(|_| ()),
        "sp_cursorclose" => {
            find(call, cursors)?;
            cursors.open.remove(&int(call, 0).and_then(|handle| i32::try_from(handle).ok()).unwrap_or(0));
            Ok(())
        }
        other => {
            Err(SqlError::new(40_510, format!("Statement '{other}' is not supported in this version of SQL Server.")))
        }
    }
}

fn int(call: &Call, index: usize) -> Option<i64> {
    match call.params.get(index)?.value {
        Value::Int(int) => Some(int),
        _ => None,
    }
}

fn find<'a>(call: &Call, cursors: &'a mut Cursors) -> Result<&'a mut Cursor, SqlError> {
    let handle = int(call, 0).and_then(|handle| i32::try_from(handle).ok()).unwrap_or(0);
    cursors.open.get_mut(&handle).ok_or_else(|| {
        SqlError::new(16_909, format!("The cursor identifier value provided ({handle:x}) is not valid."))
    })
}

fn open(
    call: &Call,
    cursors: &mut Cursors,
    session: &mut dyn Session,
    response: &mut Response<'_>,
) -> Result<(), SqlError> {
    let sql = text(call, 1, "sp_cursoropen", "stmt")?;
    let scroll = int(call, 2).unwrap_or(STATIC);
    let params = if scroll & PARAMETERIZED == 0 {
        Vec::new()
    } else {
        let declared = declarations(call.params.get(5))?;
        declare::bind(&declared, call.params.get(6..).unwrap_or_default(), &sql)?
    };
    let mut copy = Copy { cursor: Cursor::default(), results: 0, failed: false, full: false, response };
    session.batch(&sql, &params, &mut copy);
    let Copy { mut cursor, results, failed, full, .. } = copy;
    if failed {
        return Err(SqlError::new(16_945, "The cursor was not declared."));
    }
    if full {
        return Err(SqlError::new(
            701,
            "There is insufficient system memory in resource pool 'default' to run this query.",
        )
        .severity(17));
    }
    if results != 1 {
        return Err(SqlError::new(
            16_937,
            "A server cursor cannot be opened on the given statement or statements. Use a default result set or client cursor.",
        ));
    }
    cursor.columns.push(Column {
        name: "ROWSTAT".to_owned(),
        sql_type: SqlType::Int,
        nullable: false,
        identity: false,
        collation: None,
    });
    response.columns(&cursor.columns);
    response.done(None);
    let count = i64::try_from(cursor.rows.len()).unwrap_or(i64::MAX);
    cursors.last_handle += 1;
    // Drivers take handles below this for those of prepared statements.
    let handle = 180_150_000 + cursors.last_handle;
    cursors.open.insert(handle, cursor);
    let name = |index: usize| call.params.get(index).map(|param| param.name.clone()).unwrap_or_default();
    for (index, value) in [(0, handle.into()), (2, STATIC), (3, READ_ONLY), (4, count)] {
        if call.params.get(index).is_some_and(|param| param.output) {
            response.output(&name(index), SqlType::Int, &Value::Int(value));
        }
    }
    response.return_status(0);
    Ok(())
}

fn fetch(call: &Call, cursors: &mut Cursors, response: &mut Response<'_>) -> Result<(), SqlError> {
    const INFO: i64 = 0x100;
    let kind = int(call, 1).unwrap_or(2);
    let number = int(call, 2).unwrap_or(0);
    let size = usize::try_from(int(call, 3).unwrap_or(20)).unwrap_or(0);
    let cursor = find(call, cursors)?;
    let count = i64::try_from(cursor.rows.len()).unwrap_or(i64::MAX);
    let place = cursor.place.map(|place| i64::try_from(place).unwrap_or(i64::MAX));
    if kind == INFO {
        response.output("", SqlType::Int, &Value::Int(place.map_or(0, |place| place + 1)));
        response.output("", SqlType::Int, &Value::Int(count));
        return Ok(());
    }
    let block = i64::try_from(size).unwrap_or(i64::MAX);
    let last_block = i64::try_from(cursor.block).unwrap_or(0);
    let start = match kind {
        0x01 => 0,
        0x02 => place.map_or(0, |place| place.saturating_add(last_block)),
        0x04 => place.unwrap_or(0) - block,
        0x08 => (count - block).max(0),
        0x10 if number < 0 => count + number,
        0x10 => number - 1,
        0x20 => place.map_or(number - 1, |place| place + number),
        0x80 => place.unwrap_or(0),
        _ => return Err(SqlError::new(16_902, "sp_cursorfetch: The value of the parameter 'fetchtype' is invalid.")),
    };
    let start = usize::try_from(start.max(0)).unwrap_or(usize::MAX).min(cursor.rows.len());
    let end = start.saturating_add(size).min(cursor.rows.len());
    cursor.place = Some(start);
    cursor.block = size;
    response.columns(&cursor.columns);
    for row in &cursor.rows[start..end] {
        let mut row = row.clone();
        row.push(Value::Int(1));
        if response.row(&row) == Flow::Stop {
            break;
        }
    }
    response.done(Some((end - start) as u64));
    Ok(())
}

/// Takes a copy of a statement's one result; messages pass on.
struct Copy<'a, 'b> {
    cursor: Cursor,
    results: usize,
    failed: bool,
    full: bool,
    response: &'a mut Response<'b>,
}

impl Sink for Copy<'_, '_> {
    fn columns(&mut self, columns: &[Column]) -> Flow {
        self.results += 1;
        self.cursor.columns = columns.to_vec();
        self.response.poll()
    }

    fn poll(&mut self) -> Flow {
        self.response.poll()
    }

    fn row(&mut self, row: &[Value]) -> Flow {
        if self.cursor.rows.len() == ROW_LIMIT {
            self.full = true;
            return Flow::Stop;
        }
        self.cursor.rows.push(row.to_vec());
        self.response.poll()
    }

    fn done(&mut self, _rows: Option<u64>) -> Flow {
        self.response.poll()
    }

    fn message(&mut self, message: &SqlError) -> Flow {
        self.failed |= message.severity > 10;
        self.response.message(message)
    }

    fn database_changed(&mut self, old: &str, new: &str) {
        self.response.database_changed(old, new);
    }

    fn transaction(&mut self, descriptor: Option<u64>, committed: bool) {
        self.response.transaction(descriptor, committed);
    }

    fn output(&mut self, name: &str, sql_type: SqlType, value: &Value) {
        self.response.output(name, sql_type, value);
    }

    fn return_status(&mut self, status: i32) {
        self.response.return_status(status);
    }
}
