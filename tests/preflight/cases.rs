//! Misconfigurations: how each is made, what is told of it, and what mends it.

/// Who logs in to the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    /// A sysadmin.
    Administrator,
    /// A login that may read what is needed, with an administrator beside it.
    Reader,
    /// A login that owns the database.
    Owner,
}

/// A misconfiguration.
pub struct Case {
    /// What is wrong.
    pub what: &'static str,
    /// Who logs in to the source.
    pub login: Login,
    /// Whether a check found nothing before.
    pub checked_before: bool,
    /// Whether all tables were extracted before.
    pub extracted_before: bool,
    /// Batches at the source that make it so.
    pub source: &'static [&'static str],
    /// Statements at the target that make it so.
    pub target: &'static [&'static str],
    /// Whether the target is a database that lacks characters.
    pub other_target: bool,
    /// Texts of the configuration, and what stands in their place.
    pub config: &'static [(&'static str, &'static str)],
    /// A question that the source answers with 1 once it is so, and once it is mended; empty where nobody waits.
    pub settled: &'static str,
    /// Names of findings and kinds of errors that are told, the one that it is about first.
    pub tells: &'static [&'static str],
    /// The exit code.
    pub code: i32,
    /// How the first thing that mends it reads, in part.
    pub mend: &'static str,
    /// What is told once it is mended.
    pub left: &'static [&'static str],
}

/// What a case is that is not said of it.
pub const SOUND: Case = Case {
    what: "",
    login: Login::Administrator,
    checked_before: true,
    extracted_before: false,
    source: &[],
    target: &[],
    other_target: false,
    config: &[],
    settled: "",
    tells: &[],
    code: 0,
    mend: "",
    left: &[],
};

/// All of them.
pub const GROUPS: &[(&str, &[Case])] = &[
    ("jobs", JOBS),
    ("settings", SETTINGS),
    ("rights", RIGHTS),
    ("tables", TABLES),
    ("configuration", CONFIGURATION),
    ("target", TARGET),
];

const JOBS: &[Case] = &[
    Case {
        what: "the capture job is stopped",
        source: &["EXEC sys.sp_cdc_stop_job @job_type = N'capture'"],
        tells: &["CaptureStopped"],
        mend: "EXEC sys.sp_cdc_start_job",
        ..SOUND
    },
    Case {
        what: "there is no capture job",
        source: &["EXEC sys.sp_cdc_drop_job @job_type = N'capture'"],
        tells: &["CaptureJob"],
        mend: "EXEC sys.sp_cdc_add_job",
        ..SOUND
    },
    Case {
        what: "the capture job is disabled",
        source: &["EXEC msdb.dbo.sp_update_job @job_name = N'cdc.shop_capture', @enabled = 0"],
        tells: &["CaptureJob"],
        mend: "EXEC msdb.dbo.sp_update_job",
        ..SOUND
    },
    Case {
        what: "there is no cleanup job",
        source: &["EXEC sys.sp_cdc_drop_job @job_type = N'cleanup'"],
        tells: &["CleanupJob"],
        mend: "EXEC sys.sp_cdc_add_job",
        ..SOUND
    },
    Case {
        what: "the cleanup job is disabled",
        source: &["EXEC msdb.dbo.sp_update_job @job_name = N'cdc.shop_cleanup', @enabled = 0"],
        tells: &["CleanupJob"],
        mend: "EXEC msdb.dbo.sp_update_job",
        ..SOUND
    },
    Case {
        what: "history is kept for an hour",
        source: &["EXEC sys.sp_cdc_change_job @job_type = N'cleanup', @retention = 60"],
        tells: &["RetentionShort"],
        mend: "@retention = 4320",
        ..SOUND
    },
    Case {
        what: "the Agent does not run",
        source: &["EXEC sys.sp_standin_agent @running = 0"],
        tells: &["AgentStopped"],
        mend: "sqlagent.enabled true",
        ..SOUND
    },
    Case {
        what: "capture failed",
        source: &[
            "CREATE TABLE dbo.Shrunk (ID int NOT NULL PRIMARY KEY, Note nvarchar(50) NULL);
             EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'Shrunk', @role_name = NULL;
             INSERT INTO dbo.Shrunk VALUES (1, N'a long note, which a short column cannot hold');
             UPDATE dbo.Shrunk SET Note = N'short'",
            "EXEC sys.sp_cdc_stop_job @job_type = N'capture'; EXEC sys.sp_cdc_scan;
             EXEC sys.sp_cdc_start_job @job_type = N'capture'",
            "ALTER TABLE dbo.Shrunk ALTER COLUMN Note nvarchar(5) NULL",
        ],
        config: &[("include = [\"dbo.*\"]", "include = [\"dbo.Good\", \"dbo.Other\"]")],
        settled: "SELECT CAST(CASE WHEN (SELECT MAX(e.session_id) FROM sys.dm_cdc_errors AS e) > 0 THEN 1 ELSE 0 END AS bigint)",
        tells: &["CaptureFailed"],
        mend: "EXEC sys.sp_cdc_start_job",
        // What made it fail is no statement of check's.
        left: &["CaptureFailed"],
        ..SOUND
    },
    Case {
        what: "tables were not extracted for forty hours",
        extracted_before: true,
        source: &["EXEC sys.sp_standin_advance_clock @seconds = 144000"],
        settled:
            "SELECT CAST(CASE WHEN DATEDIFF(minute, MAX(m.tran_end_time), GETDATE()) < 5 THEN 1 ELSE 0 END AS bigint)
             FROM cdc.lsn_time_mapping AS m",
        tells: &["HistoryEnding"],
        mend: "delsert extract --table dbo.Good",
        ..SOUND
    },
    Case {
        what: "capture is three hours behind",
        source: &[
            "EXEC sys.sp_cdc_change_job @job_type = N'capture', @pollinginterval = 86000",
            "EXEC sys.sp_cdc_stop_job @job_type = N'capture'; EXEC sys.sp_cdc_start_job @job_type = N'capture'",
            "EXEC sys.sp_standin_advance_clock @seconds = 10800",
        ],
        settled: "SELECT CAST(1 AS bigint)",
        tells: &["CaptureBehind"],
        mend: "EXEC sys.sp_cdc_change_job @job_type = N'capture'",
        ..SOUND
    },
];

