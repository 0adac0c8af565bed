//! THROW and RAISERROR.

use sqlparser::ast::Expr;

use super::super::error::Result;
use super::super::session::SqlSession;
use crate::session::Sink;
use crate::value::{SqlError, SqlType, Value};

impl SqlSession {
    /// The error that THROW raises.
    pub fn thrown(&mut self, args: Option<&(Expr, Expr, Expr)>) -> Result<SqlError> {
        let Some((number, message, state)) = args else {
            return Ok(self.caught.last().cloned().unwrap_or_else(|| {
                SqlError::new(10704, "To rethrow an error, a THROW statement must be used inside a CATCH block.")
                    .severity(15)
            }));
        };
        let int = |value: Value| if let Value::Int(int) = value { i32::try_from(int).unwrap_or_default() } else { 0 };
        let number = int(self.evaluate(number, SqlType::Int)?);
        let state = int(self.evaluate(state, SqlType::Int)?);
        let message = match self.evaluate(message, SqlType::NVarChar(Some(2048)))? {
            Value::Text(text) => text,
            _ => String::new(),
        };
        if number < 50_000 {
            return Ok(SqlError::new(
                35100,
                format!(
                    "Error number {number} in the THROW statement is outside the valid range. Specify an error number in the valid range of 50000 to 2147483647."
                ),
            ));
        }
        Ok(SqlError::new(number, message).state(u8::try_from(state).unwrap_or(1)))
    }

    /// RAISERROR.
    pub fn raise_error(&mut self, args: &[Expr], line: u32, sink: &mut dyn Sink) -> Result<()> {
        let mut values = Vec::new();
        for arg in args {
            values.push(self.evaluate_any(arg)?.1);
        }
        let int = |at: usize| if let Some(Value::Int(int)) = values.get(at) { *int } else { 0 };
        let (number, text) = match &values[0] {
            Value::Text(text) => (50_000, text.clone()),
            Value::Int(number) => (
                i32::try_from(*number).unwrap_or(50_000),
                format!(
                    "Error {number}, severity {}, state {} was raised, but no message with that error number was found in sys.messages.",
                    int(1),
                    int(2)
                ),
            ),
            _ => (50_000, String::new()),
        };
        let mut error = SqlError::new(number, formatted(&text, &values[3..]))
            .severity(u8::try_from(int(1).clamp(0, 25)).unwrap_or(16))
            .state(u8::try_from(int(2).clamp(0, 255)).unwrap_or(1));
        error.line = line;
        if error.severity > 10 {
            return Err(error);
        }
        sink.message(&error);
        Ok(())
    }
}

/// A message with its `%s`, `%d` and `%i` filled in.
fn formatted(text: &str, args: &[Value]) -> String {
    let mut args = args.iter();
    let (mut result, mut letters) = (String::new(), text.chars().peekable());
    while let Some(letter) = letters.next() {
        if letter != '%' {
            result.push(letter);
            continue;
        }
        let mut kind = letters.next();
        while kind.is_some_and(|kind| kind.is_ascii_digit() || matches!(kind, '-' | '.' | '*' | 'l' | 'I')) {
            kind = letters.next();
        }
        match kind {
            Some('%') | None => result.push('%'),
            Some('s' | 'd' | 'i' | 'u' | 'x' | 'X' | 'o') => result.push_str(&match args.next() {
                Some(Value::Text(text)) => text.clone(),
                Some(Value::Int(int)) => int.to_string(),
                _ => "(null)".to_owned(),
            }),
            Some(other) => {
                result.push('%');
                result.push(other);
            }
        }
    }
    result
}
