//! MERGE: rows of a source matched with those of a target, and what each clause does to them.

use std::sync::Arc;

use rusqlite::params_from_iter;
use rusqlite::types::Value as Stored;
use sqlparser::ast::{
    AssignmentTarget, Expr, Merge, MergeAction, MergeClause, MergeClauseKind, MergeInsertExpr, MergeInsertKind,
    MergeUpdateExpr, MergeUpdateKind, OutputClause, TableFactor, TableWithJoins,
};

use super::super::bind::Binder;
use super::super::bind::relation::names;
use super::super::catalog::Table;
use super::super::environment::Environment;
use super::super::error::{Result, from_sqlite, invalid_object, keyword, syntax};
use super::super::script::{Assignment, Insert, InsertSource, Output};
use super::super::session::SqlSession;
use super::change::{FoundRow, Setting, bind_assignment};
use super::output::Given;
use super::store;
use super::write::Written;
use crate::session::Sink;
use crate::value::{Column, SqlError, SqlType, Value};

/// A MERGE taken apart.
struct Parts<'a> {
    merge: &'a Merge,
    table: Arc<Table>,
    /// The name by which ON and the clauses know the target.
    known_as: String,
}

/// A row that a clause found: its id, its cells, and new values for an update.
struct Matched {
    rid: i64,
    before: Vec<Value>,
    values: Option<Vec<Value>>,
    clause: usize,
}

impl SqlSession {
    /// MERGE as a statement.
    pub fn merge_statement(&mut self, merge: &Merge, sink: &mut dyn Sink) -> Result<()> {
        self.begin_implicit(sink);
        let environment = self.enter()?;
        let parts = self.merge_parts(&environment, merge)?;
        let table = Arc::clone(&parts.table);
        let (count, given) = self.write(table.is_temporary(), |session| session.merge(&environment, &parts))?;
        Self::deliver(given, sink);
        self.counted(count, sink);
        Ok(())
    }

