//! The files in `rights/`: the tasks go their whole way with exactly those rights, and each right, taken away alone, breaks
//! something that a table here names.
//!
//! | module | is |
//! |---|---|
//! | `files` | a file's rights, one by one, and the file without one of them |
//! | `field` | three ends with nothing but what the files grant, and the tasks' whole way |
//! | `dropped` | what breaks without which right |
//! | `given` | what the files leave to their reader: other modes, optional rights |

mod dropped;
mod field;
pub mod files;
mod given;
