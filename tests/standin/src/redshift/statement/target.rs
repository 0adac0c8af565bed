//! The tables that INSERT, UPDATE, DELETE and MERGE change, and what these statements have not.

use sqlparser::ast::{
    AssignmentTarget, BinaryOperator, Expr, FromTable, Merge, MergeAction, MergeClauseKind, MergeUpdateExpr,
    MergeUpdateKind, Query, SetExpr, TableFactor, TableObject, UpdateTableFromKind,
};

use super::query::relation_name;
use crate::redshift::error::SqlError;
use crate::redshift::name::Name;

/// Does INSERT bring its rows along?
pub(super) fn is_values(source: Option<&Query>) -> bool {
    source.is_none_or(|query| matches!(*query.body, SetExpr::Values(_)))
}

/// Of INSERT.
pub(super) fn insert_target(insert: &sqlparser::ast::Insert) -> Result<Name, SqlError> {
    if insert.on.is_some() {
        return Err(SqlError::syntax("on"));
    }
    if insert.returning.is_some() {
        return Err(SqlError::syntax("returning"));
    }
    let plain = insert.or.is_none()
        && !insert.ignore
        && insert.into
        && insert.table_alias.is_none()
        && !insert.overwrite
        && insert.assignments.is_empty()
        && insert.partitioned.is_none()
        && insert.after_columns.is_empty()
        && !insert.has_table_keyword
        && !insert.replace_into
        && insert.priority.is_none()
        && insert.insert_alias.is_none()
        && insert.settings.is_none()
        && insert.output.is_none()
        && insert.format_clause.is_none();
    match &insert.table {
        TableObject::TableName(name) if plain => relation_name(name),
        _ => Err(SqlError::syntax("insert")),
    }
}

/// Of DELETE.
pub(super) fn delete_target(delete: &sqlparser::ast::Delete) -> Result<Name, SqlError> {
    if delete.returning.is_some() {
        return Err(SqlError::syntax("returning"));
    }
    let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
    let plain = delete.tables.is_empty() && delete.output.is_none() && delete.order_by.is_empty();
    match from.as_slice() {
        [table] if plain && delete.limit.is_none() && table.joins.is_empty() => factor_name(&table.relation),
        _ => Err(SqlError::syntax("delete")),
    }
}

/// Of UPDATE.
pub(super) fn update_target(update: &sqlparser::ast::Update) -> Result<Name, SqlError> {
    if update.returning.is_some() {
        return Err(SqlError::syntax("returning"));
    }
    let plain = update.output.is_none()
        && update.or.is_none()
        && update.order_by.is_empty()
        && update.limit.is_none()
        && update.table.joins.is_empty()
        && !matches!(update.from, Some(UpdateTableFromKind::BeforeSet(_)));
    if plain { factor_name(&update.table.relation) } else { Err(SqlError::syntax("update")) }
}

/// MERGE: one clause for rows that match, one for those that do not, and nothing more.
pub(super) fn merge_target(merge: &Merge) -> Result<Name, SqlError> {
    let TableFactor::Table { alias: None, .. } = &merge.table else {
        return Err(SqlError::syntax("using"));
    };
    if !matches!(merge.source, TableFactor::Table { .. }) {
        return Err(SqlError::syntax("("));
    }
    if merge.output.is_some() || !is_equality(&merge.on) {
        return Err(SqlError::unsupported("MERGE joins by equality only"));
    }
    let kinds: Vec<_> = merge.clauses.iter().map(|clause| (clause.clause_kind, clause.predicate.is_some())).collect();
    let complete = [(MergeClauseKind::Matched, false), (MergeClauseKind::NotMatched, false)];
    if kinds != complete {
        return Err(SqlError::new(
            "42601",
            "MERGE takes one WHEN MATCHED and one WHEN NOT MATCHED clause, in this order and without AND",
        ));
    }
    for clause in &merge.clauses {
        match &clause.action {
            MergeAction::DoNothing { .. } => return Err(SqlError::syntax("do")),
            MergeAction::Update(MergeUpdateExpr { kind, .. }) if !is_unqualified(kind) => {
                return Err(SqlError::syntax("."));
            }
            MergeAction::Insert(insert) if insert.insert_predicate.is_some() => return Err(SqlError::syntax("where")),
            MergeAction::Update(update) if update.update_predicate.is_some() || update.delete_predicate.is_some() => {
                return Err(SqlError::syntax("where"));
            }
            _ => {}
        }
    }
    factor_name(&merge.table)
}

/// Columns of SET stand without their table.
fn is_unqualified(update: &MergeUpdateKind) -> bool {
    let MergeUpdateKind::Set(assignments) = update else { return false };
    assignments
        .iter()
        .all(|assignment| matches!(&assignment.target, AssignmentTarget::ColumnName(name) if name.0.len() == 1))
}

fn is_equality(on: &Expr) -> bool {
    match on {
        Expr::Nested(inner) => is_equality(inner),
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => is_equality(left) && is_equality(right),
        Expr::BinaryOp { op: BinaryOperator::Eq, .. } => true,
        _ => false,
    }
}

fn factor_name(factor: &TableFactor) -> Result<Name, SqlError> {
    match factor {
        TableFactor::Table { name, .. } => relation_name(name),
        other => Err(SqlError::syntax(&other.to_string())),
    }
}
