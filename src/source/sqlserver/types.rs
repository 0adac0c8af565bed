//! SQL Server's types: what a column of each holds, how it is read, and how a key value is given back to the server.

use crate::table::{Column, ColumnType};

/// A column as the catalogue describes it.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "the catalogue has that many bit columns")]
pub struct Described {
    /// Name.
    pub name: String,
    /// Type's name: a base type, or a CLR type.
    pub base: String,
    /// Bytes; −1 for `(max)`.
    pub max_length: i64,
    /// Digits.
    pub precision: u8,
    /// Digits after the point, or of a second.
    pub scale: u8,
    /// Collation; empty if none.
    pub collation: String,
    /// Whether NULL is allowed.
    pub nullable: bool,
    /// Whether it is computed.
    pub computed: bool,
    /// Whether it shows the sparse columns of its table, and holds nothing itself.
    pub column_set: bool,
    /// Whether clients encrypt it, so that nobody here can read it.
    pub encrypted: bool,
}

impl Described {
    /// The column as it flows; `None` for a type that cannot.
    pub fn column(&self) -> Option<Column> {
        let column_type = self.column_type().filter(|_| !self.encrypted && !self.column_set)?;
        Some(Column {
            name: self.name.clone(),
            source_type: self.source_type(),
            column_type,
            nullable: self.nullable,
            collation: Some(self.collation.clone()).filter(|collation| !collation.is_empty()),
        })
    }

    fn column_type(&self) -> Option<ColumnType> {
        let bounded = |per_char: i64| {
            u32::try_from(self.max_length).ok().map(|bytes| bytes / u32::try_from(per_char).unwrap_or(1))
        };
        let utf8 = self.collation.ends_with("_UTF8");
        Some(match self.base.as_str() {
            "bit" => ColumnType::Boolean,
            "tinyint" | "smallint" => ColumnType::Integer { bytes: 2 },
            "int" => ColumnType::Integer { bytes: 4 },
            "bigint" => ColumnType::Integer { bytes: 8 },
            "decimal" | "numeric" => ColumnType::Decimal { precision: self.precision, scale: self.scale },
            "money" => ColumnType::Decimal { precision: 19, scale: 4 },
            "smallmoney" => ColumnType::Decimal { precision: 10, scale: 4 },
            "real" => ColumnType::Float { bytes: 4 },
            // float(1..24) is stored and named as real or as float of length 4.
            "float" => ColumnType::Float { bytes: if self.max_length == 4 { 4 } else { 8 } },
            "date" => ColumnType::Date,
            "time" => ColumnType::Time { digits: self.scale },
            "smalldatetime" => ColumnType::Timestamp { digits: 0 },
            "datetime" => ColumnType::Timestamp { digits: 3 },
            "datetime2" => ColumnType::Timestamp { digits: self.scale },
            "datetimeoffset" => ColumnType::TimestampTz { digits: self.scale },
            "char" | "varchar" => {
                let max_bytes = bounded(1).map(|bytes| if utf8 { bytes } else { bytes * 3 });
                ColumnType::Text { max_chars: bounded(1), max_bytes }
            }
            "nchar" | "nvarchar" => {
                ColumnType::Text { max_chars: bounded(2), max_bytes: bounded(2).map(|units| units * 3) }
            }
            "text" | "ntext" | "xml" | "sql_variant" | "vector" => {
                ColumnType::Text { max_chars: None, max_bytes: None }
            }
            "binary" | "varbinary" => ColumnType::Binary { max_bytes: bounded(1) },
            "image" | "geometry" | "geography" => ColumnType::Binary { max_bytes: None },
            "hierarchyid" => ColumnType::Binary { max_bytes: Some(892) },
            "timestamp" => ColumnType::Binary { max_bytes: Some(8) },
            "uniqueidentifier" => ColumnType::Uuid,
            "json" => ColumnType::Json,
            _ => return None,
        })
    }

