//! Each thing that is wrong gets a message of its own (what, where, why, what to do) and the right exit code, and no
//! message holds a secret.

mod configuration;
mod ends;
mod tables;

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use anyhow::ensure;

use crate::rules::stage::Stage;
use crate::support::bucket;
use crate::support::postgres::{ADMIN_PASSWORD, LOADER_PASSWORD};
use crate::support::source;

/// A password that nobody has.
const WRONG_PASSWORD: &str = "not-the-password";

/// Something wrong, and what must come of it.
#[derive(Debug, Clone, Copy)]
pub struct Wrong<'a> {
    /// What is wrong.
    pub what: &'a str,
    /// Texts of the usual configuration, and what stands in their place.
    pub replace: &'a [(&'a str, &'a str)],
    /// Variables of the environment, and their values; `None` for not set.
    pub variables: &'a [(&'a str, Option<&'a str>)],
    /// The command.
    pub task: &'a [&'a str],
    /// The exit code.
    pub code: i32,
    /// Words of the message: what, where, why, what to do.
    pub says: &'a [&'a str],
}

impl Default for Wrong<'_> {
    fn default() -> Self {
        Self { what: "", replace: &[], variables: &[], task: &["check"], code: 3, says: &[] }
    }
}

/// Messages that were seen, and of what: no two things share one.
static SEEN: LazyLock<Mutex<HashMap<String, String>>> = LazyLock::new(Mutex::default);

impl Wrong<'_> {
    /// Does the wrong thing on a sound stage, holds what was said against what must be, and gives the message.
    pub async fn expect(&self, stage: &mut Stage) -> anyhow::Result<String> {
        let what = self.what;
        let mut config = stage.config();
        for (from, to) in self.replace {
            ensure!(config.contains(from), "{what}: the configuration has no '{from}'");
            config = config.replacen(from, to, 1);
        }
        stage.configure(|_| config)?;
        let sound = stage.environment.clone();
        for (name, value) in self.variables {
            stage.environment.retain(|(known, _)| known != name);
            stage.environment.extend(value.map(|value| ((*name).to_owned(), value.to_owned())));
        }
        let outcome = stage.task(self.task).await;
        stage.environment = sound;
        stage.configure(|config| config)?;

        let outcome = outcome?;
        let said = format!("{}\n{}", outcome.stdout, outcome.stderr);
        ensure!(outcome.code == Some(self.code), "{what}: exit {:?}, not {}:\n{said}", outcome.code, self.code);
        let summary = outcome.summary()?.0;
        ensure!(summary["exit_code"] == self.code, "{what}: the summary says {}", summary["exit_code"]);
        let errors = summary["tables"].as_array().into_iter().flatten().map(|table| &table["error"]);
        let errors = std::iter::once(&summary["error"]).chain(errors).filter_map(|error| error.as_str());
        // Of what servers and libraries say in several lines the log makes one.
        let errors: Vec<_> = errors.map(|error| error.replace('\n', "\\n")).collect();
        let untold = errors.iter().find(|error| !outcome.stderr.contains(error.split("; ").next().unwrap_or_default()));
        ensure!(untold.is_none(), "{what}: the log does not hold {untold:?}: {said}");
        let message = errors.join(" | ");
        for word in self.says {
            ensure!(message.contains(word), "{what}: the message does not say '{word}': {message}");
        }
        r11_no_secret(what, &said)?;
        self.is_its_own(stage, &message)?;
        Ok(message)
    }

    /// Fails if another thing had the same message, but for names and numbers of the stage.
    fn is_its_own(&self, stage: &Stage, message: &str) -> anyhow::Result<()> {
        let plain = message.replace(&stage.folder().display().to_string(), "").replace(&stage.target.name, "");
        let plain: String = plain.chars().filter(|character| !character.is_ascii_digit()).collect();
        let mut seen = SEEN.lock().map_err(|_| anyhow::anyhow!("another test broke off"))?;
        let first = seen.entry(plain).or_insert_with(|| self.what.to_owned());
        ensure!(first == self.what, "'{}' and '{first}' share a message: {message}", self.what);
        Ok(())
    }
}

fn r11_no_secret(what: &str, said: &str) -> anyhow::Result<()> {
    for secret in [source::PASSWORD, LOADER_PASSWORD, ADMIN_PASSWORD, bucket::SECRET_KEY, WRONG_PASSWORD] {
        ensure!(!said.contains(secret), "{what}: the secret {secret} was printed:\n{said}");
    }
    Ok(())
}
