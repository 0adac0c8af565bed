//! Capture instances: what is captured of a table, and the change table it goes to.

use crate::table::{ColumnDef, Ddl, TableDef};
use crate::value::{Column, SqlType, Value};

use super::clock::Moment;
use super::lsn::Lsn;
use super::numbered::{Logged, Numbered};
use super::packed::{Packed, pack, unpack};
use super::retype::{self, Conversion};
use super::split::RowChange;

/// A captured column.
#[derive(Debug, Clone)]
pub struct CapturedColumn {
    /// Name, as the source spelt it when the instance was made.
    pub name: String,
    /// `column_id` in the source table.
    pub column_id: i32,
    /// Type in the source table.
    pub source_type: SqlType,
    /// Whether it is computed: then it is in the change table, but always NULL.
    pub computed: bool,
    /// Collation.
    pub collation: Option<&'static str>,
    /// Position in the source's rows now; `None` once the column was dropped.
    pub position: Option<usize>,
}

impl CapturedColumn {
    /// A column to capture, at its position in the source's rows.
    pub fn of(column: &ColumnDef, position: usize) -> Self {
        Self {
            name: column.name.clone(),
            column_id: column.column_id,
            source_type: column.sql_type,
            computed: column.computed,
            collation: column.collation,
            position: Some(position),
        }
    }

    /// Type in the change table.
    pub fn sql_type(&self) -> SqlType {
        match self.source_type {
            SqlType::RowVersion => SqlType::Binary(8),
            other => other,
        }
    }
}

/// A change, as the change table holds it.
#[derive(Debug, Clone)]
pub struct ChangeRow {
    /// `__$start_lsn`.
    pub start: Lsn,
    /// `__$seqval`.
    pub seqval: Lsn,
    /// `__$operation`.
    pub operation: u8,
    /// `__$command_id`.
    pub command: i32,
    /// `__$update_mask`; `None` where all bits are set.
    pub mask: Option<Box<[u8]>>,
    /// The captured columns.
    pub values: Packed,
}

impl Logged for ChangeRow {
    fn lsn(&self) -> Lsn {
        self.start
    }
}

/// A row of `cdc.ddl_history`.
#[derive(Debug, Clone)]
pub struct DdlRecord {
    /// Whether a captured column's type changed.
    pub required_column_update: bool,
    /// The statement.
    pub command: String,
    /// Its place in the log.
    pub lsn: Lsn,
    /// When it committed.
    pub time: Moment,
}

/// A capture instance.
#[derive(Debug, Clone)]
pub struct Instance {
    /// `object_id` of the change table.
    pub object_id: i32,
    /// `object_id` of the source table.
    pub source_object_id: i32,
    /// The source table's schema.
    pub source_schema: String,
    /// The source table's name.
    pub source_name: String,
    /// Name.
    pub name: String,
    /// The low end of what it can tell.
    pub start_lsn: Lsn,
    /// The LSN at which it began: changes before belong to nobody or to older instances.
    pub created_lsn: Lsn,
    /// Whether it has a net changes function.
    pub net_changes: bool,
    /// Gating role.
    pub role: Option<String>,
    /// The unique index whose columns tell rows apart.
    pub index_name: Option<String>,
    /// Filegroup.
    pub filegroup: Option<String>,
    /// When it was made.
    pub created: Moment,
    /// Whether partitions may be switched.
    pub partition_switch: bool,
    /// Captured columns, by ordinal.
    pub columns: Vec<CapturedColumn>,
    /// The key: indexes into `columns`, in key order.
    pub key: Vec<usize>,
    /// DDL that capture has read.
    pub ddl: Vec<DdlRecord>,
    /// The change table.
    pub changes: Numbered<ChangeRow>,
}

impl Instance {
    /// The change table's name.
    pub fn table_name(&self) -> String {
        format!("{}_CT", self.name)
    }

