//! Functions about the session, the server and the catalogue's objects.

use super::super::bind::function::{any_null, integer};
use super::super::bind::{Binder, Bound};
use super::super::catalog::same;
use super::super::environment::Environment;
use super::super::error::Result;
use super::super::operation::{Apply, Call, Note};
use super::super::values::types;
use crate::value::{SqlType, Value};

const NAME: SqlType = SqlType::NVarChar(Some(128));

/// How many arguments a function of this family takes.
pub fn count(name: &str) -> Option<(usize, usize)> {
    Some(match name {
        "NEWID"
        | "NEWSEQUENTIALID"
        | "SYSTEM_USER"
        | "CURRENT_USER"
        | "SESSION_USER"
        | "USER"
        | "ORIGINAL_LOGIN"
        | "APP_NAME"
        | "HOST_NAME"
        | "HOST_ID"
        | "XACT_STATE"
        | "SCOPE_IDENTITY"
        | "ERROR_NUMBER"
        | "ERROR_MESSAGE"
        | "ERROR_SEVERITY"
        | "ERROR_STATE"
        | "ERROR_LINE"
        | "ERROR_PROCEDURE"
        | "ROWCOUNT_BIG"
        | "CURRENT_TRANSACTION_ID"
        | "GETANSINULL" => (0, 0),
        "DB_NAME"
        | "DB_ID"
        | "SUSER_SNAME"
        | "SUSER_NAME"
        | "USER_NAME"
        | "USER_ID"
        | "SUSER_ID"
        | "SUSER_SID"
        | "SCHEMA_ID"
        | "SCHEMA_NAME"
        | "DATABASE_PRINCIPAL_ID" => (0, 1),
        "ISNUMERIC" | "IS_MEMBER" | "HAS_DBACCESS" | "TYPE_ID" | "IDENT_CURRENT" | "IDENT_SEED" | "IDENT_INCR"
        | "TYPE_NAME" | "OBJECT_DEFINITION" => (1, 1),
        "OBJECT_ID" | "OBJECT_NAME" | "OBJECT_SCHEMA_NAME" | "IS_ROLEMEMBER" | "IS_SRVROLEMEMBER" => (1, 2),
        "COL_NAME" | "COL_LENGTH" => (2, 2),
        "HAS_PERMS_BY_NAME" => (3, 5),
        _ => return None,
    })
}

