//! What of the configuration names nothing.

use super::super::client::{Client, text};
use super::super::{rights, sql as common};
use super::{Survey, sql};
use crate::config::{Config, literal};
use crate::error::Result;
use crate::finding::{Finding, Matter, Place};
use crate::source::{is_included, same_name};
use crate::table::TableName;

impl Survey<'_> {
    /// Patterns, `[[table]]` entries, columns left out.
    pub async fn patterns(&mut self, client: &mut Client) -> Result<()> {
        let rows = client.batch(common::TABLES).await?;
        let tables: Vec<_> = rows.iter().map(|row| TableName::new(text(row, 1), text(row, 2))).collect();
        self.useless_patterns(&tables, &client.who().await.user);
        self.useless_entries(client, &tables).await
    }

    fn useless_patterns(&mut self, tables: &[TableName], user: &str) {
        let (include, exclude) = (&self.source.include, &self.source.exclude);
        let ignores_case = self.database.ignores_case();
        let alone = std::slice::from_ref::<String>;
        let matches = |pattern: &String, exclude: &[String]| {
            tables.iter().any(|table| is_included(alone(pattern), exclude, table, ignores_case))
        };
        let mut told = Vec::new();
        for (key, patterns) in [("include", include), ("exclude", exclude)] {
            let useful = |pattern: &&String| matches(pattern, if key == "include" { exclude } else { &[] });
            let kept: Vec<_> = patterns.iter().filter(useful).map(String::as_str).collect();
            if kept.len() == patterns.len() {
                continue;
            }
            let useless: Vec<_> =
                patterns.iter().filter(|pattern| !kept.contains(&pattern.as_str())).map(|text| literal(text)).collect();
            let hidden = if key == "include" { " that the login sees and source.exclude leaves" } else { "" };
            let unseen = patterns.iter().filter(|pattern| key == "include" && !kept.contains(&pattern.as_str()));
            let grants: Vec<_> = unseen.filter_map(|pattern| rights::pattern(user, &pattern.parse().ok()?)).collect();
            let grants = if grants.is_empty() {
                String::new()
            } else {
                format!("; if it may not see them: {}", grants.join("; "))
            };
            let message = format!("source.{key}: {} matches no table{hidden}{grants}", useless.join(", "));
            // Without a pattern that matches, what is meant is not known.
            let lines = (key == "exclude" || !kept.is_empty()).then(|| Config::patterned(key, &kept));
            let finding = Finding::new(Matter::UselessPattern, message);
            told.push(lines.into_iter().fold(finding, |finding, lines| finding.mend(Place::Config, lines)));
        }
        for finding in told {
            self.tell(finding);
        }
    }

    async fn useless_entries(&mut self, client: &mut Client, tables: &[TableName]) -> Result<()> {
        let ignores_case = self.database.ignores_case();
        let same = |left: &str, right: &str| same_name(ignores_case, left, right);
        let config = self.config;
        let mut asked = Vec::new();
        for entry in &config.tables {
            let Some(named) = &entry.name else { continue };
            let is_its = |table: &&TableName| same(&named.schema, &table.schema) && same(&named.name, &table.name);
            let Some(table) = tables.iter().find(is_its) else {
                let message = format!("[[table]] '{named}' names no table that the login sees: take the entry out");
                self.tell(Finding::new(Matter::UselessOption, message));
                continue;
            };
            if !is_included(&self.source.include, &self.source.exclude, table, ignores_case) {
                let message = format!("[[table]] '{named}' names a table that is not included");
                let plain = table.to_string();
                let include = self.source.include.iter().map(String::as_str).chain([plain.as_str()]);
                let lines = Config::patterned("include", &include.collect::<Vec<_>>());
                self.tell(Finding::new(Matter::UselessOption, message).on(table).mend(Place::Config, lines));
            } else if !entry.exclude_columns.is_empty() {
                asked.push((entry, table.clone()));
            }
        }
        if asked.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = asked.iter().map(|(_, table)| table.clone()).collect();
        let what = "which columns the tables have that leave some out";
        let rows = self.ask(client, &sql::columns(&names), what, String::new()).await?;
        if rows.is_empty() {
            return Ok(());
        }
        for (entry, table) in asked {
            let is_its = |row: &&tiberius::Row| text(row, 0) == table.schema && text(row, 1) == table.name;
            let columns: Vec<_> = rows.iter().filter(is_its).map(|row| text(row, 2)).collect();
            let is_there = |excluded: &&String| columns.iter().any(|column| same(column, excluded));
            let kept: Vec<_> = entry.exclude_columns.iter().filter(is_there).map(String::as_str).collect();
            let useless: Vec<_> =
                entry.exclude_columns.iter().filter(|column| !is_there(column)).map(|column| literal(column)).collect();
            if useless.is_empty() {
                continue;
            }
            let message = format!("exclude_columns: {} names no column of the table", useless.join(", "));
            let lines = Config::only_excluding(&table, &kept);
            self.tell(Finding::new(Matter::UselessOption, message).on(&table).mend(Place::Config, lines));
        }
        Ok(())
    }
}
