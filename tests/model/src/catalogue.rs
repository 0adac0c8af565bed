//! The scenarios that are explored.

use delsert::config::{OnGap, Purge};

use crate::explore::Left;
use crate::scenario::Scenario;

const NONE: Left = Left::NONE;

/// Scenarios explored by every run of the tests: in all some millions of states.
pub fn scenarios() -> Vec<Scenario> {
    let new = Scenario::new;
    vec![
        // Two extracts want the same batch, with cuts of their own; answers are lost and parts damaged.
        Scenario { left: Left { lost: 1, damaged: 1, ..NONE }, ..new("rivals", "0.", "ee", "01") },
        // The same under the eyes of a check, which removes orphans.
        Scenario { left: Left { lost: 1, ..NONE }, ..new("checked", "0.", "eec", "0") },
        // Two extracts make one batch after the other while a check looks for orphans.
        new("looked at", "0.", "eec", "01"),
        // Three loads of the same two batches, of which one may be killed in its transaction.
        Scenario { left: Left { killed: 1, ..NONE }, ..new("loads", "0.1>e0>e", "lll", "") },
        // An extract sleeps until its sequence is made, applied and tidied by others.
        new("tidied", "0.", "eel", "01"),
        // A new table: two checks open it beside an extract.
        new("first", "", "cce", "0x"),
        // Rows come and go while they are copied.
        new("overlap", "c", "ee", "0x1"),
        // Cleanup is faster than two extracts; a person decides.
        Scenario { left: Left { cleaned: 1, ..NONE }, ..new("gap left open", "0.0.", "ee", "01") },
        // The same, where the table had no other change.
        Scenario { left: Left { cleaned: 1, ..NONE }, ..new("gap in an idle table", "0.0.", "ee", "0-") },
        // The same, where a gap is mended by a new generation, which is loaded meanwhile.
        Scenario { on_gap: OnGap::Resync, left: Left { cleaned: 1, ..NONE }, ..new("gap mended", "0.0.", "ee", "01") },
        Scenario {
            on_gap: OnGap::Resync,
            left: Left { cleaned: 1, ..NONE },
            ..new("gap mended and loaded", "0.0.", "eel", "00")
        },
        // A resync beside extracts and a load of the generation before.
        new("resync", "0.0.", "eerl", "0"),
        Scenario { purge: Purge::AfterLoad, ..new("resync after load", "0.0.", "eerl", "0") },
        // A resync takes the place of a batch that a load is about to apply, and a check removes its parts.
        Scenario { left: Left { damaged: 1, ..NONE }, ..new("replaced", "0.1>e", "celr", "") },
        // The source is restored to its first change.
        Scenario { left: Left { restored: 1, ..NONE }, restore_to: 1, ..new("restored", "0.0.0.", "ere", "01") },
        // History is purged behind what was loaded, while two loads and two extracts overtake each other.
        Scenario { purge: Purge::AfterLoad, left: Left { killed: 1, ..NONE }, ..new("overtaken", "0.", "eell", "01") },
        // Tables found idle get empty batches.
        Scenario { stale: true, ..new("idle", "0.", "eel", "0") },
        // Two of each, where nothing is to be done.
        new("two of each at rest", "0.", "cceell", ""),
        // One of each.
        Scenario { left: Left { killed: 1, ..NONE }, ..new("all", "0.", "celr", "0") },
        // Cleanup passes the beginning of a copy under way.
        Scenario { left: Left { cleaned: 1, ..NONE }, ..new("cleaned while copied", "c", "ee", "01") },
        // The three tasks beside a cleanup that is faster.
        Scenario { left: Left { cleaned: 1, ..NONE }, ..new("cleaned", "0.0.", "cel", "01") },
        Scenario {
            on_gap: OnGap::Resync,
            left: Left { cleaned: 1, ..NONE },
            ..new("cleaned and mended", "0.0.", "cel", "0")
        },
    ]
}

/// Larger scenarios, for `make model`. The last has not yet been explored whole.
pub fn deeper() -> Vec<Scenario> {
    let new = Scenario::new;
    vec![
        Scenario { left: Left { lost: 2, damaged: 1, ..NONE }, ..new("three rivals", "0.", "eee", "01") },
        new("tidied beside two", "0.", "eeel", "01"),
        new("two checks, two extracts", "", "ccee", "0"),
        Scenario { left: Left { killed: 1, ..NONE }, ..new("checks and loads", "0.1>e0>e", "ccll", "") },
        new("two resyncs", "0.0.", "errl", "0"),
        new("check among rivals and a load", "0.", "ceel", "0"),
        new("two of each", "0.1>e", "cceell", ""),
    ]
}
