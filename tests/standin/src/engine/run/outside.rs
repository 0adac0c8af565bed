//! What a statement or an order changes outside the tables: rights in `master` and `msdb`, the database's owner, jobs,
//! security policies.

use super::super::catalog::{Catalog, Policy, same};
use super::super::controls::Orders;
use super::super::environment::Environment;
use super::super::error::Result;
use super::super::script::Security;
use super::super::session::SqlSession;
use crate::cdc::{Caller, Outcome};
use crate::session::Param;
use crate::table::TableDef;
use crate::value::{SqlError, SqlType, Value};

fn denied() -> SqlError {
    SqlError::new(15247, "User does not have permission to perform this action.")
}

fn unknown(kind: &str, name: &str) -> SqlError {
    SqlError::new(
        15151,
        format!("Cannot find the {kind} '{name}', because it does not exist or you do not have permission."),
    )
}

/// Whoever enables in the name of the server's master.
struct Master<'a>(&'a Environment);

impl Caller for Master<'_> {
    fn table(&self, schema: &str, name: &str) -> Option<TableDef> {
        self.0.table(schema, name)
    }

    fn table_by_id(&self, object_id: i32) -> Option<TableDef> {
        self.0.table_by_id(object_id)
    }

    fn database(&self) -> String {
        Caller::database(self.0)
    }

    fn is_member(&self, _: &str) -> bool {
        true
    }

    fn schema_exists(&self, name: &str) -> bool {
        self.0.schema_exists(name)
    }

    fn can_select(&self, object_id: i32) -> bool {
        self.0.can_select(object_id)
    }

    fn create_role(&self, name: &str) {
        self.0.create_role(name);
    }
}

/// Why a procedure of change data capture cannot run as the server stands.
pub fn hindrance(name: &str, environment: &Environment) -> Result<()> {
    let outside = &environment.catalog.state.outside;
    if outside.orphaned && matches!(name, "sp_cdc_enable_db" | "sp_cdc_enable_table" | "sp_cdc_add_job") {
        return Err(SqlError::new(
            15517,
            "Cannot execute as the database principal because the principal \"dbo\" does not exist, this type of principal cannot be impersonated, or you do not have permission.",
        ));
    }
    if outside.flavour == "rds" && matches!(name, "sp_cdc_enable_db" | "sp_cdc_disable_db") {
        return Err(SqlError::new(
            22902,
            "Caller is not authorized to initiate the requested action. Sysadmin privileges are required.",
        ));
    }
    if outside.agent_stopped && matches!(name, "sp_cdc_start_job" | "sp_cdc_stop_job") {
        return Err(SqlError::new(
            22022,
            "SQLServerAgent is not currently running so it cannot be notified of this action.",
        ));
    }
    Ok(())
}

impl SqlSession {
    /// Changes what lies outside the database, whichever database the session is in.
    fn change_outside<T>(&mut self, run: impl FnOnce(&Environment, &mut Catalog) -> Result<T>) -> Result<T> {
        let home = std::mem::replace(&mut self.database, self.shared.database.clone());
        let result = self.change_catalog(false, |_, environment, changed| run(environment, changed));
        self.database = home;
        result
    }

    /// A statement about principals and rights that concerns more than the database; `None` for one that does not.
    pub fn outside(&mut self, statement: &Security) -> Option<Result<()>> {
        let in_master = same(&self.database, "master");
        match statement {
            Security::Authorization { database, login } => Some(self.own(database, login)),
            Security::Policy { name, on } => Some(self.policy(name, *on)),
            Security::Permission { verb, permissions, on: None, principals, .. }
                if permissions.iter().any(|permission| permission == "VIEW SERVER STATE") =>
            {
                if !in_master {
                    let text =
                        "Permissions at the server scope can only be granted when the current database is master.";
                    return Some(Err(SqlError::new(4621, text)));
                }
                Some(self.server_state(verb == "GRANT", principals))
            }
            _ => None,
        }
    }

    fn own(&mut self, database: &str, login: &str) -> Result<()> {
        if !same(database, &self.shared.database) {
            return Err(unknown("database", database));
        }
        let first = self.shared.user.clone();
        self.change_outside(|environment, changed| {
            if !environment.sysadmin {
                return Err(denied());
            }
            if !same(login, &first) && !changed.state.logins.iter().any(|known| same(&known.name, login)) {
                return Err(unknown("principal", login));
            }
            changed.state.outside.orphaned = false;
            Ok(())
        })
    }

    fn policy(&mut self, name: &[String], on: Option<bool>) -> Result<()> {
        let last = name.last().cloned().unwrap_or_default();
        let schema = if name.len() > 1 { name[name.len() - 2].clone() } else { "dbo".to_owned() };
        self.change_catalog(false, |_, environment, changed| {
            let may = environment.is_member_of("db_owner") || environment.granted("ALTER ANY SECURITY POLICY", &[0]);
            let is_it = |policy: &Policy| same(&policy.name, &last) && same(&policy.schema, &schema);
            let policies = &mut changed.state.policies;
            let found = policies.iter_mut().find(|policy| may && is_it(policy));
            let found = found.ok_or_else(|| unknown("security policy", &last))?;
            match on {
                Some(on) => found.enabled = on,
                None => policies.retain(|policy| !is_it(policy)),
            }
            Ok(())
        })
    }

