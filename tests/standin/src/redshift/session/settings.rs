//! Settings of a session.

use std::collections::{BTreeMap, HashMap};

use bytes::BytesMut;

use super::Session;
use crate::redshift::error::{Outcome, SqlError};
use crate::redshift::name::{Names, literal, quoted};
use crate::redshift::server::Settings;
use crate::redshift::wire::{self, Column};

/// What can be set, and to what it is set at first.
const KNOWN: &[(&str, &str)] = &[
    ("analyze_threshold_percent", "10"),
    ("application_name", ""),
    ("client_encoding", "UTF8"),
    ("datestyle", "ISO, MDY"),
    ("describe_field_name_in_uppercase", "off"),
    ("enable_case_sensitive_identifier", "off"),
    ("enable_result_cache_for_session", "on"),
    ("error_on_nondeterministic_update", "off"),
    ("extra_float_digits", "0"),
    ("json_parse_truncate_strings", "off"),
    ("query_group", "unset"),
    ("search_path", "$user, public"),
    ("statement_timeout", "0"),
    ("timezone", "UTC"),
    ("wlm_query_slot_count", "1"),
];
/// What can be shown only.
const FIXED: &[(&str, &str)] =
    &[("server_encoding", "UNICODE"), ("server_version", "8.0.2"), ("transaction_isolation", "serializable")];

/// The settings.
#[derive(Debug, Clone)]
pub(super) struct Variables {
    set: BTreeMap<String, String>,
    search_path: Vec<String>,
}

impl Variables {
    /// As a client wants them at start.
    pub(super) fn at_start(
        parameters: &HashMap<String, String>,
        settings: &Settings,
        user: &str,
    ) -> Result<Self, SqlError> {
        let set = KNOWN.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut this = Self { set, search_path: vec![user.to_owned(), "public".to_owned()] };
        let database = parameters.get("database").map_or(user, String::as_str);
        if database != settings.upstream.database {
            return Err(SqlError::new("3D000", format!("database \"{database}\" does not exist")));
        }
        for (name, value) in parameters {
            match name.as_str() {
                "user" | "database" => {}
                "options" => this.options(value, user)?,
                _ => drop(this.set(&name.to_ascii_lowercase(), std::slice::from_ref(value), user)?),
            }
        }
        Ok(this)
    }

    /// `-c name=value`, as often as wanted.
    fn options(&mut self, options: &str, user: &str) -> Result<(), SqlError> {
        for option in options.split("-c").map(str::trim).filter(|option| !option.is_empty()) {
            let wrong = || SqlError::new("42601", format!("invalid command-line argument: {option}"));
            let (name, value) = option.split_once('=').ok_or_else(wrong)?;
            self.set(&name.to_ascii_lowercase(), &[value.to_owned()], user)?;
        }
        Ok(())
    }

    /// Sets one; gives what the server below must be told.
    fn set(&mut self, name: &str, values: &[String], user: &str) -> Result<Option<String>, SqlError> {
        let unknown = || SqlError::new("42704", format!("unrecognized configuration parameter \"{name}\""));
        let (_, default) = KNOWN.iter().find(|(known, _)| *known == name).ok_or_else(unknown)?;
        let joined = values.join(", ");
        let value = if joined.eq_ignore_ascii_case("default") { (*default).to_owned() } else { joined };
        let outside = |bounds: &str| {
            SqlError::new("22023", format!("{value} is outside the valid range for parameter \"{name}\" ({bounds})"))
        };
        let below = match name {
            "extra_float_digits" => {
                let digits = value.parse::<i32>().ok().filter(|digits| (-15..=2).contains(digits));
                Some(format!("SET extra_float_digits = {}", digits.ok_or_else(|| outside("-15 .. 2"))?))
            }
            "statement_timeout" => {
                value.parse::<u32>().map_err(|_| outside("0 .. 2147483647"))?;
                None
            }
            "client_encoding" => {
                if !["utf8", "utf-8", "unicode"].contains(&value.to_ascii_lowercase().trim_matches('\'')) {
                    return Err(SqlError::new(
                        "22023",
                        format!("conversion between {value} and UNICODE is not supported"),
                    ));
                }
                None
            }
            "search_path" => {
                self.search_path = value
                    .split(',')
                    .map(|schema| schema.trim().trim_matches('"'))
                    .map(|schema| if schema == "$user" { user.to_owned() } else { schema.to_owned() })
                    .collect();
                if self.search_path.iter().any(|schema| schema.starts_with(crate::redshift::SCHEMA)) {
                    return Err(SqlError::new("42501", "permission denied for schema"));
                }
                Some(self.search_path_below())
            }
            "timezone" => Some(format!("SET timezone = {}", literal(&value))),
            "datestyle" => Some(format!("SET datestyle = {}", literal(&value))),
            _ => None,
        };
        self.set.insert(name.to_owned(), value);
        Ok(below)
    }

