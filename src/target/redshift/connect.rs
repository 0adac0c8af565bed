//! The session, and the settings that the meaning of our text and the bounds of our waiting depend on.

use super::failure::REDSHIFT;
use super::load::bound;
use super::{Redshift, iam};
use crate::config::{self, Auth};
use crate::error::{Kind, Result};
use crate::target::pgwire::Session;

impl Redshift {
    /// Connects and logs in.
    ///
    /// # Errors
    /// [`Kind::TargetUnreachable`], [`Kind::TargetTls`] or [`Kind::TargetLogin`], naming address and login.
    pub async fn open(target: &config::Target) -> Result<Self> {
        let session = match &target.auth {
            Auth::Password(login) => Session::open(&REDSHIFT, target, login, &login.user).await?,
            Auth::Iam(iam) => {
                let login = Box::pin(iam::lend(iam, target)).await?;
                let name = iam.user.as_deref().unwrap_or(&login.user);
                Session::open(&REDSHIFT, target, &login, name).await?
            }
        };
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
