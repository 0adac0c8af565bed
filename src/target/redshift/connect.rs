//! The session, and the settings that the meaning of our text and the bounds of our waiting depend on.

use super::Redshift;
use super::failure::REDSHIFT;
use super::load::bound;
use crate::config;
use crate::error::{Kind, Result};
use crate::target::pgwire::Session;

impl Redshift {
    /// Connects and logs in.
    ///
    /// # Errors
    /// [`Kind::TargetUnreachable`], [`Kind::TargetTls`] or [`Kind::TargetLogin`], naming address and login.
    pub async fn open(target: &config::Target) -> Result<Self> {
        let session = Session::open(&REDSHIFT, target).await?;
        // Its bound on a statement is the only one on waiting for a lock, and counts the time in the queue, too.
        let bounded = bound(target.lock_timeout);
        for setting in [&bounded, "SET datestyle TO 'ISO, YMD'", "SET timezone TO 'UTC'"] {
            let set = tokio::time::timeout(target.connect_timeout, session.client.batch_execute(setting)).await;
            set.map_err(|_| session.server.error(Kind::TargetUnreachable, "fell silent after the login"))?
                .map_err(|error| session.server.failed("set up the session", &error))?;
        }
        Ok(Self { session, lock_timeout: target.lock_timeout, options: target.redshift.clone() })
    }
}
