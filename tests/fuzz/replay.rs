//! The corpora of the fuzz targets, for the tests that hold each of their files to what the target asserts.

use std::path::Path;

/// Gives `hold` every file of a target's corpus.
pub(crate) fn replay(target: &str, hold: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus").join(target);
    let mut files = 0;
    for entry in std::fs::read_dir(&corpus).unwrap() {
        hold(&std::fs::read(entry.unwrap().path()).unwrap());
        files += 1;
    }
    assert!(files > 10, "{} is no corpus", corpus.display());
}
