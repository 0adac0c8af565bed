//! What PostgreSQL says when it fails, as one of our kinds: the only place where that is decided.
//!
//! DETAIL and CONTEXT quote rows, and some messages quote a value: none of that is passed on. Hence a server's error is
//! never chained as a cause; what may be said of it is put into the message.

use std::fmt::Write;

use std::sync::{Arc, Mutex, PoisonError};

use tokio_postgres::error::DbError;

use crate::error::{Error, Kind};
use crate::target::delsert::quote;
use crate::tls::{Fault, Keys};

/// What decides about TLS with the target.
const KEYS: Keys = Keys {
    host: "target.host",
    ca_file: "target.ca_file",
    unverified: "Or, where that is enough, set target.tls = \"require\", which encrypts without verifying",
    plain: "Have TLS set up at the server (ssl = on); or, only where the network is trusted, set target.tls = \"disable\"",
};

/// The server at the other end, as messages name it, and what it said when it closed the connection.
#[derive(Debug, Clone)]
pub struct Server {
    address: String,
    login: String,
    last_words: Arc<Mutex<Option<(Kind, String)>>>,
}

impl Server {
    /// A server by `host:port/database` and login.
    pub fn new(address: String, login: String) -> Self {
        Self { address, login, last_words: Arc::default() }
    }

    /// An error of a kind, naming the server.
    pub fn error(&self, kind: Kind, what: &str) -> Error {
        Error::new(kind, format!("PostgreSQL {} {what}", self.address)).advice(self.advice(kind))
    }

    /// Keeps why the connection ended, since those who wait for answers learn only that it did.
    pub fn closed_by(&self, error: &tokio_postgres::Error) {
        let (kind, said) = describe(error);
        *self.last_words.lock().unwrap_or_else(PoisonError::into_inner) = Some((kind, said));
    }

    /// What a failure is; `doing` completes "cannot …".
    pub fn failed(&self, doing: &str, error: &tokio_postgres::Error) -> Error {
        if let Some(fault) = tls_fault(error) {
            let message =
                format!("PostgreSQL {}: cannot {doing}: TLS fails, since the server {}", self.address, fault.what());
            return Error::new(Kind::TargetTls, message).advice(fault.advice(&KEYS));
        }
        let (mut kind, mut said) = describe(error);
        if error.is_closed()
            && let Some(last) = self.last_words.lock().unwrap_or_else(PoisonError::into_inner).clone()
        {
            (kind, said) = last;
        }
        let failed = Error::new(kind, format!("PostgreSQL {}: cannot {doing}: {said}", self.address));
        match error.code().map_or("", tokio_postgres::error::SqlState::code) {
            // A prepared statement is gone, or another's: no session is ours alone.
            "26000" | "42P05" => failed.advice("A pooler changes the server between transactions (PgBouncer with pool_mode = transaction): let target.host and target.port name the server itself, or a pool with pool_mode = session"),
            _ => failed.advice(self.advice(kind)),
        }
    }

    /// The same error with the statement that grants what was refused, if it was a right; it is given the login.
    pub fn granted_by(&self, error: Error, statement: impl FnOnce(&str) -> String) -> Error {
        if error.kind() != Kind::TargetRights {
            return error;
        }
        error.advice(format!("Let whoever may grant it: {}", statement(&quote(&self.login))))
    }

    /// The same error where a table of a schema was to be made, changed or used that should be the login's own.
    pub fn owned_by(&self, error: Error, schema: &str, table: &str) -> Error {
        let schema = quote(schema);
        self.granted_by(error, |login| {
            format!("GRANT USAGE, CREATE ON SCHEMA {schema} TO {login}; or, if the table is there and another's, ALTER TABLE {table} OWNER TO {login}")
        })
    }

