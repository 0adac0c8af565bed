//! Who may do what.

use crate::value::SqlError;

use super::Caller;

/// Whether the caller owns the database.
pub fn is_owner(caller: &dyn Caller) -> bool {
    caller.is_member("sysadmin") || caller.is_member("db_owner")
}

/// Fails with 22904 unless the caller owns the database.
pub fn require_owner(caller: &dyn Caller) -> Result<(), SqlError> {
    if is_owner(caller) {
        return Ok(());
    }
    Err(SqlError::new(22904, "Caller is not authorized to initiate the requested action. DBO privileges are required."))
}

/// Fails with 22902 unless the caller is a sysadmin.
pub fn require_sysadmin(caller: &dyn Caller) -> Result<(), SqlError> {
    if caller.is_member("sysadmin") {
        return Ok(());
    }
    Err(SqlError::new(
        22902,
        "Caller is not authorized to initiate the requested action. Sysadmin privileges are required.",
    ))
}

/// What decides who may read an instance; taken out of the state, so that the caller is asked outside its lock.
#[derive(Debug, Clone)]
pub struct Gate {
    /// Gating role.
    pub role: Option<String>,
    /// The source table.
    pub source_object_id: i32,
}

impl Gate {
    /// Whether the caller may read the instance: an owner, or one who may read the source and is in the gating role.
    pub fn admits(&self, caller: &dyn Caller) -> bool {
        is_owner(caller)
            || (caller.can_select(self.source_object_id)
                && self.role.as_deref().is_none_or(|role| caller.is_member(role)))
    }
}
