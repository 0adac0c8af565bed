//! What the fuzz targets share: the promises, the same as the tests hold over the corpus, and ways to mutate inputs.

pub mod mutate;
#[path = "../../tests/corpus/promises/mod.rs"]
pub mod promises;