const SETTINGS: &[Case] = &[
    Case {
        what: "SNAPSHOT isolation is not allowed",
        source: &["ALTER DATABASE shop SET ALLOW_SNAPSHOT_ISOLATION OFF"],
        tells: &["SnapshotIsolation"],
        mend: "ALTER DATABASE [shop] SET ALLOW_SNAPSHOT_ISOLATION ON",
        ..SOUND
    },
    Case {
        what: "long texts would be refused to the application",
        source: &["CREATE TABLE dbo.Notes (ID int NOT NULL PRIMARY KEY, Note nvarchar(max) NULL)"],
        tells: &["TextSize"],
        mend: "EXEC sys.sp_configure N'max text repl size (B)', -1; RECONFIGURE",
        ..SOUND
    },
    Case {
        what: "the database comes from another server",
        source: &["EXEC sys.sp_standin_orphan"],
        tells: &["DatabaseOwner"],
        mend: "ALTER AUTHORIZATION ON DATABASE::[shop] TO [sa]",
        ..SOUND
    },
    Case {
        what: "change data capture is off and may not be enabled",
        checked_before: false,
        config: &[("[source]\n", "[source]\nenable_cdc = false\n")],
        tells: &["CaptureOff"],
        code: 3,
        mend: "enable_cdc = true",
        ..SOUND
    },
];

