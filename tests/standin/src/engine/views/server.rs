//! The server: principals, sessions, configuration; sizes of tables.

use super::{NAME, Sight, View, WORD, bit, columns, int, moment, text};
use crate::engine::functions::property;
use crate::value::{Column, SqlType, Value};

/// The views of this family.
pub const VIEWS: &[View] = &[
    View { schema: "sys", name: "server_principals", columns: principal_columns, rows: principals, lasting: false },
    View { schema: "sys", name: "sql_logins", columns: principal_columns, rows: principals, lasting: false },
    View {
        schema: "sys",
        name: "configurations",
        columns: configuration_columns,
        rows: configurations,
        lasting: false,
    },
    View { schema: "sys", name: "dm_exec_sessions", columns: session_columns, rows: sessions, lasting: false },
    View { schema: "sys", name: "dm_exec_connections", columns: connection_columns, rows: connections, lasting: false },
    View { schema: "sys", name: "dm_server_services", columns: service_columns, rows: services, lasting: false },
    View {
        schema: "sys",
        name: "dm_hadr_database_replica_states",
        columns: replica_columns,
        rows: none,
        lasting: true,
    },
    View { schema: "sys", name: "dm_os_sys_info", columns: system_columns, rows: system, lasting: false },
];

const BIT: SqlType = SqlType::Bit;
const INT: SqlType = SqlType::Int;
const DATE: SqlType = SqlType::DateTime;

/// Options of `sp_configure`: id, name, value, least, most.
pub const CONFIGURATIONS: &[(i64, &str, i64, i64, i64)] = &[
    (101, "recovery interval (min)", 0, 0, 32_767),
    (103, "user connections", 0, 0, 32_767),
    (115, "nested triggers", 1, 0, 1),
    (505, "network packet size (B)", 4096, 512, 32_767),
    (518, "show advanced options", 0, 0, 1),
    (1536, "max text repl size (B)", 65_536, -1, 2_147_483_647),
    (1539, "max degree of parallelism", 0, 0, 32_767),
    (1544, "max server memory (MB)", 2_147_483_647, 128, 2_147_483_647),
    (1562, "clr enabled", 0, 0, 1),
    (16_391, "Ad Hoc Distributed Queries", 0, 0, 1),
];

fn none(_: &Sight<'_>) -> Vec<Vec<Value>> {
    Vec::new()
}

fn principal_columns() -> Vec<Column> {
    columns(&[
        ("name", NAME),
        ("principal_id", INT),
        ("sid", SqlType::VarBinary(Some(85))),
        ("type", SqlType::Char(1)),
        ("type_desc", WORD),
        ("is_disabled", BIT),
        ("create_date", DATE),
        ("modify_date", DATE),
        ("default_database_name", NAME),
        ("default_language_name", NAME),
        ("is_fixed_role", BIT),
    ])
}

fn principals(sight: &Sight<'_>) -> Vec<Vec<Value>> {
    let environment = sight.environment;
    let started = environment.shared.started;
    let mut names = vec![environment.shared.user.clone()];
    names.extend(environment.catalog.state.logins.iter().map(|login| login.name.clone()));
    let logins = names.into_iter().enumerate().map(|(at, name)| {
        let id = if at == 0 { 1 } else { 256 + i64::try_from(at).unwrap_or_default() };
        vec![
            text(name),
            int(id),
            Value::Bytes(vec![u8::try_from(at + 1).unwrap_or(255)]),
            text("S"),
            text("SQL_LOGIN"),
            bit(false),
            moment(started),
            moment(started),
            text("master"),
            text("us_english"),
            bit(false),
        ]
    });
    let role = vec![
        text("sysadmin"),
        int(3),
        Value::Bytes(vec![3]),
        text("R"),
        text("SERVER_ROLE"),
        bit(false),
        moment(started),
        moment(started),
        Value::Null,
        Value::Null,
        bit(true),
    ];
    logins.chain(std::iter::once(role)).collect()
}

fn configuration_columns() -> Vec<Column> {
    columns(&[
        ("configuration_id", INT),
        ("name", SqlType::NVarChar(Some(35))),
        ("value", SqlType::SqlVariant),
        ("minimum", SqlType::SqlVariant),
        ("maximum", SqlType::SqlVariant),
        ("value_in_use", SqlType::SqlVariant),
        ("description", SqlType::NVarChar(Some(255))),
        ("is_dynamic", BIT),
        ("is_advanced", BIT),
    ])
}

