//! The design's rules: each has tests named after it, which fail when the rule is broken.
//!
//! | module | is |
//! |---|---|
//! | [`stage`] | the ends, one of them a bucket whose every operation a test may watch, hold back or spoil |
//! | [`by_hand`] | batches written without a source, for what load does with a ledger |
//! | [`watched`] | a shop with one table between such ends |
//! | [`from_outside`] | rules 1 to 8 with nothing but what the tasks leave behind |
//! | `r1_…` to `r12_…` | the rules one by one, with rivals, faults and frozen workers made to happen |

pub mod by_hand;
mod from_outside;
mod r11_secrets;
mod r12_alone;
mod r1_manifest;
mod r2_never_twice;
mod r3_chain;
mod r4_transaction;
mod r5_next_batch;
mod r6_purge;
mod r7_signals;
mod r8_crowd;
mod r8_overtaken;
pub mod stage;
pub mod watched;