    fn advice(&self, kind: Kind) -> String {
        match kind {
            Kind::TargetUnreachable => {
                "Check target.host and target.port, that the server runs and that the network lets us through; then run the task again".to_owned()
            }
            Kind::TargetLogin => format!(
                "Check target.user ('{}'), target.password, target.database and target.tls against the server's pg_hba.conf",
                self.login
            ),
            Kind::TargetRights => format!(
                "Grant '{}' what the message names; row-level security must not apply to it",
                self.login
            ),
            Kind::TargetBusy => "Run the task again; if it stays so, look in pg_locks and pg_stat_activity for who holds it up, and at the server's disk and memory".to_owned(),
            Kind::TargetShape => "Run 'delsert check', which makes what is missing and names what differs".to_owned(),
            Kind::TargetRefused => "Nothing was applied. The server's log holds the full message; target types are set by 'columns' in the table's [[table]] entry".to_owned(),
            _ => String::new(),
        }
    }
}

/// The kind of a failure, and what may be said of it.
fn describe(error: &tokio_postgres::Error) -> (Kind, String) {
    if let Some(refusal) = error.as_db_error() {
        return (kind_of(refusal.code().code()), said_by(refusal));
    }
    let text = error.to_string();
    let mut causes = Vec::new();
    let mut at = std::error::Error::source(error);
    while let Some(cause) = at {
        causes.push(cause.to_string());
        at = cause.source();
    }
    if causes.iter().any(|cause| cause == "password missing") {
        return (Kind::TargetLogin, "the server asks for a password, and target.password is not set".to_owned());
    }
    // The driver tells its own failures apart by their text alone.
    let kind = match text.split(' ').collect::<Vec<_>>()[..] {
        ["authentication", ..] => Kind::TargetLogin,
        ["invalid", "configuration"] => Kind::Config,
        ["error", "serializing" | "deserializing" | "encoding" | "parsing", ..]
        | ["unexpected" | "invalid" | "expected" | "query", ..] => Kind::Internal,
        _ => Kind::TargetUnreachable,
    };
    causes.insert(0, text);
    causes.dedup();
    (kind, causes.join(": "))
}

/// What is wrong in a failed handshake; `None` if that failed with the connection beneath.
fn tls_fault(error: &tokio_postgres::Error) -> Option<Fault> {
    if !error.to_string().starts_with("error performing TLS") {
        return None;
    }
    let cause = std::error::Error::source(error)?;
    match cause.downcast_ref::<std::io::Error>() {
        Some(io) => Some(Fault::in_text(&io.get_ref()?.downcast_ref::<rustls::Error>()?.to_string())),
        None if cause.to_string().contains("does not support TLS") => Some(Fault::Plain),
        None => Some(Fault::in_text(&cause.to_string())),
    }
}

/// The kind of an SQLSTATE.
pub fn kind_of(code: &str) -> Kind {
    match code {
        "25006" | "25P03" | "25P04" => return Kind::TargetUnreachable,
        "3D000" => return Kind::TargetLogin,
        "42501" => return Kind::TargetRights,
        "55P03" | "55006" | "57014" => return Kind::TargetBusy,
        "3F000" | "42P01" | "42P07" | "42P10" | "42701" | "42703" | "42710" | "42804" | "42809" => {
            return Kind::TargetShape;
        }
        _ => {}
    }
    match code.get(..2) {
        Some("08" | "57") => Kind::TargetUnreachable,
        Some("28") => Kind::TargetLogin,
        Some("40" | "53" | "58") => Kind::TargetBusy,
        _ => Kind::TargetRefused,
    }
}

/// What the server said, without values: its message, the objects it names, its code.
fn said_by(refusal: &DbError) -> String {
    let code = refusal.code().code();
    let mut said = match code.get(..2) {
        Some("22") => without_values(refusal.message()),
        // Raised by somebody's trigger or function: may hold anything.
        Some("P0") => "a trigger or function raised an error".to_owned(),
        _ => refusal.message().to_owned(),
    };
    for (what, name) in [("column", refusal.column()), ("constraint", refusal.constraint())] {
        if let Some(name) = name.filter(|name| !said.contains(*name)) {
            let _ = write!(said, ", {what} \"{name}\"");
        }
    }
    format!("{said} (SQLSTATE {code})")
}

