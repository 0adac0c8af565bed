//! The procedures around the jobs.

use standin::value::{SqlType, Value};

use crate::bench::{Bench, eventually, table_t, text};

fn enabled() -> Bench {
    let bench = Bench::new(vec![table_t(SqlType::Int)]);
    bench.enable(&[]);
    bench
}

#[test]
fn the_first_table_brings_both_jobs() {
    let bench = Bench::new(vec![table_t(SqlType::Int)]);
    assert!(bench.run("sp_cdc_help_jobs", &[]).results[0].rows.is_empty() && bench.cdc.jobs(5).is_none());
    let messages = bench.enable(&[]).messages;
    let texts: Vec<_> = messages.iter().map(|message| message.message.as_str()).collect();
    assert_eq!(texts, ["Job 'cdc.shop_capture' started successfully.", "Job 'cdc.shop_cleanup' started successfully."]);
    assert!(messages.iter().all(|message| message.severity <= 10));
    assert!(bench.enable(&[("@capture_instance", text("second"))]).messages.is_empty());
    let jobs = bench.run("sp_cdc_help_jobs", &[]).results.remove(0);
    let names: Vec<_> = jobs.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "job_id",
            "job_type",
            "job_name",
            "maxtrans",
            "maxscans",
            "continuous",
            "pollinginterval",
            "retention",
            "threshold"
        ]
    );
    assert_eq!(
        jobs.rows[0][1..6],
        [text("capture"), text("cdc.shop_capture"), Value::Int(500), Value::Int(10), Value::Bit(true)]
    );
    assert_eq!(jobs.rows[1][7..], [Value::Int(4320), Value::Int(5000)]);
    assert_eq!(bench.cdc.jobs(5).unwrap().rows.len(), 2);
}

#[test]
fn starting_and_stopping_twice_is_refused() {
    let bench = enabled();
    assert!(bench.cdc.is_capturing());
    assert_eq!(bench.number("sp_cdc_start_job", &[]), 22022);
    bench.run("sp_cdc_stop_job", &[("@job_type", text("Capture"))]);
    assert_eq!(bench.number("sp_cdc_stop_job", &[]), 22022);
    assert_eq!(bench.number("sp_cdc_start_job", &[("@job_type", text("other"))]), 22992);
    bench.run("sp_cdc_drop_job", &[("@job_type", text("capture"))]);
    assert_eq!(bench.number("sp_cdc_start_job", &[]), 22997);
    bench.run("sp_cdc_add_job", &[("@job_type", text("capture"))]);
    assert!(bench.cdc.is_capturing());
    assert_eq!(bench.number("sp_cdc_add_job", &[("@job_type", text("capture"))]), 14261);
}

#[test]
fn settings_out_of_range_are_refused() {
    let bench = enabled();
    for (job, setting, value, number) in [
        ("capture", "@pollinginterval", 86_400, 22990),
        ("capture", "@pollinginterval", -1, 22990),
        ("capture", "@maxtrans", 0, 22991),
        ("capture", "@maxscans", 0, 22970),
        ("capture", "@retention", 5, 22995),
        ("cleanup", "@retention", 0, 22994),
        ("cleanup", "@retention", 52_594_801, 22994),
        ("cleanup", "@threshold", 0, 22850),
        ("cleanup", "@maxtrans", 5, 22996),
    ] {
        let args = [("@job_type", text(job)), (setting, Value::Int(value))];
        assert_eq!(bench.number("sp_cdc_change_job", &args), number, "{setting} = {value}");
    }
    let args = [("@pollinginterval", Value::Int(1))];
    assert_eq!(bench.number("sp_cdc_scan", &args), 22999);
}

#[test]
fn a_job_that_is_not_continuous_ends_by_itself() {
    let bench = enabled();
    bench.run("sp_cdc_stop_job", &[]);
    bench.run("sp_cdc_change_job", &[("@job_type", text("capture")), ("@continuous", Value::Bit(false))]);
    bench.run("sp_cdc_start_job", &[]);
    eventually("the job ended", || !bench.cdc.is_capturing());
}

#[test]
fn turning_cdc_off_ends_all_of_it() {
    let bench = enabled();
    bench.run("sp_cdc_disable_db", &[]);
    assert!(!bench.cdc.enabled() && !bench.cdc.is_capturing() && bench.cdc.relations().is_empty());
    assert_eq!(bench.number("sp_cdc_help_jobs", &[]), 22901);
    bench.run("sp_cdc_enable_db", &[]);
    assert!(bench.rows("lsn_time_mapping").is_empty() && bench.max_lsn().is_none());
}
