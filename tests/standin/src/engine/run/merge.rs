//! MERGE.

use sqlparser::ast::Merge;

use super::super::error::{Result, syntax};
use super::super::session::SqlSession;
use crate::session::Sink;

impl SqlSession {
    /// MERGE as a statement.
    pub fn merge_statement(&mut self, _: &Merge, _: &mut dyn Sink) -> Result<()> {
        Err(syntax("MERGE"))
    }
}
