//! What the logins may do, and what may be hidden from them.

use tiberius::Row;

use super::super::client::{Client, Who, integer, text};
use super::super::{rights as grant, sql as common};
use super::{Asked, Survey, ask, sql};
use crate::config::{Config, OnRowFilter, Purge, Source, SourceLogin};
use crate::error::{Error, Kind, Result};
use crate::finding::{Finding, Matter, Place};
use crate::source::SourceTable;
use crate::table::Table;

/// The tables of schema cdc that are read besides those of changes.
const CDC_TABLES: [&str; 5] = ["change_tables", "captured_columns", "index_columns", "ddl_history", "lsn_time_mapping"];

/// Whether anything will have to be enabled or purged.
pub fn needs_owner(config: &Config, source: &Source) -> bool {
    source.enable_cdc || config.sync.purge != Purge::Never
}

/// What the login that enables and purges lacks for it.
pub async fn owner(client: &mut Client, database: &str) -> Result<Option<Finding>> {
    let rows = match ask(client, sql::OWNER).await? {
        Asked::Rows(rows) => rows,
        Asked::Absent => return Ok(None),
        Asked::Refused(error) => {
            let message = format!("what the login that enables and purges may do is not known: {error}");
            return Ok(Some(Finding::new(Matter::Unreadable, message)));
        }
    };
    let Some(row) = rows.first() else { return Ok(None) };
    let Who { login, user } = client.who().await;
    if text(row, 3) == "READ_ONLY" {
        let finding = if integer(row, 2) == 1 {
            let statement = format!("ALTER DATABASE {} SET READ_WRITE", common::name(database));
            let message =
                format!("database '{database}' is read-only: nothing can be enabled there, nor history purged");
            Finding::new(Matter::SourceReadOnly, message).mend(Place::Source, statement)
        } else {
            on_replica(&format!("login '{login}'"), database)
        };
        return Ok(Some(finding));
    }
    if integer(row, 0) == 1 || integer(row, 1) == 1 {
        return Ok(None);
    }
    let message = format!(
        "login '{login}' is not in db_owner of database '{database}': it cannot enable tables, nor purge history that was read; name one that is in [source.admin], or set enable_cdc = false and purge = \"never\""
    );
    Ok(Some(Finding::new(Matter::OwnerRights, message).mend(Place::Source, grant::owner(&user))))
}

fn on_replica(who: &str, database: &str) -> Finding {
    let message = format!(
        "{who} comes to a replica of database '{database}', where nothing can be enabled, nor history purged: name the listener, or the primary, in source.host; or leave both to somebody else"
    );
    Finding::new(Matter::SourceReadOnly, message)
        .mend(Place::Config, "[source]\nenable_cdc = false")
        .mend(Place::Config, "[sync]\npurge = \"never\"")
}

/// That the connection of its own, by which would be enabled and purged, does not come about.
pub fn absent_owner(failure: &Error, login: &SourceLogin, database: &str) -> Finding {
    // Only reads are let in there, and only of whoever says that it will do no more.
    if failure.number() == Some(978) {
        return on_replica(&login.to_string(), database);
    }
    let message = format!("the connection that enables and purges does not come about: {failure}");
    let finding = Finding::new(Matter::OwnerRights, message);
    match login {
        SourceLogin::Password { user, .. } if failure.number() == Some(4060) => {
            finding.mend(Place::Source, grant::user(user)).mend(Place::Source, grant::owner(user))
        }
        _ => finding,
    }
}

fn masked_columns(columns: &[String]) -> Error {
    let message = format!(
        "column '{}' is masked for the login: a copy would hold masks in place of values",
        columns.join("', '")
    );
    Error::new(Kind::Hidden, message).advice("Let the login see the values, or name the columns in exclude_columns")
}

fn filtered_rows(policy: &str, login: &str) -> String {
    format!("security policy {policy} may hide rows of it from login '{login}'")
}

fn missing_rows(message: &str) -> Error {
    Error::new(Kind::Hidden, format!("{message}: a copy would lack them, and changes bring them"))
        .advice("Let the policy's function show the login all rows, and say so: on_row_filter = \"ignore\"")
        .mend(Place::Config, "[sync]\non_row_filter = \"ignore\"")
}

