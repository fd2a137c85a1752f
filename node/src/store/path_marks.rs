//! `<store path>/data/.fastdfs_vars`: a mark that also stands in `.data_init_flag`, so that a store path that is not
//! mounted, or is another's, is noticed before a file goes to it.
//!
//! The flag is written first: a crash between the two writes leaves "flag set, file missing", which both this store and
//! the reference repair by making a new mark.

use std::fs;
use std::io;
use std::path::Path;

use protocol::daemon::replace_file;
use tracing::warn;

use super::state_text::{StateText, put};
use super::{InitFlag, StoreError};

const FILE_NAME: &str = ".fastdfs_vars";
const KEY: &str = "store_path_mark";

/// Whether any store path carries a mark: then `.data_init_flag` must not be missing.
pub(super) fn any_present<'a>(mut data_dirs: impl Iterator<Item = &'a Path>) -> bool {
    data_dirs.any(|dir| dir.join(FILE_NAME).exists())
}

/// Checks the mark of the store path with this index, or makes one. `flag` is saved when it changes.
pub(super) fn check(
    data: &Path,
    index: usize,
    flag: &mut InitFlag,
    base_data: &Path,
) -> Result<(), StoreError> {
    let path = data.join(FILE_NAME);
    let found = match fs::read_to_string(&path) {
        Ok(text) => StateText::parse(&text).text(KEY).filter(|mark| !mark.is_empty()).map(str::to_owned),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(StoreError::io("read", &path)(error)),
    };
    let expected = flag.store_path_marks.get(index).cloned().flatten();
    let refuse =
        |reason: &str| Err(StoreError::State { path: path.display().to_string(), reason: reason.to_owned() });
    match (expected, found) {
        (Some(expected), Some(found)) if expected == found => return Ok(()),
        (Some(_), Some(_)) => {
            return refuse(
                "this store path belongs to another node, or its paths are in another order than before; mount the \
                 right directory or correct store_path0 and following",
            );
        }
        (None, Some(_)) => {
            return refuse(
                "this store path carries a mark that .data_init_flag does not know; it belongs to another node. If it \
                 is to be used all the same, remove this file",
            );
        }
        (Some(_), None) => {
            warn!(path = %data.display(), "the mark of this store path is missing, making a new one")
        }
        (None, None) => {}
    }
    let mark = format!("{:016x}{:016x}{index:02x}", fastrand::u64(..), fastrand::u64(..));
    if flag.store_path_marks.len() <= index {
        flag.store_path_marks.resize(index + 1, None);
    }
    flag.store_path_marks[index] = Some(mark.clone());
    flag.save(base_data)?;
    let mut text = String::new();
    put(&mut text, KEY, mark);
    replace_file(&path, text.as_bytes()).map_err(StoreError::io("write", &path))
}
