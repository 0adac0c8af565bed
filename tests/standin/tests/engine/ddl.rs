//! Definitions that change under capture: reference, section 8.

use standin::session::Session;
use standin::value::Value;

use crate::client::{captured, cell, connect, errors, ok, server};

const SCAN: &str = "EXEC sys.sp_cdc_scan";

/// The rows that a query gives, each as the text of its first cell.
fn texts(session: &mut dyn Session, sql: &str) -> Vec<String> {
    let shown = |row: &Vec<Value>| match &row[0] {
        Value::Text(text) => text.clone(),
        Value::Null => "NULL".to_owned(),
        other => panic!("{other:?} is no text"),
    };
    ok(session, sql).rows().iter().map(shown).collect()
}

fn captured_columns(session: &mut dyn Session, instance: &str) -> Vec<String> {
    texts(
        session,
        &format!(
            "SELECT CONCAT(c.column_name, ' ', c.column_type, ' ', c.column_id) FROM cdc.captured_columns AS c
             JOIN cdc.change_tables AS t ON t.object_id = c.object_id
             WHERE t.capture_instance = '{instance}' ORDER BY c.column_ordinal"
        ),
    )
}

fn enable(session: &mut dyn Session, instance: &str) -> Vec<i32> {
    let sql = format!(
        "EXEC sys.sp_cdc_enable_table @source_schema = 'dbo', @source_name = 't', @role_name = NULL,
         @capture_instance = '{instance}'"
    );
    errors(session, &sql)
}

fn disable(session: &mut dyn Session, instance: &str) -> Vec<i32> {
    let sql = format!(
        "EXEC sys.sp_cdc_disable_table @source_schema = 'dbo', @source_name = 't', @capture_instance = '{instance}'"
    );
    errors(session, &sql)
}

/// What the source writes into an instance: operation and the columns that it shows, in order.
fn changes(session: &mut dyn Session, instance: &str, shown: &str) -> Vec<String> {
    texts(
        session,
        &format!(
            "SELECT CONCAT([__$operation], ' ', {shown}) FROM cdc.[{instance}_CT]
             ORDER BY [__$start_lsn], [__$command_id], [__$seqval], [__$operation]"
        ),
    )
}

#[test]
fn an_added_column_is_not_captured_by_what_is_there() {
    let engine = server();
    let mut session = captured(&engine);
    let session = session.as_mut();
    ok(session, "INSERT t VALUES (1, 'a')");
    ok(session, "ALTER TABLE t ADD note varchar(9)");
    ok(session, "ALTER TABLE t ADD kind int NOT NULL CONSTRAINT DF_kind DEFAULT 7, seen bit NOT NULL DEFAULT 0, w int");
    assert_eq!(cell(session, "SELECT kind FROM t"), Value::Int(7), "rows there are get the default");
    ok(session, "INSERT t VALUES (2, 'b', 'new', 8, 1, 9); UPDATE t SET note = 'n', kind = 9 WHERE id = 1");
    ok(session, SCAN);
    assert_eq!(captured_columns(session, "dbo_t"), ["id int 1", "v varchar 2"]);
    assert_eq!(changes(session, "dbo_t", "id, v"), ["2 1a", "2 2b"], "the update touched no captured column");
    let history = "SELECT CONCAT(required_column_update, ' ', ddl_command) FROM cdc.ddl_history ORDER BY ddl_lsn";
    assert_eq!(texts(session, history)[0], "0 ALTER TABLE t ADD note varchar(9)");
    assert_eq!(texts(session, history).len(), 2);
    assert_eq!(errors(session, "SELECT note FROM cdc.dbo_t_CT"), [207]);
}

