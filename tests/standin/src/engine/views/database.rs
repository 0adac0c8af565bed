//! Databases and their principals.

use super::{NAME, Sight, View, WORD, bit, columns, int, moment, text};
use crate::engine::values::collation;
use crate::value::{Column, SqlType, Value};

/// The views of this family.
pub const VIEWS: &[View] = &[
    View { schema: "sys", name: "databases", columns: database_columns, rows: databases, lasting: false },
    View { schema: "sys", name: "database_principals", columns: principal_columns, rows: principals, lasting: false },
    View { schema: "sys", name: "database_role_members", columns: member_columns, rows: members, lasting: false },
    View {
        schema: "sys",
        name: "database_permissions",
        columns: permission_columns,
        rows: permissions,
        lasting: false,
    },
    View { schema: "sys", name: "database_recovery_status", columns: recovery_columns, rows: recovery, lasting: false },
    View { schema: "dbo", name: "cdc_jobs", columns: job_columns, rows: jobs, lasting: false },
    View { schema: "dbo", name: "restorehistory", columns: restore_columns, rows: restores, lasting: false },
    View { schema: "sys", name: "dm_cdc_log_scan_sessions", columns: scan_columns, rows: scans, lasting: false },
    View { schema: "sys", name: "dm_cdc_errors", columns: error_columns, rows: errors, lasting: false },
];

const BIT: SqlType = SqlType::Bit;
const INT: SqlType = SqlType::Int;
const DATE: SqlType = SqlType::DateTime;

fn database_columns() -> Vec<Column> {
    columns(&[
        ("name", NAME),
        ("database_id", INT),
        ("source_database_id", INT),
        ("owner_sid", SqlType::VarBinary(Some(85))),
        ("create_date", DATE),
        ("compatibility_level", SqlType::TinyInt),
        ("collation_name", NAME),
        ("user_access", SqlType::TinyInt),
        ("user_access_desc", WORD),
        ("is_read_only", BIT),
        ("is_auto_close_on", BIT),
        ("is_auto_shrink_on", BIT),
        ("state", SqlType::TinyInt),
        ("state_desc", WORD),
        ("is_in_standby", BIT),
        ("is_cleanly_shutdown", BIT),
        ("snapshot_isolation_state", SqlType::TinyInt),
        ("snapshot_isolation_state_desc", WORD),
        ("is_read_committed_snapshot_on", BIT),
        ("recovery_model", SqlType::TinyInt),
        ("recovery_model_desc", WORD),
        ("page_verify_option", SqlType::TinyInt),
        ("page_verify_option_desc", WORD),
        ("is_published", BIT),
        ("is_subscribed", BIT),
        ("is_merge_published", BIT),
        ("is_distributor", BIT),
        ("service_broker_guid", SqlType::UniqueIdentifier),
        ("is_broker_enabled", BIT),
        ("log_reuse_wait", SqlType::TinyInt),
        ("log_reuse_wait_desc", WORD),
        ("is_cdc_enabled", BIT),
        ("is_encrypted", BIT),
        ("replica_id", SqlType::UniqueIdentifier),
        ("group_database_id", SqlType::UniqueIdentifier),
        ("containment", SqlType::TinyInt),
        ("containment_desc", WORD),
        ("target_recovery_time_in_seconds", INT),
        ("is_query_store_on", BIT),
        ("is_accelerated_database_recovery_on", BIT),
    ])
}

fn databases(sight: &Sight<'_>) -> Vec<Vec<Value>> {
    let environment = sight.environment;
    let state = &environment.catalog.state;
    let names = [("master", 1), ("tempdb", 2), ("model", 3), ("msdb", 4), (environment.shared.database.as_str(), 5)];
    names
        .iter()
        .map(|(name, id)| {
            let user = *id == 5;
            // The system databases have the fixed settings of a fresh server.
            let snapshot = if user { state.snapshot } else { matches!(*name, "master" | "msdb") };
            let recovery = if user {
                state.recovery.as_str()
            } else if *name == "model" {
                "FULL"
            } else {
                "SIMPLE"
            };
            let model = match recovery {
                "FULL" => 1,
                "BULK_LOGGED" => 2,
                _ => 3,
            };
            let mut broker = environment.shared.marks.lock().broker;
            broker[0] = broker[0].wrapping_add(u8::try_from(*id).unwrap_or(0));
            let off = || bit(false);
            vec![
                text(name),
                int(*id),
                Value::Null,
                Value::Bytes(vec![1]),
                moment(environment.shared.started),
                int(160),
                text(collation::DEFAULT),
                int(0),
                text("MULTI_USER"),
                off(),
                off(),
                off(),
                int(0),
                text("ONLINE"),
                off(),
                off(),
                int(i64::from(snapshot)),
                text(if snapshot { "ON" } else { "OFF" }),
                bit(user && state.read_committed_snapshot),
                int(model),
                text(recovery),
                int(2),
                text("CHECKSUM"),
                off(),
                off(),
                off(),
                off(),
                Value::Guid(broker),
                off(),
                int(0),
                text("NOTHING"),
                bit(user && environment.shared.cdc.enabled()),
                off(),
                Value::Null,
                Value::Null,
                int(0),
                text("NONE"),
                int(60),
                off(),
                off(),
            ]
        })
        .collect()
}