    /// Whether `name` (compared without case) is this instance's.
    pub fn is_named(&self, name: &str) -> bool {
        same_name(&self.name, name)
    }

    /// The key's positions in the source's rows.
    pub fn key_positions(&self) -> Vec<usize> {
        self.key.iter().filter_map(|&ordinal| self.columns[ordinal].position).collect()
    }

    /// Writes a change into the change table; an update that touched no captured column writes nothing. Returns
    /// whether it wrote, so that commands are numbered without gaps.
    pub fn record(&mut self, start: Lsn, command: i32, seqval: Lsn, change: RowChange<'_>) -> bool {
        match change {
            RowChange::Delete(row) => {
                let values = self.image(row, |column| is_old_lob(column.source_type));
                self.changes.push(ChangeRow { start, seqval, operation: 1, command, mask: None, values });
            }
            RowChange::Insert(row) => {
                let values = self.image(row, |_| false);
                self.changes.push(ChangeRow { start, seqval, operation: 2, command, mask: None, values });
            }
            RowChange::Update(before, after) => {
                let changed: Vec<bool> = self.columns.iter().map(|column| differs(column, before, after)).collect();
                if !changed.contains(&true) {
                    return false;
                }
                let mut touched = changed.iter().copied();
                let before = self.image(before, |column| {
                    let touched = touched.next().unwrap_or(false);
                    is_old_lob(column.source_type) || (is_max(column.source_type) && !touched)
                });
                let after = self.image(after, |_| false);
                let mask = Some(mask_of(&changed));
                for (operation, values) in [(3, before), (4, after)] {
                    self.changes.push(ChangeRow { start, seqval, operation, command, mask: mask.clone(), values });
                }
            }
        }
        true
    }

    /// The captured columns of a row; those that `hidden` names (asked once for each column, in order), computed ones
    /// and dropped ones are NULL.
    fn image(&self, row: &[Value], mut hidden: impl FnMut(&CapturedColumn) -> bool) -> Packed {
        pack(self.columns.iter().map(|column| {
            let hide = hidden(column) || column.computed;
            column.position.filter(|_| !hide).and_then(|at| row.get(at)).unwrap_or(&Value::Null)
        }))
    }

    /// Follows the source's new definition and remembers the statement.
    pub fn apply_ddl(&mut self, after: &TableDef, ddl: &Ddl, (lsn, time): (Lsn, Moment), conversion: Conversion) {
        let mut required_column_update = false;
        for ordinal in 0..self.columns.len() {
            let column = &mut self.columns[ordinal];
            column.position = after.columns.iter().position(|now| now.column_id == column.column_id);
            let Some(now) = column.position.map(|at| &after.columns[at]) else { continue };
            column.collation = now.collation;
            if now.sql_type == column.source_type {
                continue;
            }
            required_column_update = true;
            let from = column.sql_type();
            column.source_type = now.sql_type;
            let to = column.sql_type();
            for row in self.changes.iter_mut() {
                let mut values = unpack(&row.values);
                if let Ok(value) = retype::converted(&values[ordinal], (from, to), conversion) {
                    values[ordinal] = value;
                }
                row.values = pack(&values);
            }
        }
        self.source_schema.clone_from(&after.schema);
        self.source_name.clone_from(&after.name);
        self.ddl.push(DdlRecord { required_column_update, command: ddl.command.clone(), lsn, time });
    }

    /// The first value in the change table that does not fit the source's new definition: capture stops there.
    pub fn misfit(&self, after: &TableDef, conversion: Conversion) -> Option<crate::value::SqlError> {
        let changed: Vec<(usize, SqlType)> = self
            .columns
            .iter()
            .enumerate()
            .filter_map(|(ordinal, column)| {
                let now = after.columns.iter().find(|now| now.column_id == column.column_id)?;
                (now.sql_type != column.source_type).then_some((ordinal, now.sql_type))
            })
            .collect();
        if changed.is_empty() {
            return None;
        }
        self.changes.iter().find_map(|row| {
            let values = unpack(&row.values);
            changed.iter().find_map(|&(ordinal, to)| {
                let place = || (self.table_name(), self.columns[ordinal].name.clone());
                let from = self.columns[ordinal].sql_type();
                retype::converted(&values[ordinal], (from, to), conversion).err().map(|failure| failure.error(place()))
            })
        })
    }

