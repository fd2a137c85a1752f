//! Files that have no name yet: `data/.up<N>.tmp`, gone when dropped unless they were published.
//!
//! Names of this form are the store's own; what a killed process left of them is removed at the next start. Nothing
//! else is ever removed.

use std::fs::{self, File};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::data_dir::DataDir;
use super::{StoreError, StorePath};

const PREFIX: &str = ".up";
const SUFFIX: &str = ".tmp";

static NEXT: AtomicU64 = AtomicU64::new(1);

/// A file without a final name. Dropped, it is removed.
pub(super) struct Temporary {
    path: Arc<StorePath>,
    name: Option<String>,
    file: File,
}

impl Temporary {
    /// Makes an empty one. Blocking.
    pub(super) fn create(path: &Arc<StorePath>) -> io::Result<Self> {
        let name = format!("{PREFIX}{}{SUFFIX}", NEXT.fetch_add(1, Ordering::Relaxed));
        let file = path.dir.create(&name)?;
        Ok(Self { path: Arc::clone(path), name: Some(name), file })
    }

    /// The open file.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Gives the file its final name if nothing has it; `AlreadyExists` leaves it as it was. Blocking.
    pub(super) fn publish(&mut self, name: &str) -> io::Result<()> {
        let Some(own) = &self.name else { return Err(io::ErrorKind::NotFound.into()) };
        self.path.dir.rename_new(own, name)?;
        self.name = None;
        Ok(())
    }

    /// Gives the file its final name over what has it. Blocking.
    pub(super) fn replace(&mut self, name: &str) -> io::Result<()> {
        let Some(own) = &self.name else { return Err(io::ErrorKind::NotFound.into()) };
        self.path.dir.rename_over(own, name)?;
        self.name = None;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let Some(name) = self.name.take() else { return };
        let path = Arc::clone(&self.path);
        self.path.pool.run_detached(move || {
            if let Err(error) = path.dir.unlink(&name) {
                tracing::warn!(%name, %error, "a temporary file stays until the next start");
            }
        });
    }
}

/// Removes what a killed process left.
pub(super) fn remove_leftovers(dir: &DataDir) -> Result<(), StoreError> {
    let entries = fs::read_dir(dir.path()).map_err(StoreError::io("list", dir.path()))?;
    for entry in entries {
        let entry = entry.map_err(StoreError::io("list", dir.path()))?;
        let name = entry.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX))
            .and_then(|name| name.strip_suffix(SUFFIX));
        if number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
        {
            fs::remove_file(entry.path()).map_err(StoreError::io("remove", entry.path()))?;
        }
    }
    Ok(())
}
