//! System procedures other than those of change data capture.

use super::super::catalog::same;
use super::super::error::{Result, syntax};
use super::super::session::SqlSession;
use super::super::values::types;
use crate::cdc::{Outcome, Rows};
use crate::session::{Param, Sink};
use crate::value::{Column, SqlError, SqlType, Value};

/// A column of a result that a procedure gives.
fn column(name: &str, sql_type: SqlType) -> Column {
    let collation = types::is_text(sql_type).then_some(super::super::values::collation::DEFAULT);
    Column { name: name.to_owned(), sql_type, nullable: true, identity: false, collation }
}

const NAME: SqlType = SqlType::NVarChar(Some(128));

/// The text of a parameter, by name or by place.
fn text(params: &[Param], name: &str, at: usize) -> Option<String> {
    let found = params
        .iter()
        .find(|param| param.name.eq_ignore_ascii_case(name))
        .or_else(|| params.get(at).filter(|param| param.name.is_empty()));
    match found.map(|param| &param.value) {
        Some(Value::Text(text)) => Some(text.clone()),
        Some(Value::Int(int)) => Some(int.to_string()),
        _ => None,
    }
}

impl SqlSession {
    /// Runs a system procedure; `None` if there is none of that name.
    pub fn system_procedure(&mut self, name: &str, params: &[Param], sink: &mut dyn Sink) -> Result<Option<Outcome>> {
        match name {
            "sp_rename" => {
                let (Some(object), Some(new)) = (text(params, "@objname", 0), text(params, "@newname", 1)) else {
                    return Err(syntax("sp_rename"));
                };
                self.rename(&object, &new, &text(params, "@objtype", 2).unwrap_or_default())?;
                let caution = "Caution: Changing any part of an object name could break scripts and stored procedures.";
                Ok(Some(Outcome { messages: vec![SqlError::new(15_477, caution).severity(0)], ..Outcome::default() }))
            }
            _ if name.starts_with("sp_standin_") => self.control(name, params),
            "sp_update_job" if same(&self.database, "msdb") => self.update_job(params).map(Some),
            "sp_configure" => self.configure(params).map(Some),
            "sp_tables" => self.tables(params).map(Some),
            "sp_columns" => self.columns(params).map(Some),
            "sp_pkeys" => self.primary_keys(params).map(Some),
            "sp_databases" => Ok(Some(self.databases())),
            "sp_datatype_info" | "sp_datatype_info_90" | "sp_datatype_info_100" => Ok(Some(data_types())),
            "sp_describe_first_result_set" => self.first_result(params).map(Some),
            "sp_server_info" => Ok(Some(server_info())),
            "sp_addrolemember" | "sp_droprolemember" => {
                let (Some(role), Some(member)) = (text(params, "@rolename", 0), text(params, "@membername", 1)) else {
                    return Err(syntax(name));
                };
                self.security(&super::super::script::Security::Member {
                    server: false,
                    role,
                    member,
                    add: name == "sp_addrolemember",
                })?;
                Ok(Some(Outcome::default()))
            }
            "sp_reset_connection" => {
                self.rollback_all(sink);
                Ok(Some(Outcome::default()))
            }
            "sp_who" | "sp_who2" | "sp_set_session_context" | "sp_updatestats" | "sp_recompile" => {
                Ok(Some(Outcome::default()))
            }
            _ => Ok(None),
        }
    }

    fn configure(&mut self, params: &[Param]) -> Result<Outcome> {
        let options = super::super::views::server::CONFIGURATIONS;
        let Some(name) = text(params, "@configname", 0) else { return Ok(Outcome::default()) };
        let found =
            options.iter().find(|option| same(option.1, &name)).or_else(|| similar(&name)).ok_or_else(|| {
                SqlError::new(
                    15_123,
                    format!("The configuration option '{name}' does not exist, or it may be an advanced option."),
                )
            })?;
        let environment = self.enter()?;
        let old = environment.catalog.state.configuration.get(found.1).copied().unwrap_or(found.2);
        let Some(value) = text(params, "@configvalue", 1).and_then(|value| value.parse::<i64>().ok()) else {
            let columns = vec![
                column("name", SqlType::NVarChar(Some(35))),
                column("minimum", SqlType::Int),
                column("maximum", SqlType::Int),
                column("config_value", SqlType::Int),
                column("run_value", SqlType::Int),
            ];
            let row = vec![
                Value::Text(found.1.to_owned()),
                Value::Int(found.3),
                Value::Int(found.4),
                Value::Int(old),
                Value::Int(old),
            ];
            return Ok(Outcome { results: vec![Rows { columns, rows: vec![row] }], ..Outcome::default() });
        };
        if !(found.3..=found.4).contains(&value) {
            return Err(SqlError::new(
                15_129,
                format!("'{value}' is not a valid value for configuration option '{name}'."),
            ));
        }
        let home = std::mem::replace(&mut self.database, self.shared.database.clone());
        let result = self.change_catalog(false, |_, _, changed| {
            changed.state.configuration.insert(found.1.to_owned(), value);
            Ok(())
        });
        self.database = home;
        result?;
        let message = format!(
            "Configuration option '{}' changed from {old} to {value}. Run the RECONFIGURE statement to install.",
            found.1
        );
        Ok(Outcome { messages: vec![SqlError::new(15_457, message).severity(0)], ..Outcome::default() })
    }