/// Binds a function of this family.
pub fn bind(binder: &mut Binder<'_>, name: &str, args: Vec<Bound>) -> Result<Bound> {
    let environment = binder.environment;
    let known = |text: &str| Value::Text(text.to_owned());
    let constant = match (name, args.len()) {
        ("SYSTEM_USER" | "ORIGINAL_LOGIN", _) | ("SUSER_SNAME" | "SUSER_NAME", 0) => {
            Some((known(&environment.login), NAME))
        }
        ("CURRENT_USER" | "SESSION_USER" | "USER", _) | ("USER_NAME", 0) => Some((known(&environment.user), NAME)),
        ("APP_NAME", _) => Some((known(&environment.app_name), NAME)),
        ("HOST_NAME", _) => Some((known(&environment.host_name), NAME)),
        ("HOST_ID", _) => Some((known("0"), SqlType::Char(10))),
        ("DB_NAME", 0) => Some((known(&environment.database), NAME)),
        ("DB_ID", 0) => {
            Some((Value::Int(database_id(environment, &environment.database).unwrap_or(5)), SqlType::SmallInt))
        }
        ("SCHEMA_NAME", 0) => Some((known("dbo"), NAME)),
        ("SCHEMA_ID" | "USER_ID" | "DATABASE_PRINCIPAL_ID" | "SUSER_ID", 0) | ("GETANSINULL", _) => {
            Some((Value::Int(1), SqlType::Int))
        }
        ("XACT_STATE", _) => Some((Value::Int(environment.xact_state), SqlType::SmallInt)),
        ("CURRENT_TRANSACTION_ID", _) => Some((Value::Int(i64::from(environment.spid)), SqlType::BigInt)),
        ("ROWCOUNT_BIG", _) => Some((Value::Int(environment.row_count), SqlType::BigInt)),
        ("SCOPE_IDENTITY", _) => Some((environment.identity.clone(), SqlType::Numeric { precision: 38, scale: 0 })),
        _ => caught(environment, name),
    };
    if let Some((value, ty)) = constant {
        let bound = binder.constant(&value, ty);
        return Ok(Bound { nullable: true, ..bound });
    }
    let (apply, ty): (Apply, SqlType) = match name {
        "NEWID" | "NEWSEQUENTIALID" => {
            return Ok(binder.call_volatile(new_id, &[], SqlType::UniqueIdentifier, Note::None));
        }
        "ISNUMERIC" => (is_numeric, SqlType::Int),
        "SUSER_SID" => (security_id, SqlType::VarBinary(Some(85))),
        "DB_ID" | "COL_LENGTH" => (number, SqlType::SmallInt),
        "DB_NAME" | "SUSER_SNAME" | "SUSER_NAME" | "USER_NAME" | "SCHEMA_NAME" | "OBJECT_NAME"
        | "OBJECT_SCHEMA_NAME" | "COL_NAME" | "TYPE_NAME" => (name_of, NAME),
        "OBJECT_DEFINITION" => (name_of, SqlType::NVarChar(None)),
        "IDENT_CURRENT" | "IDENT_SEED" | "IDENT_INCR" => (identity, SqlType::Numeric { precision: 38, scale: 0 }),
        "HAS_PERMS_BY_NAME" => (permission, SqlType::Int),
        _ => (number, SqlType::Int),
    };
    let wanted: Vec<Option<SqlType>> = args
        .iter()
        .map(|arg| {
            if types::is_integer(arg.ty) && !arg.null {
                Some(SqlType::BigInt)
            } else if name == "ISNUMERIC" || types::is_binary(arg.ty) {
                None
            } else {
                Some(SqlType::NVarChar(Some(4000)))
            }
        })
        .collect();
    binder
        .call_with(apply, args, &wanted, ty, Note::Text(name.to_owned()))
        .map(|bound| Bound { nullable: true, ..bound })
}

fn caught(environment: &Environment, name: &str) -> Option<(Value, SqlType)> {
    let error = environment.caught.as_ref();
    let number = |value: Option<i64>| (value.map_or(Value::Null, Value::Int), SqlType::Int);
    Some(match name {
        "ERROR_NUMBER" => number(error.map(|error| i64::from(error.number))),
        "ERROR_SEVERITY" => number(error.map(|error| i64::from(error.severity))),
        "ERROR_STATE" => number(error.map(|error| i64::from(error.state))),
        "ERROR_LINE" => number(error.map(|error| i64::from(error.line))),
        "ERROR_MESSAGE" => {
            (error.map_or(Value::Null, |error| Value::Text(error.message.clone())), SqlType::NVarChar(Some(4000)))
        }
        "ERROR_PROCEDURE" => {
            let procedure = error.filter(|error| !error.procedure.is_empty());
            (procedure.map_or(Value::Null, |error| Value::Text(error.procedure.clone())), NAME)
        }
        _ => return None,
    })
}

/// The id of a database by name.
pub fn database_id(environment: &Environment, name: &str) -> Option<i64> {
    let known = [("master", 1), ("tempdb", 2), ("model", 3), ("msdb", 4)];
    if same(name, &environment.shared.database) {
        return Some(5);
    }
    if same(name, "rdsadmin") && environment.catalog.state.outside.flavour == "rds" {
        return Some(6);
    }
    known.iter().find(|(own, _)| same(own, name)).map(|(_, id)| *id)
}

