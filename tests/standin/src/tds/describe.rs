//! `sp_describe_first_result_set`: what a statement would give, for drivers that ask before they run it.

use super::collation::Collation;
use super::metadata::{Shape, is_character, type_info};
use super::prepared::{declarations, text};
use super::response::Response;
use super::rpc::Call;
use crate::session::{Param, Session, Sink};
use crate::value::{Column, SqlError, SqlType, Value};

const NAME: &str = "sp_describe_first_result_set";

/// Whether a procedure belongs here.
pub fn knows(name: &str) -> bool {
    name == NAME
}

/// Runs the call: `@tsql`, `@params`, and a browse mode that changes nothing here.
///
/// # Errors
/// What binding the statement raises, followed by 11529 as the server has it.
pub fn run(call: &Call, session: &mut dyn Session, response: &mut Response<'_>) -> Result<(), SqlError> {
    let sql = text(call, 0, NAME, "tsql")?;
    let params: Vec<Param> = declarations(call.params.get(1))?
        .into_iter()
        .map(|known| Param { name: known.name, sql_type: known.sql_type, value: Value::Null, output: known.output })
        .collect();
    let described = session.describe(&sql, &params).inspect_err(|error| {
        response.message(error);
    });
    let Ok(columns) = described else {
        let text = "The metadata could not be determined because every code path results in an error; see previous \
                    errors for some of these.";
        return Err(SqlError::new(11_529, text).procedure(NAME));
    };
    response.columns(&result_columns());
    let columns = columns.unwrap_or_default();
    for (ordinal, column) in (1..).zip(&columns) {
        response.row(&result_row(ordinal, column));
    }
    response.done(Some(columns.len() as u64));
    response.return_status(0);
    Ok(())
}

/// Columns of the procedure's result: name, type, whether NULL may come.
const RESULT: [(&str, SqlType, bool); 39] = [
    ("is_hidden", SqlType::Bit, false),
    ("column_ordinal", SqlType::Int, false),
    ("name", SYSNAME, true),
    ("is_nullable", SqlType::Bit, false),
    ("system_type_id", SqlType::Int, false),
    ("system_type_name", SqlType::NVarChar(Some(256)), true),
    ("max_length", SqlType::SmallInt, false),
    ("precision", SqlType::TinyInt, false),
    ("scale", SqlType::TinyInt, false),
    ("collation_name", SYSNAME, true),
    ("user_type_id", SqlType::Int, true),
    ("user_type_database", SYSNAME, true),
    ("user_type_schema", SYSNAME, true),
    ("user_type_name", SYSNAME, true),
    ("assembly_qualified_type_name", SqlType::NVarChar(Some(4000)), true),
    ("xml_collection_id", SqlType::Int, true),
    ("xml_collection_database", SYSNAME, true),
    ("xml_collection_schema", SYSNAME, true),
    ("xml_collection_name", SYSNAME, true),
    ("is_xml_document", SqlType::Bit, false),
    ("is_case_sensitive", SqlType::Bit, false),
    ("is_fixed_length_clr_type", SqlType::Bit, false),
    ("source_server", SYSNAME, true),
    ("source_database", SYSNAME, true),
    ("source_schema", SYSNAME, true),
    ("source_table", SYSNAME, true),
    ("source_column", SYSNAME, true),
    ("is_identity_column", SqlType::Bit, true),
    ("is_part_of_unique_key", SqlType::Bit, true),
    ("is_updateable", SqlType::Bit, true),
    ("is_computed_column", SqlType::Bit, true),
    ("is_sparse_column_set", SqlType::Bit, true),
    ("ordinal_in_order_by_list", SqlType::SmallInt, true),
    ("order_by_is_descending", SqlType::SmallInt, true),
    ("order_by_list_length", SqlType::SmallInt, true),
    ("tds_type_id", SqlType::Int, false),
    ("tds_length", SqlType::Int, false),
    ("tds_collation_id", SqlType::Int, true),
    ("tds_collation_sort_id", SqlType::TinyInt, true),
];
const SYSNAME: SqlType = SqlType::NVarChar(Some(128));

fn result_columns() -> Vec<Column> {
    RESULT
        .iter()
        .map(|(name, sql_type, nullable)| Column {
            name: (*name).to_owned(),
            sql_type: *sql_type,
            nullable: *nullable,
            identity: false,
            collation: None,
        })
        .collect()
}

fn result_row(ordinal: i64, column: &Column) -> Vec<Value> {
    let facets = Facets::of(column.sql_type);
    let shape = Shape::of(column);
    let mut wire = Vec::new();
    type_info(&mut wire, &Shape { fixed: false, ..shape });
    let word = i32::from_le_bytes([
        shape.collation.bytes[0],
        shape.collation.bytes[1],
        shape.collation.bytes[2],
        shape.collation.bytes[3],
    ]);
    let collated = is_character(column.sql_type);
    let text = |text: &str| Value::Text(text.to_owned());
    RESULT
        .iter()
        .map(|(name, _, nullable)| match *name {
            "column_ordinal" => Value::Int(ordinal),
            "name" if !column.name.is_empty() => text(&column.name),
            "is_nullable" => Value::Bit(column.nullable),
            "system_type_id" => Value::Int(facets.id),
            "system_type_name" => text(&facets.name),
            "max_length" => Value::Int(facets.length),
            "precision" => Value::Int(facets.precision),
            "scale" => Value::Int(facets.scale),
            "collation_name" if collated => text(column.collation.unwrap_or(super::collation::DEFAULT)),
            "is_case_sensitive" => Value::Bit(collated && is_case_sensitive(&shape.collation)),
            "is_identity_column" => Value::Bit(column.identity),
            "is_updateable" => Value::Bit(!column.identity),
            "is_computed_column" | "is_sparse_column_set" => Value::Bit(false),
            "tds_type_id" => Value::Int(wire[0].into()),
            "tds_length" => Value::Int(if facets.length < 0 { 65_535 } else { facets.length }),
            "tds_collation_id" if collated => Value::Int(word.into()),
            "tds_collation_sort_id" if collated => Value::Int(shape.collation.bytes[4].into()),
            _ if *nullable => Value::Null,
            _ => Value::Bit(false),
        })
        .collect()
}