/// What a copy looks for that would hide something from it.
#[derive(Debug, Clone, Copy)]
pub struct Guard {
    /// Masks: not of a login that may do everything.
    pub masks: bool,
    /// What is said of filters.
    pub filters: OnRowFilter,
}

/// Refuses to copy a table of which the login would read masks, or not all rows, whatever was so when it was checked.
pub async fn refuse_hidden(client: &mut Client, table: &Table, guard: Guard) -> Result<()> {
    if guard.masks
        && let Asked::Rows(rows) = ask(client, &sql::masked_of(&table.name)).await?
    {
        let flows = |column: &String| table.columns.iter().any(|flowing| flowing.name == *column);
        let columns: Vec<_> = rows.iter().map(|row| text(row, 0)).filter(flows).collect();
        if !columns.is_empty() {
            return Err(masked_columns(&columns).on(&table.name));
        }
    }
    if guard.filters == OnRowFilter::Fail
        && let Asked::Rows(rows) = ask(client, &sql::filters_of(&table.name)).await?
        && let Some(row) = rows.first()
    {
        return Err(missing_rows(&filtered_rows(&policy(row), &client.who().await.login)).on(&table.name));
    }
    Ok(())
}

/// The policy that a row names.
fn policy(row: &Row) -> String {
    format!("{}.{}", common::name(&text(row, 2)), common::name(&text(row, 3)))
}