/// The value of `@@NAME`.
pub fn global(environment: &Environment, name: &str) -> Option<(Value, SqlType)> {
    let int = |value: i64| (Value::Int(value), SqlType::Int);
    let text = |value: &str| (Value::Text(value.to_owned()), NAME);
    Some(match name {
        "@@ROWCOUNT" => int(environment.row_count),
        "@@TRANCOUNT" => int(environment.transactions),
        "@@ERROR" => int(i64::from(environment.error)),
        "@@SPID" => (Value::Int(i64::from(environment.spid)), SqlType::SmallInt),
        "@@LOCK_TIMEOUT" => int(environment.lock_timeout),
        "@@TEXTSIZE" => int(environment.text_size),
        "@@NESTLEVEL" | "@@CURSOR_ROWS" | "@@PACK_SENT" | "@@PACK_RECEIVED" | "@@TOTAL_ERRORS" | "@@CPU_BUSY"
        | "@@IDLE" | "@@PROCID" => int(0),
        "@@FETCH_STATUS" => int(-1),
        "@@IDENTITY" => (environment.identity.clone(), SqlType::Numeric { precision: 38, scale: 0 }),
        "@@VERSION" => (Value::Text(super::property::VERSION_TEXT.to_owned()), SqlType::NVarChar(Some(300))),
        "@@SERVERNAME" => text(super::property::SERVER),
        "@@SERVICENAME" => text("MSSQLSERVER"),
        "@@LANGUAGE" => text("us_english"),
        "@@LANGID" => (Value::Int(0), SqlType::SmallInt),
        "@@DATEFIRST" => (Value::Int(7), SqlType::TinyInt),
        "@@MAX_PRECISION" => (Value::Int(38), SqlType::TinyInt),
        "@@MAX_CONNECTIONS" => int(32_767),
        "@@OPTIONS" => int(5496),
        "@@MICROSOFTVERSION" => int(0x1000_0faa),
        "@@DBTS" => {
            (Value::Bytes(environment.shared.last_row_version().to_be_bytes().to_vec()), SqlType::VarBinary(Some(8)))
        }
        _ => return None,
    })
}

fn new_id(_: &Call<'_>, _: &[Value]) -> Result<Value> {
    Ok(Value::Guid(*uuid::Uuid::new_v4().as_bytes()))
}

fn is_numeric(call: &Call<'_>, args: &[Value]) -> Result<Value> {
    let good = match &args[0] {
        Value::Text(text) => {
            let trimmed = text.trim();
            let float =
                || trimmed.parse::<f64>().is_ok_and(f64::is_finite) && trimmed.bytes().any(|b| b.is_ascii_digit());
            !trimmed.is_empty() && (super::super::values::numeric::parse_money(trimmed).is_some() || float())
        }
        Value::Null => false,
        _ => types::is_number(call.arg(0)),
    };
    Ok(Value::Int(i64::from(good)))
}

fn security_id(call: &Call<'_>, _: &[Value]) -> Result<Value> {
    Ok(if call.environment.sysadmin { Value::Bytes(vec![1]) } else { Value::Bytes(vec![2]) })
}

/// The parts of a dotted name, brackets and quotes taken off.
pub fn split_name(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut close = None;
    let mut letters = text.trim().chars().peekable();
    while let Some(letter) = letters.next() {
        let last = parts.len() - 1;
        match (close, letter) {
            (Some(end), _) if letter == end => {
                if letters.peek() == Some(&end) {
                    letters.next();
                    parts[last].push(letter);
                } else {
                    close = None;
                }
            }
            (None, '[') => close = Some(']'),
            (None, '"') => close = Some('"'),
            (None, '.') => parts.push(String::new()),
            _ => parts[last].push(letter),
        }
    }
    parts
}