const RIGHTS: &[Case] = &[
    Case {
        what: "the login is no sysadmin, who alone may enable the database",
        login: Login::Owner,
        checked_before: false,
        tells: &["SourceRights"],
        code: 3,
        mend: "EXEC sys.sp_cdc_enable_db",
        ..SOUND
    },
    Case {
        what: "the login may not read a table",
        login: Login::Reader,
        source: &["DENY SELECT ON dbo.Other TO [my user]; GRANT REFERENCES ON dbo.Other TO [my user]"],
        tells: &["SourceRights"],
        mend: "GRANT SELECT ON [dbo].[Other] TO [my user]",
        ..SOUND
    },
    Case {
        what: "the login is not in the role of an instance",
        login: Login::Reader,
        checked_before: false,
        source: &[
            "EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'Other', @role_name = N'gate keepers'",
        ],
        tells: &["SourceRights"],
        mend: "ALTER ROLE [gate keepers] ADD MEMBER [my user]",
        ..SOUND
    },
    Case {
        what: "the login may not read the change tables",
        login: Login::Reader,
        source: &["REVOKE SELECT ON SCHEMA::cdc TO [my user]"],
        tells: &["ChangeTableRights", "SourceRights"],
        code: 3,
        mend: "GRANT SELECT ON SCHEMA::cdc TO [my user]",
        ..SOUND
    },
    Case {
        what: "the login may not read one change table",
        login: Login::Reader,
        source: &[
            "REVOKE SELECT ON SCHEMA::cdc TO [my user]; GRANT SELECT ON cdc.change_tables TO [my user];
             GRANT SELECT ON cdc.captured_columns TO [my user]; GRANT SELECT ON cdc.index_columns TO [my user];
             GRANT SELECT ON cdc.ddl_history TO [my user]; GRANT SELECT ON cdc.lsn_time_mapping TO [my user];
             EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'Good', @capture_instance = N'all';
             EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'Other', @capture_instance = N'all';
             EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'Good', @role_name = NULL, @capture_instance = N'good]';
             EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'Other', @role_name = NULL;
             GRANT SELECT ON cdc.dbo_Other_CT TO [my user]",
        ],
        tells: &["SourceRights"],
        mend: "GRANT SELECT ON [cdc].[good]]_CT] TO [my user]",
        ..SOUND
    },
    Case {
        what: "the login may read some columns of a table only",
        login: Login::Reader,
        source: &[
            "REVOKE SELECT ON SCHEMA::dbo TO [my user]; GRANT SELECT ON dbo.Other (ID) TO [my user];
             GRANT SELECT ON dbo.Good (ID) TO [my user]",
        ],
        tells: &["SourceRights"],
        mend: "GRANT SELECT ON [dbo].[Good] ([Note]) TO [my user]",
        ..SOUND
    },
    Case {
        what: "the login may not see how capture fares",
        login: Login::Reader,
        // The right on the server holds for its databases.
        source: &["REVOKE VIEW DATABASE STATE TO [my user]", "USE master; REVOKE VIEW SERVER STATE TO [my reader]"],
        tells: &["Unreadable"],
        mend: "GRANT VIEW DATABASE STATE TO [my user]",
        ..SOUND
    },
    Case {
        what: "the login may not read msdb",
        login: Login::Reader,
        source: &["USE msdb; REVOKE SELECT ON dbo.sysjobs TO [my reader]"],
        tells: &["Unreadable"],
        mend: "GRANT SELECT ON dbo.sysjobs TO [my reader]",
        ..SOUND
    },
    Case {
        what: "the login may not see whether the Agent runs",
        login: Login::Reader,
        source: &["USE master; REVOKE VIEW SERVER STATE TO [my reader]"],
        tells: &["Unreadable"],
        mend: "USE master; GRANT VIEW SERVER STATE TO [my reader]",
        ..SOUND
    },
    Case {
        what: "the login may not see security policies",
        login: Login::Reader,
        source: &["REVOKE VIEW DEFINITION TO [my user]"],
        tells: &["Unreadable"],
        mend: "GRANT VIEW DEFINITION TO [my user]",
        ..SOUND
    },
    Case {
        what: "nobody may enable and purge",
        login: Login::Reader,
        config: &[("[source.admin]\nuser = \"sa\"\npassword = \"${MSSQL_PASSWORD}\"\n", "")],
        tells: &["OwnerRights"],
        mend: "ALTER ROLE db_owner ADD MEMBER [my user]",
        ..SOUND
    },
    Case {
        what: "a column is masked",
        login: Login::Reader,
        source: &["ALTER TABLE dbo.Good ALTER COLUMN Note ADD MASKED WITH (FUNCTION = 'default()')"],
        tells: &["Hidden"],
        mend: "GRANT UNMASK TO [my user]",
        ..SOUND
    },
    Case {
        what: "a security policy filters rows",
        login: Login::Reader,
        source: &["EXEC sys.sp_standin_policy @name = N'only mine', @table = N'dbo.Good'"],
        tells: &["Hidden"],
        mend: "[sync]\non_row_filter = \"ignore\"",
        left: &["RowFilter"],
        ..SOUND
    },
    Case {
        what: "a security policy filters rows, and that is meant",
        source: &["EXEC sys.sp_standin_policy @name = N'only mine', @table = N'dbo.Good'"],
        config: &[("[sync]\n", "[sync]\non_row_filter = \"ignore\"\n")],
        tells: &["RowFilter"],
        mend: "ALTER SECURITY POLICY [dbo].[only mine] WITH (STATE = OFF)",
        ..SOUND
    },
];