    /// The type as DDL would write it.
    fn source_type(&self) -> String {
        let length = |per_char: i64| match self.max_length {
            -1 => "max".to_owned(),
            bytes => (bytes / per_char).to_string(),
        };
        match self.base.as_str() {
            "decimal" | "numeric" => format!("{}({},{})", self.base, self.precision, self.scale),
            "time" | "datetime2" | "datetimeoffset" => format!("{}({})", self.base, self.scale),
            "char" | "varchar" | "binary" | "varbinary" => format!("{}({})", self.base, length(1)),
            "nchar" | "nvarchar" => format!("{}({})", self.base, length(2)),
            "float" => (if self.max_length == 4 { "real" } else { "float" }).to_owned(),
            other => other.to_owned(),
        }
    }
}

/// The type's name without its facets.
fn base(source_type: &str) -> &str {
    source_type.split('(').next().unwrap_or(source_type)
}

/// The expression that reads a column, `{}` standing for it: casts where the driver would lose digits, decode by a code
/// page, or fail. Texts that may hold unpaired surrogates come as their bytes.
pub fn reading(column: &Column) -> String {
    let expression = match base(&column.source_type) {
        "money" => "CAST({} AS decimal(19,4))",
        "smallmoney" => "CAST({} AS decimal(10,4))",
        "char" | "varchar" => match column.column_type {
            ColumnType::Text { max_chars: Some(1..=4000), .. } => "CAST({} AS nvarchar(4000))",
            _ => "CAST({} AS nvarchar(max))",
        },
        "nchar" | "nvarchar" => match column.column_type {
            // History may still hold a varchar, whose bytes are others.
            ColumnType::Text { max_chars: Some(1..=4000), .. } => "CAST(CAST({} AS nvarchar(4000)) AS varbinary(8000))",
            _ => "CAST(CAST({} AS nvarchar(max)) AS varbinary(max))",
        },
        "ntext" => "CAST(CAST({} AS nvarchar(max)) AS varbinary(max))",
        "text" | "xml" | "json" | "vector" => "CAST({} AS nvarchar(max))",
        "sql_variant" => return format!("CAST({VARIANT} AS varbinary(max))"),
        "image" | "geometry" | "geography" => "CAST({} AS varbinary(max))",
        "hierarchyid" => "CAST({} AS varbinary(892))",
        "timestamp" => "CAST({} AS binary(8))",
        _ => "{}",
    };
    expression.to_owned()
}

/// A `sql_variant` as the text that keeps all of its value: a plain cast keeps six digits of a float, two of a money, the
/// minute of a datetime, and takes bytes for characters. Styles: CAST and CONVERT, "float and real styles" (3: 17 digits),
/// "money styles" (2: four digits), "date and time styles" (121: ODBC canonical), "binary styles" (1: hexadecimal).
const VARIANT: &str = "CASE CAST(SQL_VARIANT_PROPERTY({}, 'BaseType') AS nvarchar(128)) \
     WHEN N'float' THEN CONVERT(nvarchar(max), CAST({} AS float), 3) \
     WHEN N'real' THEN CONVERT(nvarchar(max), CAST({} AS real), 3) \
     WHEN N'money' THEN CONVERT(nvarchar(max), CAST({} AS money), 2) \
     WHEN N'smallmoney' THEN CONVERT(nvarchar(max), CAST({} AS money), 2) \
     WHEN N'datetime' THEN CONVERT(nvarchar(max), CAST({} AS datetime), 121) \
     WHEN N'smalldatetime' THEN CONVERT(nvarchar(max), CAST({} AS datetime), 121) \
     WHEN N'binary' THEN CONVERT(nvarchar(max), CAST({} AS varbinary(8000)), 1) \
     WHEN N'varbinary' THEN CONVERT(nvarchar(max), CAST({} AS varbinary(8000)), 1) \
     ELSE CAST({} AS nvarchar(max)) END";

fn chars(column: &Column) -> String {
    match column.column_type {
        ColumnType::Text { max_chars: Some(chars), .. } => chars.to_string(),
        _ => "max".to_owned(),
    }
}