    fn merge_parts<'a>(&self, environment: &Environment, merge: &'a Merge) -> Result<Parts<'a>> {
        let TableFactor::Table { name, alias, .. } = &merge.table else { return Err(syntax("MERGE")) };
        let name = names(name)?;
        let table = self.target(environment, &name, "UPDATE")?;
        let known_as = match alias {
            Some(alias) => alias.name.value.clone(),
            None => name.last().cloned().ok_or_else(|| invalid_object("MERGE"))?,
        };
        Ok(Parts { merge, table, known_as })
    }

    fn merge(&mut self, environment: &Arc<Environment>, parts: &Parts<'_>) -> Result<(u64, Option<Given>)> {
        let (mut matched, mut settings) = (Vec::new(), Vec::new());
        let mut inserted: Option<(Insert, Given)> = None;
        for (at, clause) in parts.merge.clauses.iter().enumerate() {
            let MergeClause { when_token: _, clause_kind, predicate, action } = clause;
            match (clause_kind, action) {
                (
                    MergeClauseKind::Matched | MergeClauseKind::NotMatchedBySource,
                    MergeAction::Update(_) | MergeAction::Delete { .. },
                ) => {
                    settings.push(self.merge_found(environment, parts, (at, clause), &mut matched)?);
                }
                (MergeClauseKind::NotMatched | MergeClauseKind::NotMatchedByTarget, MergeAction::Insert(insert)) => {
                    settings.push(Vec::new());
                    inserted = Some(self.merge_missing(environment, parts, predicate.as_ref(), insert)?);
                }
                _ => return Err(keyword("WHEN")),
            }
        }
        let written = self.merge_apply(environment, parts, &settings, matched, inserted)?;
        let count = written.len() as u64;
        let Some(output) = merge_output(parts.merge.output.as_ref())? else { return Ok((count, None)) };
        let given = self.output_rows(environment, &output, &parts.table, &written)?;
        self.output_into(environment, &output, given).map(|given| (count, given))
    }

    /// Rows of the target that WHEN MATCHED or WHEN NOT MATCHED BY SOURCE finds.
    fn merge_found(
        &mut self,
        environment: &Arc<Environment>,
        parts: &Parts<'_>,
        (at, clause): (usize, &MergeClause),
        matched: &mut Vec<Matched>,
    ) -> Result<Vec<Setting>> {
        let table = &parts.table;
        let mut binder = Binder::new(environment, &self.operations, &self.variables);
        binder.scope().inside = 1;
        let target = binder.table_source(table, parts.known_as.clone(), Some(table.schema.clone()))?;
        let alias = binder.scope().sources[0].alias.clone();
        let source = binder.from(&[plain(&parts.merge.source)])?;
        let on = binder.predicate(&parts.merge.on)?;
        let by_source = clause.clause_kind == MergeClauseKind::NotMatchedBySource;
        if by_source {
            // The clause sees the target alone.
            binder.scope().sources.truncate(1);
        }
        let mut condition = match &clause.predicate {
            Some(predicate) => format!(" AND {}", binder.predicate(predicate)?),
            None => String::new(),
        };
        let (mut settings, mut further) = (Vec::new(), Vec::new());
        if let MergeAction::Update(update) = &clause.action {
            for assignment in merge_assignments(update)? {
                let (setting, sql) = bind_assignment(&mut binder, table, &alias, &assignment)?;
                further.push(sql);
                settings.push(setting);
            }
        }
        let from = if by_source {
            condition = format!("NOT EXISTS (SELECT 1 FROM {source} WHERE {on}){condition}");
            target
        } else {
            condition = format!("{on}{condition}");
            format!("{target} CROSS JOIN {source}")
        };
        let quoted = format!("\"{alias}\"");
        let extra = further.iter().map(|sql| format!(", {sql}")).collect::<Vec<_>>().concat();
        let sql =
            format!("SELECT {quoted}.rid, {}{extra} FROM {from} WHERE {condition}", store::column_list(table, &quoted));
        let mut types = vec![SqlType::BigInt];
        types.extend(table.columns.iter().map(|column| column.ty));
        types.extend(settings.iter().map(|setting: &Setting| setting.ty));
        let (params, needed) = (binder.params, binder.needed);
        self.fill(environment, &needed, &params)?;
        for mut cells in self.merge_rows(&sql, &params, &types)? {
            let values = cells.split_off(1 + table.columns.len());
            let Value::Int(rid) = cells.remove(0) else { continue };
            match matched.iter().find(|other| other.rid == rid) {
                // The first clause that takes a row keeps it.
                Some(other) if other.clause != at => {}
                Some(_) => {
                    return Err(SqlError::new(
                        8672,
                        "The MERGE statement attempted to UPDATE or DELETE the same row more than once. This happens when a target row matches more than one source row. A MERGE statement cannot UPDATE/DELETE the same row of the target table multiple times. Refine the ON clause to ensure a target row matches at most one source row, or use the GROUP BY clause to group the source rows.",
                    ));
                }
                None => {
                    let update = matches!(clause.action, MergeAction::Update(_));
                    matched.push(Matched { rid, before: cells, values: update.then_some(values), clause: at });
                }
            }
        }
        Ok(settings)
    }

    /// Rows that WHEN NOT MATCHED inserts.
    fn merge_missing(
        &mut self,
        environment: &Arc<Environment>,
        parts: &Parts<'_>,
        predicate: Option<&Expr>,
        insert: &MergeInsertExpr,
    ) -> Result<(Insert, Given)> {
        let MergeInsertExpr { insert_token: _, columns, kind_token: _, kind, insert_predicate: None } = insert else {
            return Err(keyword("WHERE"));
        };
        let MergeInsertKind::Values(values) = kind else { return Err(syntax("ROW")) };
        let [row] = values.rows.as_slice() else { return Err(syntax(",")) };
        let mut binder = Binder::new(environment, &self.operations, &self.variables);
        binder.scope().inside = 1;
        let source = binder.from(&[plain(&parts.merge.source)])?;
        let visible = binder.scope().sources.len();
        let target = binder.table_source(&parts.table, parts.known_as.clone(), Some(parts.table.schema.clone()))?;
        let on = binder.predicate(&parts.merge.on)?;
        // The clause sees the source alone.
        binder.scope().sources.truncate(visible);
        let further = match predicate {
            Some(predicate) => format!(" AND {}", binder.predicate(predicate)?),
            None => String::new(),
        };
        let (mut list, mut described) = (Vec::new(), Vec::new());
        for expr in &row.content {
            let bound = binder.expression(expr)?;
            let ty = if bound.null { SqlType::SqlVariant } else { bound.ty };
            described.push(Column {
                name: String::new(),
                sql_type: ty,
                nullable: true,
                identity: false,
                collation: None,
            });
            list.push(bound.sql);
        }
        let sql = format!(
            "SELECT {} FROM {source} WHERE NOT EXISTS (SELECT 1 FROM {target} WHERE {on}){further}",
            list.join(", ")
        );
        let types: Vec<SqlType> = described.iter().map(|column| column.sql_type).collect();
        let (params, needed) = (binder.params, binder.needed);
        self.fill(environment, &needed, &params)?;
        let rows = self.merge_rows(&sql, &params, &types)?;
        let columns = columns
            .iter()
            .map(|name| names(name).map(|parts| parts.last().cloned().unwrap_or_default()))
            .collect::<Result<_>>()?;
        let TableFactor::Table { name, .. } = &parts.merge.table else { return Err(syntax("MERGE")) };
        let insert =
            Insert { top: None, table: names(name)?, columns, output: None, source: InsertSource::Values(Vec::new()) };
        Ok((insert, (described, rows)))
    }

    fn merge_rows(&self, sql: &str, params: &[Stored], types: &[SqlType]) -> Result<Vec<Vec<Value>>> {
        let stored = |error: rusqlite::Error| from_sqlite(&error);
        let mut statement = self.connection.prepare(sql).map_err(stored)?;
        let wanted = statement.parameter_count().min(params.len());
        let mut rows = statement.query(params_from_iter(&params[..wanted])).map_err(stored)?;
        let mut list = Vec::new();
        while let Some(row) = rows.next().map_err(stored)? {
            list.push(super::select::cells(row, types)?);
        }
        Ok(list)
    }

    /// Does what the clauses found: deletes, then updates, then inserts.
    fn merge_apply(
        &mut self,
        environment: &Arc<Environment>,
        parts: &Parts<'_>,
        settings: &[Vec<Setting>],
        matched: Vec<Matched>,
        inserted: Option<(Insert, Given)>,
    ) -> Result<Vec<Written>> {
        let table = &parts.table;
        let mut written = Vec::new();
        let mut updates: Vec<Vec<FoundRow>> = settings.iter().map(|_| Vec::new()).collect();
        for Matched { rid, before, values, clause } in matched {
            if let Some(values) = values {
                updates[clause].push((rid, before, values));
                continue;
            }
            self.remove(table, rid)?;
            written.push(Written { before: Some(before), after: None, rid });
        }
        for (rows, settings) in updates.into_iter().zip(settings) {
            if !rows.is_empty() {
                written.extend(self.apply_updates(table, settings, rows)?);
            }
        }
        self.settle(environment, table, &mut written, "MERGE")?;
        if let Some((insert, given)) = inserted {
            written.extend(self.insert_kept(environment, &insert, given)?);
        }
        Ok(written)
    }
}

fn plain(factor: &TableFactor) -> TableWithJoins {
    TableWithJoins { relation: factor.clone(), joins: Vec::new() }
}

fn merge_assignments(update: &MergeUpdateExpr) -> Result<Vec<Assignment>> {
    let MergeUpdateExpr {
        update_token: _,
        kind: MergeUpdateKind::Set(assignments),
        update_predicate: None,
        delete_predicate: None,
    } = update
    else {
        return Err(keyword("WHERE"));
    };
    assignments
        .iter()
        .map(|assignment| match &assignment.target {
            AssignmentTarget::ColumnName(name) => Ok(Assignment {
                variable: None,
                column: names(name)?.pop(),
                operator: None,
                value: Some(assignment.value.clone()),
            }),
            AssignmentTarget::Tuple(_) => Err(syntax("(")),
        })
        .collect()
}

fn merge_output(output: Option<&OutputClause>) -> Result<Option<Output>> {
    match output {
        None => Ok(None),
        Some(OutputClause::Output { output_token: _, select_items, into_table: None }) => {
            Ok(Some(Output { items: select_items.clone(), action: true, into: None }))
        }
        Some(_) => Err(keyword("INTO")),
    }
}
