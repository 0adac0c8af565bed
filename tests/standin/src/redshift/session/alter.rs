//! ALTER TABLE.

use super::Session;
use super::tables::{Table, column_below, declared_column, distribute};
use crate::redshift::error::{Outcome, SqlError};
use crate::redshift::name::{Name, quoted};
use crate::redshift::statement::alter::Change;
use crate::redshift::statement::ddl::{ColumnDefinition, Key};
use crate::redshift::statement::physical::Attributes;
use crate::redshift::types::Type;

/// Encodings of columns that do not get another size ("ALTER TABLE").
const FIXED_ENCODINGS: &[&str] = &["bytedict", "runlength", "text255", "text32k"];

impl Session {
    pub(super) async fn alter(&mut self, name: &Name, change: &Change, many: bool) -> Outcome<()> {
        let outside_only = match change {
            Change::Retype { .. } => Some("ALTER TABLE ALTER COLUMN TYPE"),
            Change::Encode { .. } => Some("ALTER TABLE ALTER COLUMN ENCODE"),
            Change::Append(_) => Some("ALTER TABLE APPEND"),
            Change::External => Some("ALTER EXTERNAL TABLE"),
            _ => None,
        };
        if let Some(what) = outside_only.filter(|_| many || self.transaction.is_block()) {
            return Err(SqlError::in_block(what).into());
        }
        self.begin_implicit().await?;
        self.look_at(std::slice::from_ref(name))?;
        if let (Change::Rename(_) | Change::SetSchema(_) | Change::Owner(_), false) =
            (change, self.is_table(name).await?)
        {
            return self.alter_view(name, change).await;
        }
        let table = self.table(name).await?;
        self.change(name, table, change).await?;
        self.transaction.forget_locks();
        self.complete("ALTER TABLE");
        Ok(())
    }

    async fn is_table(&mut self, name: &Name) -> Outcome<bool> {
        let relation = crate::redshift::name::literal(&name.quoted());
        let sql = format!("SELECT relkind FROM pg_catalog.pg_class WHERE oid = {relation}::regclass");
        Ok(self.below.rows(&sql).await?.first().and_then(|row| row[0].as_deref()) == Some("r"))
    }

    async fn is_temporary(&mut self, name: &Name) -> Outcome<bool> {
        let relation = crate::redshift::name::literal(&name.quoted());
        let sql = format!("SELECT relpersistence FROM pg_catalog.pg_class WHERE oid = {relation}::regclass");
        Ok(self.below.rows(&sql).await?.first().and_then(|row| row[0].as_deref()) == Some("t"))
    }

    async fn change(&mut self, name: &Name, table: Table, change: &Change) -> Outcome<()> {
        match change {
            Change::Add(column) => self.add_column(name, table, column).await,
            Change::Drop { column, cascade } => self.drop_column(name, table, column, *cascade).await,
            Change::RenameColumn { from, to } => self.rename_column(name, table, from, to).await,
            Change::Rename(to) => {
                self.below(name, &format!("RENAME TO {}", quoted(to))).await?;
                let to = (table.place.0.clone(), to.clone());
                self.moved(table.place, to);
                Ok(())
            }
            Change::SetSchema(schema) => {
                self.below(name, &format!("SET SCHEMA {}", quoted(schema))).await?;
                let to = (schema.clone(), table.place.1.clone());
                self.moved(table.place, to);
                Ok(())
            }
            Change::Owner(user) => self.below(name, &format!("OWNER TO {}", quoted(user))).await,
            Change::AddKey(key) => self.add_key(name, table, key).await,
            Change::DropKey(key) => self.drop_key(name, table, key).await,
            Change::Retype { column, to } => self.retype(name, table, column, *to).await,
            Change::Encode { column, encode } => {
                let number = table.column(column)?.number;
                let mut declared = table.declared;
                declared.columns.entry(number).or_default().encode = Some(encode.clone());
                self.keep(name, &declared).await
            }
            Change::Physical(attributes) => self.physical(name, table, attributes).await,
            Change::Append(from) => self.append(name, &table, from).await,
            Change::External => Err(SqlError::unmodelled("ALTER EXTERNAL TABLE").into()),
        }
    }