/// As what a column flows on after ALTER COLUMN: with the wider of both types, since history may hold values of either.
/// `None` where the server may have changed values: it converts the rows it has without a change record, and refuses what
/// does not fit, but rounds, pads and replaces characters silently.
pub fn follow(before: &Column, now: &Column) -> Option<Column> {
    let (old, new) = (base(&before.source_type), base(&now.source_type));
    // What history holds from before may be NULL although the column is NOT NULL now.
    let mut column = Column { nullable: before.nullable || now.nullable, ..now.clone() };
    if before.source_type == now.source_type && before.collation == now.collation {
        return Some(column);
    }
    if before.collation != now.collation {
        return None;
    }
    let wider =
        |from: Option<u32>, to: Option<u32>| from.is_none() || to.is_some_and(|to| from.is_some_and(|from| from > to));
    let longer = match (before.column_type, now.column_type) {
        (ColumnType::Integer { bytes: from }, ColumnType::Integer { bytes: to }) => from > to,
        (ColumnType::Float { bytes: from }, ColumnType::Float { bytes: to }) if to >= from => false,
        (ColumnType::Decimal { precision: from, scale: old }, ColumnType::Decimal { precision: to, scale: new })
            if new >= old =>
        {
            let whole = from.saturating_sub(old).max(to.saturating_sub(new));
            let precision = whole.saturating_add(new);
            if precision > 38 {
                return None;
            }
            if precision > to {
                column.column_type = ColumnType::Decimal { precision, scale: new };
                column.source_type = format!("decimal({precision},{new})");
            }
            false
        }
        // Fixed lengths are padded, and what is not nvarchar holds only a code page.
        (ColumnType::Text { max_chars: from, .. }, ColumnType::Text { max_chars: to, .. })
            if matches!((old, new), ("varchar", "varchar" | "nvarchar") | ("nvarchar", "nvarchar")) =>
        {
            to.is_some() && wider(from, to)
        }
        (ColumnType::Binary { max_bytes: from }, ColumnType::Binary { max_bytes: to })
            if (old, new) == ("varbinary", "varbinary") =>
        {
            to.is_some() && wider(from, to)
        }
        (ColumnType::Time { digits: from }, ColumnType::Time { digits: to })
        | (ColumnType::Timestamp { digits: from }, ColumnType::Timestamp { digits: to })
        | (ColumnType::TimestampTz { digits: from }, ColumnType::TimestampTz { digits: to })
            if old == new && to >= from =>
        {
            false
        }
        _ => return None,
    };
    if longer {
        let facets = before.source_type.strip_prefix(old).unwrap_or_default();
        column.source_type = if facets.is_empty() { old.to_owned() } else { format!("{new}{facets}") };
        column.column_type = before.column_type;
    }
    Some(column)
}

/// As [`reading`], of a change table: until capture has come to an ALTER COLUMN, its columns have the types of before.
pub fn reading_history(column: &Column) -> String {
    match column.column_type {
        ColumnType::Decimal { precision, scale } => format!("CAST({{}} AS decimal({precision},{scale}))"),
        ColumnType::Float { bytes: 8 } => "CAST({} AS float)".to_owned(),
        _ => reading(column),
    }
}

