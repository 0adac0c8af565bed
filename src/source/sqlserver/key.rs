//! What identifies a row of a table: chosen, or refused with the choices.
//!
//! The target compares keys to the last bit, and changes are told apart by their keys' bytes, so that keys which differ
//! by their spelling alone are no trouble. What is: a key that lets two rows be one at the target.

use super::sql;
use super::types::Described;
use crate::config::literal;
use crate::error::{Error, Kind};
use crate::source::same_name;
use crate::table::{Column, ColumnType, Table, TableName};

/// An index that lets no two rows be equal in its columns.
#[derive(Debug, Clone, Default)]
pub struct Unique {
    /// Name.
    pub name: String,
    /// Whether it is the primary key's.
    pub primary: bool,
    /// Names of its columns, in key order.
    pub columns: Vec<String>,
}

/// Names that the change table keeps for itself.
const RESERVED: [&str; 6] =
    ["__$start_lsn", "__$end_lsn", "__$seqval", "__$operation", "__$update_mask", "__$command_id"];

/// A table as the catalogue has it.
pub struct Known<'a> {
    /// All its columns.
    pub described: &'a [Described],
    /// Those that can flow.
    pub columns: &'a [Column],
    /// Its unique indexes.
    pub uniques: &'a [Unique],
}

impl Known<'_> {
    /// The key of a table that no instance captures yet: the primary key, or, where that cannot be used, the unique index
    /// of the fewest columns, and of those the one of the fewest bytes.
    pub fn key(&self) -> Vec<String> {
        let primary = self.uniques.iter().find(|unique| unique.primary);
        let usable = |unique: &&Unique| self.fault(&unique.columns).is_none();
        let holds = |unique: &&Unique| usable(unique) && !self.has_seventh_digit(&unique.columns);
        let bytes = |unique: &Unique| unique.columns.iter().map(|column| self.bytes(column)).sum::<i64>();
        let narrowest = |of: &dyn Fn(&&Unique) -> bool| {
            let some = self.uniques.iter().filter(|unique| of(unique));
            some.min_by_key(|unique| (unique.columns.len(), bytes(unique), unique.name.clone()))
        };
        let whole = || primary.filter(holds).or_else(|| narrowest(&holds));
        let chosen = whole().or_else(|| primary.filter(usable)).or_else(|| narrowest(&usable)).or(primary);
        chosen.map(|unique| unique.columns.clone()).unwrap_or_default()
    }

    fn bytes(&self, column: &str) -> i64 {
        self.described.iter().find(|known| known.name == column).map_or(0, |known| known.max_length)
    }

    /// The index that says so where the key is not the primary one.
    pub fn index(&self, key: &[String]) -> Option<String> {
        let of_key = || self.uniques.iter().filter(|unique| unique.columns == key);
        if of_key().any(|unique| unique.primary) {
            return None;
        }
        of_key().map(|unique| unique.name.clone()).next()
    }

    /// Whether a column has a digit of a second that only text holds: a value that uses it is refused when it comes.
    fn has_seventh_digit(&self, key: &[String]) -> bool {
        use ColumnType::{Time, Timestamp, TimestampTz};
        let is_one = |column: &&Column| {
            matches!(column.column_type, Time { digits: 7 } | Timestamp { digits: 7 } | TimestampTz { digits: 7 })
        };
        self.columns.iter().filter(is_one).any(|column| key.contains(&column.name))
    }

    /// Why columns cannot identify a row at the target.
    fn fault(&self, key: &[String]) -> Option<String> {
        for name in key {
            if let Some(known) = self.described.iter().find(|known| known.name == *name && known.nullable) {
                return Some(format!("column '{}' may be NULL", known.name));
            }
            let Some(column) = self.columns.iter().find(|column| column.name == *name) else {
                return Some(format!("column '{name}' is excluded, computed or of a type that cannot be carried"));
            };
            if column.source_type == "sql_variant" {
                return Some(format!(
                    "column '{name}' is sql_variant, and values of two types may be one as text: two rows could become one"
                ));
            }
        }
        let unique = |unique: &Unique| unique.columns.iter().all(|column| key.contains(column));
        (!self.uniques.iter().any(unique)).then(|| {
            format!("no unique index, enabled and without a filter, lies within its columns ({})", key.join(", "))
        })
    }

    /// Why a table cannot be synced.
    pub fn block(&self, table: &Table, is_excluded: &impl Fn(&str) -> bool) -> Option<Error> {
        let name = &table.name;
        let no_key = |message: String| Error::new(Kind::NoKey, message).advice(self.choices(name)).on(name);
        if table.key.is_empty() {
            let rejected = self.uniques.iter().filter_map(|unique| {
                let fault = self.fault(&unique.columns)?;
                Some(format!("; index '{}' is none: {fault}", unique.name))
            });
            let rejected = rejected.collect::<String>();
            return Some(no_key(format!("has no key that identifies a row{rejected}")));
        }
        if let Some(column) = table.key.iter().find(|key| is_excluded(key)) {
            let message = format!("column '{column}' is part of the key and in exclude_columns");
            return Some(Error::new(Kind::Config, message).advice("Take it out of exclude_columns").on(name));
        }
        if let Some(fault) = self.fault(&table.key) {
            return Some(no_key(format!("its key is ({}), but {fault}", table.key.join(", "))));
        }
        let reserved = |column: &&Column| RESERVED.iter().any(|reserved| same_name(true, reserved, &column.name));
        table.columns.iter().find(reserved).map(|column| {
            let message = format!("column '{}' has a name that change data capture keeps for itself", column.name);
            let line = format!("exclude_columns = [{}]", literal(&column.name));
            let advice = format!("Rename it at the source, or leave it out in the table's [[table]] entry: {line}");
            Error::new(Kind::NameClash, message).advice(advice).on(name)
        })
    }

    /// What a person may do about a table without a key, as statements.
    fn choices(&self, name: &TableName) -> String {
        let table = sql::table(name);
        let (mut number, mut has_primary) = ("RowNumber".to_owned(), false);
        while self.described.iter().any(|known| same_name(true, &known.name, &number)) {
            number.push('_');
        }
        for unique in self.uniques {
            has_primary |= unique.primary;
        }
        let (add, way) = if has_primary {
            ("UNIQUE", "Let a unique index identify its rows")
        } else {
            ("PRIMARY KEY", "Give it a primary key")
        };
        format!(
            "{way}, on NOT NULL columns of plain types that are unique together or on a new number: ALTER TABLE {table} ADD {} bigint IDENTITY NOT NULL {add}; or name such an index to the capture: EXEC sys.sp_cdc_enable_table @source_schema = {}, @source_name = {}, @role_name = NULL, @supports_net_changes = 0, @index_name = N'<index>'; or leave the table out: exclude = [{}]",
            sql::name(&number),
            sql::literal(&name.schema),
            sql::literal(&name.name),
            literal(&name.to_string())
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(text: &str) -> Described {
        let (name, base) = text.split_once(' ').unwrap();
        let (base, nullable) = base.strip_suffix('?').map_or((base, false), |base| (base, true));
        let max_length = match base {
            "bigint" => 8,
            "nvarchar" => 20,
            _ => 4,
        };
        let (name, base) = (name.to_owned(), base.to_owned());
        Described { name, base, max_length, scale: 7, nullable, ..Described::default() }
    }

    fn key(columns: &[&str], uniques: &[(&str, &[&str])]) -> (Vec<String>, Option<String>, Option<String>) {
        let described: Vec<_> = columns.iter().map(|text| described(text)).collect();
        let columns: Vec<_> = described.iter().filter_map(Described::column).collect();
        let unique = |(name, columns): &(&str, &[&str])| Unique {
            name: (*name).to_owned(),
            primary: *name == "PK",
            columns: columns.iter().map(|&column| column.to_owned()).collect(),
        };
        let uniques: Vec<_> = uniques.iter().map(unique).collect();
        let known = Known { described: &described, columns: &columns, uniques: &uniques };
        let key = known.key();
        let table = Table { name: TableName::new("dbo", "T"), key: key.clone(), columns: columns.clone() };
        let error = known.block(&table, &|column: &str| column == "excluded");
        (key.clone(), known.index(&key), error.map(|error| error.to_string()))
    }

    #[test]
    fn the_primary_key_comes_first_and_then_the_narrowest_index() {
        let columns = ["id int", "big bigint", "text nvarchar", "at datetime2", "maybe int?", "any sql_variant"];
        for (uniques, expected, index) in [
            (&[("PK", &["id"][..]), ("U", &["big"])][..], &["id"][..], None),
            (&[("PK", &["at"]), ("U", &["big"])], &["big"], Some("U")),
            (&[("PK", &["at"]), ("U", &["maybe"])], &["at"], None),
            (&[("U2", &["id", "big"]), ("U1", &["text"])], &["text"], Some("U1")),
            (&[("U2", &["big"]), ("U1", &["id"]), ("U3", &["text"])], &["id"], Some("U1")),
            (&[("U2", &["maybe"]), ("U1", &["any"]), ("U3", &["big", "id"])], &["big", "id"], Some("U3")),
        ] {
            let (key, found, error) = key(&columns, uniques);
            assert_eq!(
                (key.iter().map(String::as_str).collect::<Vec<_>>(), found.as_deref()),
                (expected.to_vec(), index)
            );
            assert_eq!(error, None);
        }
    }

    #[test]
    fn what_is_no_key_is_told_with_the_choices() {
        let columns =
            ["id int", "RowNumber int", "at datetime2", "maybe int?", "any sql_variant", "excluded int", "odd cursor"];
        for (uniques, part) in [
            (&[][..], "has no key that identifies a row. Give it a primary key"),
            (&[("U", &["maybe"][..])], "index 'U' is none: column 'maybe' may be NULL"),
            (&[("PK", &["any"])], "'any' is sql_variant"),
            (&[("PK", &["id", "odd"])], "'odd' is excluded, computed or of a type"),
            (&[("PK", &["excluded"])], "'excluded' is part of the key and in exclude_columns"),
        ] {
            let (.., error) = key(&columns, uniques);
            let error = error.unwrap_or_default();
            assert!(error.contains(part), "{part} is not in {error}");
            let choices = ["ADD [RowNumber_] bigint IDENTITY NOT NULL", "exclude = [\"dbo.T\"]", "@index_name"];
            let refused = part.contains("exclude_columns");
            assert!(refused || choices.iter().all(|choice| error.contains(choice)), "{error}");
        }
        let (.., error) = key(&["id int", "__$Operation int"], &[("PK", &["id"])]);
        assert!(error.is_some_and(|error| error.contains("exclude_columns = [\"__$Operation\"]")));
    }

    #[test]
    fn a_key_that_no_index_vouches_for_is_refused() {
        let described = [described("id int"), described("line int")];
        let columns: Vec<_> = described.iter().filter_map(Described::column).collect();
        let uniques = [Unique { name: "U".to_owned(), primary: false, columns: vec!["id".to_owned()] }];
        let known = Known { described: &described, columns: &columns, uniques: &uniques };
        assert_eq!(known.fault(&["line".to_owned(), "id".to_owned()]), None);
        assert!(known.fault(&["line".to_owned()]).is_some_and(|fault| fault.contains("no unique index")));
    }
}