    async fn below(&mut self, name: &Name, what: &str) -> Outcome<()> {
        self.below.run(&format!("ALTER TABLE {} {what}", name.quoted())).await
    }

    fn moved(&mut self, from: (String, String), to: (String, String)) {
        let changes = &mut self.transaction.changes;
        changes.created.remove(&from);
        changes.dropped.insert(from);
        changes.dropped.remove(&to);
        changes.created.insert(to);
    }

    async fn add_column(&mut self, name: &Name, table: Table, column: &ColumnDefinition) -> Outcome<()> {
        if column.not_null && column.default.is_none() {
            // Of a filled table this is certain; of an empty one it is not known, so it is refused as well.
            return Err(SqlError::new(
                "42601",
                "ALTER TABLE ADD COLUMN defined as NOT NULL must have a non-null default expression",
            )
            .into());
        }
        self.below(name, &format!("ADD COLUMN {}", column_below(column))).await?;
        let number = table.declared.columns.keys().max().copied().unwrap_or_default() + 1;
        if let Some(check) = column.column_type.check(&column.name, usize::try_from(number).unwrap_or_default()) {
            self.below(name, &format!("ADD {check}")).await?;
        }
        let mut declared = table.declared;
        declared.columns.insert(number, declared_column(column));
        self.keep(name, &declared).await
    }

    async fn drop_column(&mut self, name: &Name, table: Table, column: &str, cascade: bool) -> Outcome<()> {
        let number = table.column(column)?.number;
        let mut declared = table.declared;
        let kept = declared.columns.get(&number).cloned().unwrap_or_default();
        if kept.dist || kept.sort != 0 {
            return Err(SqlError::unsupported(format!(
                "cannot drop column {column}: it is a distribution or sort key"
            ))
            .into());
        }
        if !cascade && declared.keys.iter().any(|key| key.columns.iter().any(|of| of == column)) {
            return Err(SqlError::new(
                "2BP01",
                format!("cannot drop column {column} because constraints depend on it"),
            )
            .into());
        }
        let how = if cascade { " CASCADE" } else { "" };
        self.below(name, &format!("DROP COLUMN {}{how}", quoted(column))).await?;
        declared.keys.retain(|key| !key.columns.iter().any(|of| of == column));
        // The number stays taken, as it does below.
        self.keep(name, &declared).await
    }

    async fn rename_column(&mut self, name: &Name, table: Table, from: &str, to: &str) -> Outcome<()> {
        table.column(from)?;
        self.below(name, &format!("RENAME COLUMN {} TO {}", quoted(from), quoted(to))).await?;
        let mut declared = table.declared;
        for column in declared.keys.iter_mut().flat_map(|key| &mut key.columns) {
            if column == from {
                to.clone_into(column);
            }
        }
        if declared.diststyle == format!("KEY({from})") {
            declared.diststyle = format!("KEY({to})");
        }
        self.keep(name, &declared).await
    }

    async fn add_key(&mut self, name: &Name, table: Table, key: &Key) -> Outcome<()> {
        for column in &key.columns {
            let column = table.column(column)?;
            if key.kind == 'p' && !column.not_null {
                return Err(
                    SqlError::new("42P16", format!("column \"{}\" is not declared NOT NULL", column.name)).into()
                );
            }
        }
        let mut declared = table.declared;
        declared.keys.push(key.clone());
        self.keep(name, &declared).await
    }

    async fn drop_key(&mut self, name: &Name, table: Table, wanted: &str) -> Outcome<()> {
        let mut declared = table.declared;
        let before = declared.keys.len();
        let default = |key: &Key| {
            let end = match key.kind {
                'p' => "pkey",
                'u' => "key",
                _ => "fkey",
            };
            format!("{}_{end}", table.place.1)
        };
        declared.keys.retain(|key| key.name.clone().unwrap_or_else(|| default(key)) != wanted);
        if declared.keys.len() == before {
            return Err(SqlError::new("42704", format!("constraint \"{wanted}\" does not exist")).into());
        }
        self.keep(name, &declared).await
    }

