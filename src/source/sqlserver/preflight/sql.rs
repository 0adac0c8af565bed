//! What the preflight asks, as text. What older servers do not have, or a login may not read, stands in a statement of
//! its own.

use super::super::sql::{literal, table as quoted};
use crate::table::TableName;

/// The database, its owner, and what the login may do in it.
pub const SERVER: &str = "SELECT CAST(SUSER_SNAME(d.owner_sid) AS nvarchar(128)) AS owner_name, \
     CAST(SUSER_SNAME(0x01) AS nvarchar(128)) AS administrator, \
     CASE WHEN o.sid IS NULL OR o.sid = d.owner_sid THEN 1 ELSE 0 END AS owner_agrees, d.is_published, \
     CAST(@@VERSION AS nvarchar(400)) AS server_version, \
     CAST(SERVERPROPERTY('InstanceName') AS nvarchar(128)) AS instance_name, \
     ISNULL(HAS_PERMS_BY_NAME(N'cdc', N'SCHEMA', N'SELECT'), 1) AS reads_changes, \
     HAS_PERMS_BY_NAME(NULL, N'DATABASE', N'UNMASK') AS unmasks, \
     HAS_PERMS_BY_NAME(NULL, N'DATABASE', N'VIEW DEFINITION') AS sees_definitions \
     FROM sys.databases AS d LEFT JOIN sys.database_principals AS o ON o.principal_id = 1 WHERE d.name = DB_NAME()";

/// Who enables and purges, and whether it may.
pub const OWNER: &str = "SELECT CAST(IS_SRVROLEMEMBER('sysadmin') AS int) AS is_sysadmin, \
     CAST(IS_MEMBER('db_owner') AS int) AS is_db_owner, d.is_read_only, \
     CAST(DATABASEPROPERTYEX(DB_NAME(), 'Updateability') AS nvarchar(128)) AS updateability \
     FROM sys.databases AS d WHERE d.name = DB_NAME()";

/// Of each table that the login sees, whether it may be read, and without masks. What the server does not tell (NULL), the
/// copy finds out.
pub const TABLE_RIGHTS: &str = "SELECT CAST(s.name AS nvarchar(128)) AS schema_name, CAST(t.name AS nvarchar(128)) AS table_name, \
     ISNULL(HAS_PERMS_BY_NAME(QUOTENAME(s.name) + N'.' + QUOTENAME(t.name), N'OBJECT', N'SELECT'), 1) AS reads, \
     HAS_PERMS_BY_NAME(QUOTENAME(s.name) + N'.' + QUOTENAME(t.name), N'OBJECT', N'UNMASK') AS unmasks \
     FROM sys.tables AS t JOIN sys.schemas AS s ON s.schema_id = t.schema_id WHERE t.is_ms_shipped = 0";

/// The tables of schema cdc that the login may read.
pub const HISTORY: &str = "SELECT CAST(t.name AS nvarchar(128)) AS table_name \
     FROM sys.tables AS t JOIN sys.schemas AS s ON s.schema_id = t.schema_id WHERE s.name = N'cdc' \
     AND HAS_PERMS_BY_NAME(N'[cdc].' + QUOTENAME(t.name), N'OBJECT', N'SELECT') = 1";

/// The columns that the login may read, of tables on which it has no right as a whole.
pub fn readable_columns(tables: &[TableName]) -> String {
    format!(
        "{} AND HAS_PERMS_BY_NAME(QUOTENAME(s.name) + N'.' + QUOTENAME(t.name), N'OBJECT', N'SELECT', c.name, N'COLUMN') = 1",
        columns(tables)
    )
}

/// Instances that only members of a role may read.
pub const GATES: &str = "SELECT CAST(ct.capture_instance AS nvarchar(128)) AS capture_instance, \
     CAST(ct.role_name AS nvarchar(128)) AS role_name, IS_MEMBER(ct.role_name) AS is_inside \
     FROM cdc.change_tables AS ct WHERE ct.role_name IS NOT NULL";

/// From 2016 on.
pub const MASKED: &str = "SELECT CAST(s.name AS nvarchar(128)) AS schema_name, CAST(t.name AS nvarchar(128)) AS table_name, \
     CAST(c.name AS nvarchar(128)) AS column_name FROM sys.columns AS c JOIN sys.tables AS t ON t.object_id = c.object_id \
     JOIN sys.schemas AS s ON s.schema_id = t.schema_id WHERE c.is_masked = 1 \
     AND ISNULL(HAS_PERMS_BY_NAME(QUOTENAME(s.name) + N'.' + QUOTENAME(t.name), N'OBJECT', N'UNMASK', c.name, N'COLUMN'), 0) = 0";

/// The columns of a table that the login would read as masks. From 2016 on.
pub fn masked_of(table: &TableName) -> String {
    let table = literal(&quoted(table));
    format!(
        "SELECT CAST(c.name AS nvarchar(128)) AS column_name FROM sys.columns AS c \
         WHERE c.object_id = OBJECT_ID({table}) AND c.is_masked = 1 \
         AND ISNULL(HAS_PERMS_BY_NAME(NULL, N'DATABASE', N'UNMASK'), 0) = 0 \
         AND ISNULL(HAS_PERMS_BY_NAME({table}, N'OBJECT', N'UNMASK'), 0) = 0 \
         AND ISNULL(HAS_PERMS_BY_NAME({table}, N'OBJECT', N'UNMASK', c.name, N'COLUMN'), 0) = 0"
    )
}