#[test]
fn a_dropped_column_stays_and_one_of_its_name_is_another() {
    let engine = server();
    let mut session = captured(&engine);
    let session = session.as_mut();
    ok(session, "INSERT t VALUES (1, 'a'); ALTER TABLE t DROP COLUMN v; INSERT t VALUES (2)");
    ok(session, "ALTER TABLE t ADD v varchar(20); INSERT t VALUES (3, 'c')");
    ok(session, SCAN);
    assert_eq!(changes(session, "dbo_t", "id, ISNULL(v, '-')"), ["2 1a", "2 2-", "2 3-"]);
    assert_eq!(captured_columns(session, "dbo_t"), ["id int 1", "v varchar 2"]);
    assert_eq!(
        cell(session, "SELECT column_id FROM sys.columns WHERE object_id = OBJECT_ID('t') AND name = 'v'"),
        Value::Int(3)
    );
    assert_eq!(enable(session, "second"), [0; 0]);
    assert_eq!(captured_columns(session, "second"), ["id int 1", "v varchar 3"]);
    ok(session, "UPDATE t SET v = 'd' WHERE id = 3");
    ok(session, SCAN);
    assert_eq!(changes(session, "second", "v"), ["3 c", "4 d"]);
}

#[test]
fn a_type_follows_once_capture_reads_the_statement() {
    let engine = server();
    let mut session = captured(&engine);
    let session = session.as_mut();
    ok(session, "INSERT t VALUES (1, '41'); EXEC sys.sp_cdc_scan; ALTER TABLE t ALTER COLUMN v int");
    ok(session, "UPDATE t SET v = v + 1");
    let history = "SELECT CAST(required_column_update AS varchar(1)) FROM cdc.ddl_history";
    assert_eq!(captured_columns(session, "dbo_t")[1], "v varchar 2", "capture has read nothing yet");
    assert!(texts(session, history).is_empty());
    let kind = "SELECT CAST(SQL_VARIANT_PROPERTY(v, 'BaseType') AS varchar(20)) FROM cdc.dbo_t_CT";
    assert_eq!(texts(session, kind), ["varchar"]);
    ok(session, SCAN);
    assert_eq!(captured_columns(session, "dbo_t")[1], "v int 2");
    assert_eq!(texts(session, history), ["1"]);
    assert_eq!(changes(session, "dbo_t", "v"), ["2 41", "3 41", "4 42"]);
    assert_eq!(texts(session, kind), ["int", "int", "int"]);
    // NULL or NOT NULL is a statement of its own, and changes no type.
    ok(session, "ALTER TABLE t ALTER COLUMN v int NOT NULL; INSERT t VALUES (2, 5); EXEC sys.sp_cdc_scan");
    assert_eq!(texts(session, &format!("{history} ORDER BY ddl_lsn")), ["1", "0"]);
    assert_eq!(errors(session, "INSERT t VALUES (3, NULL)"), [515]);
}

/// What the source converts, its change table converts alike.
#[test]
fn any_type_that_the_source_takes_the_changes_take() {
    for (value, from, to, shown) in [
        ("'2024-05-06'", "varchar(20)", "date", "2024-05-06"),
        ("'2024-05-06'", "date", "varchar(20)", "2024-05-06"),
        ("'2024-05-06T07:08:09'", "datetime", "datetime2(0)", "2024-05-06 07:08:09"),
        ("'2024-05-06T07:08:09'", "datetime2(0)", "nvarchar(30)", "2024-05-06 07:08:09"),
        ("2.5", "float", "decimal(9, 3)", "2.500"),
        ("2.5", "decimal(9, 3)", "float", "2.5"),
        ("1", "int", "float", "1"),
        ("1", "bit", "bigint", "1"),
        ("12", "money", "decimal(9, 2)", "12.00"),
        (
            "'00000000-0000-0000-0000-00000000000A'",
            "uniqueidentifier",
            "char(36)",
            "00000000-0000-0000-0000-00000000000A",
        ),
    ] {
        let engine = server();
        let mut session = connect(&engine);
        let session = session.as_mut();
        ok(session, &format!("CREATE TABLE t (id int PRIMARY KEY, v {from}); EXEC sys.sp_cdc_enable_db"));
        assert_eq!(enable(session, "dbo_t"), [0; 0]);
        ok(session, &format!("EXEC sys.sp_cdc_stop_job 'capture'; INSERT t VALUES (1, {value}); {SCAN}"));
        ok(session, &format!("ALTER TABLE t ALTER COLUMN v {to}; UPDATE t SET id = 2; {SCAN}"));
        let text = "SELECT DISTINCT CAST(v AS nvarchar(40)) FROM";
        assert_eq!(texts(session, &format!("{text} t")), [shown], "{from} to {to}");
        assert_eq!(texts(session, &format!("{text} cdc.dbo_t_CT")), [shown], "{from} to {to}");
    }
}

