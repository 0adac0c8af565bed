//! SET: options of the session.

use std::sync::atomic::Ordering;

use super::super::bind::Variable;
use super::super::error::Result;
use super::super::script::OptionValue;
use super::super::session::SqlSession;
use crate::value::{SqlError, Value};

impl SqlSession {
    /// SET of an option.
    pub fn set_option(&mut self, name: &str, value: &OptionValue) -> Result<()> {
        const SWITCHES: &[&str] = &[
            "ANSI_NULLS",
            "ANSI_PADDING",
            "ANSI_WARNINGS",
            "ANSI_DEFAULTS",
            "ANSI_NULL_DFLT_ON",
            "ANSI_NULL_DFLT_OFF",
            "ARITHABORT",
            "ARITHIGNORE",
            "CONCAT_NULL_YIELDS_NULL",
            "CURSOR_CLOSE_ON_COMMIT",
            "NUMERIC_ROUNDABORT",
            "QUOTED_IDENTIFIER",
            "FORCEPLAN",
            "SHOWPLAN_ALL",
            "SHOWPLAN_TEXT",
            "SHOWPLAN_XML",
            "REMOTE_PROC_TRANSACTIONS",
            "STATISTICS IO",
            "STATISTICS TIME",
            "STATISTICS XML",
            "STATISTICS PROFILE",
            "NO_BROWSETABLE",
        ];
        match (name, value) {
            ("NOCOUNT", OptionValue::Switch(on)) => self.settings.no_count = *on,
            ("XACT_ABORT", OptionValue::Switch(on)) => self.settings.xact_abort = *on,
            ("IMPLICIT_TRANSACTIONS", OptionValue::Switch(on)) => self.settings.implicit = *on,
            ("FMTONLY", OptionValue::Switch(on)) => self.settings.format_only = *on,
            ("NOEXEC" | "PARSEONLY", OptionValue::Switch(on)) => self.settings.no_exec = *on,
            ("TEXTSIZE", OptionValue::Number(size)) => {
                self.settings.text_size = if *size <= 0 { 2_147_483_647 } else { *size }
            }
            ("ROWCOUNT", OptionValue::Number(limit)) => self.settings.row_limit = u64::try_from(*limit).unwrap_or(0),
            ("ROWCOUNT", OptionValue::Variable(name)) => {
                if let Some(Variable { value: Value::Int(limit), .. }) = self.variables.get(&name.to_lowercase()) {
                    self.settings.row_limit = u64::try_from(*limit).unwrap_or(0);
                }
            }
            ("LOCK_TIMEOUT", OptionValue::Number(limit)) => self.lock_timeout.store(*limit, Ordering::Relaxed),
            ("DATEFIRST" | "QUERY_GOVERNOR_COST_LIMIT", OptionValue::Number(_))
            | ("CONTEXT_INFO" | "DEADLOCK_PRIORITY", _)
            | ("DATEFORMAT" | "LANGUAGE", OptionValue::Word | OptionValue::Variable(_)) => {}
            (_, OptionValue::Switch(on)) if SWITCHES.contains(&name) => {
                let names: &[&str] = if name == "ANSI_DEFAULTS" {
                    &["ANSI_NULLS", "ANSI_PADDING", "ANSI_WARNINGS", "QUOTED_IDENTIFIER"]
                } else {
                    &[name]
                };
                for name in names {
                    if *on {
                        self.settings.options.insert((*name).to_owned());
                    } else {
                        self.settings.options.remove(*name);
                    }
                }
            }
            _ => return Err(SqlError::new(195, format!("'{name}' is not a recognized SET option.")).severity(15)),
        }
        Ok(())
    }

    /// SET `IDENTITY_INSERT`.
    pub fn set_identity_insert(&mut self, table: &[String], on: bool) -> Result<()> {
        let environment = self.enter()?;
        let found = environment.find_table(table).ok_or_else(|| {
            SqlError::new(
                1088,
                format!(
                    "Cannot find the object \"{}\" because it does not exist or you do not have permissions.",
                    table.join(".")
                ),
            )
        })?;
        if !found.columns.iter().any(|column| column.identity.is_some()) {
            return Err(SqlError::new(
                8106,
                format!(
                    "Table '{}' does not have the identity property. Cannot perform SET operation.",
                    table.join(".")
                ),
            ));
        }
        match (on, self.settings.identity_insert) {
            (true, Some(other)) if other != found.id => {
                return Err(SqlError::new(
                    8107,
                    format!(
                        "IDENTITY_INSERT is already ON for another table. Cannot perform SET operation for table '{}'.",
                        table.join(".")
                    ),
                ));
            }
            (true, _) => self.settings.identity_insert = Some(found.id),
            (false, Some(own)) if own == found.id => self.settings.identity_insert = None,
            (false, _) => {}
        }
        Ok(())
    }
}
