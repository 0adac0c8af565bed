//! What a server says when it fails, as one of our kinds.
//!
//! DETAIL and CONTEXT quote rows, and some messages quote a value: none of that is passed on. Hence a server's error is
//! never chained as a cause; what may be said of it is put into the message.

use std::fmt::Write;

use std::sync::{Arc, Mutex, PoisonError};

use tokio_postgres::error::DbError;

use crate::error::{Error, Kind};
use crate::target::delsert::quote;
use crate::tls::{Fault, Keys};

/// What servers of a kind have in common.
#[derive(Debug)]
pub struct Product {
    /// Name, as messages give it.
    pub name: &'static str,
    /// What decides about TLS with it.
    pub keys: Keys,
    /// The kind of an SQLSTATE that comes with a message.
    pub kind: fn(&str, &str) -> Kind,
    /// The way out, by kind and login.
    pub advice: fn(Kind, &str) -> String,
    /// The way out that an SQLSTATE alone tells.
    pub advice_on: fn(&str) -> Option<&'static str>,
}

/// The server at the other end, as messages name it, and what it said when it closed the connection.
#[derive(Debug, Clone)]
pub struct Server {
    product: &'static Product,
    address: String,
    login: String,
    last_words: Arc<Mutex<Option<(Kind, String)>>>,
}

impl Server {
    /// A server of a kind by `host:port/database` and login.
    pub fn new(product: &'static Product, address: String, login: String) -> Self {
        Self { product, address, login, last_words: Arc::default() }
    }

    /// The login.
    pub fn login(&self) -> &str {
        &self.login
    }

    /// An error of a kind, naming the server.
    pub fn error(&self, kind: Kind, what: &str) -> Error {
        Error::new(kind, format!("{} {} {what}", self.product.name, self.address)).advice(self.advice(kind))
    }

    /// Keeps why the connection ended, since those who wait for answers learn only that it did.
    pub fn closed_by(&self, error: &tokio_postgres::Error) {
        let (kind, said) = self.describe(error);
        *self.last_words.lock().unwrap_or_else(PoisonError::into_inner) = Some((kind, said));
    }

    /// What a failure is; `doing` completes "cannot …".
    pub fn failed(&self, doing: &str, error: &tokio_postgres::Error) -> Error {
        if let Some(fault) = tls_fault(error) {
            let message = format!("{self}: cannot {doing}: TLS fails, since the server {}", fault.what());
            return Error::new(Kind::TargetTls, message).advice(fault.advice(&self.product.keys));
        }
        let (mut kind, mut said) = self.describe(error);
        if error.is_closed()
            && let Some(last) = self.last_words.lock().unwrap_or_else(PoisonError::into_inner).clone()
        {
            (kind, said) = last;
        }
        let advised = error.code().and_then(|code| (self.product.advice_on)(code.code()));
        Error::new(kind, format!("{self}: cannot {doing}: {said}"))
            .advice(advised.map_or_else(|| self.advice(kind), str::to_owned))
    }

    /// What a failed COMMIT is, which may have happened unless the server said otherwise.
    pub fn not_committed(&self, error: &tokio_postgres::Error) -> Error {
        let failed = self.failed("commit", error);
        if error.code().is_some() && failed.kind() != Kind::TargetUnreachable {
            return failed;
        }
        Error::new(
            Kind::TargetUnreachable,
            "the connection to the target broke during COMMIT, which may or may not have happened",
        )
        .because(failed)
        .advice("Run the task again: the next load finds out by the watermark")
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
        (self.product.advice)(kind, &self.login)
    }

    /// The kind of a failure, and what may be said of it.
    fn describe(&self, error: &tokio_postgres::Error) -> (Kind, String) {
        if let Some(refusal) = error.as_db_error() {
            return ((self.product.kind)(refusal.code().code(), refusal.message()), said_by(refusal));
        }
        of_driver(error)
    }
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.product.name, self.address)
    }
}