impl Survey<'_> {
    /// Rights on tables and change tables, masks, row-level security.
    pub async fn rights(&mut self, client: &mut Client, server: &Row) -> Result<()> {
        if self.database.captures {
            self.history(client, integer(server, 6) == 1).await?;
        }
        let tables = self.ask(client, sql::TABLE_RIGHTS, "which tables it may read", String::new()).await?;
        let refused: Vec<_> = tables
            .iter()
            .filter(|row| integer(row, 2) != 1)
            .filter_map(|row| self.table(&text(row, 0), &text(row, 1)))
            .collect();
        if !refused.is_empty() {
            self.columns_of(client, &refused).await?;
        }
        self.masks(client, &tables, integer(server, 7) == 1).await?;
        self.filters(client, integer(server, 8) == 1).await
    }

    /// A right on single columns is none on the table, and enough where they are all that flow.
    async fn columns_of(&mut self, client: &mut Client, tables: &[&SourceTable]) -> Result<()> {
        let names: Vec<_> = tables.iter().map(|found| found.table.name.clone()).collect();
        let rows = self.ask(client, &sql::readable_columns(&names), "which columns it may read", String::new()).await?;
        let Who { login, user } = client.who().await;
        for found in tables {
            let name = &found.table.name;
            let may_read = |column: &str| {
                let of_table = |row: &&Row| text(row, 0) == name.schema && text(row, 1) == name.name;
                rows.iter().filter(of_table).any(|row| text(row, 2) == column)
            };
            let flowing = || found.table.columns.iter().map(|column| column.name.as_str());
            let lacking: Vec<_> = flowing().filter(|column| !may_read(column)).collect();
            if lacking.is_empty() {
                continue;
            }
            let error = if lacking.len() == flowing().count() {
                let message = format!("login '{login}' may not read the table");
                Error::new(Kind::SourceRights, message).mend(Place::Source, grant::table(&user, name))
            } else {
                let message = format!("login '{login}' may not read column '{}' of the table", lacking.join("', '"));
                Error::new(Kind::SourceRights, message)
                    .advice("Grant it, or name the columns in exclude_columns")
                    .mend(Place::Source, grant::columns(&user, name, &lacking))
            };
            self.block(name, error);
        }
        Ok(())
    }

    /// Who may not read the whole of schema cdc may be given its tables one by one.
    async fn history(&mut self, client: &mut Client, reads_all: bool) -> Result<()> {
        if reads_all {
            return self.gates(client).await;
        }
        let rows = self.ask(client, sql::HISTORY, "which change tables it may read", String::new()).await?;
        let readable: Vec<_> = rows.iter().map(|row| text(row, 0)).collect();
        let Who { login, user } = client.who().await;
        if CDC_TABLES.iter().any(|table| !readable.iter().any(|known| known == table)) {
            let message = format!(
                "login '{login}' may not read schema cdc, which holds the change tables: no table can be synced"
            );
            self.tell(Finding::new(Matter::ChangeTableRights, message).mend(Place::Source, grant::history(&user)));
            return Ok(());
        }
        for found in self.found {
            let Some(capture) = found.capture(&found.table) else { continue };
            let instance = &capture.instance.name;
            if !readable.contains(&common::change_table_name(instance)) {
                let message = format!("login '{login}' may not read the changes of capture instance '{instance}'");
                let error = Error::new(Kind::SourceRights, message);
                self.block(&found.table.name, error.mend(Place::Source, grant::changes(&user, instance)));
            }
        }
        self.gates(client).await
    }

    /// An instance may be read by the members of its role only, whatever else was granted.
    async fn gates(&mut self, client: &mut Client) -> Result<()> {
        if !self.database.rights.is_empty() {
            return Ok(());
        }
        let gates = self.ask(client, sql::GATES, "which roles may read the capture instances", String::new()).await?;
        let Who { login, user } = client.who().await;
        for found in self.found {
            let Some(capture) = found.capture(&found.table) else { continue };
            let shut = gates.iter().find(|row| text(row, 0) == capture.instance.name && integer(row, 2) != 1);
            let Some(role) = shut.map(|row| text(row, 1)) else { continue };
            let message = format!(
                "login '{login}' is not in role '{role}', whose members alone may read capture instance '{}'",
                capture.instance.name
            );
            let error = Error::new(Kind::SourceRights, message);
            self.block(&found.table.name, error.mend(Place::Source, grant::member(&user, &role)));
        }
        Ok(())
    }

    /// A copy of a masked column would hold masks, and changes the values.
    async fn masks(&mut self, client: &mut Client, tables: &[Row], unmasks: bool) -> Result<()> {
        if unmasks || !self.database.rights.is_empty() {
            return Ok(());
        }
        let masked = self.ask(client, sql::MASKED, "which columns are masked", String::new()).await?;
        for found in self.found {
            let name = &found.table.name;
            let is_it = |row: &&Row| text(row, 0) == name.schema && text(row, 1) == name.name;
            if tables.iter().find(is_it).is_some_and(|row| integer(row, 3) == 1) {
                continue;
            }
            let flows = |column: &String| found.table.columns.iter().any(|flowing| flowing.name == *column);
            let columns: Vec<_> = masked.iter().filter(is_it).map(|row| text(row, 2)).filter(flows).collect();
            if columns.is_empty() {
                continue;
            }
            let statement = grant::database(&client.who().await.user, "UNMASK");
            self.block(name, masked_columns(&columns).mend(Place::Source, statement));
        }
        Ok(())
    }

    /// A copy holds the rows that a filter lets the login see, and changes come of all.
    async fn filters(&mut self, client: &mut Client, sees_definitions: bool) -> Result<()> {
        let (filters, refused) = match ask(client, sql::FILTERS).await? {
            Asked::Rows(filters) => (filters, false),
            // Of servers before 2016, which have none.
            Asked::Absent => return Ok(()),
            Asked::Refused(_) => (Vec::new(), true),
        };
        if refused || !sees_definitions {
            let statement = grant::database(&client.who().await.user, "VIEW DEFINITION");
            self.unknown.push(("whether row-level security hides rows".to_owned(), statement));
        }
        for row in &filters {
            let Some(name) = self.table(&text(row, 0), &text(row, 1)).map(|found| found.table.name.clone()) else {
                continue;
            };
            let (policy, login) = (policy(row), &self.database.login);
            let message = filtered_rows(&policy, login);
            if self.config.sync.on_row_filter == OnRowFilter::Ignore {
                let message = format!("{message}: on_row_filter = \"ignore\" says that this is meant");
                let statement = format!("ALTER SECURITY POLICY {policy} WITH (STATE = OFF)");
                self.tell(Finding::new(Matter::RowFilter, message).on(&name).mend(Place::Source, statement));
                continue;
            }
            self.block(&name, missing_rows(&message));
        }
        Ok(())
    }
}
