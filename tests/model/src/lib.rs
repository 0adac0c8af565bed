//! A model of the protocol, explored exhaustively: what `check`, `extract`, `load` and `resync` do to source, bucket and
//! target, one operation a step, in every order in which the steps of several of them can fall.
//!
//! - [`world`] is what stands outside: a source with its log, asynchronous capture, cleanup and restores; a bucket with
//!   create-only writes; a target with a lock, a watermark and rows.
//! - [`check`], [`extract`] with [`attempt`], and [`load`] are the tasks, each a program counter and what it remembers.
//!   They mirror `delsert::task` step by step, and decide by `delsert::ledger::decide` itself.
//! - [`care`] wraps those decisions, and lists the mutations: the protocol minus one care each.
//! - [`spec`] says what was promised, without the product's decisions; [`rest`] what a quiet round must bring about.
//! - [`scenario`] bounds what happens, [`catalogue`] lists the scenarios, [`explore`] hands them to the checker.
//!
//! A process that is frozen is one that is not chosen for a while; one that was killed is never chosen again. So every
//! order of steps holds every kill, and **in every state** all processes are taken for dead, a quiet round is run, and
//! target and source compared. Only who holds the table's lock must be killed for the lock to be freed.
//!
//! What a step stands for: reads of what never changes (manifests, the log up to the cut) are one with the step that
//! uses them; a batch has one part; a listing is one moment, but where `check` removes by it. Multipart uploads, several
//! tables, schema changes, the sentinel and the target's restore are not modelled.
//!
//! To add a mutation: name it in [`care::Mutation`], leave the care out where it is taken, and let a test name the
//! scenario and the promise. The environment's `MODEL_ONLY` names one scenario to explore. A counterexample is a list of
//! [`explore::Action`]s; numbers are places in the scenario's processes.

pub mod attempt;
pub mod care;
pub mod catalogue;
pub mod check;
pub mod explore;
pub mod extract;
pub mod load;
pub mod process;
pub mod rest;
pub mod scenario;
pub mod spec;
pub mod world;