/// The kind of what failed on this side or in between, and what may be said of it.
fn of_driver(error: &tokio_postgres::Error) -> (Kind, String) {
    let text = error.to_string();
    let mut causes = Vec::new();
    let mut at = std::error::Error::source(error);
    while let Some(cause) = at {
        causes.push(cause.to_string());
        at = cause.source();
    }
    if causes.iter().any(|cause| cause.contains("unknown authentication tag")) {
        return (
            Kind::TargetLogin,
            "the server asks for a password in a form of its own that delsert does not have".to_owned(),
        );
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

/// The routine of the server that raises what a PL/pgSQL function says, under any SQLSTATE.
const RAISE: &str = "exec_stmt_raise";

/// What the server said, without values: its message, the objects it names, its code.
pub fn said_by(refusal: &DbError) -> String {
    let code = refusal.code().code();
    let mut said = told(code, refusal.routine(), refusal.message());
    for (what, name) in [("column", refusal.column()), ("constraint", refusal.constraint())] {
        if let Some(name) = name.filter(|name| !said.contains(*name)) {
            let _ = write!(said, ", {what} \"{name}\"");
        }
    }
    format!("{said} (SQLSTATE {code})")
}

/// A message as far as it can hold no value.
fn told(code: &str, routine: Option<&str>, message: &str) -> String {
    match code.get(..2) {
        // Raised by somebody's trigger or function: may hold anything.
        class if class == Some("P0") || routine == Some(RAISE) => "a trigger or function raised an error".to_owned(),
        Some("22") => {
            let told = without_values(message);
            // Of other languages the quotes are not known.
            let is_english = told.chars().all(|letter| matches!(letter, ' '..='~' | '…') && !"'`<>".contains(letter));
            if is_english { told } else { meaning(code).to_owned() }
        }
        _ => message.to_owned(),
    }
}

/// What an SQLSTATE about data means, in the words of the standard.
fn meaning(code: &str) -> &'static str {
    match code {
        "22001" => "string data, right truncation",
        "22003" => "numeric value out of range",
        "22007" => "invalid datetime format",
        "22008" => "datetime field overflow",
        "22012" => "division by zero",
        "22021" => "character not in repertoire",
        "22023" => "invalid parameter value",
        "22P02" => "invalid text representation",
        "22P03" => "invalid binary representation",
        "22P04" => "bad copy file format",
        "22P05" => "untranslatable character",
        _ => "data exception",
    }
}

/// A message about data, with what it quotes left out: text in double quotes, and bytes.
fn without_values(message: &str) -> String {
    let message = message.split(": 0x").next().unwrap_or_default();
    let (Some(open), Some(close)) = (message.find('"'), message.rfind('"')) else { return message.to_owned() };
    // From the first quote to the last: a value may hold quotes itself.
    let close = close.max(open + 1).min(message.len());
    format!("{}\"…\"{}", &message[..open], message.get(close + 1..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(told("22P02", None, message), expected);
        }
    }

    #[test]
    fn a_message_of_another_language_or_of_a_trigger_is_not_passed_on() {
        for (code, routine, message, expected) in [
            ("22P02", None, "ungültige Eingabesyntax für Typ integer: »4111-1111«", "invalid text representation"),
            ("22P02", None, "invalid input: »4111-1111«", "invalid text representation"),
            ("22007", None, "syntaxe invalide : « 4111-1111 »", "invalid datetime format"),
            ("22003", None, "Wert „4111-1111“ ist zu gross", "numeric value out of range"),
            ("22003", None, "Wert „4111-1111\" ist zu gross", "numeric value out of range"),
            ("22P02", None, "valor '4111-1111'", "invalid text representation"),
            ("22999", None, "値「4111-1111」", "data exception"),
            ("23514", Some("exec_stmt_raise"), "card 4111-1111", "a trigger or function raised an error"),
            ("22023", Some("exec_stmt_raise"), "card 4111-1111", "a trigger or function raised an error"),
            ("P0001", None, "card 4111-1111", "a trigger or function raised an error"),
            ("23514", Some("ExecConstraints"), "neue Zeile für »t«", "neue Zeile für »t«"),
        ] {
            assert_eq!(told(code, routine, message), expected, "{message}");
        }
    }
}
