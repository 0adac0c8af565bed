//! The protocol as it is breaks no promise; the protocol minus one care breaks the one that the care is for.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use model::care::Mutation;
use model::catalogue;

/// Explores all scenarios by as many threads as there are processors.
#[test]
fn the_protocol_breaks_no_promise_wherever_it_is_left() {
    let mut scenarios = catalogue::scenarios();
    if std::env::var_os("MODEL_DEEPER").is_some() {
        scenarios.extend(catalogue::deeper());
    }
    if let Ok(only) = std::env::var("MODEL_ONLY") {
        scenarios.retain(|scenario| scenario.name == only);
    }
    let (next, total) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
            let begun = Instant::now();
            let explored = scenario.explore();
            let (states, depth) = (explored.states, explored.depth);
            total.fetch_add(states, Ordering::Relaxed);
            println!("{:<32}{states:>9} states, {depth:>3} steps deep, {:.1?}", scenario.name, begun.elapsed());
            assert_eq!(explored.violation, None, "{}", scenario.name);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    println!("{:<32}{:>9} states", "in all", total.into_inner());
}

/// Explores a scenario with a mutation, which must break that promise.
fn finds(mutation: Mutation, scenario: &str, promise: &'static str) {
    let scenario = catalogue::scenarios().into_iter().find(|listed| listed.name == scenario).expect("it is listed");
    let explored = scenario.explore_without(mutation, promise);
    let (_, way) = explored.violation.unwrap_or_else(|| panic!("{mutation:?} never breaks '{promise}'"));
    println!("{mutation:?}: not '{promise}' after {} steps; {} states", way.len(), explored.states);
}

#[test]
fn finds_a_manifest_written_before_its_parts_are_verified() {
    finds(Mutation::ManifestBeforeVerified, "rivals", "a batch has its parts until it is applied");
}

#[test]
fn finds_a_412_always_taken_for_defeat() {
    finds(Mutation::RefusedIsDefeat, "rivals", "no live part is removed");
}

#[test]
fn finds_a_412_always_taken_for_victory() {
    finds(Mutation::RefusedIsVictory, "rivals", "no live part is removed");
}

#[test]
fn finds_a_load_that_orders_without_the_lock() {
    finds(Mutation::NoLock, "loads", "each batch is applied once, in order");
}

#[test]
fn finds_a_watermark_read_before_the_lock() {
    finds(Mutation::WatermarkBeforeLock, "loads", "each batch is applied once, in order");
}

#[test]
fn finds_a_purge_by_ones_own_window() {
    finds(Mutation::PurgeByOwnWindow, "rivals", "nothing is purged that is not durable");
}

#[test]
fn finds_tidying_that_removes_an_unapplied_batch() {
    finds(Mutation::TidyUnapplied, "loads", "no batch is removed before it is applied");
}

#[test]
fn finds_tidying_that_removes_the_tail() {
    finds(Mutation::TidyTail, "tidied", "a person is asked only with reason");
}

#[test]
fn finds_a_purge_that_crosses_generations() {
    finds(Mutation::PurgeAcrossGenerations, "restored", "nothing is purged that is not durable");
}

#[test]
fn finds_a_gap_that_opens_two_generations() {
    finds(Mutation::GapOpensHighest, "gap mended", "a gap opens one generation");
}

#[test]
fn finds_windows_netted_by_a_function_silent_about_insert_then_delete() {
    finds(Mutation::SilentNet, "overlap", "at rest the target equals the source");
}

#[test]
fn finds_an_old_extract_that_publishes_in_a_resyncs_generation() {
    finds(Mutation::PublishInNewest, "resync", "each batch begins where the one before ended");
}

#[test]
fn finds_a_check_that_removes_parts_of_a_live_attempt() {
    finds(Mutation::OrphansAtNext, "checked", "no live part is removed");
}

#[test]
fn finds_a_minimum_not_read_again_after_the_rows() {
    finds(Mutation::MinimumReadOnce, "gap left open", "at rest the target equals the source");
}

#[test]
fn finds_a_table_found_idle_whose_history_is_gone() {
    finds(Mutation::IdleByChangesAlone, "gap in an idle table", "at rest the target equals the source");
}

#[test]
fn finds_a_mended_gap_told_for_a_table_never_opened() {
    finds(Mutation::GoneIsNotOpen, "gap mended and loaded", "a person is asked only with reason");
}

#[test]
fn finds_an_error_told_while_the_watermark_moves() {
    finds(Mutation::ToldAtSecondLook, "overtaken", "a person is asked only with reason");
}

#[test]
fn finds_a_part_told_damaged_whose_batch_was_replaced() {
    finds(Mutation::DamagedAtSecond, "replaced", "a person is asked only with reason");
}

#[test]
fn finds_a_restore_told_by_an_old_fingerprint() {
    finds(Mutation::RestoredByOldFingerprint, "restored", "a person is asked only with reason");
}

#[test]
fn finds_a_check_that_removes_what_one_look_dooms() {
    finds(Mutation::OneLook, "looked at", "no live part is removed");
}
