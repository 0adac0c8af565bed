//! All T-SQL that is sent, as text. Names come from the catalogue and are quoted here, values are parameters or
//! hexadecimal literals.

use std::fmt::Write;

use crate::position::Position;
use crate::source::Question;
use crate::table::TableName;

/// A name in brackets.
pub fn name(name: &str) -> String {
    format!("[{}]", name.replace(']', "]]"))
}

/// A text as a literal.
pub fn literal(text: &str) -> String {
    format!("N'{}'", text.replace('\'', "''"))
}

/// A table's name in brackets.
pub fn table(table: &TableName) -> String {
    format!("{}.{}", name(&table.schema), name(&table.name))
}

/// A change table.
pub fn change_table(instance: &str) -> String {
    format!("[cdc].{}", name(&change_table_name(instance)))
}

/// A change table's name in schema cdc.
pub fn change_table_name(instance: &str) -> String {
    format!("{instance}_CT")
}

/// The login, and the user of the database that stands for it.
pub const WHO: &str =
    "SELECT CAST(SUSER_SNAME() AS nvarchar(128)) AS login_name, CAST(USER_NAME() AS nvarchar(128)) AS user_name";

/// Database, server and login in one row: nothing of it is denied to a login that sees its own database.
pub const DATABASE: &str = "SELECT d.is_cdc_enabled, d.snapshot_isolation_state, \
     CAST(d.collation_name AS nvarchar(128)) AS collation_name, \
     CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128)) AS product_version, \
     CAST(SERVERPROPERTY('Edition') AS nvarchar(128)) AS edition, CAST(DB_NAME() AS nvarchar(128)) AS database_name, \
     CAST(SUSER_SNAME() AS nvarchar(128)) AS login_name, CAST(IS_SRVROLEMEMBER('sysadmin') AS int) AS is_sysadmin, \
     CAST(IS_MEMBER('db_owner') AS int) AS is_db_owner, \
     CAST(d.service_broker_guid AS nvarchar(36)) AS service_broker_guid, GETUTCDATE() AS utc_now, \
     CAST(SERVERPROPERTY('EngineEdition') AS int) AS engine_edition, DB_ID(N'rdsadmin') AS rds \
     FROM sys.databases AS d WHERE d.name = DB_NAME()";

pub const RETENTION: &str = "SELECT CAST(j.retention AS bigint) FROM msdb.dbo.cdc_jobs AS j \
     WHERE j.job_type = N'cleanup' AND j.database_id = DB_ID()";

pub const AZURE_RETENTION: &str =
    "SELECT CAST(j.retention AS bigint) FROM cdc.cdc_jobs AS j WHERE j.job_type = N'cleanup'";

pub const TABLES: &str = "SELECT t.object_id, CAST(s.name AS nvarchar(128)) AS schema_name, CAST(t.name AS nvarchar(128)) AS table_name \
     FROM sys.tables AS t JOIN sys.schemas AS s ON s.schema_id = t.schema_id \
     WHERE t.is_ms_shipped = 0 AND s.name <> N'cdc' ORDER BY s.name, t.name";

/// What is told of each column.
macro_rules! columns {
    ($more:literal) => {
        concat!(
            "SELECT c.object_id, CAST(c.name AS nvarchar(128)) AS column_name, \
             CAST(y.name AS nvarchar(128)) AS type_name, CAST(b.name AS nvarchar(128)) AS base_name, \
             CAST(c.max_length AS int) AS max_length, CAST(c.[precision] AS int) AS column_precision, \
             CAST(c.[scale] AS int) AS column_scale, CAST(c.collation_name AS nvarchar(128)) AS collation_name, \
             c.is_nullable, c.is_computed, c.column_id, c.is_column_set",
            $more,
            " FROM sys.columns AS c JOIN sys.tables AS t ON t.object_id = c.object_id \
             LEFT JOIN sys.types AS y ON y.user_type_id = c.user_type_id \
             LEFT JOIN sys.types AS b ON b.user_type_id = c.system_type_id \
             WHERE t.is_ms_shipped = 0 ORDER BY c.object_id, c.column_id"
        )
    };
}

/// With whether each is encrypted by clients, which servers before 2016 do not tell.
pub const COLUMNS: &str = columns!(", CASE WHEN c.encryption_type IS NULL THEN 0 ELSE 1 END AS is_encrypted");

