//! A database of one to a few tables with CDC, and short words for what tests do to it.

use std::time::Duration;

use standin::cdc::{Caller, Cdc, Lsn, Outcome, Settings};
use standin::session::Param;
use standin::table::{Change, ChangeKind, ColumnDef, Ddl, IndexDef, LogEntry, TableDef};
use standin::value::{SqlError, SqlType, Value};

/// A session: its tables and its roles.
pub struct Session {
    pub tables: Vec<TableDef>,
    pub roles: Vec<&'static str>,
}

impl Caller for Session {
    fn table(&self, schema: &str, name: &str) -> Option<TableDef> {
        let same = |left: &str, right: &str| left.eq_ignore_ascii_case(right);
        self.tables.iter().find(|table| same(&table.schema, schema) && same(&table.name, name)).cloned()
    }

    fn table_by_id(&self, object_id: i32) -> Option<TableDef> {
        self.tables.iter().find(|table| table.object_id == object_id).cloned()
    }

    fn database(&self) -> String {
        "shop".into()
    }

    fn is_member(&self, role: &str) -> bool {
        self.roles.contains(&role)
    }

    fn schema_exists(&self, name: &str) -> bool {
        name == "dbo"
    }
}

/// CDC and the session that uses it.
pub struct Bench {
    pub cdc: Cdc,
    pub session: Session,
}

/// `object_id` of `dbo.t`.
pub const T: i32 = 101;

pub fn column(column_id: i32, name: &str, sql_type: SqlType) -> ColumnDef {
    ColumnDef {
        column_id,
        name: name.into(),
        sql_type,
        nullable: column_id > 1,
        identity: false,
        computed: false,
        collation: None,
    }
}

/// `dbo.t (id <type> PRIMARY KEY, v nvarchar(50))`.
pub fn table_t(id: SqlType) -> TableDef {
    TableDef {
        object_id: T,
        schema: "dbo".into(),
        name: "t".into(),
        columns: vec![column(1, "id", id), column(2, "v", SqlType::NVarChar(Some(50)))],
        indexes: vec![IndexDef { index_id: 1, name: "PK_t".into(), unique: true, primary_key: true, columns: vec![1] }],
        partitioned: false,
    }
}

pub fn param(name: &str, value: Value) -> Param {
    Param { name: name.into(), sql_type: SqlType::NVarChar(None), value, output: false }
}

pub fn text(text: &str) -> Value {
    Value::Text(text.into())
}

/// A row of `dbo.t`.
pub fn row(id: i64, v: &str) -> Vec<Value> {
    vec![Value::Int(id), text(v)]
}

pub fn insert(row: Vec<Value>) -> ChangeKind {
    ChangeKind::Insert(row)
}

pub fn delete(row: Vec<Value>) -> ChangeKind {
    ChangeKind::Delete(row)
}

pub fn update(before: Vec<Value>, after: Vec<Value>) -> ChangeKind {
    ChangeKind::Update(before, after)
}

impl Bench {
    /// CDC on, no table tracked, the capture job never ran.
    pub fn new(tables: Vec<TableDef>) -> Self {
        let cdc = Cdc::new(Settings { capture_interval: Duration::from_millis(20) });
        let bench = Self { cdc, session: Session { tables, roles: vec!["sysadmin"] } };
        bench.run("sp_cdc_enable_db", &[]);
        bench
    }

    /// CDC on `dbo.t`, captured only by hand from the enabling on.
    pub fn by_hand(table: TableDef) -> Self {
        let bench = Self::new(vec![table]);
        bench.enable(&[]);
        bench.run("sp_cdc_stop_job", &[("@job_type", text("capture"))]);
        bench.scan();
        bench
    }

    pub fn call(&self, name: &str, args: &[(&str, Value)]) -> Result<Outcome, SqlError> {
        let args: Vec<Param> = args.iter().map(|(name, value)| param(name, value.clone())).collect();
        self.cdc.procedure(name, &args, &self.session).expect("no such procedure")
    }