fn object_id(environment: &Environment, text: &str, kind: Option<&str>) -> Option<i64> {
    let mut parts = split_name(text);
    if parts.first().is_some_and(|part| same(part, "tempdb")) && parts.last().is_some_and(|part| part.starts_with('#'))
    {
        parts = parts.split_off(parts.len() - 1);
    }
    let is_table = kind.is_none_or(|kind| kind.trim().eq_ignore_ascii_case("U"));
    if let Some(table) = environment.find_table(&parts).filter(|_| is_table) {
        return environment.sees(&table).then(|| i64::from(table.id));
    }
    let database = if parts.len() == 3 { parts[0].as_str() } else { environment.database.as_str() };
    if same(database, "msdb") && parts.last().is_some_and(|name| same(name, "cdc_jobs")) {
        let there = environment.shared.cdc.has_jobs_table() && environment.may_read_msdb("cdc_jobs");
        return there.then_some(1_899_153_811);
    }
    super::super::views::object::named(environment, &parts, kind)
}

fn number(call: &Call<'_>, args: &[Value]) -> Result<Value> {
    let environment = call.environment;
    if any_null(args) {
        return Ok(Value::Null);
    }
    let text = |at: usize| if let Some(Value::Text(text)) = args.get(at) { text.as_str() } else { "" };
    let optional = |at: usize| args.get(at).map(|_| text(at));
    let found = match call.text() {
        "DB_ID" => database_id(environment, text(0)),
        "OBJECT_ID" => object_id(environment, text(0), optional(1)),
        "SCHEMA_ID" => environment.catalog.schema(text(0)).map(|(id, _)| i64::from(id)),
        "USER_ID" | "DATABASE_PRINCIPAL_ID" if same(&environment.database, "msdb") => {
            let user = environment.catalog.state.msdb.iter().position(|user| same(&user.name, text(0)));
            user.and_then(|at| i64::try_from(at + 5).ok())
        }
        "USER_ID" | "DATABASE_PRINCIPAL_ID" => {
            environment.catalog.principal(text(0)).map(|principal| i64::from(principal.id))
        }
        "SUSER_ID" if same(text(0), &environment.shared.user) => Some(1),
        "SUSER_ID" => {
            let login = environment.catalog.state.logins.iter().position(|login| same(&login.name, text(0)));
            login.and_then(|at| i64::try_from(at + 257).ok())
        }
        "TYPE_ID" => {
            let name = split_name(text(0)).pop().unwrap_or_default();
            types::TYPES
                .iter()
                .find(|info| info.name.eq_ignore_ascii_case(&name))
                .map(|info| i64::from(info.user_type_id))
        }
        "COL_LENGTH" => environment
            .find_table(&split_name(text(0)))
            .filter(|table| environment.sees(table))
            .and_then(|table| table.column(text(1)).map(|column| i64::from(types::facets(column.ty).0))),
        "IS_MEMBER" | "IS_ROLEMEMBER" => {
            let known = environment.catalog.principal(text(0)).is_some_and(|principal| principal.role);
            known.then(|| i64::from(environment.is_member_of(text(0))))
        }
        "IS_SRVROLEMEMBER" => {
            let roles = [
                "sysadmin",
                "serveradmin",
                "securityadmin",
                "setupadmin",
                "processadmin",
                "diskadmin",
                "dbcreator",
                "bulkadmin",
                "public",
            ];
            roles
                .iter()
                .any(|role| same(role, text(0)))
                .then(|| i64::from(environment.sysadmin || same(text(0), "public")))
        }
        "HAS_DBACCESS" => database_id(environment, text(0)).map(|_| 1),
        _ => None,
    };
    Ok(found.map_or(Value::Null, Value::Int))
}

