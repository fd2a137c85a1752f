//! FastDFS itself, where it is installed: its programs on the PATH.

use std::path::PathBuf;

use crate::say::skipped;

/// FastDFS's own program `name`, not one of ours under that name.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())?;
    let real = found.canonicalize().ok()?;
    (real.file_name()?.to_str()? == name).then_some(real)
}

/// Says so and is false when FastDFS is not here.
pub(crate) fn is_here(test: &str) -> bool {
    let here = ["fdfs_trackerd", "fdfs_storaged", "fdfs_test"].iter().all(|name| program(name).is_some());
    if !here {
        skipped(test, "FastDFS (fdfs_trackerd, fdfs_storaged, fdfs_test) is not on the PATH");
    }
    here
}
