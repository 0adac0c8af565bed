//! SERVERPROPERTY and its kin.

use super::super::bind::function::{any_null, integer};
use super::super::bind::{Binder, Bound};
use super::super::catalog::same;
use super::super::error::Result;
use super::super::operation::{Call, Note};
use super::super::values::{collation, types};
use crate::value::{SqlType, Value};

/// The server's name.
pub const SERVER: &str = "STANDIN";
/// `@@VERSION`.
pub const VERSION_TEXT: &str = "Microsoft SQL Server 2022 (RTM-CU14) (KB5038325) - 16.0.4135.4 (X64) \n\tJul 10 2024 14:09:09 \n\tCopyright (C) 2022 Microsoft Corporation\n\tDeveloper Edition (64-bit) on Linux (stand-in for tests)";
/// `ProductVersion`.
pub const VERSION: &str = "16.0.4135.4";

/// How many arguments a property function takes.
pub fn count(name: &str) -> Option<(usize, usize)> {
    Some(match name {
        "SERVERPROPERTY" | "CONNECTIONPROPERTY" | "SESSIONPROPERTY" | "SESSION_CONTEXT" => (1, 1),
        "DATABASEPROPERTYEX"
        | "OBJECTPROPERTY"
        | "OBJECTPROPERTYEX"
        | "TYPEPROPERTY"
        | "FULLTEXTSERVICEPROPERTY"
        | "COLLATIONPROPERTY"
        | "SQL_VARIANT_PROPERTY" => {
            if name == "FULLTEXTSERVICEPROPERTY" {
                (1, 1)
            } else {
                (2, 2)
            }
        }
        "COLUMNPROPERTY" | "INDEXPROPERTY" | "INDEX_COL" | "INDEXKEY_PROPERTY" => (3, 4),
        _ => return None,
    })
}

/// Binds a property function.
pub fn bind(binder: &mut Binder<'_>, name: &str, args: Vec<Bound>) -> Result<Bound> {
    let ty = match name {
        "OBJECTPROPERTY"
        | "COLUMNPROPERTY"
        | "INDEXPROPERTY"
        | "TYPEPROPERTY"
        | "FULLTEXTSERVICEPROPERTY"
        | "INDEXKEY_PROPERTY" => SqlType::Int,
        "INDEX_COL" => SqlType::NVarChar(Some(128)),
        _ => SqlType::SqlVariant,
    };
    let variant = name == "SQL_VARIANT_PROPERTY";
    let wanted: Vec<Option<SqlType>> = args
        .iter()
        .enumerate()
        .map(|(at, arg)| {
            if variant && at == 0 {
                None
            } else if types::is_integer(arg.ty) && !arg.null {
                Some(SqlType::BigInt)
            } else {
                Some(SqlType::NVarChar(Some(4000)))
            }
        })
        .collect();
    binder
        .call_with(property, args, &wanted, ty, Note::Text(name.to_owned()))
        .map(|bound| Bound { nullable: true, ..bound })
}

fn variant(value: Option<(SqlType, Value)>) -> Value {
    value.map_or(Value::Null, |inner| Value::Variant(Box::new(inner)))
}

fn text_value(text: &str) -> Option<(SqlType, Value)> {
    Some((SqlType::NVarChar(Some(128)), Value::Text(text.to_owned())))
}

fn int_value(int: i64) -> Option<(SqlType, Value)> {
    Some((SqlType::Int, Value::Int(int)))
}

fn property(call: &Call<'_>, args: &[Value]) -> Result<Value> {
    if any_null(args) {
        return Ok(Value::Null);
    }
    let text = |at: usize| if let Some(Value::Text(text)) = args.get(at) { text.to_lowercase() } else { String::new() };
    Ok(match call.text() {
        "SERVERPROPERTY" => variant(match text(0).as_str() {
            "engineedition" if call.environment.catalog.state.outside.flavour == "azure" => int_value(5),
            name => server(name),
        }),
        "CONNECTIONPROPERTY" => variant(match text(0).as_str() {
            "net_transport" => text_value("TCP"),
            "protocol_type" => text_value("TSQL"),
            "auth_scheme" => text_value("SQL"),
            "local_net_address" | "client_net_address" => text_value("127.0.0.1"),
            "local_tcp_port" => int_value(1433),
            _ => None,
        }),
        "SESSIONPROPERTY" => variant({
            let wanted = text(0).to_uppercase();
            let known = [
                "ANSI_NULLS",
                "ANSI_PADDING",
                "ANSI_WARNINGS",
                "ARITHABORT",
                "CONCAT_NULL_YIELDS_NULL",
                "NUMERIC_ROUNDABORT",
                "QUOTED_IDENTIFIER",
            ];
            if known.contains(&wanted.as_str()) {
                int_value(i64::from(call.environment.options.contains(&wanted)))
            } else {
                None
            }
        }),
        "DATABASEPROPERTYEX" => variant(database(call, &text(0), &text(1))),
        "COLLATIONPROPERTY" => variant(match (collation::find(&text(0)), text(1).as_str()) {
            (Some(name), "codepage") => int_value(if collation::is_utf8(name) { 65_001 } else { 1252 }),
            (Some(_), "lcid") => int_value(1033),
            (Some(_), "version") => int_value(0),
            _ => None,
        }),
        "SQL_VARIANT_PROPERTY" => variant(match (&args[0], text(1).as_str()) {
            (Value::Variant(inner), "basetype") => text_value(types::name(inner.0)),
            (Value::Variant(inner), "maxlength") => int_value(i64::from(types::facets(inner.0).0)),
            (Value::Variant(inner), "precision") => int_value(i64::from(types::facets(inner.0).1)),
            (Value::Variant(inner), "scale") => int_value(i64::from(types::facets(inner.0).2)),
            (_, "basetype") => text_value(types::name(call.arg(0))),
            _ => None,
        }),
        "OBJECTPROPERTY" => object(call, integer(args, 0), &text(1)),
        "COLUMNPROPERTY" => column(call, args, &text(1), &text(2)),
        "INDEXPROPERTY" => index(call, args, &text(1), &text(2)),
        "TYPEPROPERTY" => {
            let found = types::TYPES.iter().find(|info| info.name == text(0));
            found.map_or(Value::Null, |info| {
                Value::Int(i64::from(if text(1) == "precision" { info.precision } else { info.scale }))
            })
        }
        "FULLTEXTSERVICEPROPERTY" => Value::Int(0),
        _ => Value::Null,
    })
}

