//! Files that have no name yet, gone when dropped unless they were published.
//!
//! Where the file system can, they have no name at all (`O_TMPFILE`): half the work of a rename, and nothing to clean up
//! after a kill. Else they are called `data/.up<N>.tmp`; names of this form are the store's own, and what a killed
//! process left of them is removed at the next start. Nothing else is ever removed.

use std::fs::{self, File};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::io::Errno;

use super::data_dir::DataDir;
use super::{StoreError, StorePath};

const PREFIX: &str = ".up";
const SUFFIX: &str = ".tmp";

static NEXT: AtomicU64 = AtomicU64::new(1);

/// A file without a final name. Dropped, it is gone.
pub(super) struct Temporary {
    path: Arc<StorePath>,
    name: Name,
    file: File,
}

/// Hears of the final name before the file gets it.
pub(super) type BeforeName = Box<dyn FnMut(&str) -> io::Result<()> + Send + Sync>;

enum Name {
    /// It has none; the kernel frees it with its descriptor.
    None,
    /// Its own for the time being, to be removed.
    Temporary(String),
    /// That of an upload that is continued: it stays if this is dropped.
    Kept(String, BeforeName),
    /// The final one.
    Final,
}

impl Temporary {
    /// Makes an empty one that will be published below `dir`, such as `00/1F`. Blocking.
    pub(super) fn create(path: &Arc<StorePath>, dir: &str) -> io::Result<Self> {
        match path.dir.create_unnamed(dir) {
            Ok(file) => Ok(Self { path: Arc::clone(path), name: Name::None, file }),
            Err(error) if is_unsupported(&error) => Self::create_named(path),
            Err(error) => Err(error),
        }
    }

    /// Makes an empty one with a name of its own, for where it is certain to replace another file. Blocking.
    pub(super) fn create_named(path: &Arc<StorePath>) -> io::Result<Self> {
        let name = next_name();
        let file = path.dir.create(&name)?;
        Ok(Self { path: Arc::clone(path), name: Name::Temporary(name), file })
    }

    /// A file that stays where it is until it is published, which `before` hears of first.
    pub(super) fn adopt(path: &Arc<StorePath>, name: String, file: File, before: BeforeName) -> Self {
        Self { path: Arc::clone(path), name: Name::Kept(name, before), file }
    }

    /// The open file.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Gives the file its final name if nothing has it; `AlreadyExists` leaves it as it was. Blocking.
    pub(super) fn publish(&mut self, name: &str) -> io::Result<()> {
        match &mut self.name {
            Name::None => self.path.dir.link_file(&self.file, name)?,
            Name::Temporary(own) => self.path.dir.rename_new(own, name)?,
            Name::Kept(own, before) => {
                before(name)?;
                self.path.dir.rename_new(own, name)?;
            }
            Name::Final => return Err(io::ErrorKind::NotFound.into()),
        }
        self.name = Name::Final;
        Ok(())
    }

    /// Gives the file its final name over what has it. Blocking.
    pub(super) fn replace(&mut self, name: &str) -> io::Result<()> {
        if matches!(self.name, Name::None) {
            // Only a rename replaces, and that needs a name.
            let own = next_name();
            self.path.dir.link_file(&self.file, &own)?;
            self.name = Name::Temporary(own);
        }
        let Name::Temporary(own) = &self.name else { return Err(io::ErrorKind::NotFound.into()) };
        self.path.dir.rename_over(own, name)?;
        self.name = Name::Final;
        Ok(())
    }
}

fn next_name() -> String {
    format!("{PREFIX}{}{SUFFIX}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// File systems without files that have no name say so in several ways.
fn is_unsupported(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL))
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let Name::Temporary(name) = std::mem::replace(&mut self.name, Name::Final) else { return };
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