fn configurations(sight: &Sight<'_>) -> Vec<Vec<Value>> {
    let set = &sight.environment.catalog.state.configuration;
    CONFIGURATIONS
        .iter()
        .map(|(id, name, value, least, most)| {
            let variant = |value: i64| Value::Variant(Box::new((SqlType::Int, Value::Int(value))));
            let value = set.get(*name).copied().unwrap_or(*value);
            vec![
                int(*id),
                text(name),
                variant(value),
                variant(*least),
                variant(*most),
                variant(value),
                text(name),
                bit(true),
                bit(false),
            ]
        })
        .collect()
}

fn session_columns() -> Vec<Column> {
    columns(&[
        ("session_id", SqlType::SmallInt),
        ("login_time", DATE),
        ("host_name", NAME),
        ("program_name", NAME),
        ("login_name", NAME),
        ("original_login_name", NAME),
        ("status", SqlType::NVarChar(Some(30))),
        ("database_id", SqlType::SmallInt),
        ("is_user_process", BIT),
        ("transaction_isolation_level", SqlType::SmallInt),
        ("lock_timeout", INT),
        ("language", NAME),
        ("open_transaction_count", INT),
    ])
}

fn sessions(sight: &Sight<'_>) -> Vec<Vec<Value>> {
    let environment = sight.environment;
    environment
        .shared
        .sessions
        .lock()
        .iter()
        .map(|(spid, session)| {
            let own = *spid == environment.spid;
            let database = crate::engine::functions::meta::database_id(
                environment,
                if own { &environment.database } else { &session.database },
            );
            vec![
                int(*spid),
                moment(session.since),
                text(&session.host),
                text(&session.app),
                text(&session.login),
                text(&session.login),
                text(if own { "running" } else { "sleeping" }),
                int(database.unwrap_or(1)),
                bit(true),
                int(if own { environment.isolation } else { 2 }),
                int(if own { environment.lock_timeout } else { -1 }),
                text("us_english"),
                int(if own { environment.transactions } else { 0 }),
            ]
        })
        .collect()
}

fn connection_columns() -> Vec<Column> {
    columns(&[
        ("session_id", INT),
        ("connect_time", DATE),
        ("net_transport", NAME),
        ("protocol_type", NAME),
        ("encrypt_option", NAME),
        ("auth_scheme", NAME),
        ("net_packet_size", INT),
        ("client_net_address", SqlType::VarChar(Some(48))),
        ("client_tcp_port", INT),
    ])
}

fn connections(sight: &Sight<'_>) -> Vec<Vec<Value>> {
    let sessions = sight.environment.shared.sessions.lock();
    let row = |(spid, session): (&u16, &crate::engine::server::SessionInfo)| {
        vec![
            int(*spid),
            moment(session.since),
            text("TCP"),
            text("TSQL"),
            text("FALSE"),
            text("SQL"),
            int(4096),
            text("127.0.0.1"),
            Value::Null,
        ]
    };
    sessions.iter().map(row).collect()
}

fn service_columns() -> Vec<Column> {
    columns(&[
        ("servicename", SqlType::NVarChar(Some(256))),
        ("startup_type_desc", SqlType::NVarChar(Some(256))),
        ("status", INT),
        ("status_desc", SqlType::NVarChar(Some(256))),
    ])
}

fn services(sight: &Sight<'_>) -> Vec<Vec<Value>> {
    let agent = if sight.environment.catalog.state.outside.agent_stopped { (1, "Stopped") } else { (4, "Running") };
    [("SQL Server (MSSQLSERVER)", (4, "Running")), ("SQL Server Agent (MSSQLSERVER)", agent)]
        .iter()
        .map(|(name, (status, word))| vec![text(name), text("Automatic"), int(*status), text(word)])
        .collect()
}

fn replica_columns() -> Vec<Column> {
    columns(&[
        ("database_id", INT),
        ("group_id", SqlType::UniqueIdentifier),
        ("replica_id", SqlType::UniqueIdentifier),
        ("is_local", BIT),
        ("is_primary_replica", BIT),
    ])
}

fn system_columns() -> Vec<Column> {
    columns(&[("cpu_count", INT), ("sqlserver_start_time", DATE), ("machine_name", NAME)])
}

fn system(sight: &Sight<'_>) -> Vec<Vec<Value>> {
    let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    vec![vec![int(i64::try_from(count).unwrap_or(1)), moment(sight.environment.shared.started), text(property::SERVER)]]
}
