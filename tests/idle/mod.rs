//! Tables in which nothing happens: what they cost, and that they keep their place.
//!
//! | module | is |
//! |---|---|
//! | [`wire`] | a relay that counts statements |
//! | [`thousand`] | a thousand tables |

mod thousand;
mod wire;