    fn tables(&mut self, params: &[Param]) -> Result<Outcome> {
        let environment = self.enter()?;
        let pattern = text(params, "@table_name", 0);
        let columns =
            ["TABLE_QUALIFIER", "TABLE_OWNER", "TABLE_NAME", "TABLE_TYPE", "REMARKS"].map(|name| column(name, NAME));
        let mut rows = Vec::new();
        if environment.in_user_database() {
            for table in environment
                .catalog
                .tables
                .values()
                .filter(|table| pattern.as_ref().is_none_or(|pattern| pattern == "%" || same(pattern, &table.name)))
            {
                let text = |text: &str| Value::Text(text.to_owned());
                rows.push(vec![
                    text(&environment.database),
                    text(&table.schema),
                    text(&table.name),
                    text("TABLE"),
                    Value::Null,
                ]);
            }
        }
        Ok(Outcome { results: vec![Rows { columns: columns.into(), rows }], ..Outcome::default() })
    }

    fn columns(&mut self, params: &[Param]) -> Result<Outcome> {
        let environment = self.enter()?;
        let wanted = text(params, "@table_name", 0).unwrap_or_default();
        let kinds = [
            ("TABLE_QUALIFIER", NAME),
            ("TABLE_OWNER", NAME),
            ("TABLE_NAME", NAME),
            ("COLUMN_NAME", NAME),
            ("DATA_TYPE", SqlType::SmallInt),
            ("TYPE_NAME", NAME),
            ("PRECISION", SqlType::Int),
            ("LENGTH", SqlType::Int),
            ("SCALE", SqlType::SmallInt),
            ("NULLABLE", SqlType::SmallInt),
            ("ORDINAL_POSITION", SqlType::Int),
            ("IS_NULLABLE", SqlType::VarChar(Some(254))),
        ];
        let mut rows = Vec::new();
        for table in environment.catalog.tables.values().filter(|table| same(&table.name, &wanted)) {
            for (at, own) in table.columns.iter().enumerate() {
                let (length, precision, scale) = types::facets(own.ty);
                let text = |text: &str| Value::Text(text.to_owned());
                rows.push(vec![
                    text(&environment.database),
                    text(&table.schema),
                    text(&table.name),
                    text(&own.name),
                    Value::Int(odbc_type(own.ty)),
                    text(types::name(own.ty)),
                    Value::Int(i64::from(types::length(own.ty).map_or(precision, i32::from))),
                    Value::Int(i64::from(length)),
                    Value::Int(i64::from(scale)),
                    Value::Int(i64::from(own.nullable)),
                    Value::Int(i64::try_from(at + 1).unwrap_or_default()),
                    text(if own.nullable { "YES" } else { "NO" }),
                ]);
            }
        }
        let columns = kinds.into_iter().map(|(name, ty)| column(name, ty)).collect();
        Ok(Outcome { results: vec![Rows { columns, rows }], ..Outcome::default() })
    }