    /// The schemas that an unqualified name is looked for in.
    pub(super) fn search_path(&self) -> &[String] {
        &self.search_path
    }

    fn search_path_below(&self) -> String {
        let path: Vec<_> = self.search_path.iter().map(|schema| quoted(schema)).collect();
        // The operators that ignore trailing blanks stand before those of the server below.
        format!("SET search_path = {}, redshift_standin_operators, pg_catalog", path.join(", "))
    }

    fn value(&self, name: &str) -> Option<String> {
        let fixed = FIXED.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        self.set.get(name).cloned().or(fixed)
    }

    /// How names are read.
    pub(super) fn names(&self) -> Names {
        let value = self.set.get("enable_case_sensitive_identifier").map(|value| value.to_ascii_lowercase());
        Names { case_sensitive: value.is_some_and(|value| matches!(value.as_str(), "on" | "true" | "1" | "yes")) }
    }

    /// Milliseconds that a statement may take; 0 is for ever.
    pub(super) fn statement_timeout(&self) -> u64 {
        self.value("statement_timeout").and_then(|value| value.parse().ok()).unwrap_or_default()
    }

    /// What makes the session below.
    pub(super) fn session_below(&self, user: &str, settings: &Settings) -> String {
        let value = |name: &str| literal(&self.value(name).unwrap_or_default());
        [
            "SET client_min_messages = warning".to_owned(),
            "SET standard_conforming_strings = on".to_owned(),
            "SET bytea_output = hex".to_owned(),
            "SET intervalstyle = postgres".to_owned(),
            "SET statement_timeout = 0".to_owned(),
            "SET lock_timeout = 0".to_owned(),
            format!("SET default_transaction_isolation = '{}'", settings.isolation.below().to_ascii_lowercase()),
            format!("SET extra_float_digits = {}", value("extra_float_digits")),
            format!("SET timezone = {}", value("timezone")),
            format!("SET datestyle = {}", value("datestyle")),
            self.search_path_below(),
            format!("SET SESSION AUTHORIZATION {}", quoted(user)),
        ]
        .join("; ")
    }

    /// Tells the client at start.
    pub(super) fn tell(&self, out: &mut BytesMut, user: &str) {
        let value = |name: &str| self.value(name).unwrap_or_default();
        let told = [
            ("server_version", "8.0.2".to_owned()),
            ("server_encoding", "UNICODE".to_owned()),
            ("client_encoding", value("client_encoding")),
            ("DateStyle", value("datestyle")),
            ("TimeZone", value("timezone")),
            ("application_name", value("application_name")),
            ("integer_datetimes", "on".to_owned()),
            ("session_authorization", user.to_owned()),
        ];
        for (name, value) in told {
            wire::parameter(out, name, &value);
        }
    }
}

impl Session {
    pub(super) async fn set(&mut self, name: &str, values: &[String]) -> Outcome<()> {
        if let Some(below) = self.variables.set(name, values, &self.user)? {
            self.below.run(&below).await?;
        }
        for (known, told) in
            [("datestyle", "DateStyle"), ("timezone", "TimeZone"), ("application_name", "application_name")]
        {
            if name == known {
                let value = self.variables.value(name).unwrap_or_default();
                wire::parameter(&mut self.out, told, &value);
            }
        }
        self.complete("SET");
        Ok(())
    }

    pub(super) fn show(&mut self, name: &str, describe: bool) -> Outcome<()> {
        let unknown = || SqlError::new("42704", format!("unrecognized configuration parameter \"{name}\""));
        let value = self.variables.value(name).ok_or_else(unknown)?;
        if describe {
            wire::columns(&mut self.out, &[Column::text(name)]);
        }
        wire::row(&mut self.out, &[Some(value)]);
        self.complete("SHOW");
        Ok(())
    }
}