/// Reference, section 8: shrinking can stop capture (2628, 8115).
#[test]
fn a_type_that_the_changes_do_not_fit_stops_capture() {
    let engine = server();
    let mut session = captured(&engine);
    let session = session.as_mut();
    ok(session, "INSERT t VALUES (1, 'long enough'); EXEC sys.sp_cdc_scan; UPDATE t SET v = 'ab'");
    ok(session, "EXEC sys.sp_cdc_scan; ALTER TABLE t ALTER COLUMN v varchar(3); UPDATE t SET v = 'c'");
    assert_eq!(errors(session, SCAN), [2628]);
    assert_eq!(changes(session, "dbo_t", "v"), ["2 long enough", "3 long enough", "4 ab"]);
    assert_eq!(cell(session, "SELECT COUNT(*) FROM cdc.ddl_history"), Value::Int(0));
}

#[test]
fn only_a_column_that_nobody_captures_is_renamed() {
    let engine = server();
    let mut session = captured(&engine);
    let session = session.as_mut();
    assert_eq!(errors(session, "EXEC sp_rename 't.v', 'w', 'COLUMN'"), [4928]);
    ok(session, "ALTER TABLE t ADD x int; EXEC sp_rename 't.x', 'y', 'COLUMN'");
    ok(session, "ALTER TABLE t DROP COLUMN v; ALTER TABLE t ADD v int; EXEC sp_rename 't.v', 'w', 'COLUMN'");
    ok(session, "INSERT t (id, y, w) VALUES (1, 2, 3); EXEC sys.sp_cdc_scan");
    assert_eq!(changes(session, "dbo_t", "id"), ["2 1"]);
}

#[test]
fn a_dropped_table_takes_its_instances_along_and_comes_back_as_another() {
    let engine = server();
    let mut session = captured(&engine);
    let session = session.as_mut();
    let id = "SELECT OBJECT_ID('t')";
    let old = cell(session, id);
    ok(session, "INSERT t VALUES (1, 'a'); EXEC sys.sp_cdc_scan; BEGIN TRAN; DROP TABLE t; ROLLBACK");
    assert_eq!(changes(session, "dbo_t", "id"), ["2 1"]);
    ok(session, "DROP TABLE t");
    assert_eq!(errors(session, "SELECT * FROM cdc.dbo_t_CT"), [208]);
    let function = "SELECT * FROM cdc.fn_cdc_get_all_changes_dbo_t(sys.fn_cdc_get_min_lsn('dbo_t'),
        sys.fn_cdc_get_max_lsn(), 'all')";
    assert_eq!(errors(session, function), [208]);
    let zero = Value::Bytes(vec![0; 10]);
    assert_eq!(cell(session, "SELECT sys.fn_cdc_get_min_lsn('dbo_t')"), zero);
    ok(session, "CREATE TABLE t (id int NOT NULL PRIMARY KEY, v varchar(20)); INSERT t VALUES (1, 'b')");
    assert_ne!(cell(session, id), old);
    assert_eq!(cell(session, "SELECT is_tracked_by_cdc FROM sys.tables WHERE name = 't'"), Value::Bit(false));
    assert_eq!(enable(session, "dbo_t"), [0; 0]);
    ok(session, "INSERT t VALUES (2, 'c'); EXEC sys.sp_cdc_scan");
    assert_eq!(changes(session, "dbo_t", "id"), ["2 2"]);
}