/// Of servers before 2016.
pub const OLD_COLUMNS: &str = columns!("");

/// What may identify a row: the indexes that let no two rows of a table be equal in their columns.
pub const UNIQUES: &str = "SELECT i.object_id, CAST(i.name AS nvarchar(128)) AS index_name, i.is_primary_key, \
     CAST(c.name AS nvarchar(128)) AS column_name \
     FROM sys.indexes AS i JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id \
     JOIN sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id \
     JOIN sys.tables AS t ON t.object_id = i.object_id \
     WHERE t.is_ms_shipped = 0 AND i.is_unique = 1 AND i.has_filter = 0 AND i.is_disabled = 0 AND i.is_hypothetical = 0 \
     AND k.key_ordinal > 0 ORDER BY i.object_id, i.index_id, k.key_ordinal";

pub const INSTANCES: &str = "SELECT ct.object_id, ct.source_object_id, CAST(ct.capture_instance AS nvarchar(128)) AS capture_instance, \
     ct.start_lsn, ct.create_date, ct.partition_switch FROM cdc.change_tables AS ct ORDER BY ct.create_date, ct.capture_instance";

/// By `column_id`: of a column that was dropped, and of one added later under its name, an instance captures nothing.
/// Both names: the server refuses to compare them (468) where the catalogue has a collation of its own, as on Azure.
pub const CAPTURED: &str = "SELECT cc.object_id, CAST(cc.column_name AS nvarchar(128)) AS column_name, \
     CAST(c.name AS nvarchar(128)) AS name FROM cdc.captured_columns AS cc \
     JOIN cdc.change_tables AS ct ON ct.object_id = cc.object_id \
     JOIN sys.columns AS c ON c.object_id = ct.source_object_id AND c.column_id = cc.column_id \
     ORDER BY cc.object_id, cc.column_ordinal";

pub const ALTERED: &str = "SELECT h.source_object_id, CAST(h.ddl_command AS nvarchar(4000)) AS ddl_command, h.ddl_lsn \
     FROM cdc.ddl_history AS h ORDER BY h.ddl_lsn";

pub const PARTITIONED: &str = "SELECT i.object_id FROM sys.indexes AS i \
     JOIN sys.partition_schemes AS p ON p.data_space_id = i.data_space_id WHERE i.index_id < 2";

pub const INSTANCE_KEYS: &str = "SELECT ic.object_id, CAST(ic.column_name AS nvarchar(128)) AS column_name \
     FROM cdc.index_columns AS ic ORDER BY ic.object_id, ic.index_ordinal";

/// What `sys.fn_cdc_get_min_lsn` gives, of all instances at once.
pub const MINIMUMS: &str = "SELECT CAST(ct.capture_instance AS nvarchar(128)) AS capture_instance, ct.start_lsn \
     FROM cdc.change_tables AS ct";

pub const MAXIMUM: &str = "SELECT sys.fn_cdc_get_max_lsn() AS max_lsn";

/// `@P1`: instance, `@P2`: position.
pub const BOUNDS: &str = "SELECT sys.fn_cdc_get_max_lsn() AS max_lsn, sys.fn_cdc_get_min_lsn(@P1) AS min_lsn, \
     sys.fn_cdc_map_lsn_to_time(CAST(@P2 AS binary(10))) AS committed, \
     DATEDIFF(second, GETUTCDATE(), GETDATE()) AS utc_offset, \
     sys.fn_cdc_map_lsn_to_time(sys.fn_cdc_get_min_lsn(@P1)) AS min_committed";

pub const ENABLE_DATABASE: &str = "EXEC sys.sp_cdc_enable_db";

/// Amazon's own way to enable a database.
pub fn enable_rds_database(database: &str) -> String {
    format!("EXEC msdb.dbo.rds_cdc_enable_db {}", literal(database))
}

/// Enables an instance that captures the given columns, or all, and identifies rows by an index, or the primary key.
pub fn enable_table(
    schema: &str,
    table: &str,
    instance: &str,
    columns: Option<&[&str]>,
    index: Option<&str>,
) -> String {
    let index = index.map_or(String::new(), |index| format!(", @index_name = {}", literal(index)));
    let columns = columns.map_or(String::new(), |columns| {
        let names: Vec<_> = columns.iter().map(|column| name(column)).collect();
        format!(", @captured_column_list = {}", literal(&names.join(", ")))
    });
    format!(
        "EXEC sys.sp_cdc_enable_table @source_schema = {}, @source_name = {}, @role_name = NULL, \
         @capture_instance = {}, @supports_net_changes = 0{index}{columns}",
        literal(schema),
        literal(table),
        literal(instance),
    )
}