fn server(name: &str) -> Option<(SqlType, Value)> {
    match name {
        "productversion" => text_value(VERSION),
        "productmajorversion" => text_value("16"),
        "productminorversion" => text_value("0"),
        "productbuild" => text_value("4135"),
        "productlevel" => text_value("RTM"),
        "productupdatelevel" => text_value("CU14"),
        "resourceversion" => text_value("16.00.4135"),
        "edition" => text_value("Developer Edition (64-bit)"),
        "editionid" => Some((SqlType::BigInt, Value::Int(-2_117_995_310))),
        "engineedition" => int_value(3),
        "servername" | "machinename" | "computernamephysicalnetbios" => text_value(SERVER),
        "collation" => text_value(collation::DEFAULT),
        "lcid" => int_value(1033),
        "ishadrenabled"
        | "isclustered"
        | "isintegratedsecurityonly"
        | "issingleuser"
        | "isfulltextinstalled"
        | "isxtpsupported"
        | "ispolybaseinstalled"
        | "isadvancedanalyticsinstalled"
        | "hadrmanagerstatus" => int_value(0),
        "sqlcharsetname" => text_value("iso_1"),
        "sqlsortordername" => text_value("nocase_iso"),
        "buildclrversion" => text_value("v4.0.30319"),
        "licensetype" => text_value("DISABLED"),
        "processid" => int_value(i64::from(std::process::id())),
        _ => None,
    }
}

fn database(call: &Call<'_>, name: &str, property: &str) -> Option<(SqlType, Value)> {
    let environment = call.environment;
    super::meta::database_id(environment, name)?;
    let own = same(name, &environment.shared.database);
    match property {
        "collation" => text_value(collation::DEFAULT),
        "status" => text_value("ONLINE"),
        "updateability" => text_value("READ_WRITE"),
        "useraccess" => text_value("MULTI_USER"),
        "recovery" => text_value(if own { &environment.catalog.state.recovery } else { "SIMPLE" }),
        "version" => int_value(957),
        "issnapshotisolationon" | "is_snapshot_isolation_on" => {
            int_value(i64::from(own && environment.catalog.state.snapshot))
        }
        "isautoclose" | "isautoshrink" | "isfulltextenabled" | "isinstandby" | "ispublished" => int_value(0),
        _ => None,
    }
}

fn object(call: &Call<'_>, id: i64, property: &str) -> Value {
    let Some(table) = i32::try_from(id).ok().and_then(|id| call.environment.catalog.tables.get(&id)) else {
        return Value::Null;
    };
    let answer = match property {
        "istable" | "isusertable" => true,
        "tablehasprimarykey" => table.indexes.iter().any(|index| index.primary),
        "tablehasidentity" => table.columns.iter().any(|column| column.identity.is_some()),
        "ismsshipped" | "isview" | "isprocedure" | "issystemtable" => false,
        _ => return Value::Null,
    };
    Value::Int(i64::from(answer))
}

fn column(call: &Call<'_>, args: &[Value], name: &str, property: &str) -> Value {
    let table = i32::try_from(integer(args, 0)).ok().and_then(|id| call.environment.catalog.tables.get(&id));
    let Some(column) = table.and_then(|table| table.column(name)) else { return Value::Null };
    let (_, precision, scale) = types::facets(column.ty);
    Value::Int(match property {
        "isidentity" => i64::from(column.identity.is_some()),
        "iscomputed" => i64::from(column.computed.is_some()),
        "allowsnull" => i64::from(column.nullable),
        "columnid" => i64::from(column.id),
        "precision" => i64::from(types::length(column.ty).map_or(precision, i32::from)),
        "scale" => i64::from(scale),
        "isrowguidcol" => i64::from(column.rowguid),
        "issparse" | "iscolumnset" | "ishidden" | "generatedalwaystype" => 0,
        _ => return Value::Null,
    })
}

fn index(call: &Call<'_>, args: &[Value], name: &str, property: &str) -> Value {
    let table = i32::try_from(integer(args, 0)).ok().and_then(|id| call.environment.catalog.tables.get(&id));
    let Some(index) = table.and_then(|table| table.indexes.iter().find(|index| same(&index.name, name))) else {
        return Value::Null;
    };
    Value::Int(match property {
        "isunique" => i64::from(index.unique),
        "isclustered" => i64::from(index.clustered),
        "indexid" => i64::from(index.id),
        "isdisabled" | "ishypothetical" | "isstatistics" => 0,
        _ => return Value::Null,
    })
}
