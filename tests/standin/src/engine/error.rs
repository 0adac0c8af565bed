//! The server's errors, by number.

use crate::value::SqlError;

/// Result of engine work.
pub type Result<T> = std::result::Result<T, SqlError>;

/// 102, near a token.
pub fn syntax(near: impl AsRef<str>) -> SqlError {
    SqlError::new(102, format!("Incorrect syntax near '{}'.", near.as_ref())).severity(15)
}

/// 156, near a keyword.
pub fn keyword(near: impl AsRef<str>) -> SqlError {
    SqlError::new(156, format!("Incorrect syntax near the keyword '{}'.", near.as_ref())).severity(15)
}

/// 195, a function that T-SQL does not have.
pub fn unknown_function(name: &str) -> SqlError {
    SqlError::new(195, format!("'{name}' is not a recognized built-in function name.")).severity(15).state(10)
}

/// 174, a wrong number of arguments.
pub fn argument_count(name: &str, wanted: usize) -> SqlError {
    SqlError::new(174, format!("The {} function requires {wanted} argument(s).", name.to_lowercase())).severity(15)
}

/// 207, an unknown column.
pub fn invalid_column(name: &str) -> SqlError {
    SqlError::new(207, format!("Invalid column name '{name}'."))
}

/// 208, an unknown relation.
pub fn invalid_object(name: &str) -> SqlError {
    SqlError::new(208, format!("Invalid object name '{name}'."))
}

/// 137, an undeclared variable.
pub fn undeclared(name: &str) -> SqlError {
    SqlError::new(137, format!("Must declare the scalar variable \"{name}\".")).severity(15).state(2)
}

/// 8115, an overflow.
pub fn overflow(kind: &str) -> SqlError {
    SqlError::new(8115, format!("Arithmetic overflow error converting {kind}.")).state(2)
}

/// 8134.
pub fn divide_by_zero() -> SqlError {
    SqlError::new(8134, "Divide by zero error encountered.")
}

/// 2812, an unknown procedure.
pub fn unknown_procedure(name: &str) -> SqlError {
    SqlError::new(2812, format!("Could not find stored procedure '{name}'.")).state(62)
}

/// 3701 and its kin: something to drop or alter that is not there.
pub fn cannot_drop(kind: &str, name: &str) -> SqlError {
    SqlError::new(
        3701,
        format!("Cannot drop the {kind} '{name}', because it does not exist or you do not have permission."),
    )
    .severity(11)
    .state(5)
}

/// Whether the batch ends after this error, and not the statement alone.
pub fn ends_batch(error: &SqlError) -> bool {
    error.severity >= 17
        || matches!(
            error.number,
            102 | 105
                | 113
                | 137
                | 156
                | 174
                | 195
                | 206
                | 207
                | 208
                | 213
                | 235
                | 241
                | 242
                | 243
                | 245
                | 257
                | 295
                | 529
                | 1205
                | 2714
                | 2715
                | 3952
                | 3958
                | 3960
                | 3961
                | 3966
                | 4104
                | 8114
                | 8120
                | 8155
                | 8169
                | 209
                | 8152
        )
}

/// Whether the error dooms the whole transaction.
pub fn ends_transaction(error: &SqlError) -> bool {
    matches!(error.number, 1205 | 3952 | 3958 | 3960 | 3961 | 3966 | 241 | 242 | 245 | 295 | 8114 | 8169)
}

/// A marker before errors that travel through SQLite as text.
const MARK: &str = "\u{1}tsql\u{1}";

/// An error as a registered function must raise it.
pub fn to_sqlite(error: &SqlError) -> rusqlite::Error {
    let text = format!("{MARK}{}\u{1}{}\u{1}{}\u{1}{}", error.number, error.severity, error.state, error.message);
    rusqlite::Error::UserFunctionError(text.into())
}

/// What the procedures that enable and disable say of a lock that they did not get: they pass it on in a message of their
/// own (seen so of 1205 within 22830).
pub fn passed_on(statement: &str, error: SqlError) -> SqlError {
    const SAID: [(&str, i32, &str); 3] = [
        ("sp_cdc_enable_db", 22_830, "the database is enabled"),
        ("sp_cdc_enable_table", 22_832, "the table is enabled"),
        ("sp_cdc_disable_table", 22_833, "the table is not enabled"),
    ];
    let said = SAID.iter().find(|(procedure, ..)| statement.contains(procedure));
    let Some((procedure, number, what)) = said.filter(|_| matches!(error.number, 1205 | 1222)) else { return error };
    SqlError::new(
        *number,
        format!(
            "Could not update the metadata that indicates {what} for Change Data Capture. The failure occurred when executing the command '{procedure}_internal'. The error returned was {}: '{}'. Use the action and error to determine the cause of the failure and resubmit the request.",
            error.number, error.message
        ),
    )
    .procedure(*procedure)
}

/// The server's error behind one of SQLite's.
pub fn from_sqlite(error: &rusqlite::Error) -> SqlError {
    let text = match error {
        rusqlite::Error::SqliteFailure(failure, text) => {
            match failure.extended_code {
                rusqlite::ffi::SQLITE_BUSY_SNAPSHOT => return snapshot_conflict(),
                code if code & 0xff == rusqlite::ffi::SQLITE_BUSY || code & 0xff == rusqlite::ffi::SQLITE_LOCKED => {
                    return SqlError::new(1222, "Lock request time out period exceeded.").state(51);
                }
                rusqlite::ffi::SQLITE_INTERRUPT => {
                    return SqlError::new(0, "Operation cancelled by user.").severity(11);
                }
                _ => {}
            }
            text.clone().unwrap_or_else(|| error.to_string())
        }
        other => other.to_string(),
    };
    let Some(start) = text.find(MARK) else {
        return SqlError::new(8630, format!("Internal Query Processor Error: {text}")).severity(17);
    };
    let mut parts = text[start + MARK.len()..].splitn(4, '\u{1}');
    let mut number = || parts.next().and_then(|part| part.parse::<i32>().ok()).unwrap_or_default();
    let (code, severity, state) = (number(), number(), number());
    SqlError::new(code, parts.next().unwrap_or_default())
        .severity(u8::try_from(severity).unwrap_or(16))
        .state(u8::try_from(state).unwrap_or(1))
}

/// 1205: somebody committed between this transaction's read and its write.
fn snapshot_conflict() -> SqlError {
    SqlError::new(
        1205,
        "Transaction was deadlocked on lock resources with another process and has been chosen as the deadlock victim. \
         Rerun the transaction.",
    )
    .severity(13)
    .state(51)
}
