//! Every input of the fuzz corpus, and every one that fuzzing found a fault by, keeps what is promised of it.
//!
//! `make fuzz` looks for more. What it finds goes to `fuzz/found`, under a name that says what it shows.

pub mod promises;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

/// The files of a folder, in the order of their names.
fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = folder.read_dir().with_context(|| folder.display().to_string())?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    files.sort();
    Ok(files)
}

/// A test's thread has the stack that a worker of the product has: input that overflows it is found here, too.
#[test]
fn every_input_that_fuzzing_knows_keeps_its_promises() -> anyhow::Result<()> {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let mut broken = Vec::new();
    for (name, promises) in promises::TARGETS {
        let (corpus, found) = (files(&fuzz.join("corpus").join(name))?, files(&fuzz.join("found").join(name))?);
        ensure!(corpus.len() >= 20 && !found.is_empty(), "{name}: {} and {} inputs", corpus.len(), found.len());
        for file in corpus.into_iter().chain(found) {
            let input = std::fs::read(&file)?;
            if catch_unwind(AssertUnwindSafe(|| promises(&input))).is_err() {
                broken.push(file);
            }
        }
    }
    ensure!(broken.is_empty(), "promises are broken by {broken:#?}: what each says stands above");
    Ok(())
}
