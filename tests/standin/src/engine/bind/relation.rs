//! FROM: tables, views, change tables, subqueries, joins.

use std::sync::Arc;

use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, Join, JoinConstraint, JoinOperator, ObjectName, Query, SetExpr,
    TableAlias, TableFactor, TableFunctionArgs, TableWithJoins,
};

use super::super::catalog::{Table, same};
use super::super::error::{Result, invalid_object, keyword, syntax};
use super::super::script::cursor::parts;
use super::super::views;
use super::bounds::Seen;
use super::scope::{Source, SourceColumn};
use super::{Binder, Needed, NeededSource};
use crate::value::{Column, SqlError};

/// Whether a word is a table hint.
pub fn is_hint(word: &str) -> bool {
    const HINTS: &str = " NOLOCK READUNCOMMITTED READCOMMITTED READCOMMITTEDLOCK REPEATABLEREAD SERIALIZABLE HOLDLOCK READPAST \
        UPDLOCK XLOCK ROWLOCK PAGLOCK TABLOCK TABLOCKX NOWAIT SNAPSHOT INDEX FORCESEEK FORCESCAN NOEXPAND KEEPIDENTITY \
        KEEPDEFAULTS IGNORE_CONSTRAINTS IGNORE_TRIGGERS ";
    HINTS.contains(&format!(" {} ", word.to_uppercase()))
}

fn check_hint(hint: &Expr) -> Result<()> {
    let word = match hint {
        Expr::Identifier(ident) => ident.value.clone(),
        Expr::Function(function) => function.name.to_string(),
        Expr::BinaryOp { left, .. } => left.to_string(),
        other => other.to_string(),
    };
    if is_hint(&word) {
        Ok(())
    } else {
        Err(SqlError::new(321, format!("\"{word}\" is not a recognized table hints option. If it is intended as a parameter to a table-valued function or to the CHANGETABLE function, ensure that your database compatibility mode is set to 90.")).severity(15))
    }
}

/// The names of a plain object name.
pub fn names(name: &ObjectName) -> Result<Vec<String>> {
    Ok(parts(name)?.into_iter().map(|ident| ident.value.clone()).collect())
}

fn alias_of(alias: Option<&TableAlias>) -> Result<Option<(String, Vec<String>)>> {
    let Some(TableAlias { explicit: _, name, columns, at }) = alias else { return Ok(None) };
    if let Some(at) = at {
        return Err(syntax(&at.value));
    }
    reject_keyword(name)?;
    let columns = columns
        .iter()
        .map(|column| match &column.data_type {
            None => Ok(column.name.value.clone()),
            Some(ty) => Err(syntax(ty.to_string())),
        })
        .collect::<Result<_>>()?;
    Ok(Some((name.value.clone(), columns)))
}

/// sqlparser takes as names some words that T-SQL reserves, and some that begin clauses T-SQL does not have.
pub fn reject_keyword(ident: &Ident) -> Result<()> {
    if ident.quote_style.is_none() && super::super::script::cursor::is_reserved(&ident.value) {
        return Err(keyword(&ident.value));
    }
    if ident.quote_style == Some('\'') || ident.quote_style == Some('`') {
        return Err(syntax(&ident.value));
    }
    Ok(())
}