    fn primary_keys(&mut self, params: &[Param]) -> Result<Outcome> {
        let environment = self.enter()?;
        let wanted = text(params, "@table_name", 0).unwrap_or_default();
        let mut rows = Vec::new();
        for table in environment.catalog.tables.values().filter(|table| same(&table.name, &wanted)) {
            let Some(index) = table.indexes.iter().find(|index| index.primary) else { continue };
            for (at, (id, _)) in index.columns.iter().enumerate() {
                let text = |text: &str| Value::Text(text.to_owned());
                let name = table.position(*id).map_or("", |at| table.columns[at].name.as_str());
                rows.push(vec![
                    text(&environment.database),
                    text(&table.schema),
                    text(&table.name),
                    text(name),
                    Value::Int(i64::try_from(at + 1).unwrap_or_default()),
                    text(&index.name),
                ]);
            }
        }
        let columns = [
            ("TABLE_QUALIFIER", NAME),
            ("TABLE_OWNER", NAME),
            ("TABLE_NAME", NAME),
            ("COLUMN_NAME", NAME),
            ("KEY_SEQ", SqlType::SmallInt),
            ("PK_NAME", NAME),
        ];
        Ok(Outcome {
            results: vec![Rows { columns: columns.map(|(name, ty)| column(name, ty)).into(), rows }],
            ..Outcome::default()
        })
    }

    fn databases(&self) -> Outcome {
        let columns = vec![
            column("DATABASE_NAME", NAME),
            column("DATABASE_SIZE", SqlType::Int),
            column("REMARKS", SqlType::VarChar(Some(254))),
        ];
        let names = ["master", "model", "msdb", self.shared.database.as_str(), "tempdb"];
        let rows =
            names.iter().map(|name| vec![Value::Text((*name).to_owned()), Value::Int(8192), Value::Null]).collect();
        Outcome { results: vec![Rows { columns, rows }], ..Outcome::default() }
    }

    fn first_result(&mut self, params: &[Param]) -> Result<Outcome> {
        let sql = text(params, "@tsql", 0).ok_or_else(|| syntax("@tsql"))?;
        let described = self.describe_batch(&sql)?.unwrap_or_default();
        let kinds = [
            ("is_hidden", SqlType::Bit),
            ("column_ordinal", SqlType::Int),
            ("name", NAME),
            ("is_nullable", SqlType::Bit),
            ("system_type_id", SqlType::Int),
            ("system_type_name", SqlType::NVarChar(Some(256))),
            ("max_length", SqlType::SmallInt),
            ("precision", SqlType::TinyInt),
            ("scale", SqlType::TinyInt),
            ("collation_name", NAME),
            ("is_identity_column", SqlType::Bit),
        ];
        let rows = described.iter().enumerate().map(|(at, own)| {
            let (length, precision, scale) = types::facets(own.sql_type);
            vec![
                Value::Bit(false),
                Value::Int(i64::try_from(at + 1).unwrap_or_default()),
                if own.name.is_empty() { Value::Null } else { Value::Text(own.name.clone()) },
                Value::Bit(own.nullable),
                Value::Int(i64::from(types::info_of(own.sql_type).system_type_id)),
                Value::Text(types::display(own.sql_type)),
                Value::Int(i64::from(length)),
                Value::Int(i64::from(precision)),
                Value::Int(i64::from(scale)),
                own.collation.map_or(Value::Null, |name| Value::Text(name.to_owned())),
                Value::Bit(own.identity),
            ]
        });
        let rows = rows.collect();
        Ok(Outcome {
            results: vec![Rows { columns: kinds.map(|(name, ty)| column(name, ty)).into(), rows }],
            ..Outcome::default()
        })
    }
}

/// The only option whose name contains a text: `sp_configure` takes any unique part of a name.
fn similar(part: &str) -> Option<&'static (i64, &'static str, i64, i64, i64)> {
    let lower = part.to_lowercase();
    let mut found =
        super::super::views::server::CONFIGURATIONS.iter().filter(|option| option.1.to_lowercase().contains(&lower));
    found.next().filter(|_| found.next().is_none())
}

/// ODBC's number of a type.
fn odbc_type(ty: SqlType) -> i64 {
    match ty {
        SqlType::Bit => -7,
        SqlType::TinyInt => -6,
        SqlType::SmallInt => 5,
        SqlType::Int => 4,
        SqlType::BigInt => -5,
        SqlType::Decimal { .. } | SqlType::Money | SqlType::SmallMoney => 3,
        SqlType::Numeric { .. } => 2,
        SqlType::Real => 7,
        SqlType::Float => 6,
        SqlType::Date | SqlType::NVarChar(_) => -9,
        SqlType::Time(_) => -154,
        SqlType::SmallDateTime | SqlType::DateTime | SqlType::DateTime2(_) => 11,
        SqlType::DateTimeOffset(_) => -155,
        SqlType::Char(_) => 1,
        SqlType::VarChar(_) => 12,
        SqlType::Text => -1,
        SqlType::NChar(_) => -8,
        SqlType::NText => -10,
        SqlType::Binary(_) | SqlType::RowVersion => -2,
        SqlType::VarBinary(_) => -3,
        SqlType::Image => -4,
        SqlType::UniqueIdentifier => -11,
        SqlType::Xml => -152,
        SqlType::SqlVariant => -150,
        SqlType::HierarchyId | SqlType::Geometry | SqlType::Geography => -151,
    }
}