/// Milliseconds.
pub const BOUND_LOCKS: &str = "SET LOCK_TIMEOUT 10000";

pub const UNBOUND_LOCKS: &str = "SET LOCK_TIMEOUT -1";

/// `@P1`: position.
pub const COMMIT_FROM: &str = "SELECT MIN(m.start_lsn) AS commit_lsn FROM cdc.lsn_time_mapping AS m \
     WHERE m.start_lsn >= CAST(@P1 AS binary(10))";

/// `@P1`: position.
pub const COMMIT_UNTIL: &str = "SELECT MAX(m.start_lsn) AS commit_lsn FROM cdc.lsn_time_mapping AS m \
     WHERE m.start_lsn <= CAST(@P1 AS binary(10))";

/// Drops an instance.
pub fn disable_table(schema: &str, table: &str, instance: &str) -> String {
    format!(
        "EXEC sys.sp_cdc_disable_table @source_schema = {}, @source_name = {}, @capture_instance = {}",
        literal(schema),
        literal(table),
        literal(instance),
    )
}

/// The last commit in `(@P1, @P2]` that is at most `@P3` seconds later than the first change of an instance there.
pub fn reach(instance: &str) -> String {
    format!(
        "SELECT MAX(m.start_lsn) AS reach FROM cdc.lsn_time_mapping AS m \
         WHERE m.start_lsn > CAST(@P1 AS binary(10)) AND m.start_lsn <= CAST(@P2 AS binary(10)) \
         AND m.tran_end_time <= DATEADD(second, CAST(@P3 AS int), (SELECT MAX(f.tran_end_time) FROM cdc.lsn_time_mapping AS f \
         WHERE f.start_lsn = (SELECT MIN(t.[__$start_lsn]) FROM {} AS t \
         WHERE t.[__$start_lsn] > CAST(@P1 AS binary(10)) AND t.[__$start_lsn] <= CAST(@P2 AS binary(10)))))",
        change_table(instance)
    )
}

/// The commit times of positions, where the source knows them, each with the first position that committed at the same
/// moment: the one that cleanup takes for its mark.
pub fn commit_times(positions: &[Position]) -> String {
    let list: Vec<_> = positions.iter().map(ToString::to_string).collect();
    format!(
        "SELECT m.start_lsn, m.tran_end_time, MIN(s.start_lsn) AS first_lsn, \
         DATEDIFF(second, GETUTCDATE(), GETDATE()) AS utc_offset FROM cdc.lsn_time_mapping AS m \
         JOIN cdc.lsn_time_mapping AS s ON s.tran_end_time = m.tran_end_time \
         WHERE m.start_lsn IN ({}) GROUP BY m.start_lsn, m.tran_end_time",
        list.join(", ")
    )
}

/// For each question, 1 if anything changed in its window, and 2 more if there is history below its mark.
pub fn changed(questions: &[Question<'_>]) -> String {
    let mut sql = String::from("SELECT ");
    for (at, question) in questions.iter().enumerate() {
        let table = change_table(&question.capture.instance.name);
        let exists = |filter: String, then: u8| {
            format!("CASE WHEN EXISTS (SELECT 1 FROM {table} AS t WHERE {filter}) THEN {then} ELSE 0 END")
        };
        let window = question.window.as_ref();
        let changed =
            window.map(|(from, to)| exists(format!("t.[__$start_lsn] > {from} AND t.[__$start_lsn] <= {to}"), 1));
        let purgeable = question.mark.as_ref().map(|mark| exists(format!("t.[__$start_lsn] < {mark}"), 2));
        let bits: Vec<_> = changed.into_iter().chain(purgeable).collect();
        let comma = if at == 0 { "" } else { ", " };
        let bits = if bits.is_empty() { "0".to_owned() } else { bits.join(" + ") };
        let _ = write!(sql, "{comma}{bits} AS w{at}");
    }
    sql
}

/// What reading changes selects.
pub struct Changes<'a> {
    /// Instance.
    pub instance: &'a str,
    /// Columns, each with the expression that reads it.
    pub columns: Vec<(String, String)>,
    /// Expressions that identify a row exactly as it is spelled.
    pub identity: Vec<String>,
    /// Whether the change table has `__$command_id`.
    pub command_id: bool,
}