/// A message about data, with what it quotes left out: text in double quotes, and bytes.
fn without_values(message: &str) -> String {
    let message = message.split(": 0x").next().unwrap_or_default();
    let (Some(open), Some(close)) = (message.find('"'), message.rfind('"')) else { return message.to_owned() };
    // From the first quote to the last: a value may hold quotes itself.
    let close = close.max(open + 1).min(message.len());
    format!("{}\"…\"{}", &message[..open], message.get(close + 1..).unwrap_or_default())
}

/// The line of a part, and the column if it is one of `columns`, at which COPY failed.
pub fn copy_place(error: &tokio_postgres::Error, staging: &str, columns: &[&str]) -> Option<String> {
    let context = error.as_db_error()?.where_()?;
    place_in(context, staging, columns)
}

fn place_in(context: &str, staging: &str, columns: &[&str]) -> Option<String> {
    let rest = context.strip_prefix("COPY ")?.strip_prefix(staging)?.strip_prefix(", line ")?;
    let digits = rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(rest.len());
    let (line, rest) = rest.split_at(digits);
    let at_column = |column: &&&str| {
        let after = rest.strip_prefix(", column ").and_then(|rest| rest.strip_prefix(**column));
        after.is_some_and(|after| after.is_empty() || after.starts_with(':'))
    };
    Some(match columns.iter().filter(at_column).max_by_key(|column| column.len()) {
        Some(column) => format!("line {line}, column '{column}'"),
        None => format!("line {line}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retry::{Disposition, table};

    #[test]
    fn every_sqlstate_has_its_kind() {
        for (codes, kind) in [
            (&["28P01", "28000", "3D000"][..], Kind::TargetLogin),
            (&["42501"], Kind::TargetRights),
            (&["55P03", "40001", "40P01", "53300", "53100", "57014"], Kind::TargetBusy),
            (&["57P01", "57P02", "57P03", "08006", "25P03"], Kind::TargetUnreachable),
            (&["22001", "23505", "23502", "P0001", "54000", "42601", "42704", "XX000", ""], Kind::TargetRefused),
            (&["42P01", "42703", "42804", "3F000"], Kind::TargetShape),
        ] {
            for code in codes {
                assert_eq!(kind_of(code), kind, "{code}");
            }
        }
        assert_eq!(table(kind_of("57P01")), Disposition::Retry);
        assert_eq!(table(kind_of("23505")), Disposition::Person);
    }

    #[test]
    fn values_are_left_out() {
        for (message, expected) in [
            ("invalid input syntax for type integer: \"4111-1111\"", "invalid input syntax for type integer: \"…\""),
            ("value \"a\"b\" is out of range for type integer", "value \"…\" is out of range for type integer"),
            ("invalid byte sequence for encoding \"UTF8\": 0xe9 0x20", "invalid byte sequence for encoding \"…\""),
            ("value too long for type character varying(5)", "value too long for type character varying(5)"),
            ("lone \"", "lone \"…\""),
        ] {
            assert_eq!(without_values(message), expected);
        }
    }

    #[test]
    fn the_place_in_a_copy_is_told_without_its_value() {
        let columns = ["qty", "qty: x", "note"];
        for (context, expected) in [
            ("COPY stage_a, line 12, column qty: \"secret\"", Some("line 12, column 'qty'")),
            ("COPY stage_a, line 7, column qty: x: \"s\"", Some("line 7, column 'qty: x'")),
            ("COPY stage_a, line 3: \"u,secret\"", Some("line 3")),
            ("COPY stage_a, line 3, column secret", Some("line 3")),
            ("SQL statement", None),
        ] {
            assert_eq!(place_in(context, "stage_a", &columns).as_deref(), expected, "{context}");
        }
    }
}