/// The expression that gives a key value, passed as `@P<n>`, the type of its column. Of the column's own type, so that
/// it compares as the column does: a varchar compared as nvarchar may sort otherwise.
pub fn bound(column: &Column, number: usize) -> String {
    match base(&column.source_type) {
        "binary" | "varbinary" => format!("@P{number}"),
        // Its bytes, so that an unpaired surrogate comes back as it was.
        "nchar" | "nvarchar" => format!("CAST(@P{number} AS nvarchar({}))", chars(column)),
        "timestamp" => format!("CAST(@P{number} AS binary(8))"),
        // The code page is that of the column's collation, not the database's.
        "char" | "varchar" => match &column.collation {
            Some(collation) => format!("CAST(@P{number} COLLATE {collation} AS {})", column.source_type),
            None => format!("CAST(@P{number} AS {})", column.source_type),
        },
        _ => format!("CAST(@P{number} AS {})", column.source_type),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_bytes_in_the_catalogue_and_characters_in_ddl() {
        let described =
            |base: &str, max_length| Described { base: base.to_owned(), max_length, ..Described::default() };
        for (base, max_length, source_type, chars) in [
            ("nvarchar", 100, "nvarchar(50)", Some(50)),
            ("nvarchar", -1, "nvarchar(max)", None),
            ("char", 3, "char(3)", Some(3)),
        ] {
            let column = described(base, max_length).column().unwrap();
            assert_eq!(column.source_type, source_type);
            assert!(matches!(column.column_type, ColumnType::Text { max_chars, .. } if max_chars == chars));
        }
        assert!(described("cursor", 0).column().is_none());
    }

    #[test]
    fn a_column_flows_on_where_nothing_is_rounded_padded_or_replaced() {
        let column = |source_type: &str| {
            let (base, facets) = source_type.trim_end_matches(')').split_once('(').unwrap_or((source_type, ""));
            let number = |at: usize| facets.split(',').nth(at).and_then(|text| text.parse::<i64>().ok()).unwrap_or(-1);
            let length = number(0);
            let bytes = if base.starts_with('n') && length > 0 { length * 2 } else { length };
            let digits = |at| u8::try_from(number(at)).unwrap_or(0);
            let scale = if facets.contains(',') { digits(1) } else { digits(0) };
            let (base, precision) = (base.to_owned(), digits(0));
            Described { base, max_length: bytes, precision, scale, ..Described::default() }.column().unwrap()
        };
        for (before, now, flows) in [
            ("int", "bigint", Some("bigint")),
            ("bigint", "int", Some("bigint")),
            ("varchar(10)", "varchar(50)", Some("varchar(50)")),
            ("varchar(50)", "varchar(10)", Some("varchar(50)")),
            ("varchar(50)", "nvarchar(10)", Some("nvarchar(50)")),
            ("nvarchar(max)", "nvarchar(10)", Some("nvarchar(max)")),
            ("nvarchar(10)", "nvarchar(max)", Some("nvarchar(max)")),
            ("nvarchar(10)", "varchar(10)", None),
            ("varchar(10)", "char(10)", None),
            ("decimal(9,2)", "decimal(12,4)", Some("decimal(12,4)")),
            ("decimal(9,2)", "decimal(9,4)", Some("decimal(11,4)")),
            ("decimal(12,2)", "decimal(9,2)", Some("decimal(12,2)")),
            ("decimal(38,2)", "decimal(38,4)", None),
            ("decimal(9,2)", "decimal(9,1)", None),
            ("money", "decimal(19,4)", Some("decimal(19,4)")),
            ("real", "float(53)", Some("float")),
            ("float(53)", "real", None),
            ("datetime2(3)", "datetime2(6)", Some("datetime2(6)")),
            ("datetime2(6)", "datetime2(3)", None),
            ("datetime", "datetime2(7)", None),
            ("varbinary(10)", "varbinary(20)", Some("varbinary(20)")),
            ("binary(10)", "binary(20)", None),
            ("int", "varchar(20)", None),
            ("date", "datetime2(3)", None),
        ] {
            let followed = follow(&column(before), &column(now)).map(|column| column.source_type);
            assert_eq!(followed.as_deref(), flows, "{before} to {now}");
        }
    }

    #[test]
    fn long_varchars_are_not_cut_by_the_cast() {
        let column = |length| {
            Described { base: "varchar".to_owned(), max_length: length, ..Described::default() }.column().unwrap()
        };
        assert_eq!(reading(&column(4000)), "CAST({} AS nvarchar(4000))");
        assert_eq!(reading(&column(4001)), "CAST({} AS nvarchar(max))");
        assert_eq!(reading(&column(-1)), "CAST({} AS nvarchar(max))");
    }
}