const TABLES: &[Case] = &[
    Case {
        what: "a table has no key",
        source: &["CREATE TABLE dbo.Keyless (ID int NULL)"],
        tells: &["NoKey"],
        mend: "exclude = [\"dbo.Keyless\"]",
        ..SOUND
    },
    Case {
        what: "a key is of another code page",
        source: &[
            "CREATE TABLE dbo.Coded (Code varchar(20) COLLATE Latin1_General_100_CI_AS_SC_UTF8 NOT NULL PRIMARY KEY)",
        ],
        tells: &["NoKey"],
        mend: "exclude = [\"dbo.Coded\"]",
        ..SOUND
    },
    Case {
        what: "a column is of another code page",
        source: &[
            "CREATE TABLE dbo.Coded (ID int NOT NULL PRIMARY KEY, [a code] varchar(20) COLLATE Latin1_General_100_CI_AS_SC_UTF8 NOT NULL)",
        ],
        tells: &["CodePage"],
        mend: "ALTER COLUMN [a code] nvarchar(20) COLLATE Latin1_General_100_CI_AS_SC_UTF8 NOT NULL",
        ..SOUND
    },
    Case {
        what: "a column is encrypted",
        source: &[
            "CREATE TABLE dbo.Secret (ID int NOT NULL PRIMARY KEY, Number nvarchar(11) COLLATE Latin1_General_BIN2
             ENCRYPTED WITH (COLUMN_ENCRYPTION_KEY = k, ENCRYPTION_TYPE = DETERMINISTIC, ALGORITHM = 'AEAD_AES_256_CBC_HMAC_SHA_256') NULL)",
        ],
        tells: &["EncryptedColumn"],
        mend: "exclude_columns = [\"Number\"]",
        ..SOUND
    },
    Case {
        what: "a table has a column set",
        source: &[
            "CREATE TABLE dbo.Wide (ID int NOT NULL PRIMARY KEY, Size int SPARSE NULL, Rest xml COLUMN_SET FOR ALL_SPARSE_COLUMNS)",
        ],
        tells: &["UnsupportedColumn"],
        mend: "exclude_columns = [\"Rest\"]",
        ..SOUND
    },
    Case {
        what: "partitions may be switched",
        source: &[
            "CREATE PARTITION FUNCTION years (int) AS RANGE RIGHT FOR VALUES (2024, 2025);
             CREATE PARTITION SCHEME by_year AS PARTITION years ALL TO ([PRIMARY]);
             CREATE TABLE dbo.Sliced (ID int NOT NULL, Year int NOT NULL, PRIMARY KEY (ID, Year)) ON by_year (Year)",
        ],
        tells: &["Untraced"],
        mend: "@allow_partition_switch = 0",
        ..SOUND
    },
    Case {
        what: "an instance lacks columns, and none may be made",
        source: &[
            "CREATE TABLE dbo.Late (ID int NOT NULL PRIMARY KEY, Note nvarchar(50) NULL);
             EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'Late', @role_name = NULL, @captured_column_list = N'[ID]'",
        ],
        config: &[("[source]\n", "[source]\nenable_cdc = false\n")],
        tells: &["NoInstance"],
        mend: "EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'Late'",
        ..SOUND
    },
    Case {
        what: "both instances lack columns",
        source: &[
            "CREATE TABLE dbo.Late (ID int NOT NULL PRIMARY KEY, Note nvarchar(50) NULL);
             EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'Late', @role_name = NULL, @captured_column_list = N'[ID]', @capture_instance = N'one';
             EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'Late', @role_name = NULL, @captured_column_list = N'[ID]', @capture_instance = N'two'",
        ],
        tells: &["InstancesTaken"],
        mend: "EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'Late', @capture_instance = N'one'",
        ..SOUND
    },
    Case {
        what: "two tables go to one",
        source: &["CREATE SCHEMA eu", "CREATE TABLE eu.Good (ID int NOT NULL PRIMARY KEY)"],
        config: &[
            ("include = [\"dbo.*\"]", "include = [\"dbo.*\", \"eu.*\"]"),
            ("[target]\n", "[target]\nschema = \"one\"\n"),
        ],
        tells: &["NameClash"],
        mend: "exclude = [\"eu.Good\"]",
        left: &["UselessPattern"],
        ..SOUND
    },
];