fn is_case_sensitive(collation: &Collation) -> bool {
    collation.bytes[2] & 0x10 == 0
}

/// A type as `sys.types` describes it.
struct Facets {
    id: i64,
    name: String,
    length: i64,
    precision: i64,
    scale: i64,
}

impl Facets {
    fn of(sql_type: SqlType) -> Self {
        let sized = |id: i64, name: &str, length: Option<u16>, unit: i64| {
            let shown = length.map_or_else(|| "max".to_owned(), |length| length.to_string());
            let length = length.map_or(-1, |length| i64::from(length) * unit);
            Self { id, name: format!("{name}({shown})"), length, precision: 0, scale: 0 }
        };
        let plain = |id: i64, name: &str, length: i64, precision: i64, scale: i64| Self {
            id,
            name: name.to_owned(),
            length,
            precision,
            scale,
        };
        let timed = |id: i64, name: &str, digits: u8, length: i64, precision: i64| {
            let digits = i64::from(digits);
            let dot = i64::from(digits > 0);
            plain(id, &format!("{name}({digits})"), length, precision + dot + digits, digits)
        };
        let time = |digits: u8| i64::try_from(super::types_encode::time_size(digits)).unwrap_or(5);
        let exact = |id: i64, name: &str, precision: u8, scale: u8| {
            let length = i64::from(super::metadata::decimal_size(precision));
            plain(id, &format!("{name}({precision},{scale})"), length, precision.into(), scale.into())
        };
        match sql_type {
            SqlType::Bit => plain(104, "bit", 1, 1, 0),
            SqlType::TinyInt => plain(48, "tinyint", 1, 3, 0),
            SqlType::SmallInt => plain(52, "smallint", 2, 5, 0),
            SqlType::Int => plain(56, "int", 4, 10, 0),
            SqlType::BigInt => plain(127, "bigint", 8, 19, 0),
            SqlType::Decimal { precision, scale } => exact(106, "decimal", precision, scale),
            SqlType::Numeric { precision, scale } => exact(108, "numeric", precision, scale),
            SqlType::SmallMoney => plain(122, "smallmoney", 4, 10, 4),
            SqlType::Money => plain(60, "money", 8, 19, 4),
            SqlType::Real => plain(59, "real", 4, 24, 0),
            SqlType::Float => plain(62, "float", 8, 53, 0),
            SqlType::Date => plain(40, "date", 3, 10, 0),
            SqlType::Time(digits) => timed(41, "time", digits, time(digits), 8),
            SqlType::SmallDateTime => plain(58, "smalldatetime", 4, 16, 0),
            SqlType::DateTime => plain(61, "datetime", 8, 23, 3),
            SqlType::DateTime2(digits) => timed(42, "datetime2", digits, time(digits) + 3, 19),
            SqlType::DateTimeOffset(digits) => timed(43, "datetimeoffset", digits, time(digits) + 5, 26),
            SqlType::Char(length) => sized(175, "char", Some(length), 1),
            SqlType::VarChar(length) => sized(167, "varchar", length, 1),
            SqlType::Text => plain(35, "text", 16, 0, 0),
            SqlType::NChar(length) => sized(239, "nchar", Some(length), 2),
            SqlType::NVarChar(length) => sized(231, "nvarchar", length, 2),
            SqlType::NText => plain(99, "ntext", 16, 0, 0),
            SqlType::Binary(length) => sized(173, "binary", Some(length), 1),
            SqlType::VarBinary(length) => sized(165, "varbinary", length, 1),
            SqlType::Image => plain(34, "image", 16, 0, 0),
            SqlType::RowVersion => plain(189, "timestamp", 8, 0, 0),
            SqlType::UniqueIdentifier => plain(36, "uniqueidentifier", 16, 0, 0),
            SqlType::Xml => plain(241, "xml", -1, 0, 0),
            SqlType::SqlVariant => plain(98, "sql_variant", 8016, 0, 0),
            SqlType::HierarchyId => plain(240, "hierarchyid", 892, 0, 0),
            SqlType::Geometry => plain(240, "geometry", -1, 0, 0),
            SqlType::Geography => plain(240, "geography", -1, 0, 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tds::types_encode;

    #[test]
    fn every_type_s_description_fits_the_result() {
        let shapes: Vec<Shape> = result_columns().iter().map(Shape::of).collect();
        let types = [
            (SqlType::Int, "int", 4),
            (SqlType::VarChar(None), "varchar(max)", -1),
            (SqlType::NVarChar(Some(20)), "nvarchar(20)", 40),
            (SqlType::Decimal { precision: 38, scale: 4 }, "decimal(38,4)", 17),
            (SqlType::Time(7), "time(7)", 5),
            (SqlType::DateTimeOffset(0), "datetimeoffset(0)", 8),
            (SqlType::RowVersion, "timestamp", 8),
            (SqlType::Geography, "geography", -1),
        ];
        for (sql_type, name, length) in types {
            let column = Column { name: "c".to_owned(), sql_type, nullable: false, identity: false, collation: None };
            let row = result_row(1, &column);
            types_encode::row(&mut Vec::new(), &shapes, &row).unwrap();
            assert_eq!(row[5], Value::Text(name.to_owned()));
            assert_eq!(row[6], Value::Int(length));
        }
    }
}
