//! What PostgreSQL says when it fails, as one of our kinds: the only place where that is decided.

use crate::error::Kind;
use crate::target::pgwire::failure::Product;
use crate::tls::Keys;

/// PostgreSQL.
pub static POSTGRESQL: Product = Product {
    name: "PostgreSQL",
    keys: Keys {
        host: "target.host",
        ca_file: "target.ca_file",
        unverified: "Or, where that is enough, set target.tls = \"require\", which encrypts without verifying",
        plain: "Have TLS set up at the server (ssl = on); or, only where the network is trusted, set target.tls = \"disable\"",
    },
    kind: |code, _| kind_of(code),
    advice,
    advice_on,
};

/// The way out where nothing can be written.
pub(super) const PRIMARY: &str =
    "Name the primary in target.host and target.port, or run the task again once this server has become it";

fn advice_on(code: &str) -> Option<&'static str> {
    match code {
        "25006" => Some(PRIMARY),
        // A prepared statement is gone, or another's: no session is ours alone.
        "26000" | "42P05" => Some(
            "A pooler changes the server between transactions (PgBouncer with pool_mode = transaction): let target.host and target.port name the server itself, or a pool with pool_mode = session",
        ),
        _ => None,
    }
}

fn advice(kind: Kind, login: &str) -> String {
    match kind {
            Kind::TargetUnreachable => {
                "Check target.host and target.port, that the server runs and that the network lets us through; then run the task again".to_owned()
            }
            Kind::TargetLogin => format!(
                "Check target.user ('{login}'), target.password, target.database and target.tls against the server's pg_hba.conf"),
            Kind::TargetRights => format!(
                "Grant '{login}' what the message names; row-level security must not apply to it"),
            Kind::TargetBusy => "Run the task again; if it stays so, look in pg_locks and pg_stat_activity for who holds it up, and at the server's disk and memory".to_owned(),
            Kind::TargetShape => "Run 'delsert check', which makes what is missing and names what differs".to_owned(),
            Kind::TargetRefused => "Nothing was applied. The server's log holds the full message; target types are set by 'columns' in the table's [[table]] entry".to_owned(),
            _ => String::new(),
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
