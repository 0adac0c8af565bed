//! Tables in which nothing happens, and sources that are not what they were: what it costs, what is kept, what is said.
//!
//! | module | is |
//! |---|---|
//! | [`wire`] | a relay that counts statements |
//! | [`thousand`] | a thousand tables |
//! | [`month`] | thirty days |
//! | [`cut`] | tables that share one moment |
//! | [`gaps`] | history that was purged before it was read |
//! | [`restored`] | logs that are not the one that was read |
//! | [`purge`] | marks, and who may purge |

mod cut;
mod gaps;
mod month;
mod purge;
mod restored;
mod thousand;
mod wire;
