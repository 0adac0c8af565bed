//! Columns and types.

use super::{NAME, Sight, View, WORD, bit, columns, int, text};
use crate::engine::catalog::Table;
use crate::engine::values::types;
use crate::value::{Column, SqlType, Value};

/// The views of this family.
pub const VIEWS: &[View] = &[
    View { schema: "sys", name: "columns", columns: column_columns, rows: all_columns, lasting: false },
    View { schema: "sys", name: "all_columns", columns: column_columns, rows: all_columns, lasting: false },
    View { schema: "sys", name: "types", columns: type_columns, rows: all_types, lasting: true },
    View { schema: "sys", name: "identity_columns", columns: identity_columns, rows: identities, lasting: false },
    View { schema: "sys", name: "computed_columns", columns: computed_columns, rows: computed, lasting: false },
    View { schema: "sys", name: "default_constraints", columns: default_columns, rows: defaults, lasting: false },
    View { schema: "sys", name: "check_constraints", columns: check_columns, rows: checks, lasting: false },
];

const BIT: SqlType = SqlType::Bit;
const INT: SqlType = SqlType::Int;

fn column_list() -> Vec<(&'static str, SqlType)> {
    vec![
        ("object_id", INT),
        ("name", NAME),
        ("column_id", INT),
        ("system_type_id", SqlType::TinyInt),
        ("user_type_id", INT),
        ("max_length", SqlType::SmallInt),
        ("precision", SqlType::TinyInt),
        ("scale", SqlType::TinyInt),
        ("collation_name", NAME),
        ("is_nullable", BIT),
        ("is_ansi_padded", BIT),
        ("is_rowguidcol", BIT),
        ("is_identity", BIT),
        ("is_computed", BIT),
        ("is_filestream", BIT),
        ("is_replicated", BIT),
        ("is_non_sql_subscribed", BIT),
        ("is_merge_published", BIT),
        ("is_dts_replicated", BIT),
        ("is_xml_document", BIT),
        ("xml_collection_id", INT),
        ("default_object_id", INT),
        ("rule_object_id", INT),
        ("is_sparse", BIT),
        ("is_column_set", BIT),
        ("generated_always_type", SqlType::TinyInt),
        ("generated_always_type_desc", WORD),
        ("encryption_type", INT),
        ("encryption_type_desc", SqlType::NVarChar(Some(64))),
        ("encryption_algorithm_name", NAME),
        ("column_encryption_key_id", INT),
        ("column_encryption_key_database_name", NAME),
        ("is_hidden", BIT),
        ("is_masked", BIT),
        ("graph_type", INT),
        ("graph_type_desc", WORD),
        ("is_data_deletion_filter_column", BIT),
        ("ledger_view_column_type", INT),
        ("ledger_view_column_type_desc", WORD),
        ("is_dropped_ledger_column", BIT),
    ]
}

fn column_columns() -> Vec<Column> {
    columns(&column_list())
}

/// What a row of `sys.columns` says.
#[expect(clippy::struct_excessive_bools, reason = "the view has that many bit columns")]
struct Shown<'a> {
    object: i64,
    id: i64,
    name: &'a str,
    ty: SqlType,
    collation: Option<&'a str>,
    nullable: bool,
    identity: bool,
    computed: bool,
    rowguid: bool,
    masked: bool,
    encryption: Option<u8>,
    shows_sparse: bool,
    default: i64,
}

impl Shown<'_> {
    fn row(&self) -> Vec<Value> {
        let info = types::info_of(self.ty);
        let (length, precision, scale) = types::facets(self.ty);
        let off = || bit(false);
        vec![
            int(self.object),
            text(self.name),
            int(self.id),
            int(info.system_type_id),
            int(info.user_type_id),
            int(length),
            int(precision),
            int(scale),
            self.collation.map_or(Value::Null, text),
            bit(self.nullable),
            bit(true),
            bit(self.rowguid),
            bit(self.identity),
            bit(self.computed),
            off(),
            off(),
            off(),
            off(),
            off(),
            off(),
            int(0),
            int(self.default),
            int(0),
            off(),
            bit(self.shows_sparse),
            int(0),
            text("NOT_APPLICABLE"),
            self.encryption.map_or(Value::Null, int),
            match self.encryption {
                Some(1) => text("DETERMINISTIC"),
                Some(_) => text("RANDOMIZED"),
                None => Value::Null,
            },
            self.encryption.map_or(Value::Null, |_| text("AEAD_AES_256_CBC_HMAC_SHA_256")),
            self.encryption.map_or(Value::Null, |_| int(1)),
            Value::Null,
            off(),
            bit(self.masked),
            Value::Null,
            Value::Null,
            off(),
            Value::Null,
            Value::Null,
            off(),
        ]
    }
}

fn of_table(table: &Table) -> Vec<Vec<Value>> {
    table
        .columns
        .iter()
        .map(|column| {
            Shown {
                object: i64::from(table.id),
                id: i64::from(column.id),
                name: &column.name,
                ty: column.ty,
                collation: column.collation(),
                nullable: column.nullable,
                identity: column.identity.is_some(),
                computed: column.computed.is_some(),
                rowguid: column.rowguid,
                masked: column.masked,
                encryption: column.encryption,
                shows_sparse: column.shows_sparse,
                default: column.default.as_ref().map_or(0, |(id, _, _)| i64::from(*id)),
            }
            .row()
        })
        .collect()
}

