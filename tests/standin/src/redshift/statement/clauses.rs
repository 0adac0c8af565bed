//! Clauses of queries: what Redshift has not is refused, TOP is rewritten.

use sqlparser::ast::{Distinct, Expr, LimitClause, Query, Select, SetExpr, TableFactor, TopQuantity};

use crate::redshift::error::SqlError;

/// Refuses what a query has not, or rewrites it.
pub(super) fn check_query(query: &mut Query) -> Result<(), SqlError> {
    if !query.locks.is_empty() {
        return Err(SqlError::syntax("for"));
    }
    if query.fetch.is_some()
        || query.for_clause.is_some()
        || query.settings.is_some()
        || query.format_clause.is_some()
        || !query.pipe_operators.is_empty()
    {
        return Err(SqlError::syntax(&query.to_string()));
    }
    match &query.limit_clause {
        None | Some(LimitClause::LimitOffset { .. }) => {}
        Some(other) => return Err(SqlError::syntax(&other.to_string())),
    }
    if let Some(with) = &query.with
        && with.cte_tables.iter().any(|cte| cte.materialized.is_some() || cte.from.is_some())
    {
        return Err(SqlError::syntax("materialized"));
    }
    match &mut *query.body {
        SetExpr::Select(select) => {
            let Some(top) = select.top.take() else { return Ok(()) };
            let (Some(TopQuantity::Constant(count)), false, None) =
                (&top.quantity, top.percent || top.with_ties, &query.limit_clause)
            else {
                return Err(SqlError::syntax("top"));
            };
            let limit = Some(Expr::value(sqlparser::ast::Value::Number(count.to_string(), false)));
            query.limit_clause = Some(LimitClause::LimitOffset { limit, offset: None, limit_by: Vec::new() });
            Ok(())
        }
        SetExpr::Query(_) | SetExpr::SetOperation { .. } | SetExpr::Values(_) => Ok(()),
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) | SetExpr::Table(_) => {
            Err(SqlError::syntax(&query.body.to_string()))
        }
    }
}

/// Refuses what a SELECT has not.
pub(super) fn check_select(select: &mut Select) -> Result<(), SqlError> {
    if matches!(select.distinct, Some(Distinct::On(_))) {
        return Err(SqlError::unsupported("SELECT DISTINCT ON is not supported"));
    }
    if select.into.is_some() {
        return Err(SqlError::unmodelled("SELECT INTO"));
    }
    if select.qualify.is_some() || select.exclude.is_some() || !select.connect_by.is_empty() {
        return Err(SqlError::unmodelled("QUALIFY, EXCLUDE or CONNECT BY"));
    }
    let plain = select.select_modifiers.is_none()
        && select.top.is_none()
        && select.lateral_views.is_empty()
        && select.prewhere.is_none()
        && select.cluster_by.is_empty()
        && select.distribute_by.is_empty()
        && select.sort_by.is_empty()
        && select.named_window.is_empty()
        && select.value_table_mode.is_none();
    if plain { Ok(()) } else { Err(SqlError::syntax(&select.to_string())) }
}

/// Refuses what FROM has not.
pub(super) fn check_factor(factor: &TableFactor) -> Result<(), SqlError> {
    match factor {
        TableFactor::Table { name, args: Some(_), .. } => Err(SqlError::unsupported(format!(
            "Specified types or functions ({name}) not supported on Redshift tables."
        ))),
        TableFactor::Table {
            with_hints, version: None, with_ordinality: false, sample: None, json_path: None, ..
        } if with_hints.is_empty() => Ok(()),
        TableFactor::Derived { lateral: false, sample: None, .. } | TableFactor::NestedJoin { .. } => Ok(()),
        TableFactor::Derived { lateral: true, .. } => Err(SqlError::syntax("lateral")),
        other => Err(SqlError::syntax(&other.to_string())),
    }
}