fn principal_columns() -> Vec<Column> {
    columns(&[
        ("name", NAME),
        ("principal_id", INT),
        ("type", SqlType::Char(1)),
        ("type_desc", WORD),
        ("default_schema_name", NAME),
        ("create_date", DATE),
        ("modify_date", DATE),
        ("owning_principal_id", INT),
        ("sid", SqlType::VarBinary(Some(85))),
        ("is_fixed_role", BIT),
        ("authentication_type", INT),
        ("authentication_type_desc", WORD),
    ])
}

fn principals(sight: &Sight<'_>) -> Vec<Vec<Value>> {
    sight
        .environment
        .catalog
        .state
        .principals
        .iter()
        .map(|own| {
            let (kind, desc) = if own.role { ("R", "DATABASE_ROLE") } else { ("S", "SQL_USER") };
            let schema = if own.role { Value::Null } else { text("dbo") };
            let owned = own.id == 1 && !sight.environment.catalog.state.outside.orphaned;
            let sid = Value::Bytes(if owned { vec![1] } else { own.id.to_be_bytes().to_vec() });
            let authentication = if own.login.is_some() { (int(1), text("INSTANCE")) } else { (int(0), text("NONE")) };
            vec![
                text(&own.name),
                int(own.id),
                text(kind),
                text(desc),
                schema,
                moment(own.created),
                moment(own.created),
                if own.role { int(1) } else { Value::Null },
                sid,
                bit(own.role && own.id >= 16_384),
                authentication.0,
                authentication.1,
            ]
        })
        .collect()
}

fn member_columns() -> Vec<Column> {
    columns(&[("role_principal_id", INT), ("member_principal_id", INT)])
}

fn members(sight: &Sight<'_>) -> Vec<Vec<Value>> {
    let catalog = &sight.environment.catalog;
    let mut rows = Vec::new();
    for member in &catalog.state.principals {
        for role in member.member_of.iter().filter_map(|role| catalog.principal(role)) {
            rows.push(vec![int(role.id), int(member.id)]);
        }
    }
    rows
}

fn permission_columns() -> Vec<Column> {
    columns(&[
        ("class", SqlType::TinyInt),
        ("class_desc", WORD),
        ("major_id", INT),
        ("minor_id", INT),
        ("grantee_principal_id", INT),
        ("grantor_principal_id", INT),
        ("type", SqlType::Char(4)),
        ("permission_name", NAME),
        ("state", SqlType::Char(1)),
        ("state_desc", WORD),
    ])
}

fn permissions(sight: &Sight<'_>) -> Vec<Vec<Value>> {
    let catalog = &sight.environment.catalog;
    let grants = catalog.state.grants.iter().filter_map(|grant| {
        let grantee = catalog.principal(&grant.principal)?.id;
        let (class, desc, major) = match grant.on {
            0 => (0, "DATABASE", 0),
            schema if schema < 0 => (3, "SCHEMA", -schema),
            object => (1, "OBJECT_OR_COLUMN", object),
        };
        let short: String = format!("{:<4}", grant.permission.chars().take(2).collect::<String>());
        let (state, word) = if grant.deny { ("D", "DENY") } else { ("G", "GRANT") };
        Some(vec![
            int(class),
            text(desc),
            int(major),
            int(0),
            int(grantee),
            int(1),
            text(short),
            text(&grant.permission),
            text(state),
            text(word),
        ])
    });
    grants.collect()
}

fn recovery_columns() -> Vec<Column> {
    columns(&[
        ("database_id", INT),
        ("database_guid", SqlType::UniqueIdentifier),
        ("family_guid", SqlType::UniqueIdentifier),
        ("last_log_backup_lsn", SqlType::Numeric { precision: 25, scale: 0 }),
        ("recovery_fork_guid", SqlType::UniqueIdentifier),
        ("first_recovery_fork_guid", SqlType::UniqueIdentifier),
        ("fork_point_lsn", SqlType::Numeric { precision: 25, scale: 0 }),
    ])
}

