//! Bounds, and the functions that deal in LSNs and masks.

use standin::cdc::Lsn;
use standin::value::{SqlType, Value};

use crate::bench::{Bench, insert, lsn, next, row, table_t, text, update};

const ELIDED: &str =
    "An insufficient number of arguments were supplied for the procedure or function cdc.fn_cdc_get_all_changes_ ... .";

fn captured() -> (Bench, Lsn, Lsn) {
    let bench = Bench::by_hand(table_t(SqlType::Int));
    bench.commit(vec![insert(row(1, "a"))]);
    bench.commit(vec![update(row(1, "a"), row(1, "b"))]);
    bench.scan();
    let (min, max) = (bench.min_lsn().unwrap(), bench.max_lsn().unwrap());
    (bench, min, max)
}

#[test]
fn whatever_is_wrong_with_a_range_is_313() {
    let (bench, min, max) = captured();
    let below = lsn(&bench.function("fn_cdc_decrement_lsn", &[Value::Bytes(min.to_vec())])).unwrap();
    for (from, to, filter) in [
        (below, max, "all"),
        (min, next(max), "all"),
        (next(max), next(max), "all"),
        (next(max), max, "all"),
        (max, min, "all"),
        (min, max, "all with mask"),
        (min, max, ""),
    ] {
        let error = bench.changes_between("all", from, to, filter).unwrap_err();
        assert_eq!((error.number, error.message.as_str()), (313, ELIDED), "{from:x?} {to:x?} {filter}");
    }
    assert!(bench.changes_between("net", min, max, "all update old").is_err());
    let args = [Value::Null, Value::Bytes(max.to_vec()), text("all")];
    let error = bench.cdc.table_function("fn_cdc_get_all_changes_dbo_t", &args, &bench.session).unwrap_err();
    assert_eq!((error.number, error.message.as_str()), (313, ELIDED));
}

#[test]
fn a_new_instance_beyond_the_maximum_cannot_be_asked() {
    let (bench, _, max) = captured();
    bench.enable(&[("@capture_instance", text("second"))]);
    let args = [Value::Bytes(max.to_vec()), Value::Bytes(max.to_vec()), text("all")];
    let error = bench.cdc.table_function("fn_cdc_get_all_changes_second", &args, &bench.session).unwrap_err();
    assert_eq!(error.number, 313);
}

#[test]
fn both_ends_belong_to_the_range_and_the_filter_ignores_case_and_blanks() {
    let (bench, min, max) = captured();
    let operations = |from, to, filter| {
        let rows = bench.changes_between("all", from, to, filter).unwrap();
        rows.into_iter().map(|row| crate::bench::int(&row[2])).collect::<Vec<_>>()
    };
    assert_eq!(operations(min, max, "all"), [2, 4]);
    assert_eq!(operations(max, max, " ALL Update OLD "), [3, 4]);
    assert_eq!(operations(min, min, "all"), [0_i64; 0]);
}

#[test]
fn an_unknown_or_forbidden_instance_has_the_zero_minimum() {
    let (mut bench, min, max) = captured();
    let zero = Value::Bytes(vec![0; 10]);
    assert_eq!(bench.function("fn_cdc_get_min_lsn", &[text("nobody")]), zero);
    assert_eq!(bench.function("fn_cdc_get_min_lsn", &[text("DBO_T")]), Value::Bytes(min.to_vec()));
    bench.enable(&[("@capture_instance", text("gated")), ("@role_name", text("readers"))]);
    bench.scan();
    bench.session.roles = vec!["writers"];
    assert_eq!(bench.function("fn_cdc_get_min_lsn", &[text("gated")]), zero);
    let args = [Value::Bytes(max.to_vec()), Value::Bytes(max.to_vec()), text("all")];
    let call = |bench: &Bench| bench.cdc.table_function("fn_cdc_get_all_changes_gated", &args, &bench.session);
    let error = call(&bench).unwrap_err();
    assert_eq!((error.number, error.severity), (229, 14));
    bench.session.roles = vec!["readers"];
    assert_ne!(bench.function("fn_cdc_get_min_lsn", &[text("gated")]), zero);
    assert_eq!(call(&bench).unwrap_err().number, 313, "admitted, though the range is wrong");
}

#[test]
fn times_map_to_lsns_and_back() {
    let (bench, _, max) = captured();
    let time = bench.function("fn_cdc_map_lsn_to_time", &[Value::Bytes(max.to_vec())]);
    assert!(matches!(time, Value::DateTime(..)));
    let Value::DateTime(day, ticks) = time else { return };
    let map = |operator: &str, day: i32| {
        lsn(&bench.function("fn_cdc_map_time_to_lsn", &[text(operator), Value::DateTime(day, ticks)]))
    };
    let first = lsn(&bench.rows("lsn_time_mapping")[0][0]);
    assert_eq!(map("largest less than or equal", day), Some(max));
    assert_eq!(map("largest less than", day + 1), Some(max));
    assert_eq!(map("largest less than", day - 1), None);
    assert_eq!(map("smallest greater than", day), None);
    assert_eq!(map("smallest greater than", day - 1), first);
    assert_eq!(map("Smallest Greater Than Or Equal", day - 1), first);
    assert_eq!(bench.function("fn_cdc_map_lsn_to_time", &[Value::Bytes(next(max).to_vec())]), Value::Null);
}

#[test]
fn masks_tell_which_columns_changed() {
    let (bench, min, max) = captured();
    let rows = bench.changes_between("all", next(min), max, "all").unwrap();
    let mask = rows.last().unwrap()[3].clone();
    let call = |name: &str, args: &[Value]| bench.function(name, args);
    assert_eq!(call("fn_cdc_get_column_ordinal", &[text("dbo_t"), text("V")]), Value::Int(2));
    assert_eq!(call("fn_cdc_get_column_ordinal", &[text("dbo_t"), text("w")]), Value::Null);
    assert_eq!(call("fn_cdc_is_bit_set", &[Value::Int(2), mask.clone()]), Value::Bit(true));
    assert_eq!(call("fn_cdc_is_bit_set", &[Value::Int(1), mask.clone()]), Value::Bit(false));
    assert_eq!(call("fn_cdc_is_bit_set", &[Value::Int(99), mask.clone()]), Value::Bit(false));
    assert_eq!(call("fn_cdc_has_column_changed", &[text("dbo_t"), text("v"), mask]), Value::Bit(true));
}

#[test]
fn functions_know_their_types_and_arguments() {
    let (bench, _, _) = captured();
    assert_eq!(bench.cdc.function_type("FN_CDC_GET_MAX_LSN", 0), Some(SqlType::Binary(10)));
    assert_eq!(bench.cdc.function_type("fn_cdc_get_max_lsn", 1), None);
    assert_eq!(bench.cdc.function_type("fn_cdc_nothing", 0), None);
    let error = bench.cdc.table_function("fn_cdc_get_all_changes_dbo_t", &[], &bench.session).unwrap_err();
    assert_eq!(error.number, 313);
    let error = bench.cdc.function("fn_cdc_increment_lsn", &[text("x")], &bench.session).unwrap_err();
    assert_eq!(error.number, 257);
}