/// The last change of each key in `(@P1, @P2]`: operation first, then the columns. A before-image (3) stands for a delete
/// of its key: of an unchanged key the after-image (4) is the later, and a changed one may be logged as 3 and 4.
pub fn changes(changes: &Changes<'_>) -> String {
    let list = |pick: fn(&(String, String)) -> String| changes.columns.iter().map(pick).collect::<Vec<_>>().join(", ");
    let command_id = if changes.command_id { "t.[__$command_id] DESC, " } else { "" };
    let mut newest = "__$newest".to_owned();
    while changes.columns.iter().any(|(column, _)| column.eq_ignore_ascii_case(&newest)) {
        newest.push('_');
    }
    let newest = name(&newest);
    format!(
        "SELECT c.[__$operation], {outer} FROM (SELECT t.[__$operation], {inner}, \
         ROW_NUMBER() OVER (PARTITION BY {identity} ORDER BY t.[__$start_lsn] DESC, {command_id}t.[__$seqval] DESC, t.[__$operation] DESC) AS {newest} \
         FROM {table} AS t WHERE t.[__$start_lsn] > CAST(@P1 AS binary(10)) AND t.[__$start_lsn] <= CAST(@P2 AS binary(10))) AS c \
         WHERE c.{newest} = 1",
        outer = list(|(column, expression)| expression.replace("{}", &format!("c.{}", name(column)))),
        inner = list(|(column, _)| format!("t.{}", name(column))),
        identity = changes.identity.join(", "),
        table = change_table(changes.instance),
    )
}

/// What a copy selects: of the whole table, or of the rows in which one of some columns holds a value.
pub struct Copied<'a> {
    /// Table, quoted and qualified.
    pub table: String,
    /// Columns, each with the expression that reads it.
    pub columns: Vec<(String, String)>,
    /// Columns of the key, in order.
    pub key: &'a [String],
    /// Columns of which one must not be NULL; empty for all rows.
    pub holding: &'a [String],
}

/// A range of a copy in key order, at most `limit` rows; `after` holds the expressions of the last key read.
pub fn range(copied: &Copied<'_>, after: &[String], limit: usize) -> String {
    let Copied { table, columns, key, holding } = copied;
    let list: Vec<_> =
        columns.iter().map(|(column, expression)| expression.replace("{}", &format!("t.{}", name(column)))).collect();
    let key: Vec<_> = key.iter().map(|column| format!("t.{}", name(column))).collect();
    // (a > x) or (a = x and b > y) …: SQL Server has no row values.
    let beyond: Vec<_> = (0..after.len())
        .map(|at| {
            let mut terms: Vec<_> = (0..at).map(|before| format!("{} = {}", key[before], after[before])).collect();
            terms.push(format!("{} > {}", key[at], after[at]));
            format!("({})", terms.join(" AND "))
        })
        .collect();
    let mut terms = Vec::new();
    if !holding.is_empty() {
        let held: Vec<_> = holding.iter().map(|column| format!("t.{} IS NOT NULL", name(column))).collect();
        terms.push(format!("({})", held.join(" OR ")));
    }
    // The first term alone lets an index seek to the place.
    if let Some(first) = after.first() {
        terms.push(format!("{} >= {first} AND ({})", key[0], beyond.join(" OR ")));
    }
    let filter = if terms.is_empty() { String::new() } else { format!(" WHERE {}", terms.join(" AND ")) };
    format!("SELECT TOP ({limit}) {} FROM {table} AS t{filter} ORDER BY {}", list.join(", "), key.join(", "))
}