    /// A mask with the bit of every captured column set.
    pub fn full_mask(&self) -> Box<[u8]> {
        mask_of(&vec![true; self.columns.len()])
    }

    /// The change table's columns.
    pub fn table_columns(&self) -> Vec<Column> {
        let mut columns = vec![
            column("__$start_lsn", SqlType::Binary(10), false),
            column("__$end_lsn", SqlType::Binary(10), true),
            column("__$seqval", SqlType::Binary(10), false),
            column("__$operation", SqlType::Int, false),
            column("__$update_mask", SqlType::VarBinary(Some(128)), true),
        ];
        columns.extend(self.captured_columns());
        columns.push(column("__$command_id", SqlType::Int, true));
        columns
    }

    /// The captured columns, as result columns.
    pub fn captured_columns(&self) -> impl Iterator<Item = Column> {
        self.columns.iter().map(|captured| Column {
            name: captured.name.clone(),
            sql_type: captured.sql_type(),
            nullable: true,
            identity: false,
            collation: captured.collation,
        })
    }

    /// A change as a row of the change table.
    pub fn table_row(&self, row: &ChangeRow) -> Vec<Value> {
        let mut values = Vec::with_capacity(self.columns.len() + 6);
        values.extend([
            Value::Bytes(row.start.to_vec()),
            Value::Null,
            Value::Bytes(row.seqval.to_vec()),
            Value::Int(i64::from(row.operation)),
            Value::Bytes(row.mask.as_deref().map_or_else(|| self.full_mask().into_vec(), <[u8]>::to_vec)),
        ]);
        values.extend(unpack(&row.values));
        values.push(Value::Int(i64::from(row.command)));
        values
    }
}

/// A nameless-collation result column.
pub fn column(name: &str, sql_type: SqlType, nullable: bool) -> Column {
    Column { name: name.into(), sql_type, nullable, identity: false, collation: None }
}

/// Whether two names are one by the database's collation.
pub fn same_name(left: &str, right: &str) -> bool {
    let right = right.trim_end_matches(' ');
    if left.is_ascii() && right.is_ascii() {
        return left.eq_ignore_ascii_case(right);
    }
    left.chars().flat_map(char::to_lowercase).eq(right.chars().flat_map(char::to_lowercase))
}

fn differs(column: &CapturedColumn, before: &[Value], after: &[Value]) -> bool {
    !column.computed && column.position.is_some_and(|at| before.get(at) != after.get(at))
}

fn is_old_lob(sql_type: SqlType) -> bool {
    matches!(sql_type, SqlType::Text | SqlType::NText | SqlType::Image)
}

fn is_max(sql_type: SqlType) -> bool {
    matches!(sql_type, SqlType::VarChar(None) | SqlType::NVarChar(None) | SqlType::VarBinary(None))
}

/// Ordinal n (from 1) is bit (n - 1) mod 8 of the byte that lies (n - 1) / 8 from the end.
fn mask_of(bits: &[bool]) -> Box<[u8]> {
    let mut mask = vec![0_u8; bits.len().div_ceil(8)];
    let last = mask.len().saturating_sub(1);
    for (index, _) in bits.iter().enumerate().filter(|(_, set)| **set) {
        mask[last - index / 8] |= 1 << (index % 8);
    }
    mask.into_boxed_slice()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_count_from_the_end() {
        let mut bits = vec![false; 11];
        bits[0] = true;
        bits[9] = true;
        assert_eq!(&*mask_of(&bits), &[0b10, 0b1]);
        assert_eq!(&*mask_of(&[true; 5]), &[0x1F]);
    }
}
