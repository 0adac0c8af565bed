//! Who there is and what they may do, in the database and outside it.

use serde::{Deserialize, Serialize};

/// A security policy with a filter on one table. Its function is not run: whoever may be filtered reads nothing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Policy {
    /// Object id.
    pub id: i32,
    /// Schema.
    pub schema: String,
    /// Name.
    pub name: String,
    /// The table that is filtered.
    pub table: i32,
    /// Whether it is enabled.
    pub enabled: bool,
}

/// What lies outside the database and belongs to it: jobs, rights in `master` and `msdb`, its owner.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Outside {
    /// Whether SQL Server Agent stands still.
    pub agent_stopped: bool,
    /// Whose server it is: empty for one's own, `rds` or `azure`.
    pub flavour: String,
    /// Jobs that are disabled.
    pub disabled_jobs: Vec<String>,
    /// Whether the database names another as dbo than the server does, as after a restore from elsewhere.
    pub orphaned: bool,
    /// Logins that were granted VIEW SERVER STATE.
    pub server_state: Vec<String>,
}

/// A user or role.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Principal {
    /// `principal_id`.
    pub id: i32,
    /// Name.
    pub name: String,
    /// Whether it is a role.
    pub role: bool,
    /// The login behind a user.
    pub login: Option<String>,
    /// Roles it is in.
    pub member_of: Vec<String>,
    /// When it was made.
    pub created: i64,
}

/// A login.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Login {
    /// Name.
    pub name: String,
    /// Password.
    pub password: String,
    /// Server roles.
    pub roles: Vec<String>,
}

/// A user of `msdb`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MsdbUser {
    /// Name.
    pub name: String,
    /// The login behind it.
    pub login: String,
    /// Tables it may SELECT from.
    pub reads: Vec<String>,
}

/// A right.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Grant {
    /// GRANT or DENY.
    pub deny: bool,
    /// Right, in upper case.
    pub permission: String,
    /// On an object, a schema (negative id) or the database (0).
    pub on: i32,
    /// To whom.
    pub principal: String,
    /// The column of the object, or the table of schema `cdc`, that it is on, if not on all of it.
    #[serde(default)]
    pub part: Option<String>,
}