#[test]
fn the_key_is_held_while_an_instance_uses_it() {
    let engine = server();
    let mut session = captured(&engine);
    let session = session.as_mut();
    let index = "SELECT CONCAT(i.column_name, ' ', i.column_id) FROM cdc.index_columns AS i ORDER BY i.index_ordinal";
    assert_eq!(texts(session, index), ["id 1"]);
    let drop = "ALTER TABLE t DROP CONSTRAINT PK_t";
    assert_eq!(errors(session, drop), [22979]);
    assert_eq!(errors(session, "ALTER TABLE t ALTER COLUMN id bigint NOT NULL"), [5074]);
    assert_eq!(errors(session, "ALTER TABLE t DROP COLUMN id"), [5074]);
    assert_eq!(errors(session, "TRUNCATE TABLE t"), [4711]);
    assert_eq!(disable(session, "dbo_t"), [0; 0]);
    ok(session, "INSERT t VALUES (1, 'a'); ALTER TABLE t ALTER COLUMN v varchar(20) NOT NULL");
    ok(session, &format!("{drop}; ALTER TABLE t ADD CONSTRAINT PK_new PRIMARY KEY (v, id)"));
    assert_eq!(enable(session, "anew"), [0; 0]);
    assert_eq!(texts(session, index), ["v 2", "id 1"]);
    ok(session, "UPDATE t SET v = 'b'; EXEC sys.sp_cdc_scan");
    assert_eq!(changes(session, "anew", "v"), ["1 a", "2 b"], "the key of the new instance");
    assert_eq!(errors(session, "ALTER TABLE t DROP CONSTRAINT PK_new"), [22979]);
}

/// Reference, sections 1 and 8: two slots; the new one begins at the log's end, which capture may not have reached.
#[test]
fn two_instances_share_what_comes_and_there_is_no_third() {
    let engine = server();
    let mut session = captured(&engine);
    let session = session.as_mut();
    ok(session, "INSERT t VALUES (1, 'before')");
    assert_eq!(enable(session, "second"), [0; 0]);
    assert_eq!(enable(session, "third"), [22962]);
    let ahead = "SELECT CASE WHEN start_lsn > sys.fn_cdc_get_max_lsn() THEN 'ahead' ELSE 'behind' END
        FROM cdc.change_tables WHERE capture_instance = 'second'";
    assert_eq!(texts(session, ahead), ["ahead"]);
    ok(session, "INSERT t VALUES (2, 'both'); EXEC sys.sp_cdc_scan");
    assert_eq!(texts(session, ahead), ["behind"]);
    assert_eq!(changes(session, "dbo_t", "id"), ["2 1", "2 2"]);
    assert_eq!(changes(session, "second", "id"), ["2 2"]);
    assert_eq!(disable(session, "dbo_t"), [0; 0]);
    assert_eq!(errors(session, "SELECT * FROM cdc.dbo_t_CT"), [208]);
    ok(session, "INSERT t VALUES (3, 'one'); EXEC sys.sp_cdc_scan");
    assert_eq!(changes(session, "second", "id"), ["2 2", "2 3"]);
    assert_eq!((disable(session, "dbo_t"), enable(session, "third")), (vec![22960], vec![]));
}

#[test]
fn enabling_waits_for_whoever_writes() {
    let engine = server();
    let mut session = captured(&engine);
    let mut writer = connect(&engine);
    ok(writer.as_mut(), "BEGIN TRAN; INSERT t VALUES (1, 'open')");
    ok(session.as_mut(), "SET LOCK_TIMEOUT 50");
    assert_eq!(enable(session.as_mut(), "second"), [22_832]);
    assert_eq!(disable(session.as_mut(), "dbo_t"), [22_833]);
    ok(session.as_mut(), "SET LOCK_TIMEOUT -1");
    let enabling = std::thread::spawn(move || (enable(session.as_mut(), "second"), session));
    ok(writer.as_mut(), "INSERT t VALUES (2, 'open'); COMMIT");
    let (result, mut session) = enabling.join().expect("an answer");
    let session = session.as_mut();
    assert_eq!(result, [0; 0]);
    ok(session, "INSERT t VALUES (3, 'after'); EXEC sys.sp_cdc_scan");
    assert_eq!(changes(session, "second", "id"), ["2 3"], "what was open belongs to the old instance");
    assert_eq!(changes(session, "dbo_t", "id"), ["2 1", "2 2", "2 3"]);
}