fn recovery(sight: &Sight<'_>) -> Vec<Vec<Value>> {
    let fork = sight.environment.shared.marks.lock().recovery_fork;
    let guid = |salt: u8| {
        let mut own = fork;
        own[15] ^= salt;
        Value::Guid(own)
    };
    (1_u8..=5)
        .map(|id| vec![int(id), guid(id), guid(id ^ 0x40), Value::Null, guid(id ^ 0x80), Value::Null, Value::Null])
        .collect()
}

fn of(found: Option<crate::cdc::Rows>) -> crate::cdc::Rows {
    found.unwrap_or_default()
}

pub fn job_columns() -> Vec<Column> {
    columns(&[
        ("database_id", INT),
        ("job_type", SqlType::NVarChar(Some(20))),
        ("job_id", SqlType::UniqueIdentifier),
        ("maxtrans", INT),
        ("maxscans", INT),
        ("continuous", BIT),
        ("pollinginterval", SqlType::BigInt),
        ("retention", SqlType::BigInt),
        ("threshold", SqlType::BigInt),
    ])
}

/// Rows in the columns of a view, whatever the order and number in which they come.
fn arranged(wanted: &[Column], found: &crate::cdc::Rows) -> Vec<Vec<Value>> {
    let place = |name: &str| found.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name));
    let places: Vec<Option<usize>> = wanted.iter().map(|column| place(&column.name)).collect();
    let arrange = |row: &Vec<Value>| {
        places.iter().map(|at| at.and_then(|at| row.get(at).cloned()).unwrap_or(Value::Null)).collect()
    };
    found.rows.iter().map(arrange).collect()
}

pub fn jobs(sight: &Sight<'_>) -> Vec<Vec<Value>> {
    arranged(&job_columns(), &of(sight.environment.shared.cdc.jobs(5)))
}

fn restore_columns() -> Vec<Column> {
    columns(&[
        ("restore_history_id", INT),
        ("restore_date", DATE),
        ("destination_database_name", NAME),
        ("user_name", NAME),
        ("restore_type", SqlType::Char(1)),
    ])
}

fn restores(sight: &Sight<'_>) -> Vec<Vec<Value>> {
    let shared = &sight.environment.shared;
    let row = |(id, time): (i64, &i64)| vec![int(id), moment(*time), text(&shared.database), text("sa"), text("D")];
    (1..).zip(shared.restored.lock().iter()).map(row).collect()
}

fn scan_columns() -> Vec<Column> {
    columns(&[
        ("session_id", INT),
        ("start_time", DATE),
        ("end_time", DATE),
        ("duration", SqlType::BigInt),
        ("scan_phase", SqlType::NVarChar(Some(200))),
        ("error_count", INT),
        ("start_lsn", SqlType::NVarChar(Some(23))),
        ("current_lsn", SqlType::NVarChar(Some(23))),
        ("end_lsn", SqlType::NVarChar(Some(23))),
        ("tran_count", SqlType::BigInt),
        ("last_commit_lsn", SqlType::NVarChar(Some(23))),
        ("last_commit_time", DATE),
        ("log_record_count", SqlType::BigInt),
        ("schema_change_count", INT),
        ("command_count", SqlType::BigInt),
        ("first_begin_cdc_lsn", SqlType::NVarChar(Some(23))),
        ("last_commit_cdc_lsn", SqlType::NVarChar(Some(23))),
        ("last_commit_cdc_time", DATE),
        ("latency", INT),
        ("empty_scan_count", INT),
        ("failed_sessions_count", INT),
    ])
}

fn scans(sight: &Sight<'_>) -> Vec<Vec<Value>> {
    arranged(&scan_columns(), &sight.environment.shared.cdc.log_scan_sessions())
}

fn error_columns() -> Vec<Column> {
    columns(&[
        ("session_id", INT),
        ("phase_number", INT),
        ("entry_time", DATE),
        ("error_number", INT),
        ("error_severity", INT),
        ("error_state", INT),
        ("error_message", SqlType::NVarChar(Some(1024))),
        ("start_lsn", SqlType::NVarChar(Some(23))),
        ("begin_lsn", SqlType::NVarChar(Some(23))),
        ("sequence_value", SqlType::NVarChar(Some(23))),
    ])
}

fn errors(sight: &Sight<'_>) -> Vec<Vec<Value>> {
    arranged(&error_columns(), &sight.environment.shared.cdc.errors())
}
