//! The order of changes within a transaction: reference, section 5.

use std::collections::BTreeMap;

use standin::session::Session;
use standin::value::Value;

use crate::client::{captured, ok, server};

/// The order that tells the truth, and the one that older readers use.
const BY_COMMAND: &str = "[__$start_lsn], [__$command_id], [__$seqval], [__$operation]";
const BY_SEQVAL: &str = "[__$start_lsn], [__$seqval], [__$operation]";

type Rows = BTreeMap<i64, String>;

fn rows(session: &mut dyn Session, sql: &str) -> Vec<(i64, i64, String)> {
    let row = |row: &Vec<Value>| match row.as_slice() {
        [Value::Int(operation), Value::Int(id), Value::Text(v)] => (*operation, *id, v.clone()),
        other => panic!("{other:?}"),
    };
    ok(session, sql).rows().iter().map(row).collect()
}

fn table(session: &mut dyn Session) -> Rows {
    rows(session, "SELECT 2, id, v FROM t").into_iter().map(|(_, id, v)| (id, v)).collect()
}

/// What the last change of each key, in some order, makes of a table.
fn netted(session: &mut dyn Session, before: &Rows, order: &str) -> Rows {
    let mut after = before.clone();
    let sql = format!("SELECT [__$operation], id, v FROM cdc.dbo_t_CT WHERE [__$operation] <> 3 ORDER BY {order}");
    for (operation, id, v) in rows(session, &sql) {
        if operation == 1 {
            after.remove(&id);
        } else {
            after.insert(id, v);
        }
    }
    after
}

/// Runs statements on keys 1 to 6; whether the order by seqval alone misleads. That by command never does.
fn seqval_misleads(statements: &str) -> bool {
    let engine = server();
    let mut session = captured(&engine);
    let session = session.as_mut();
    ok(session, "INSERT t VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd'), (5, 'e'), (6, 'f'); EXEC sys.sp_cdc_scan");
    let before = table(session);
    ok(session, "EXEC sys.sp_cdc_disable_table @source_schema = 'dbo', @source_name = 't', @capture_instance = 'all'");
    ok(session, "EXEC sys.sp_cdc_enable_table @source_schema = 'dbo', @source_name = 't', @role_name = NULL");
    ok(session, &format!("{statements}; EXEC sys.sp_cdc_scan"));
    let now = table(session);
    assert_ne!(now, before);
    assert_eq!(netted(session, &before, BY_COMMAND), now, "{statements}");
    netted(session, &before, BY_SEQVAL) != now
}

#[test]
fn the_command_tells_the_order_of_multi_row_key_updates_and_the_seqval_does_not() {
    for statements in [
        "UPDATE t SET id = id + 1",
        "UPDATE t SET id = id + 2",
        "BEGIN TRAN; UPDATE t SET id = id + 1 WHERE id > 3; UPDATE t SET id = id + 1 WHERE id < 4; COMMIT",
    ] {
        assert!(seqval_misleads(statements), "{statements}: a reader that orders by seqval gets away with it");
    }
}

#[test]
fn the_command_tells_the_order_of_swaps_cycles_and_moves() {
    for statements in [
        "UPDATE t SET id = 3 - id WHERE id < 3",
        "UPDATE t SET id = 7 - id",
        "UPDATE t SET id = id % 6 + 1",
        "UPDATE t SET id = CASE id WHEN 1 THEN 2 WHEN 2 THEN 3 WHEN 3 THEN 1 ELSE id + 1 END",
        "UPDATE t SET id = CASE id WHEN 1 THEN 9 ELSE id - 1 END",
        "UPDATE t SET id = 11 WHERE id = 1",
        "BEGIN TRAN; UPDATE t SET id = 0 WHERE id = 1; UPDATE t SET id = 1 WHERE id = 2; UPDATE t SET id = 2 WHERE id = 0; COMMIT",
        "BEGIN TRAN; DELETE t WHERE id = 1; INSERT t VALUES (1, 'z'); DELETE t WHERE id = 2; COMMIT",
        "MERGE t USING (VALUES (1, 7), (7, 8)) AS s (o, n) ON t.id = s.o WHEN MATCHED THEN UPDATE SET v = 'm'
         WHEN NOT MATCHED THEN INSERT (id, v) VALUES (s.n, 'n');",
    ] {
        seqval_misleads(statements);
    }
}

#[test]
fn the_key_of_one_row_changes_at_one_seqval() {
    let engine = server();
    let mut session = captured(&engine);
    let session = session.as_mut();
    ok(session, "INSERT t VALUES (1, 'a'); EXEC sys.sp_cdc_scan; UPDATE t SET id = 2; EXEC sys.sp_cdc_scan");
    let sql = "SELECT COUNT(DISTINCT [__$start_lsn]), COUNT(DISTINCT [__$seqval]), COUNT(DISTINCT [__$command_id])
        FROM cdc.dbo_t_CT WHERE [__$start_lsn] = sys.fn_cdc_get_max_lsn()";
    let one_two = [Value::Int(1), Value::Int(1), Value::Int(2)];
    assert_eq!(ok(session, sql).rows(), [one_two]);
}