/// `sp_datatype_info`: the types that a client may name.
fn data_types() -> Outcome {
    let kinds = [
        ("TYPE_NAME", NAME),
        ("DATA_TYPE", SqlType::SmallInt),
        ("PRECISION", SqlType::Int),
        ("LITERAL_PREFIX", SqlType::VarChar(Some(32))),
        ("LITERAL_SUFFIX", SqlType::VarChar(Some(32))),
        ("CREATE_PARAMS", SqlType::VarChar(Some(32))),
        ("NULLABLE", SqlType::SmallInt),
        ("CASE_SENSITIVE", SqlType::SmallInt),
        ("SEARCHABLE", SqlType::SmallInt),
        ("UNSIGNED_ATTRIBUTE", SqlType::SmallInt),
        ("MONEY", SqlType::SmallInt),
        ("AUTO_INCREMENT", SqlType::SmallInt),
        ("LOCAL_TYPE_NAME", NAME),
        ("MINIMUM_SCALE", SqlType::SmallInt),
        ("MAXIMUM_SCALE", SqlType::SmallInt),
        ("SQL_DATA_TYPE", SqlType::SmallInt),
        ("SQL_DATETIME_SUB", SqlType::SmallInt),
        ("NUM_PREC_RADIX", SqlType::Int),
        ("INTERVAL_PRECISION", SqlType::SmallInt),
        ("USERTYPE", SqlType::SmallInt),
    ];
    let rows = types::TYPES.iter().filter(|info| info.name != "sysname").filter_map(|info| {
        let ty = types::build(info.name, &[], 1).ok()?;
        let quote =
            if types::is_text(ty) || types::is_temporal(ty) { Value::Text("'".to_owned()) } else { Value::Null };
        let number = odbc_type(ty);
        let flag = |on: bool| Value::Int(i64::from(on));
        Some(vec![
            Value::Text(info.name.to_owned()),
            Value::Int(number),
            Value::Int(i64::from(if info.precision > 0 { info.precision } else { info.max_length })),
            quote.clone(),
            quote,
            Value::Null,
            Value::Int(1),
            flag(false),
            Value::Int(3),
            if types::is_number(ty) { flag(ty == SqlType::TinyInt) } else { Value::Null },
            flag(matches!(ty, SqlType::Money | SqlType::SmallMoney)),
            if types::is_number(ty) { flag(false) } else { Value::Null },
            Value::Text(info.name.to_owned()),
            if types::is_number(ty) { Value::Int(0) } else { Value::Null },
            if types::is_number(ty) { Value::Int(i64::from(info.scale)) } else { Value::Null },
            Value::Int(number),
            Value::Null,
            if types::is_number(ty) { Value::Int(10) } else { Value::Null },
            Value::Null,
            Value::Int(0),
        ])
    });
    let rows = rows.collect();
    Outcome {
        results: vec![Rows { columns: kinds.map(|(name, ty)| column(name, ty)).into(), rows }],
        ..Outcome::default()
    }
}

fn server_info() -> Outcome {
    let columns = vec![
        column("attribute_id", SqlType::Int),
        column("attribute_name", SqlType::VarChar(Some(60))),
        column("attribute_value", SqlType::VarChar(Some(255))),
    ];
    let facts = [
        (1, "DBMS_NAME", "Microsoft SQL Server"),
        (2, "DBMS_VER", super::super::functions::property::VERSION),
        (18, "COLLATION_SEQ", "charset=iso_1 sort_order=nocase_iso"),
    ];
    let rows = facts
        .map(|(id, name, value)| vec![Value::Int(id), Value::Text(name.to_owned()), Value::Text(value.to_owned())])
        .into();
    Outcome { results: vec![Rows { columns, rows }], ..Outcome::default() }
}
