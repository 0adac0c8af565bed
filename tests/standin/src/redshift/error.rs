//! Errors in Redshift's form, and those of the server below translated into it.

use std::io;

use bytes::{Buf as _, Bytes};

use super::wire;

/// What the client is told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({code})")]
pub struct SqlError {
    /// SQLSTATE.
    pub code: String,
    /// The message.
    pub message: String,
    /// More about it.
    pub detail: Option<String>,
    /// What could be done.
    pub hint: Option<String>,
    /// Where in the statement, counted in characters from 1.
    pub position: Option<String>,
}

impl SqlError {
    /// An error with code and message.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), detail: None, hint: None, position: None }
    }

    /// The same with a detail.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// 42601 at a token.
    pub fn syntax(near: &str) -> Self {
        Self::new("42601", format!("syntax error at or near \"{near}\""))
    }

    /// 0A000: Redshift does not have it.
    pub fn unsupported(what: impl Into<String>) -> Self {
        Self::new("0A000", what)
    }

    /// 0A000: Redshift may have it; the stand-in does not.
    pub fn unmodelled(what: &str) -> Self {
        Self::new("0A000", format!("{what} is not supported by the stand-in"))
    }

    /// 25001.
    pub fn in_block(what: &str) -> Self {
        Self::new("25001", format!("{what} cannot run inside a transaction block"))
    }

    /// 42P01.
    pub fn no_relation(name: &str) -> Self {
        Self::new("42P01", format!("relation \"{name}\" does not exist"))
    }

    /// 1018: created or dropped after the transaction's snapshot.
    pub fn not_in_snapshot() -> Self {
        Self::new("XX000", "1018").with_detail("Relation does not exist")
    }

    /// 1023: another transaction wrote what this one wants to write, or read.
    pub fn not_serializable(table: &str, mine: u32, other: u32) -> Self {
        Self::new("XX000", "1023").with_detail(format!(
            "Serializable isolation violation on table - {table}, transactions forming the cycle are: {mine}, {other} \
             (pid:{mine})"
        ))
    }

    /// 25P02.
    pub fn block_failed() -> Self {
        Self::new("25P02", "current transaction is aborted, commands ignored until end of transaction block")
    }
}

/// Why a statement ended early.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The client is told, and the connection goes on.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// One of the two connections is gone.
    #[error(transparent)]
    Broken(#[from] io::Error),
}

/// What a statement, or a part of it, comes to.
pub type Outcome<T> = Result<T, Failure>;

/// Reads `ErrorResponse` or `NoticeResponse` of the server below; the pid stands for the transaction.
pub fn read(mut body: Bytes, pid: u32) -> io::Result<SqlError> {
    let mut error = SqlError::new("XX000", "");
    let (mut constraint, mut table) = (None, None);
    while body.has_remaining() {
        let kind = body.get_u8();
        if kind == 0 {
            break;
        }
        let value = wire::take_text(&mut body)?;
        match kind {
            b'C' => error.code = value,
            b'M' => error.message = value,
            b'D' => error.detail = Some(value),
            b'H' => error.hint = Some(value),
            b'n' => constraint = Some(value),
            b't' => table = Some(value),
            _ => {}
        }
    }
    Ok(translate(error, constraint.as_deref(), table.as_deref(), pid))
}

fn translate(error: SqlError, constraint: Option<&str>, table: Option<&str>, pid: u32) -> SqlError {
    match error.code.as_str() {
        "40001" => SqlError::not_serializable(table.unwrap_or("0"), pid, pid.wrapping_add(1)),
        "23514" => constraint.and_then(check_failed).unwrap_or(error),
        "21000" if error.message.starts_with("MERGE command") => {
            SqlError::new("XX000", "Found multiple matches to update the same tuple.")
        }
        "23502" => SqlError {
            message: error.message.split(" of relation ").next().unwrap_or_default().replacen(
                "null value in column",
                "Cannot insert a NULL value into column",
                1,
            ),
            detail: None,
            ..error
        },
        // Details of the server below speak of what Redshift has not; hints advise it.
        _ => SqlError { hint: None, position: None, ..error },
    }
}

/// The check constraints of the stand-in carry in their names what they are for.
fn check_failed(constraint: &str) -> Option<SqlError> {
    let (kind, declared) = constraint.strip_prefix("redshift_standin:")?.split_once(':')?;
    let declared = declared.split(':').next().unwrap_or_default();
    Some(match kind {
        "bytes" => SqlError::new("22001", format!("value too long for type {declared}")),
        "single" => SqlError::new("22021", format!("multibyte character not supported for type {declared}")),
        "range" => SqlError::new("22003", format!("Numeric data overflow: {declared} holds 8 bytes")),
        "finite" => SqlError::new("22008", format!("{declared} out of range")),
        _ => return None,
    })
}
