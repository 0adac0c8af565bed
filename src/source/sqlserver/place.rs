//! Where a connection leads, as messages name it.

use std::fmt;

use crate::config::Source;

/// A server and a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Host name or address; the one that its certificate must name.
    pub host: String,
    /// TCP port; of a named instance the SQL Browser's.
    pub port: u16,
    /// Named instance.
    pub instance: Option<String>,
    database: String,
    /// Who sent us here.
    by: Option<String>,
}

impl Place {
    /// What the configuration names.
    pub fn configured(config: &Source) -> Self {
        let Source { host, port, instance, database, .. } = config.clone();
        Self { host, port, instance, database, by: None }
    }

    /// Where a server sends us on to. The name may come with an instance, whose port it is.
    pub fn routed(&self, host: &str, port: u16) -> Self {
        let host = host.split('\\').next().unwrap_or_default().to_owned();
        Self { host, port, instance: None, database: self.database.clone(), by: Some(self.to_string()) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, instance, database, by } = self;
        match instance {
            Some(instance) => write!(f, "{host}\\{instance}/{database}")?,
            None => write!(f, "{host}:{port}/{database}")?,
        }
        by.as_ref().map_or(Ok(()), |by| write!(f, " (to which {by} sends us)"))
    }
}
