//! What Amazon Redshift says when it fails, as one of our kinds: the only place where that is decided.
//!
//! Its own numbers stand at the beginning of the message, under the SQLSTATE XX000 of an internal error.

use crate::error::Kind;
use crate::target::pgwire::failure::Product;
use crate::tls::Keys;

/// Amazon Redshift.
pub static REDSHIFT: Product = Product {
    name: "Amazon Redshift",
    keys: Keys {
        host: "target.host",
        ca_file: "target.ca_file",
        unverified: "Or, where that is enough, set target.tls = \"require\", which encrypts without verifying",
        plain: "Name the cluster's or workgroup's own endpoint in target.host: it speaks TLS; or, only where the network is trusted, set target.tls = \"disable\"",
    },
    kind: kind_of,
    advice,
    advice_on: |_| None,
};

fn advice(kind: Kind, login: &str) -> String {
    match kind {
        Kind::TargetUnreachable => "Check target.host and target.port (5439), that the cluster is not paused and that its security group and the network let us through; then run the task again".to_owned(),
        Kind::TargetLogin => format!("Check target.user ('{login}'), target.password and target.database. A password that is stored as SHA-256 cannot be given by this way in: set it anew as its MD5, by ALTER USER … PASSWORD 'md5…'"),
        Kind::TargetRights => format!("Grant '{login}' what the message names"),
        Kind::TargetBusy => "Run the task again; if it stays so, look in svv_transactions for who holds the table's lock, and at the queue of the cluster's workload management".to_owned(),
        Kind::TargetConflict => "Run the task again; if it stays so, something else writes the same tables: nothing but delsert should".to_owned(),
        Kind::TargetShape => "Run 'delsert check', which makes what is missing and names what differs".to_owned(),
        Kind::TargetRefused => "Nothing was applied. SYS_QUERY_HISTORY holds the full message; target types are set by 'columns' in the table's [[table]] entry".to_owned(),
        _ => String::new(),
    }
}

/// The kind of an SQLSTATE that comes with a message.
pub fn kind_of(code: &str, message: &str) -> Kind {
    if is_conflict(message) {
        return Kind::TargetConflict;
    }
    match code {
        "3D000" => return Kind::TargetLogin,
        "42501" => return Kind::TargetRights,
        "55P03" | "55006" | "57014" => return Kind::TargetBusy,
        "3F000" | "42P01" | "42P06" | "42P07" | "42701" | "42703" | "42804" | "42809" => return Kind::TargetShape,
        _ => {}
    }
    match code.get(..2) {
        Some("08" | "57") => Kind::TargetUnreachable,
        Some("28") => Kind::TargetLogin,
        Some("40") => Kind::TargetConflict,
        Some("53" | "58") => Kind::TargetBusy,
        _ => Kind::TargetRefused,
    }
}

/// "Managing concurrent write operations": 1023, another transaction's write came between; 1018, a table was made or
/// dropped after this transaction began. All of it is then run again.
fn is_conflict(message: &str) -> bool {
    let number = message.trim_start().split(|letter: char| !letter.is_ascii_digit()).next().unwrap_or_default();
    matches!(number, "1023" | "1018") || message.contains("Serializable isolation violation")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retry::{Disposition, table};

    #[test]
    fn every_failure_has_its_kind() {
        for (code, message, kind) in [
            ("XX000", "1023", Kind::TargetConflict),
            ("XX000", "1018 DETAIL: Relation does not exist.", Kind::TargetConflict),
            ("XX000", "Serializable isolation violation on table - 100638", Kind::TargetConflict),
            ("XX000", "10231", Kind::TargetRefused),
            ("40001", "could not serialize", Kind::TargetConflict),
            ("28000", "password authentication failed", Kind::TargetLogin),
            ("3D000", "database \"x\" does not exist", Kind::TargetLogin),
            ("42501", "permission denied", Kind::TargetRights),
            ("57014", "Query cancelled on user's request", Kind::TargetBusy),
            ("57P01", "terminating connection", Kind::TargetUnreachable),
            ("42P01", "relation \"x\" does not exist", Kind::TargetShape),
            ("22001", "value too long", Kind::TargetRefused),
        ] {
            assert_eq!(kind_of(code, message), kind, "{code} {message}");
        }
        assert_eq!(table(Kind::TargetConflict), Disposition::Retry);
    }
}
