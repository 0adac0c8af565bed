//! Who may see and read what: the catalogue, schema `cdc`, `msdb`, the views that tell the server's state.

use standin::value::Value;

use crate::client::{cell, connect, errors, login, ok, server};

#[test]
fn the_catalogue_shows_tables_on_which_a_login_has_a_right() {
    let engine = server();
    let mut owner = connect(&engine);
    ok(owner.as_mut(), "CREATE SCHEMA s");
    ok(
        owner.as_mut(),
        "CREATE TABLE s.a (id int PRIMARY KEY); CREATE TABLE s.b (id int PRIMARY KEY); CREATE TABLE dbo.c (id int);
         CREATE LOGIN reader WITH PASSWORD = 'pw'; CREATE USER reader FOR LOGIN reader; GRANT SELECT ON s.a TO reader;
         EXEC sys.sp_cdc_enable_db",
    );
    let mut reader = login(&engine, "reader", "pw", "shop").expect("a session");
    let reader = reader.as_mut();
    let count = |of: &str| format!("SELECT COUNT(*) FROM sys.{of}");
    for (view, expected) in [("tables", 1), ("columns", 1), ("indexes", 1), ("index_columns", 1)] {
        assert_eq!(cell(reader, &count(view)), Value::Int(expected), "{view}");
    }
    assert_eq!(cell(reader, "SELECT OBJECT_ID(N's.b')"), Value::Null);
    assert_eq!(cell(reader, "SELECT COL_LENGTH(N's.b', N'id')"), Value::Null);
    assert_ne!(cell(reader, "SELECT OBJECT_ID(N's.a')"), Value::Null);
    assert_eq!(cell(reader, "SELECT OBJECT_ID(N'cdc.change_tables')"), Value::Null);
    assert_eq!(errors(reader, "SELECT * FROM cdc.change_tables"), [229]);
    ok(owner.as_mut(), "GRANT SELECT ON SCHEMA::s TO reader; GRANT SELECT ON SCHEMA::cdc TO reader");
    assert_ne!(cell(reader, "SELECT OBJECT_ID(N's.b')"), Value::Null);
    assert_eq!(cell(reader, "SELECT COUNT(*) FROM sys.tables WHERE is_ms_shipped = 0"), Value::Int(2));
    ok(reader, "SELECT * FROM cdc.change_tables");
    ok(owner.as_mut(), "DENY SELECT ON s.b TO reader");
    assert_eq!(cell(reader, "SELECT COUNT(*) FROM sys.tables WHERE is_ms_shipped = 0"), Value::Int(1));
}

#[test]
fn a_right_on_a_column_or_a_change_table_alone_reads_no_more() {
    let engine = server();
    let mut owner = connect(&engine);
    let owner = owner.as_mut();
    ok(owner, "CREATE TABLE t (id int PRIMARY KEY, n int NULL); CREATE LOGIN reader WITH PASSWORD = 'pw'");
    ok(owner, "CREATE USER reader FOR LOGIN reader; EXEC sys.sp_cdc_enable_db; GRANT SELECT ON t (id) TO reader");
    let mut reader = login(&engine, "reader", "pw", "shop").expect("a session");
    let reader = reader.as_mut();
    let may = |rest: &str| format!("SELECT HAS_PERMS_BY_NAME(N't', N'OBJECT', N'SELECT'{rest})");
    ok(reader, "SELECT t.id FROM t");
    for refused in ["SELECT n FROM t", "SELECT * FROM t", "SELECT a.id FROM t AS a WHERE a.n = 1"] {
        assert_eq!(errors(reader, refused), [230], "{refused}");
    }
    for (rest, expected) in [("", 0), (", N'id', N'COLUMN'", 1), (", N'n', N'COLUMN'", 0)] {
        assert_eq!(cell(reader, &may(rest)), Value::Int(expected), "{rest}");
    }
    ok(owner, "GRANT SELECT ON t (n) TO reader; REVOKE SELECT ON t (id) TO reader");
    ok(reader, "SELECT n FROM t");
    assert_eq!(errors(reader, "SELECT id FROM t"), [230]);
    assert_eq!(errors(owner, "GRANT SELECT ON t (m) TO reader"), [207]);
    ok(owner, "REVOKE SELECT ON t TO reader");
    assert_eq!(errors(reader, "SELECT n FROM t"), [229]);
    ok(owner, "GRANT SELECT ON cdc.change_tables TO reader");
    ok(reader, "SELECT * FROM cdc.change_tables");
    assert_eq!(errors(reader, "SELECT * FROM cdc.lsn_time_mapping"), [229]);
    assert_eq!(cell(reader, "SELECT HAS_PERMS_BY_NAME(N'cdc', N'SCHEMA', N'SELECT')"), Value::Int(0));
}

