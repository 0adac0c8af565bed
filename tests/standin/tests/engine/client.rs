//! A client of the engine without a wire: sends batches, keeps what comes back.

use std::sync::Arc;

use standin::cdc;
use standin::engine::{Engine, EngineConfig};
use standin::session::{Flow, Login, Param, Server as _, Session, Sink};
use standin::value::{Column, SqlError, SqlType, Value};

/// What a batch gave.
#[derive(Debug, Default)]
pub struct Answer {
    pub results: Vec<(Vec<Column>, Vec<Vec<Value>>)>,
    pub counts: Vec<Option<u64>>,
    pub messages: Vec<SqlError>,
    pub outputs: Vec<(String, Value)>,
    pub status: Option<i32>,
    pub transactions: Vec<(bool, bool)>,
    pub stop_after: Option<usize>,
    pub closed: Option<bool>,
}

impl Sink for Answer {
    fn columns(&mut self, columns: &[Column]) -> Flow {
        self.results.push((columns.to_vec(), Vec::new()));
        Flow::Continue
    }

    fn row(&mut self, row: &[Value]) -> Flow {
        let rows = &mut self.results.last_mut().expect("columns come before rows").1;
        rows.push(row.to_vec());
        if self.stop_after == Some(rows.len()) { Flow::Stop } else { Flow::Continue }
    }

    fn done(&mut self, rows: Option<u64>) -> Flow {
        self.counts.push(rows);
        Flow::Continue
    }

    fn message(&mut self, message: &SqlError) -> Flow {
        self.messages.push(message.clone());
        Flow::Continue
    }

    fn database_changed(&mut self, _: &str, _: &str) {}

    fn transaction(&mut self, descriptor: Option<u64>, committed: bool) {
        self.transactions.push((descriptor.is_some(), committed));
    }

    fn output(&mut self, name: &str, _: SqlType, value: &Value) {
        self.outputs.push((name.to_owned(), value.clone()));
    }

    fn return_status(&mut self, status: i32) {
        self.status = Some(status);
    }

    fn close(&mut self, told: bool) {
        self.closed = Some(told);
    }
}

impl Answer {
    /// Numbers of the errors.
    pub fn errors(&self) -> Vec<i32> {
        self.messages.iter().filter(|message| message.severity > 10).map(|message| message.number).collect()
    }

    /// Rows of the last result set.
    pub fn rows(&self) -> &[Vec<Value>] {
        assert!(self.errors().is_empty(), "{:?}", self.messages);
        &self.results.last().expect("a result set").1
    }
}

/// A server with database `shop`.
pub fn server() -> Arc<Engine> {
    Engine::start(EngineConfig {
        database: "shop".into(),
        user: "sa".into(),
        password: "secret".into(),
        cdc: cdc::Settings::default(),
    })
    .expect("a server")
}

/// A session of `sa` in `shop`.
pub fn connect(engine: &Engine) -> Box<dyn Session> {
    login(engine, "sa", "secret", "shop").expect("a session")
}

/// A session of a server on whose table `t (id int PRIMARY KEY, v varchar(20))` CDC is on, captured by hand only.
pub fn captured(engine: &Engine) -> Box<dyn Session> {
    let mut session = connect(engine);
    ok(
        session.as_mut(),
        "CREATE TABLE t (id int NOT NULL CONSTRAINT PK_t PRIMARY KEY, v varchar(20)); EXEC sys.sp_cdc_enable_db;
         EXEC sys.sp_cdc_enable_table @source_schema = 'dbo', @source_name = 't', @role_name = NULL;
         EXEC sys.sp_cdc_stop_job 'capture'; EXEC sys.sp_cdc_scan",
    );
    session
}

/// A session of any login.
pub fn login(engine: &Engine, user: &str, password: &str, database: &str) -> Result<Box<dyn Session>, SqlError> {
    engine.login(&Login { user: user.into(), password: password.into(), database: database.into(), ..Login::default() })
}

/// Runs a batch.
pub fn run(session: &mut dyn Session, sql: &str) -> Answer {
    run_with(session, sql, &[])
}

/// Runs a batch with parameters.
pub fn run_with(session: &mut dyn Session, sql: &str, params: &[Param]) -> Answer {
    let mut answer = Answer::default();
    session.batch(sql, params, &mut answer);
    answer
}

/// Runs a batch that must succeed.
pub fn ok(session: &mut dyn Session, sql: &str) -> Answer {
    let answer = run(session, sql);
    assert!(answer.errors().is_empty(), "{sql}: {:?}", answer.messages);
    answer
}

/// The numbers of the errors that a batch raises.
pub fn errors(session: &mut dyn Session, sql: &str) -> Vec<i32> {
    run(session, sql).errors()
}

/// The only cell of a batch's last result, as the text that CONVERT would give.
pub fn cell(session: &mut dyn Session, sql: &str) -> Value {
    let answer = ok(session, sql);
    answer.rows().first().unwrap_or_else(|| panic!("{sql}: no row"))[0].clone()
}

/// A text value.
pub fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}
