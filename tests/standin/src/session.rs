//! The line between the protocol ([`crate::tds`]) and the engine ([`crate::engine`]).
//!
//! The protocol owns sockets and tokens and knows no SQL. The engine runs statements and knows no bytes on a wire.
//! Calls are blocking: the protocol runs each session on a blocking thread of its own.

use crate::value::{Column, SqlError, SqlType, Value};

/// Who logs in, and to where.
#[derive(Debug, Clone, Default)]
pub struct Login {
    /// Login name.
    pub user: String,
    /// Password in clear, as decoded from LOGIN7.
    pub password: String,
    /// Database asked for; empty for the login's default.
    pub database: String,
    /// Client program's name.
    pub app_name: String,
    /// Client host's name.
    pub host_name: String,
    /// `ApplicationIntent=ReadOnly`.
    pub read_only_intent: bool,
    /// Whether a token has proved who it is, so that there is no password.
    pub by_token: bool,
}

/// A named parameter of `sp_executesql`, `sp_prepare` or an RPC.
#[derive(Debug, Clone)]
pub struct Param {
    /// Name with its `@`; empty when passed by position.
    pub name: String,
    /// Declared type.
    pub sql_type: SqlType,
    /// Value.
    pub value: Value,
    /// Whether it was passed BY REFERENCE (OUTPUT).
    pub output: bool,
}

/// Whether a sink wants more. After [`Flow::Stop`] (the client sent an attention) the engine ends the statement soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Go on.
    Continue,
    /// Stop: the client cancelled or is gone.
    Stop,
}

/// Where a batch's answers go, in order.
pub trait Sink {
    /// A result set begins.
    fn columns(&mut self, columns: &[Column]) -> Flow;
    /// Whether to go on, asked now and then by a statement that works long and says nothing, such as WAITFOR.
    fn poll(&mut self) -> Flow {
        Flow::Continue
    }
    /// A row of the result set that began last. Rows are streamed: the engine collects none.
    fn row(&mut self, row: &[Value]) -> Flow;
    /// A statement ended: rows returned or affected (`None` where SQL Server sends no count, as under NOCOUNT).
    fn done(&mut self, rows: Option<u64>) -> Flow;
    /// An error or, at severity 10 and below, a message. Statements may follow an error that does not abort the batch.
    fn message(&mut self, message: &SqlError) -> Flow;
    /// `USE` changed the database.
    fn database_changed(&mut self, old: &str, new: &str);
    /// A transaction began (`Some(descriptor)`) or ended (`None`, with whether it committed).
    fn transaction(&mut self, descriptor: Option<u64>, committed: bool);
    /// An OUTPUT parameter's value, after an RPC.
    fn output(&mut self, name: &str, sql_type: SqlType, value: &Value);
    /// The return status of a procedure called by RPC.
    fn return_status(&mut self, status: i32);
    /// The server ends the connection after this answer: `told` when the client is to read what was said, else with the
    /// answer broken off.
    fn close(&mut self, _told: bool) {}
}

/// A transaction manager request (TDS message type 0x0E), as ODBC sends them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransactionRequest {
    /// Begin, with the isolation level asked for (0 = unchanged, 1 READ UNCOMMITTED … 5 SNAPSHOT).
    Begin(u8),
    /// Commit; `true` begins another at once.
    Commit(bool),
    /// Roll back; `true` begins another at once.
    Rollback(bool),
    /// Savepoint of that name.
    Save(String),
}

/// A logged-in connection. Dropping it rolls an open transaction back.
pub trait Session: Send {
    /// The database the session is in.
    fn database(&self) -> String;
    /// The session's number (`@@SPID`).
    fn spid(&self) -> u16;
    /// Runs a batch of statements. `params` are visible as variables (`sp_executesql`).
    /// Errors go to the sink; the call itself does not fail.
    fn batch(&mut self, sql: &str, params: &[Param], sink: &mut dyn Sink);
    /// Runs a procedure by RPC, other than `sp_executesql` and the prepare and cursor family, which the protocol
    /// turns into [`Session::batch`].
    fn procedure(&mut self, name: &str, params: &[Param], sink: &mut dyn Sink);
    /// The result columns of a batch without running it, for `sp_prepare` and `sp_describe_first_result_set`.
    ///
    /// # Errors
    /// What binding the batch would raise.
    fn describe(&mut self, sql: &str, params: &[Param]) -> Result<Option<Vec<Column>>, SqlError>;
    /// Runs a transaction manager request.
    fn transaction(&mut self, request: &TransactionRequest, sink: &mut dyn Sink);
    /// `sp_reset_connection`: rolls back, forgets settings and temporary tables.
    fn reset(&mut self);
}

/// A server that sessions log in to.
pub trait Server: Send + Sync {
    /// Checks a login and opens a session.
    ///
    /// # Errors
    /// 18456 (severity 14) for a wrong login or password, 4060 (severity 11) for an unknown database.
    fn login(&self, login: &Login) -> Result<Box<dyn Session>, SqlError>;
}
