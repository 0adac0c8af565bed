//! Upkeep, rights, cancelling.

use super::Session;
use crate::redshift::error::{Outcome, SqlError};
use crate::redshift::name::{Name, literal};
use crate::redshift::server::{Account, create_role};
use crate::redshift::statement::control::Control;

impl Session {
    pub(super) async fn control(&mut self, control: &Control, many: bool) -> Outcome<()> {
        match control {
            Control::Begin => self.begin().await,
            Control::Commit => self.commit().await,
            Control::Rollback => self.rollback().await,
            Control::Truncate(table) => self.truncate(table).await,
            Control::Lock(tables) => {
                if many {
                    self.begin_implicit().await?;
                }
                self.lock(tables).await
            }
            Control::Analyze(table) => self.upkeep("ANALYZE", table.as_ref()).await,
            Control::Vacuum(table) => {
                if many || self.transaction.is_block() {
                    return Err(SqlError::in_block("VACUUM").into());
                }
                self.upkeep("VACUUM", table.as_ref()).await
            }
            Control::Outside(what) => {
                let inside = many || self.transaction.is_block();
                Err(if inside { SqlError::in_block(what) } else { SqlError::unmodelled(what) }.into())
            }
            Control::Set { name, values } => self.set(name, values).await,
            Control::Reset(name) => self.set(name, &["default".to_owned()]).await,
            Control::Show(name) => self.show(name, true),
            Control::Cancel(pid) => {
                self.below.run(&format!("SELECT pg_cancel_backend({pid})")).await?;
                self.complete("CANCEL");
                Ok(())
            }
            Control::Same { tag, sql } => {
                self.begin_implicit().await?;
                self.note_snapshot();
                self.below.run(sql).await?;
                self.complete(tag);
                Ok(())
            }
            Control::CreateUser { name, password, superuser } => {
                self.create_user(name, password.as_deref(), *superuser).await
            }
        }
    }

    /// The owner's, or a superuser's: for others the table is left out with a warning, which is an error here.
    async fn upkeep(&mut self, what: &str, table: Option<&Name>) -> Outcome<()> {
        if let Some(table) = table {
            let sql = format!(
                "SELECT pg_catalog.pg_has_role(session_user, relowner, 'USAGE') FROM pg_catalog.pg_class \
                 WHERE oid = {}::regclass",
                literal(&table.quoted())
            );
            if self.transaction.is_open() {
                self.note_snapshot();
            }
            let rows = self.below.rows(&sql).await?;
            if rows.first().and_then(|row| row[0].as_deref()) != Some("t") {
                return Err(
                    SqlError::new("42501", format!("must be owner of relation {} to {what}", table.name)).into()
                );
            }
        }
        self.complete(what);
        Ok(())
    }

    async fn create_user(&mut self, name: &str, password: Option<&str>, superuser: bool) -> Outcome<()> {
        let rows = self.below.rows("SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = session_user").await?;
        if rows.first().and_then(|row| row[0].as_deref()) != Some("t") {
            return Err(SqlError::new("42501", "permission denied to create user").into());
        }
        let Some(password) = password else { return Err(SqlError::unmodelled("PASSWORD DISABLE").into()) };
        let account = Account { superuser, ..Account::new(name, password) };
        create_role(&mut *self.shared.own.lock().await, &account, false).await?;
        self.shared.add_account(account);
        self.complete("CREATE USER");
        Ok(())
    }
}
