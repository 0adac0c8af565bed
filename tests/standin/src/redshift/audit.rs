//! What was said: each statement as the client sent it, and as the server below got it.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

/// Where statements are noted, if anywhere.
#[derive(Debug, Clone, Default)]
pub struct Audit(Option<Arc<Mutex<File>>>);

impl Audit {
    /// Appends to a file.
    pub fn to(file: &Path) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(file)?;
        Ok(Self(Some(Arc::new(Mutex::new(file)))))
    }

    /// Notes what a client sent.
    pub fn client(&self, sql: &str) {
        self.note("client", sql);
    }

    /// Notes what the server below gets.
    pub fn upstream(&self, sql: &str) {
        self.note("upstream", sql);
    }

    fn note(&self, whose: &str, sql: &str) {
        if let Some(file) = &self.0
            && let Err(error) = writeln!(file.lock(), "{whose}: {sql}")
        {
            tracing::error!(%error, "a statement could not be noted");
        }
    }
}