    async fn retype(&mut self, name: &Name, table: Table, column: &str, to: Type) -> Outcome<()> {
        let found = table.column(column)?.clone();
        let (Type::Varchar(old), Type::Varchar(new)) = (found.column_type, to) else {
            return Err(SqlError::unsupported(format!(
                "ALTER COLUMN TYPE from {} to {to} is not supported: only the size of a VARCHAR column changes",
                found.column_type
            ))
            .into());
        };
        if old == new {
            return Err(SqlError::unsupported(format!("column \"{column}\" has the size {new} already")).into());
        }
        let kept = table.declared.columns.get(&found.number).cloned().unwrap_or_default();
        let encoding = kept.encode.as_deref().filter(|encoding| FIXED_ENCODINGS.contains(encoding));
        let keyed = table.declared.keys.iter().any(|key| key.columns.iter().any(|of| of == column));
        let reason = if let Some(encoding) = encoding {
            Some(format!("with encoding {encoding}"))
        } else if found.default.is_some() {
            Some("with a default".to_owned())
        } else {
            keyed.then(|| "of a PRIMARY KEY, UNIQUE or FOREIGN KEY".to_owned())
        };
        if let Some(reason) = reason {
            return Err(SqlError::unsupported(format!("cannot alter type of column \"{column}\" {reason}")).into());
        }
        let number = usize::try_from(found.number).unwrap_or_default();
        let constraint = format!("redshift_standin:bytes:{}:{number}", found.column_type);
        let check = to.check(column, number).unwrap_or_default();
        self.below(
            name,
            &format!(
                "DROP CONSTRAINT \"{constraint}\", ALTER COLUMN {} TYPE {}, ADD {check}",
                quoted(column),
                to.below()
            ),
        )
        .await?;
        let mut declared = table.declared;
        declared.columns.entry(found.number).or_default().column_type = to.to_string();
        self.keep(name, &declared).await
    }

    async fn physical(&mut self, name: &Name, table: Table, attributes: &Attributes) -> Outcome<()> {
        for key in attributes.dist_key.iter().chain(&attributes.sort_key) {
            let column = table.column(key)?;
            if column.column_type.is_no_key() {
                return Err(
                    SqlError::unsupported(format!("column \"{key}\" cannot be a distribution or sort key")).into()
                );
            }
        }
        let mut declared = table.declared;
        let number =
            |wanted: &str| table.columns.iter().find(|column| column.name == wanted).map(|column| column.number);
        distribute(&mut declared, attributes, &number);
        self.keep(name, &declared).await
    }

    /// Moves all rows from a table of the same form.
    async fn append(&mut self, name: &Name, table: &Table, from: &Name) -> Outcome<()> {
        let source = self.table(from).await?;
        for name in [name, from] {
            if self.is_temporary(name).await? {
                return Err(SqlError::unsupported("ALTER TABLE APPEND takes permanent tables only").into());
            }
        }
        if !are_alike(table, &source) {
            let told = "ALTER TABLE APPEND needs identical columns; IGNOREEXTRA and FILLTARGET are not supported by the stand-in";
            return Err(SqlError::unsupported(told).into());
        }
        let columns: Vec<_> = table.columns.iter().map(|column| quoted(&column.name)).collect();
        let columns = columns.join(", ");
        self.lock_for_writing(name).await?;
        self.lock_for_writing(from).await?;
        self.below
            .run(&format!(
                "INSERT INTO {} ({columns}) SELECT {columns} FROM {from}; DELETE FROM {from}",
                name.quoted(),
                from = from.quoted()
            ))
            .await?;
        self.commit_below().await
    }
}

/// Whether two tables have what APPEND wants the same: columns, encodings, distribution and sort keys.
fn are_alike(one: &Table, other: &Table) -> bool {
    let spread = |table: &Table| (table.declared.diststyle.clone(), table.declared.interleaved);
    let column = |table: &Table, at: usize| {
        let column = &table.columns[at];
        let declared = table.declared.columns.get(&column.number).cloned().unwrap_or_default();
        (column.name.clone(), column.column_type, declared.encode, declared.dist, declared.sort)
    };
    let count = one.columns.len();
    spread(one) == spread(other)
        && count == other.columns.len()
        && (0..count).all(|at| column(one, at) == column(other, at))
}