impl Binder<'_> {
    /// Binds FROM: its sources join the innermost scope; gives the SQL.
    pub fn from(&mut self, tables: &[TableWithJoins]) -> Result<String> {
        let mut sql = Vec::new();
        for table in tables {
            sql.push(self.joined(table)?);
        }
        Ok(sql.join(" CROSS JOIN "))
    }

    fn joined(&mut self, table: &TableWithJoins) -> Result<String> {
        let mut sql = self.factor(&table.relation)?;
        for Join { relation, global, join_operator } in &table.joins {
            if *global {
                return Err(syntax("GLOBAL"));
            }
            let (word, constraint) = match join_operator {
                JoinOperator::Join(on) | JoinOperator::Inner(on) => ("JOIN", Some(on)),
                JoinOperator::Left(on) | JoinOperator::LeftOuter(on) => ("LEFT JOIN", Some(on)),
                JoinOperator::Right(on) | JoinOperator::RightOuter(on) => ("RIGHT JOIN", Some(on)),
                JoinOperator::FullOuter(on) => ("FULL JOIN", Some(on)),
                JoinOperator::CrossJoin(JoinConstraint::None) => ("CROSS JOIN", None),
                JoinOperator::CrossApply | JoinOperator::OuterApply => {
                    sql = self.apply(&sql, relation, matches!(join_operator, JoinOperator::OuterApply))?;
                    continue;
                }
                JoinOperator::CrossJoin(_) => return Err(keyword("ON")),
                other => return Err(syntax(format!("{other:?}").split('(').next().unwrap_or_default())),
            };
            let before = self.scope().sources.len();
            let right = self.factor(relation)?;
            match constraint {
                None => sql = format!("{sql} CROSS JOIN {right}"),
                Some(JoinConstraint::On(on)) => {
                    self.scope().inside += 1;
                    let condition = self.predicate(on);
                    self.scope().inside -= 1;
                    sql = format!("{sql} {word} {right} ON {}", condition?);
                }
                Some(JoinConstraint::Using(_)) => {
                    return Err(SqlError::new(321, "\"USING\" is not a recognized table hints option.").severity(15));
                }
                Some(JoinConstraint::Natural) => return Err(syntax("NATURAL")),
                Some(JoinConstraint::None) => return Err(syntax(relation.to_string())),
            }
            self.loosen(word, before);
        }
        Ok(sql)
    }

    /// Columns of an outer join's weak side may be NULL.
    fn loosen(&mut self, word: &str, before: usize) {
        let scope = self.scope();
        let (left, right) = scope.sources.split_at_mut(before);
        let weaken =
            |sources: &mut [Source]| sources.iter_mut().flat_map(|s| &mut s.columns).for_each(|c| c.nullable = true);
        if matches!(word, "LEFT JOIN" | "FULL JOIN") {
            weaken(right);
        }
        if matches!(word, "RIGHT JOIN" | "FULL JOIN") {
            weaken(left);
        }
    }

    /// APPLY of what does not look at its left side is a join; of a row constructor over it, a set of columns.
    fn apply(&mut self, left: &str, relation: &TableFactor, outer: bool) -> Result<String> {
        let right = self.factor(relation)?;
        Ok(if outer { format!("{left} LEFT JOIN {right} ON 1") } else { format!("{left} CROSS JOIN {right}") })
    }

    fn factor(&mut self, factor: &TableFactor) -> Result<String> {
        match factor {
            TableFactor::Table {
                name,
                alias,
                args,
                with_hints,
                version: None,
                with_ordinality: false,
                partitions,
                json_path: None,
                sample: None,
                index_hints,
            } if partitions.is_empty() && index_hints.is_empty() => {
                with_hints.iter().try_for_each(check_hint)?;
                let alias = alias_of(alias.as_ref())?;
                match args {
                    Some(args) if !is_old_hint(args) => self.table_function(name, args, alias),
                    _ => self.named_relation(&names(name)?, alias.as_ref()),
                }
            }
            TableFactor::Derived { lateral: false, subquery, alias, sample: None } => {
                let Some((name, columns)) = alias_of(alias.as_ref())? else {
                    return Err(syntax(")"));
                };
                self.derived(subquery, name, &columns)
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                Ok(format!("({})", self.joined(table_with_joins)?))
            }
            other => {
                let text = other.to_string();
                Err(syntax(text.split([' ', '(']).next().unwrap_or_default()))
            }
        }
    }

    fn derived(&mut self, subquery: &Query, name: String, columns: &[String]) -> Result<String> {
        if subquery.order_by.is_some() && !ordered_legally(subquery) {
            return Err(SqlError::new(1033, "The ORDER BY clause is invalid in views, inline functions, derived tables, subqueries, and common table expressions, unless TOP, OFFSET or FOR XML is also specified.").severity(15));
        }
        // A derived table does not see its neighbours.
        let hidden = std::mem::take(&mut self.scope().sources);
        let query = self.subquery(subquery);
        self.scope().sources = hidden;
        let query = query?;
        let alias = self.alias();
        self.add_derived(&query.columns, name, columns, &alias)?;
        Ok(format!("({}) AS \"{alias}\"", query.sql))
    }

    /// Adds the columns of a subquery as a source.
    pub fn add_derived(
        &mut self,
        output: &[super::query::OutputColumn],
        name: String,
        names: &[String],
        alias: &str,
    ) -> Result<()> {
        if !names.is_empty() && names.len() != output.len() {
            let more = if names.len() < output.len() { 8158 } else { 8159 };
            let word = if more == 8158 { "more" } else { "fewer" };
            return Err(SqlError::new(
                more,
                format!("'{name}' has {word} columns than were specified in the column list."),
            ));
        }
        let mut columns: Vec<SourceColumn> = Vec::new();
        for (at, column) in output.iter().enumerate() {
            let column_name = names.get(at).cloned().unwrap_or_else(|| column.name.clone());
            if column_name.is_empty() {
                return Err(SqlError::new(
                    8155,
                    format!("No column name was specified for column {} of '{name}'.", at + 1),
                ));
            }
            if columns.iter().any(|other| same(&other.name, &column_name)) {
                return Err(SqlError::new(
                    8156,
                    format!("The column '{column_name}' was specified multiple times for '{name}'."),
                ));
            }
            columns.push(SourceColumn {
                name: column_name,
                stored: format!("k{at}"),
                ty: column.ty,
                nullable: column.nullable,
                collation: Some(column.collation.0),
                identity: column.identity,
            });
        }
        self.add_source(Source { name, schema: None, alias: alias.to_owned(), columns, table: None })
    }

    /// Adds a source; 1011, 1012 or 1013 when its name is taken.
    pub fn add_source(&mut self, source: Source) -> Result<()> {
        let taken = self.scope().sources.iter().any(|other| {
            same(&other.name, &source.name)
                && (other.schema == source.schema || other.schema.is_none() && source.schema.is_none())
        });
        if taken {
            return Err(SqlError::new(
                1011,
                format!("The correlation name '{}' is specified multiple times in a FROM clause.", source.name),
            )
            .severity(15));
        }
        self.scope().sources.push(source);
        Ok(())
    }

    /// A CTE, a table, a view or a change table, by name.
    fn named_relation(&mut self, name: &[String], alias: Option<&(String, Vec<String>)>) -> Result<String> {
        let (known_as, _) = alias.cloned().unwrap_or_else(|| (name.last().cloned().unwrap_or_default(), Vec::new()));
        if let [single] = name
            && let Some(cte) = self.ctes.iter().rev().find(|cte| same(&cte.name, single)).cloned()
        {
            let own = self.alias();
            self.add_derived(&cte.columns, known_as, &[], &own)?;
            return Ok(format!("{} AS \"{own}\"", cte.relation));
        }
        if let Some(table) = self.environment.find_table(name) {
            let environment = self.environment;
            let may = |column: &str| environment.may_on_column("SELECT", &table, column);
            if !table.columns.iter().any(|column| may(&column.name)) {
                return Err(denied("SELECT", &table, &environment.database));
            }
            views::rights::check_table(self.environment, &table)?;
            let schema = alias.is_none().then(|| table.schema.clone());
            let sql = self.table_source(&table, known_as, schema)?;
            if let Some(source) = self.scope().sources.last_mut() {
                source.columns.retain(|column| may(&column.name));
            }
            return Ok(sql);
        }
        self.virtual_relation(name, known_as, alias.is_none())
    }

    /// A base table as a source.
    pub fn table_source(&mut self, table: &Arc<Table>, name: String, schema: Option<String>) -> Result<String> {
        let alias = self.alias();
        let columns = table.columns.iter().map(|column| SourceColumn {
            name: column.name.clone(),
            stored: format!("c{}", column.slot),
            ty: column.ty,
            nullable: column.nullable,
            collation: column.collation(),
            identity: column.identity.is_some(),
        });
        let source =
            Source { name, schema, alias: alias.clone(), columns: columns.collect(), table: Some(Arc::clone(table)) };
        self.add_source(source)?;
        Ok(format!("{} AS \"{alias}\"", table.stored()))
    }

    /// A catalogue view or a table of schema `cdc`.
    fn virtual_relation(&mut self, name: &[String], known_as: String, plain: bool) -> Result<String> {
        let full = name.join(".");
        let (last, before) = name.split_last().ok_or_else(|| invalid_object(&full))?;
        let schema = before.last().map_or("dbo", String::as_str);
        let database = before.len().checked_sub(2).map_or(self.environment.database.as_str(), |at| before[at].as_str());
        let azure = self.environment.catalog.state.outside.flavour == "azure";
        let scheduler = azure && same(schema, "cdc") && same(last, "cdc_jobs");
        if !scheduler && same(schema, "cdc") && same(database, &self.environment.shared.database) {
            let environment = self.environment;
            let columns = environment.shared.cdc.relation(last).ok_or_else(|| invalid_object(&full))?;
            if !environment.may_read_of_cdc(last) {
                return Err(views::rights::denied(last, database, "cdc"));
            }
            let source = NeededSource::Cdc { name: last.clone(), seen: Seen::default() };
            return self.needed_source(source, columns, known_as, plain.then(|| "cdc".to_owned()));
        }
        let (view, user) =
            views::find(database, schema, last, environment_database(self)).ok_or_else(|| invalid_object(&full))?;
        views::rights::check(self.environment, view)?;
        self.needed_source(NeededSource::View(view, user), (view.columns)(), known_as, plain.then(|| schema.to_owned()))
    }

    fn needed_source(
        &mut self,
        source: NeededSource,
        columns: Vec<Column>,
        name: String,
        schema: Option<String>,
    ) -> Result<String> {
        let table = match &source {
            NeededSource::View(view, user) => format!("temp.\"v_{}_{}_{user}\"", view.schema, view.name),
            _ => format!("temp.\"n_{}\"", self.needed.len()),
        };
        let alias = self.alias();
        let described = columns.iter().enumerate().map(|(at, column)| SourceColumn {
            name: column.name.clone(),
            stored: format!("k{at}"),
            ty: column.sql_type,
            nullable: column.nullable,
            collation: column.collation,
            identity: false,
        });
        self.add_source(Source { name, schema, alias: alias.clone(), columns: described.collect(), table: None })?;
        self.needed.push(Needed { table: table.clone(), source, columns });
        Ok(format!("{table} AS \"{alias}\""))
    }

    fn table_function(
        &mut self,
        name: &ObjectName,
        args: &TableFunctionArgs,
        alias: Option<(String, Vec<String>)>,
    ) -> Result<String> {
        let TableFunctionArgs { args, settings } = args;
        if settings.is_some() {
            return Err(syntax("SETTINGS"));
        }
        let names = names(name)?;
        let full = names.join(".");
        let (last, before) = names.split_last().ok_or_else(|| invalid_object(&full))?;
        let schema = before.last().map_or("dbo", String::as_str);
        let columns = if same(schema, "cdc") { self.environment.shared.cdc.table_function_columns(last) } else { None };
        let columns = columns.ok_or_else(|| invalid_object(&full))?;
        let mut bound = Vec::new();
        for arg in args {
            let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = arg else { return Err(syntax(arg.to_string())) };
            let hidden = std::mem::take(&mut self.scopes);
            let expr = self.expression(expr);
            self.scopes = hidden;
            let expr = expr?;
            bound.push((expr.sql, expr.ty));
        }
        if bound.len() != 3 {
            let many = bound.len() > 3;
            return Err(if many {
                SqlError::new(8144, format!("Procedure or function {full} has too many arguments specified."))
            } else {
                SqlError::new(
                    313,
                    format!("An insufficient number of arguments were supplied for the procedure or function {full}."),
                )
            });
        }
        let known_as = alias.map_or_else(|| last.clone(), |(name, _)| name);
        self.needed_source(NeededSource::CdcFunction { name: last.clone(), args: bound }, columns, known_as, None)
    }
}

fn environment_database<'a>(binder: &'a Binder<'_>) -> &'a str {
    &binder.environment.shared.database
}

/// `FROM t (NOLOCK)`: hints in the old place.
fn is_old_hint(args: &TableFunctionArgs) -> bool {
    !args.args.is_empty()
        && args.args.iter().all(|arg| matches!(arg, FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Identifier(ident))) if is_hint(&ident.value)))
}

/// Whether a subquery's ORDER BY has TOP or OFFSET beside it.
pub fn ordered_legally(query: &Query) -> bool {
    let top = matches!(query.body.as_ref(), SetExpr::Select(select) if select.top.is_some());
    top || query.limit_clause.is_some()
}

/// 229.
pub fn denied(permission: &str, table: &Table, database: &str) -> SqlError {
    views::rights::refused(permission, &table.name, database, &table.schema)
}
