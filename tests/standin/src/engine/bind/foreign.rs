//! Clauses of other dialects, which sqlparser reads and T-SQL does not have.

use sqlparser::ast::{Distinct, Select, SelectFlavor, WildcardAdditionalOptions};

use super::super::error::{Result, syntax};

/// Refuses what other dialects add to `*`.
pub fn check_wildcard(options: &WildcardAdditionalOptions) -> Result<()> {
    let WildcardAdditionalOptions {
        wildcard_token: _,
        opt_ilike,
        opt_exclude,
        opt_except,
        opt_replace,
        opt_rename,
        opt_alias,
    } = options;
    if opt_ilike.is_some()
        || opt_exclude.is_some()
        || opt_except.is_some()
        || opt_replace.is_some()
        || opt_rename.is_some()
        || opt_alias.is_some()
    {
        return Err(syntax("*"));
    }
    Ok(())
}

/// Refuses every clause of other dialects.
pub fn check_select(select: &Select) -> Result<()> {
    let Select {
        select_token: _,
        optimizer_hints: _,
        distinct,
        select_modifiers,
        top: _,
        top_before_distinct,
        projection,
        exclude,
        into: _,
        from: _,
        lateral_views,
        prewhere,
        selection: _,
        connect_by,
        group_by: _,
        cluster_by,
        distribute_by,
        sort_by,
        having: _,
        named_window,
        qualify,
        window_before_qualify: _,
        value_table_mode,
        flavor,
    } = select;
    let foreign = [
        (matches!(distinct, Some(Distinct::On(_))), "ON"),
        (select_modifiers.is_some(), "SQL_NO_CACHE"),
        (*top_before_distinct && distinct.is_some(), "DISTINCT"),
        (exclude.is_some(), "EXCLUDE"),
        (!lateral_views.is_empty(), "LATERAL"),
        (prewhere.is_some(), "PREWHERE"),
        (!connect_by.is_empty(), "CONNECT"),
        (!cluster_by.is_empty(), "CLUSTER"),
        (!distribute_by.is_empty(), "DISTRIBUTE"),
        (!sort_by.is_empty(), "SORT"),
        (!named_window.is_empty(), "WINDOW"),
        (qualify.is_some(), "QUALIFY"),
        (value_table_mode.is_some(), "AS"),
        (!matches!(flavor, SelectFlavor::Standard), "FROM"),
        (projection.is_empty(), "FROM"),
    ];
    match foreign.iter().find(|(present, _)| *present) {
        Some((_, word)) => Err(syntax(word)),
        None => Ok(()),
    }
}
