//! SELECT … INTO.

use rusqlite::params_from_iter;
use rusqlite::types::Value as Stored;

use super::super::bind::query::BoundQuery;
use super::super::catalog::Column;
use super::super::error::{Result, from_sqlite};
use super::super::session::SqlSession;
use super::super::values::types;
use super::ddl::empty_table;
use crate::table::ChangeKind;
use crate::value::{SqlError, SqlType, Value};

fn stored<T>(result: rusqlite::Result<T>) -> Result<T> {
    result.map_err(|error| from_sqlite(&error))
}

impl SqlSession {
    /// SELECT … INTO.
    pub fn select_into(&mut self, into: &[String], bound: &BoundQuery, params: &[Stored]) -> Result<u64> {
        let local = into.last().is_some_and(|name| name.starts_with('#'));
        self.change_catalog(local, |session, environment, changed| {
            let (schema, name) = session.place(environment, changed, into, local)?;
            let id = if local { session.shared.next_local_id() } else { changed.new_id() };
            let mut table = empty_table(id, schema, name);
            for (at, column) in bound.columns.iter().enumerate() {
                if column.name.is_empty() {
                    return Err(SqlError::new(1038, "An object or column name is missing or empty. For SELECT INTO statements, verify each column has a name. For other statements, look for empty alias names. Aliases defined as \"\" or [] are not allowed. Change the alias to a valid name.").severity(15));
                }
                let number = i32::try_from(at + 1).unwrap_or(i32::MAX);
                table.columns.push(Column {
                    id: number,
                    slot: number,
                    name: column.name.clone(),
                    ty: column.ty,
                    nullable: column.nullable,
                    identity: column.identity.then_some((1, 1)),
                    computed: None,
                    default: None,
                    collation: types::is_text(column.ty).then(|| column.collation.0.to_owned()),
                    rowguid: false,
                    masked: false,
                    encryption: None,
                    shows_sparse: false,
                });
                (table.last_column, table.last_slot) = (number, number);
            }
            session.keep_new(&table, "")?;
            let types: Vec<SqlType> = bound.columns.iter().map(|column| column.ty).collect();
            let rows = session.read_all(&bound.sql, params, &types)?;
            let count = rows.len() as u64;
            for row in rows {
                session.put(&table, None, &row)?;
                if !local {
                    session.transaction.note(table.id, ChangeKind::Insert(row));
                }
            }
            Ok(count)
        })
    }

    fn read_all(&self, sql: &str, params: &[Stored], types: &[SqlType]) -> Result<Vec<Vec<Value>>> {
        let mut statement = stored(self.connection.prepare(sql))?;
        let wanted = statement.parameter_count().min(params.len());
        let mut rows = stored(statement.query(params_from_iter(&params[..wanted])))?;
        let mut list = Vec::new();
        while let Some(row) = stored(rows.next())? {
            list.push(super::select::cells(row, types)?);
        }
        Ok(list)
    }
}