/// Purges an instance that begins at `start` up to the greatest mark at or below `up_to` that cleanup takes as it is: in
/// `cdc.lsn_time_mapping`, and the first of those that committed at its moment. A mark at the start itself removes what a
/// cleanup that failed left there. Tells whether it failed, and whether there
/// was such a mark. `reports` asks for the failure flag, which old builds do not have. The server deletes fewer rows at a
/// time than the 5,000 locks for which it would lock the whole change table, and capture with it.
pub fn purge(instance: &str, start: &Position, up_to: &Position, reports: bool) -> String {
    let flag = if reports { ", @fCleanupFailed = @failed OUTPUT" } else { "" };
    format!(
        "DECLARE @failed bit = 0; DECLARE @purged bit = 0; \
         DECLARE @greatest binary(10); DECLARE @mark binary(10); \
         SELECT @greatest = MAX(m.start_lsn) FROM cdc.lsn_time_mapping AS m WHERE m.start_lsn <= {up_to}; \
         SELECT @mark = MIN(s.start_lsn) FROM cdc.lsn_time_mapping AS s \
         JOIN cdc.lsn_time_mapping AS m ON m.tran_end_time = s.tran_end_time WHERE m.start_lsn = @greatest; \
         IF @mark >= {start} BEGIN EXEC sys.sp_cdc_cleanup_change_table @capture_instance = {}, @low_water_mark = @mark, \
         @threshold = 4000{flag}; SET @purged = 1 END; SELECT ISNULL(@failed, 0) AS failed, @purged AS purged",
        literal(instance)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_texts_cannot_break_out() {
        assert_eq!(name("a]b"), "[a]]b]");
        assert_eq!(literal("it's"), "N'it''s'");
        assert_eq!(change_table("w[]t"), "[cdc].[w[]]t_CT]");
    }

    #[test]
    fn a_range_goes_on_behind_the_last_key() {
        let columns = vec![("a".to_owned(), "{}".to_owned()), ("b".to_owned(), "CAST({} AS int)".to_owned())];
        let key = ["a".to_owned(), "b".to_owned()];
        let holding = ["b".to_owned(), "c".to_owned()];
        let mut copied = Copied { table: "[s].[t]".to_owned(), columns, key: &key, holding: &[] };
        let after = ["@P1".to_owned(), "@P2".to_owned()];
        assert_eq!(
            range(&copied, &after, 10),
            "SELECT TOP (10) t.[a], CAST(t.[b] AS int) FROM [s].[t] AS t \
             WHERE t.[a] >= @P1 AND ((t.[a] > @P1) OR (t.[a] = @P1 AND t.[b] > @P2)) ORDER BY t.[a], t.[b]"
        );
        assert!(range(&copied, &[], 10).contains("AS t ORDER BY"));
        copied.holding = &holding;
        assert!(range(&copied, &[], 10).contains("AS t WHERE (t.[b] IS NOT NULL OR t.[c] IS NOT NULL) ORDER BY"));
        assert!(range(&copied, &after, 10).contains("IS NOT NULL) AND t.[a] >= @P1 AND ("));
    }

    #[test]
    fn changes_keep_the_last_of_each_key_by_the_logs_order() {
        let sql = changes(&Changes {
            instance: "i",
            columns: vec![("k".to_owned(), "{}".to_owned())],
            identity: vec!["t.[k]".to_owned()],
            command_id: true,
        });
        assert_eq!(
            sql,
            "SELECT c.[__$operation], c.[k] FROM (SELECT t.[__$operation], t.[k], \
             ROW_NUMBER() OVER (PARTITION BY t.[k] ORDER BY t.[__$start_lsn] DESC, t.[__$command_id] DESC, t.[__$seqval] DESC, t.[__$operation] DESC) AS [__$newest] \
             FROM [cdc].[i_CT] AS t WHERE t.[__$start_lsn] > CAST(@P1 AS binary(10)) AND t.[__$start_lsn] <= CAST(@P2 AS binary(10))) AS c \
             WHERE c.[__$newest] = 1"
        );
        let columns = ["{}", "__$NEWEST", "@P1"].map(|column| (column.to_owned(), "CAST({} AS int)".to_owned()));
        let identity = vec!["t.[{}]".to_owned()];
        let sql = changes(&Changes { instance: "i", columns: columns.into(), identity, command_id: false });
        assert!(
            sql.starts_with(
                "SELECT c.[__$operation], CAST(c.[{}] AS int), CAST(c.[__$NEWEST] AS int), CAST(c.[@P1] AS int) FROM"
            ),
            "{sql}"
        );
        assert!(sql.contains("AS [__$newest_] FROM") && sql.ends_with("WHERE c.[__$newest_] = 1"), "{sql}");
    }
}