    pub fn run(&self, name: &str, args: &[(&str, Value)]) -> Outcome {
        self.call(name, args).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn number(&self, name: &str, args: &[(&str, Value)]) -> i32 {
        self.call(name, args).expect_err("it should have failed").number
    }

    /// Arguments of `sp_cdc_enable_table` for `dbo.t`, with others behind.
    pub fn enable_args(more: &[(&'static str, Value)]) -> Vec<(&'static str, Value)> {
        let mut args = vec![("@source_schema", text("dbo")), ("@source_name", text("t")), ("@role_name", Value::Null)];
        for (name, value) in more {
            args.retain(|(known, _)| known != name);
            args.push((name, value.clone()));
        }
        args
    }

    pub fn enable(&self, more: &[(&'static str, Value)]) -> Outcome {
        self.run("sp_cdc_enable_table", &Self::enable_args(more))
    }

    pub fn scan(&self) {
        self.run("sp_cdc_scan", &[]);
    }

    /// Commits a transaction whose every change is a statement of its own.
    pub fn commit(&self, changes: Vec<ChangeKind>) -> Lsn {
        self.cdc.commit((1..).zip(changes).map(|(statement, kind)| entry(statement, kind)).collect())
    }

    /// Commits a transaction of one statement.
    pub fn statement(&self, changes: Vec<ChangeKind>) -> Lsn {
        self.cdc.commit(changes.into_iter().map(|kind| entry(1, kind)).collect())
    }

    /// Commits the table's new definition.
    pub fn ddl(&mut self, command: &str, after: Option<TableDef>) -> Lsn {
        if let Some(table) = &after {
            self.session.tables = vec![table.clone()];
        }
        self.cdc.commit(vec![LogEntry::Ddl(Ddl { object_id: T, command: command.into(), after })])
    }

    pub fn rows(&self, relation: &str) -> Vec<Vec<Value>> {
        self.cdc.scan(relation, (None, None), None, usize::MAX).0
    }

    /// Operation, values of the captured columns, and command of each row of the change table of `dbo.t`.
    pub fn changes(&self) -> Vec<(i64, Vec<Value>, i64)> {
        self.rows("dbo_t_CT")
            .into_iter()
            .map(|row| {
                let captured = row[5..row.len() - 1].to_vec();
                (int(&row[3]), captured, int(&row[row.len() - 1]))
            })
            .collect()
    }

    pub fn function(&self, name: &str, args: &[Value]) -> Value {
        self.cdc.function(name, args, &self.session).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn max_lsn(&self) -> Option<Lsn> {
        lsn(&self.function("fn_cdc_get_max_lsn", &[]))
    }

    pub fn min_lsn(&self) -> Option<Lsn> {
        lsn(&self.function("fn_cdc_get_min_lsn", &[text("dbo_t")]))
    }

    /// Calls a generated function of `dbo.t`.
    pub fn changes_between(&self, kind: &str, from: Lsn, to: Lsn, filter: &str) -> Result<Vec<Vec<Value>>, SqlError> {
        let args = [Value::Bytes(from.to_vec()), Value::Bytes(to.to_vec()), text(filter)];
        let name = format!("fn_cdc_get_{kind}_changes_dbo_t");
        self.cdc.table_function(&name, &args, &self.session).map(|rows| rows.rows)
    }
}

fn entry(statement: u32, kind: ChangeKind) -> LogEntry {
    LogEntry::Row(Change { object_id: T, statement, kind })
}

pub fn int(value: &Value) -> i64 {
    match value {
        Value::Int(number) => *number,
        other => panic!("not an int: {other:?}"),
    }
}

pub fn lsn(value: &Value) -> Option<Lsn> {
    match value {
        Value::Null => None,
        Value::Bytes(bytes) => Some(bytes.as_slice().try_into().expect("not an LSN")),
        other => panic!("not an LSN: {other:?}"),
    }
}

pub fn next(mut lsn: Lsn) -> Lsn {
    *lsn.last_mut().unwrap() += 1;
    lsn
}

/// Waits until something holds, for at most ten seconds.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("never: {what}");
}