fn name_of(call: &Call<'_>, args: &[Value]) -> Result<Value> {
    let environment = call.environment;
    if any_null(args) {
        return Ok(Value::Null);
    }
    let id = integer(args, 0);
    let small = i32::try_from(id).unwrap_or(0);
    let table = environment.catalog.tables.get(&small).or_else(|| environment.local.get(&small));
    let table = table.filter(|table| environment.sees(table));
    let found = match call.text() {
        "DB_NAME" => ["master", "tempdb", "model", "msdb", environment.shared.database.as_str()]
            .get(usize::try_from(id - 1).unwrap_or(usize::MAX))
            .map(|name| (*name).to_owned()),
        "SUSER_SNAME" | "SUSER_NAME" => match args.first() {
            Some(Value::Bytes(sid)) => (*sid == [1]).then(|| environment.shared.user.clone()),
            _ => Some(environment.login.clone()),
        },
        "USER_NAME" => {
            environment.catalog.state.principals.iter().find(|principal| principal.id == small).map(|p| p.name.clone())
        }
        "SCHEMA_NAME" => {
            environment.catalog.state.schemas.iter().find(|(own, _)| *own == small).map(|(_, name)| name.clone())
        }
        "OBJECT_NAME" => {
            table.map(|table| table.name.clone()).or_else(|| super::super::views::object::name(environment, small))
        }
        "OBJECT_SCHEMA_NAME" => table.map(|table| table.schema.clone()),
        "COL_NAME" => table.and_then(|table| {
            let wanted = i32::try_from(integer(args, 1)).unwrap_or(0);
            table.columns.iter().find(|column| column.id == wanted).map(|column| column.name.clone())
        }),
        "TYPE_NAME" => {
            types::TYPES.iter().find(|info| i64::from(info.user_type_id) == id).map(|info| info.name.to_owned())
        }
        _ => None,
    };
    Ok(found.map_or(Value::Null, Value::Text))
}

fn identity(call: &Call<'_>, args: &[Value]) -> Result<Value> {
    let Value::Text(name) = &args[0] else { return Ok(Value::Null) };
    let table = call.environment.find_table(&split_name(name));
    let found = table.and_then(|table| {
        let (seed, increment) = table.columns.iter().find_map(|column| column.identity)?;
        Some(match call.text() {
            "IDENT_SEED" => seed,
            "IDENT_INCR" => increment,
            _ => call.environment.shared.last_identity(table.id).unwrap_or(seed),
        })
    });
    Ok(found.map_or(Value::Null, |value| Value::Decimal(i128::from(value), 0)))
}

fn permission(call: &Call<'_>, args: &[Value]) -> Result<Value> {
    let environment = call.environment;
    let text = |at: usize| if let Some(Value::Text(text)) = args.get(at) { text.as_str() } else { "" };
    let wanted = text(2).to_uppercase();
    if environment.is_member_of("db_owner") {
        return Ok(Value::Int(1));
    }
    let name = split_name(text(0));
    let allowed = match text(1).to_uppercase().as_str() {
        "OBJECT" if matches!(&name[..], [schema, _] if same(schema, "cdc")) => {
            wanted == "SELECT" && name.last().is_some_and(|table| environment.may_read_of_cdc(table))
        }
        "OBJECT" => environment.find_table(&name).is_some_and(|table| match text(3) {
            "" => environment.may(&wanted, &table),
            column => environment.may_on_column(&wanted, &table, column),
        }),
        "SCHEMA" if same(text(0), "cdc") => environment.may_read_cdc() || environment.is_member_of("db_datareader"),
        "SCHEMA" => {
            let schema = environment.catalog.schema(text(0)).map_or(i32::MIN, |(id, _)| -id);
            environment.granted(&wanted, &[schema, 0])
        }
        _ => environment.granted(&wanted, &[0]),
    };
    Ok(Value::Int(i64::from(allowed)))
}

/// A scalar function of schema `sys` that belongs to CDC.
pub fn cdc_function(call: &Call<'_>, args: &[Value]) -> Result<Value> {
    call.environment.shared.cdc.function(call.text(), args, call.environment)
}

/// Binary as text with `0x`.
pub fn hex_text(_: &Call<'_>, args: &[Value]) -> Result<Value> {
    Ok(super::string::hex(&args[0]))
}