#[test]
fn the_jobs_table_is_made_with_the_first_job_and_read_by_those_who_were_granted_it() {
    let engine = server();
    let mut owner = connect(&engine);
    let owner = owner.as_mut();
    ok(owner, "CREATE TABLE t (id int PRIMARY KEY); CREATE LOGIN reader WITH PASSWORD = 'pw'");
    ok(owner, "CREATE USER reader FOR LOGIN reader; EXEC sys.sp_cdc_enable_db; GRANT SELECT ON t TO reader");
    let mut reader = login(&engine, "reader", "pw", "shop").expect("a session");
    let reader = reader.as_mut();
    let jobs = "SELECT COUNT(*) FROM msdb.dbo.cdc_jobs";
    let user = "USE msdb; CREATE USER reader FOR LOGIN reader";
    let grant = "USE msdb; GRANT SELECT ON dbo.cdc_jobs TO reader";
    assert_eq!(errors(owner, jobs), [208]);
    assert_eq!(errors(reader, jobs), [208]);
    assert_eq!(errors(owner, "USE msdb; GRANT SELECT ON dbo.cdc_jobs TO nobody"), [15151]);
    ok(owner, user);
    assert_eq!(errors(owner, grant), [15151]);
    assert_eq!(cell(owner, "USE msdb; SELECT OBJECT_ID(N'dbo.cdc_jobs')"), Value::Null);
    ok(owner, "USE shop; EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N't', @role_name = NULL");
    assert_eq!(cell(owner, jobs), Value::Int(2));
    assert_eq!(errors(reader, jobs), [229]);
    assert_eq!(cell(reader, "SELECT OBJECT_ID(N'msdb.dbo.cdc_jobs')"), Value::Null);
    assert_eq!(errors(reader, grant), [15247]);
    assert_ne!(cell(owner, "USE msdb; SELECT OBJECT_ID(N'dbo.cdc_jobs')"), Value::Null);
    ok(owner, grant);
    assert_eq!(cell(reader, jobs), Value::Int(2));
    assert_eq!(errors(owner, user), [15023]);
    ok(owner, "USE msdb; REVOKE SELECT ON dbo.cdc_jobs TO reader");
    assert_eq!(errors(reader, jobs), [229]);
    ok(owner, grant);
    ok(owner, "USE msdb; DROP USER reader");
    assert_eq!(errors(reader, jobs), [229]);
}

#[test]
fn what_tells_the_state_is_for_those_who_were_granted_it() {
    let engine = server();
    let mut owner = connect(&engine);
    ok(
        owner.as_mut(),
        "CREATE LOGIN reader WITH PASSWORD = 'pw'; CREATE USER reader FOR LOGIN reader;
         CREATE LOGIN stranger WITH PASSWORD = 'pw'; EXEC sys.sp_cdc_enable_db",
    );
    let mut reader = login(&engine, "reader", "pw", "shop").expect("a session");
    let scans = "SELECT * FROM sys.dm_cdc_log_scan_sessions";
    assert_eq!(errors(reader.as_mut(), scans), [297]);
    assert_eq!(errors(reader.as_mut(), "SELECT * FROM sys.dm_cdc_errors"), [297]);
    assert_eq!(errors(reader.as_mut(), "SELECT * FROM sys.dm_os_sys_info"), [300]);
    ok(owner.as_mut(), "GRANT VIEW DATABASE STATE TO reader");
    ok(reader.as_mut(), scans);
    // A login without a user in the database does not get in by another way either.
    let mut stranger = login(&engine, "stranger", "pw", "master").expect("a session");
    assert_eq!(errors(stranger.as_mut(), "USE shop"), [916]);
    ok(stranger.as_mut(), "USE msdb");
    for (name, known) in [("reader", true), ("sa", true), ("nobody", false)] {
        let id = cell(owner.as_mut(), &format!("SELECT SUSER_ID(N'{name}')"));
        assert_eq!(id != Value::Null, known, "{name}");
    }
}