    fn server_state(&mut self, grant: bool, logins: &[String]) -> Result<()> {
        self.change_outside(|environment, changed| {
            if !environment.sysadmin {
                return Err(denied());
            }
            for login in logins {
                if !changed.state.logins.iter().any(|known| same(&known.name, login)) {
                    return Err(unknown("login", login));
                }
                changed.state.outside.server_state.retain(|known| !same(known, login));
                if grant {
                    changed.state.outside.server_state.push(login.clone());
                }
            }
            Ok(())
        })
    }

    /// `msdb.dbo.sp_update_job @job_name, @enabled`.
    pub fn update_job(&mut self, params: &[Param]) -> Result<Outcome> {
        let named =
            |name: &str| params.iter().find(|param| param.name.eq_ignore_ascii_case(name)).map(|param| &param.value);
        let (Some(Value::Text(name)), Some(Value::Int(enabled @ 0..=1))) = (named("@job_name"), named("@enabled"))
        else {
            return Err(SqlError::new(
                201,
                "Procedure or function 'sp_update_job' expects parameter '@job_name', which was not supplied.",
            ));
        };
        let database = self.shared.database.clone();
        let kinds = self.shared.cdc.jobs(5).map(|jobs| jobs.rows).unwrap_or_default();
        let known = kinds
            .iter()
            .any(|row| matches!(row.get(1), Some(Value::Text(kind)) if same(name, &format!("cdc.{database}_{kind}"))));
        if !known {
            return Err(SqlError::new(14262, format!("The specified @job_name ('{name}') does not exist.")));
        }
        self.change_outside(|environment, changed| {
            if !environment.sysadmin {
                return Err(SqlError::new(
                    14525,
                    "Only members of sysadmin role are allowed to update or delete jobs owned by a different login.",
                ));
            }
            changed.state.outside.disabled_jobs.retain(|job| !same(job, name));
            if *enabled == 0 {
                changed.state.outside.disabled_jobs.push(name.clone());
            }
            Ok(Outcome::default())
        })
    }

    /// The order that SQL Server Agent runs, and its jobs with it, or stands still.
    pub fn order_agent(&mut self, orders: &Orders<'_>) -> Result<()> {
        let running = orders.number("@running", None)? == 1;
        let environment = self.enter()?;
        let job = Param {
            name: "@job_type".to_owned(),
            sql_type: SqlType::NVarChar(Some(20)),
            value: Value::Text("capture".to_owned()),
            output: false,
        };
        let name = if running { "sp_cdc_start_job" } else { "sp_cdc_stop_job" };
        // A job that is not there, or stands already, is as it should be.
        let _ = self.shared.cdc.procedure(name, &[job], environment.as_ref());
        self.change_outside(|_, changed| {
            changed.state.outside.agent_stopped = !running;
            Ok(())
        })
    }

    /// The order that the server is somebody's.
    pub fn order_flavour(&mut self, orders: &Orders<'_>) -> Result<()> {
        let flavour = orders.text("@name")?;
        if !["", "rds", "azure"].contains(&flavour.as_str()) {
            return Err(orders.refused("no such flavour"));
        }
        self.change_outside(|_, changed| {
            changed.state.outside.flavour = flavour;
            Ok(())
        })
    }

    /// `msdb.dbo.rds_cdc_enable_db`, and what Azure lets an owner do.
    pub fn enable_as_master(&mut self, database: &str) -> Result<Outcome> {
        let home = std::mem::replace(&mut self.database, self.shared.database.clone());
        let result = self.enter().and_then(|environment| {
            if !same(database, &environment.database) || !environment.is_member_of("db_owner") {
                return Err(denied());
            }
            let cdc = std::sync::Arc::clone(&self.shared.cdc);
            cdc.procedure("sp_cdc_enable_db", &[], &Master(&environment)).unwrap_or_else(|| Err(denied()))
        });
        self.database = home;
        result
    }

    /// The order that the database was restored from elsewhere, whose owner this server does not know.
    pub fn order_orphan(&mut self) -> Result<()> {
        self.change_outside(|_, changed| {
            changed.state.outside.orphaned = true;
            Ok(())
        })
    }

    /// The order that an enabled policy filters a table.
    pub fn order_policy(&mut self, orders: &Orders<'_>) -> Result<()> {
        let (schema, name) = (orders.text_or("@schema", "dbo")?, orders.text("@name")?);
        let of = super::super::functions::meta::split_name(&orders.text("@table")?);
        self.change_outside(|environment, changed| {
            let table = environment.find_table(&of).ok_or_else(|| orders.refused("no such table"))?.id;
            let id = changed.new_id();
            changed.state.policies.push(Policy { id, schema, name, table, enabled: true });
            Ok(())
        })
    }
}