/// From 2016 on.
pub const FILTERS: &str = "SELECT CAST(s.name AS nvarchar(128)) AS schema_name, CAST(t.name AS nvarchar(128)) AS table_name, \
     CAST(f.name AS nvarchar(128)) AS policy_schema, CAST(p.name AS nvarchar(128)) AS policy_name \
     FROM sys.security_predicates AS r JOIN sys.security_policies AS p ON p.object_id = r.object_id \
     JOIN sys.schemas AS f ON f.schema_id = p.schema_id JOIN sys.tables AS t ON t.object_id = r.target_object_id \
     JOIN sys.schemas AS s ON s.schema_id = t.schema_id WHERE r.predicate_type = 0 AND p.is_enabled = 1";

/// As `FILTERS`, of one table.
pub fn filters_of(table: &TableName) -> String {
    format!("{FILTERS} AND r.target_object_id = OBJECT_ID({})", literal(&quoted(table)))
}

/// The code page of each collation of bytes, and the database's.
pub const CODE_PAGES: &str = "SELECT DISTINCT CAST(c.collation_name AS nvarchar(128)) AS collation_name, \
     CAST(COLLATIONPROPERTY(CAST(c.collation_name AS nvarchar(128)), 'CodePage') AS int) AS code_page, \
     CAST(COLLATIONPROPERTY(CAST(DATABASEPROPERTYEX(DB_NAME(), 'Collation') AS nvarchar(128)), 'CodePage') AS int) AS usual_page \
     FROM sys.columns AS c WHERE c.collation_name IS NOT NULL";

/// The bytes that a captured text or binary may have; -1 for no bound.
pub const TEXT_SIZE: &str = "SELECT CAST(c.value_in_use AS bigint) AS text_size FROM sys.configurations AS c \
     WHERE c.name = N'max text repl size (B)'";

/// Whether SQL Server Agent runs: 4.
pub const AGENT: &str = "SELECT CAST(v.status AS int) AS status, CAST(v.status_desc AS nvarchar(256)) AS status_desc \
     FROM sys.dm_server_services AS v WHERE v.servicename LIKE N'SQL Server Agent%'";

/// Both jobs, whether they are enabled, and whether they run now, as the Agent of today has them.
pub const JOBS: &str = "SELECT CAST(j.job_type AS nvarchar(20)) AS job_type, CAST(s.name AS nvarchar(128)) AS job_name, \
     CAST(s.enabled AS int) AS is_enabled, j.continuous, j.pollinginterval, j.retention, \
     CASE WHEN a.start_execution_date IS NOT NULL AND a.stop_execution_date IS NULL THEN 1 ELSE 0 END AS is_running \
     FROM msdb.dbo.cdc_jobs AS j LEFT JOIN msdb.dbo.sysjobs AS s ON s.job_id = j.job_id \
     LEFT JOIN msdb.dbo.sysjobactivity AS a ON a.job_id = j.job_id \
     AND a.session_id = (SELECT MAX(n.session_id) FROM msdb.dbo.syssessions AS n) WHERE j.database_id = DB_ID()";

/// As `JOBS` where there is no Agent.
pub const AZURE_JOBS: &str = "SELECT CAST(j.job_type AS nvarchar(20)) AS job_type, CAST(NULL AS nvarchar(128)) AS job_name, \
     1 AS is_enabled, j.continuous, j.pollinginterval, j.retention, 1 AS is_running FROM cdc.cdc_jobs AS j";

/// The newest scan of the log, with what it failed of.
pub const SCAN: &str = "SELECT TOP (1) s.session_id, e.error_number, CAST(e.error_message AS nvarchar(1024)) AS error_message \
     FROM sys.dm_cdc_log_scan_sessions AS s LEFT JOIN sys.dm_cdc_errors AS e ON e.session_id = s.session_id \
     WHERE s.session_id > 0 ORDER BY s.session_id DESC, e.entry_time DESC";

/// How many minutes ago the last commit was that capture has read, and how many instances there are.
pub const LAG: &str = "SELECT DATEDIFF(minute, MAX(m.tran_end_time), GETDATE()) AS minutes, \
     (SELECT COUNT(*) FROM cdc.change_tables AS ct) AS instances FROM cdc.lsn_time_mapping AS m";

/// The columns of some tables, whatever they hold.
pub fn columns(tables: &[TableName]) -> String {
    let ids: Vec<_> = tables.iter().map(|table| format!("OBJECT_ID({})", literal(&quoted(table)))).collect();
    format!(
        "SELECT CAST(s.name AS nvarchar(128)) AS schema_name, CAST(t.name AS nvarchar(128)) AS table_name, \
         CAST(c.name AS nvarchar(128)) AS column_name FROM sys.columns AS c JOIN sys.tables AS t ON t.object_id = c.object_id \
         JOIN sys.schemas AS s ON s.schema_id = t.schema_id WHERE c.object_id IN ({})",
        ids.join(", ")
    )
}