const CONFIGURATION: &[Case] = &[
    Case {
        what: "a pattern matches nothing",
        config: &[("include = [\"dbo.*\"]", "include = [\"dbo.*\", \"Sale.*\"]")],
        tells: &["UselessPattern"],
        mend: "include = [\"dbo.*\"]",
        ..SOUND
    },
    Case {
        what: "what is left out is not there",
        config: &[("include = [\"dbo.*\"]", "include = [\"dbo.*\"]\nexclude = [\"dbo.Olds\"]")],
        tells: &["UselessPattern"],
        mend: "exclude = []",
        ..SOUND
    },
    Case {
        what: "no pattern matches anything",
        config: &[("include = [\"dbo.*\"]", "include = [\"Sale.*\"]")],
        tells: &["NoTables", "UselessPattern"],
        mend: "include = [\"*\"]",
        ..SOUND
    },
    Case {
        what: "a column that is left out is not there",
        checked_before: false,
        config: &[("[bucket]", "[[table]]\nname = \"dbo.Good\"\nexclude_columns = [\"Note\", \"Nothe\"]\n\n[bucket]")],
        tells: &["UselessOption"],
        mend: "exclude_columns = [\"Note\"]",
        ..SOUND
    },
    Case {
        what: "an entry names a table that is not included",
        source: &["CREATE SCHEMA eu", "CREATE TABLE eu.Goods (ID int NOT NULL PRIMARY KEY)"],
        config: &[("[bucket]", "[[table]]\nname = \"eu.Goods\"\n\n[bucket]")],
        tells: &["UselessOption"],
        mend: "include = [\"dbo.*\", \"eu.Goods\"]",
        ..SOUND
    },
];

const TARGET: &[Case] = &[
    Case {
        what: "the target's database is read-only",
        target: &["ALTER DATABASE {database} SET default_transaction_read_only = on"],
        tells: &["TargetReadOnly"],
        mend: "; ALTER DATABASE",
        ..SOUND
    },
    Case {
        what: "the target's login is read-only",
        target: &["ALTER ROLE loader IN DATABASE {database} SET default_transaction_read_only = on"],
        tells: &["TargetReadOnly"],
        mend: "ALTER ROLE \"loader\" IN DATABASE",
        ..SOUND
    },
    Case {
        what: "the target cannot store every character",
        other_target: true,
        tells: &["TargetEncoding"],
        mend: "ENCODING 'UTF8'",
        ..SOUND
    },
    Case {
        what: "the target's login may make no schema",
        checked_before: false,
        target: &["ALTER DATABASE {database} OWNER TO postgres"],
        tells: &["TargetSchema", "TargetRights"],
        code: 3,
        mend: "CREATE SCHEMA IF NOT EXISTS \"delsert\" AUTHORIZATION \"loader\"",
        ..SOUND
    },
    Case {
        what: "the target's login may not use delsert's schema",
        target: &["ALTER SCHEMA delsert OWNER TO postgres"],
        tells: &["TargetSchema", "TargetRights"],
        code: 3,
        mend: "GRANT USAGE, CREATE ON SCHEMA \"delsert\" TO \"loader\"",
        ..SOUND
    },
    Case {
        what: "a table of the target may not be written",
        target: &["ALTER TABLE dbo.good OWNER TO postgres"],
        tells: &["TargetRights"],
        mend: "GRANT SELECT, INSERT, DELETE ON TABLE \"dbo\".\"good\" TO \"loader\"",
        ..SOUND
    },
];
