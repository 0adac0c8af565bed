//! What SQL Server refuses to do to a tracked table.

use crate::value::SqlError;

use super::DdlKind;
use super::instance::{Instance, same_name};
use super::state::State;

/// Refuses DDL on a tracked table; `name` is the index or column concerned, empty for one that is in use.
///
/// # Errors
/// The server's error.
pub fn check(state: &State, object_id: i32, kind: DdlKind, name: &str) -> Result<(), SqlError> {
    let mut instances = state.instances_of(object_id);
    let is_key = |instance: &&Instance| {
        instance.index_name.as_ref().is_some_and(|index| name.is_empty() || same_name(index, name))
    };
    match kind {
        DdlKind::Truncate => instances.next().map_or(Ok(()), |instance| {
            let table = &instance.source_name;
            let text = format!(
                "Cannot truncate table '{table}' because it is published for replication or enabled for Change Data \
                 Capture."
            );
            Err(SqlError::new(4711, text))
        }),
        DdlKind::Key => instances.find(is_key).map_or(Ok(()), |instance| {
            let (index, table) = (instance.index_name.as_deref().unwrap_or_default(), &instance.source_name);
            let text = format!(
                "The unique index '{index}' on table '{table}' is used by Change Data Capture. The constraint using \
                 this index cannot be dropped or disabled."
            );
            Err(SqlError::new(22979, text))
        }),
        DdlKind::SwitchOut | DdlKind::SwitchIn => {
            let (number, word) = if kind == DdlKind::SwitchOut { (22842, "source") } else { (22843, "destination") };
            instances.find(|instance| !instance.partition_switch).map_or(Ok(()), |instance| {
                let table = &instance.source_name;
                let text = format!(
                    "ALTER TABLE SWITCH statement failed because the partitioned {word} table '{table}' is enabled for \
                     Change Data Capture which has @allow_partition_switch set to 0."
                );
                Err(SqlError::new(number, text))
            })
        }
        DdlKind::DropTable | DdlKind::AddColumn | DdlKind::DropColumn | DdlKind::AlterColumn => Ok(()),
    }
}

/// Refuses to rename a captured column.
///
/// # Errors
/// 4928.
pub fn check_rename(state: &State, object_id: i32, column_id: i32, name: &str) -> Result<(), SqlError> {
    let captures = |instance: &Instance| instance.columns.iter().any(|column| column.column_id == column_id);
    if state.instances_of(object_id).any(captures) {
        return Err(SqlError::new(4928, format!("Cannot alter column '{name}' because it is 'REPLICATED'.")));
    }
    Ok(())
}