fn all_columns(sight: &Sight<'_>) -> Vec<Vec<Value>> {
    let mut rows: Vec<Vec<Value>> = sight.tables().into_iter().flat_map(|table| of_table(table)).collect();
    if sight.user && sight.environment.shared.cdc.enabled() && sight.environment.may_read_cdc() {
        let cdc = &sight.environment.shared.cdc;
        for (object, name) in cdc.objects() {
            for (at, column) in cdc.relation(&name).unwrap_or_default().iter().enumerate() {
                rows.push(
                    Shown {
                        object: i64::from(object),
                        id: i64::try_from(at + 1).unwrap_or_default(),
                        name: &column.name,
                        ty: column.sql_type,
                        collation: column.collation,
                        nullable: column.nullable,
                        identity: false,
                        computed: false,
                        rowguid: false,
                        masked: false,
                        encryption: None,
                        shows_sparse: false,
                        default: 0,
                    }
                    .row(),
                );
            }
        }
    }
    rows
}

fn type_columns() -> Vec<Column> {
    columns(&[
        ("name", NAME),
        ("system_type_id", SqlType::TinyInt),
        ("user_type_id", INT),
        ("schema_id", INT),
        ("principal_id", INT),
        ("max_length", SqlType::SmallInt),
        ("precision", SqlType::TinyInt),
        ("scale", SqlType::TinyInt),
        ("collation_name", NAME),
        ("is_nullable", BIT),
        ("is_user_defined", BIT),
        ("is_assembly_type", BIT),
        ("default_object_id", INT),
        ("rule_object_id", INT),
        ("is_table_type", BIT),
    ])
}

fn all_types(_: &Sight<'_>) -> Vec<Vec<Value>> {
    types::TYPES
        .iter()
        .map(|info| {
            let collated =
                matches!(info.name, "text" | "ntext" | "varchar" | "char" | "nvarchar" | "nchar" | "sysname");
            let collation = if collated { text(crate::engine::values::collation::DEFAULT) } else { Value::Null };
            vec![
                text(info.name),
                int(info.system_type_id),
                int(info.user_type_id),
                int(4),
                Value::Null,
                int(info.max_length),
                int(info.precision),
                int(info.scale),
                collation,
                bit(info.name != "sysname" && info.name != "timestamp"),
                bit(false),
                bit(info.system_type_id == 240),
                int(0),
                int(0),
                bit(false),
            ]
        })
        .collect()
}

fn identity_columns() -> Vec<Column> {
    let mut list = column_list();
    list.truncate(13);
    list.extend([
        ("seed_value", SqlType::SqlVariant),
        ("increment_value", SqlType::SqlVariant),
        ("last_value", SqlType::SqlVariant),
        ("is_not_for_replication", BIT),
    ]);
    columns(&list)
}

fn identities(sight: &Sight<'_>) -> Vec<Vec<Value>> {
    let mut rows = Vec::new();
    for table in sight.tables() {
        for (column, mut row) in table.columns.iter().zip(of_table(table)) {
            let Some((seed, increment)) = column.identity else { continue };
            let variant = |value: i64| Value::Variant(Box::new((column.ty, Value::Int(value))));
            row.truncate(13);
            row.extend([
                variant(seed),
                variant(increment),
                sight.environment.shared.last_identity(table.id).map_or(Value::Null, variant),
                bit(false),
            ]);
            rows.push(row);
        }
    }
    rows
}

fn computed_columns() -> Vec<Column> {
    let mut list = column_list();
    list.truncate(14);
    list.extend([("definition", SqlType::NVarChar(None)), ("uses_database_collation", BIT), ("is_persisted", BIT)]);
    columns(&list)
}

fn computed(sight: &Sight<'_>) -> Vec<Vec<Value>> {
    let mut rows = Vec::new();
    for table in sight.tables() {
        for (column, mut row) in table.columns.iter().zip(of_table(table)) {
            let Some(definition) = &column.computed else { continue };
            row.truncate(14);
            row.extend([text(definition), bit(true), bit(false)]);
            rows.push(row);
        }
    }
    rows
}

fn default_columns() -> Vec<Column> {
    columns(&[
        ("name", NAME),
        ("object_id", INT),
        ("schema_id", INT),
        ("parent_object_id", INT),
        ("type", SqlType::Char(2)),
        ("parent_column_id", INT),
        ("definition", SqlType::NVarChar(None)),
        ("is_system_named", BIT),
    ])
}

fn defaults(sight: &Sight<'_>) -> Vec<Vec<Value>> {
    let mut rows = Vec::new();
    for table in sight.tables() {
        for column in &table.columns {
            let Some((id, name, definition)) = &column.default else { continue };
            let shown = if definition.starts_with('(') { definition.clone() } else { format!("({definition})") };
            rows.push(vec![
                text(name),
                int(*id),
                int(sight.schema_id(&table.schema)),
                int(table.id),
                text("D "),
                int(column.id),
                text(shown),
                bit(name.starts_with("DF__")),
            ]);
        }
    }
    rows
}

fn check_columns() -> Vec<Column> {
    columns(&[
        ("name", NAME),
        ("object_id", INT),
        ("schema_id", INT),
        ("parent_object_id", INT),
        ("type", SqlType::Char(2)),
        ("is_disabled", BIT),
        ("definition", SqlType::NVarChar(None)),
    ])
}

fn checks(sight: &Sight<'_>) -> Vec<Vec<Value>> {
    let mut rows = Vec::new();
    for table in sight.tables() {
        for check in &table.checks {
            rows.push(vec![
                text(&check.name),
                int(check.id),
                int(sight.schema_id(&table.schema)),
                int(table.id),
                text("C "),
                bit(false),
                text(&check.text),
            ]);
        }
    }
    rows
}
